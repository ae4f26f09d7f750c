/** One meter on a real pseudo-terminal or TCP port, read by the command as a person types it; and everything that goes wrong. */
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitOf } from '../../../agent/cli/exit-codes.ts'
import { diagnose, sayFault } from '../../../agent/cli/meters/diagnose.ts'
import { openPty, type Pty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import { serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { startSmlMeter } from '../../../hw/sim/telegram-meters.ts'
import { hex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'
import { clock, measure, onPty, READ, TIMING, timers, unitOf } from './sdm630-sim.ts'

const folder = mkdtempSync(join(tmpdir(), 'tieline-read-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const inner = suite('cli read')
const test = (name: string, body: () => Promise<void>) => inner(name, body, 90_000)

test('a reading is one JSON line: identity, time, age, named values, hash of the raw frames, and what is absent', async () => {
  const { pty, close } = await onPty()
  const begun = Date.now()
  const { exit, json, err } = await runTieline([...READ, pty.path, '--json'])
  const ended = Date.now()
  await close()
  assert.is(err, '')
  assert.is(exit, 0)
  const [reading] = json()
  assert.is(reading.ok, true)
  assert.is(reading.meter, '41000101')
  const taken = Date.parse(reading.taken)
  assert.ok(taken >= begun - 1_000 && taken <= ended + 1_000, reading.taken)
  assert.ok(reading.age >= 0 && reading.age <= ended - begun + 1_000, String(reading.age))
  assert.match(reading.rawHash, /^[0-9a-f]{64}$/)
  const voltage = reading.values.find((value: { name: string }) => value.name === 'voltageL1')
  const volts = Number(voltage.value) * 10 ** voltage.scaler
  assert.is(voltage.obis, '1-0:32.7.0')
  assert.is(voltage.unit, 'V')
  // What the simulated home measures, not what the page made of it.
  assert.ok(Math.abs(volts - measure().voltageMv / 1000) < 20, `${volts}`)
  assert.equal(reading.absent, [])
  const help = (await runTieline(['read', '--help'])).out
  for (const key of [...Object.keys(reading), ...Object.keys(voltage)]) assert.ok(help.includes(`"${key}"`), key)
})

test('people see words and units; every reading so often, so many times', async () => {
  const { pty, close } = await onPty()
  const begun = Date.now()
  const { exit, out } = await runTieline([...READ, pty.path, '--every', '100ms', '--count', '3'])
  await close()
  assert.is(exit, 0)
  assert.is(out.match(/1-0:1\.8\.0 /g)?.length, 3)
  assert.match(out, /^\S+Z {2}41000101\n/)
  assert.ok(Date.now() - begun >= 200)
})

test('what the meter has no value of is named, to people as to programs', async () => {
  const { pty, close } = await onPty('rtu', ['voltageL2', 'power'])
  const { out } = await runTieline([...READ, pty.path])
  const { json } = await runTieline([...READ, pty.path, '--json'])
  await close()
  assert.match(out, /\n {2}the meter has no value of: voltage L2; power, import positive\n$/)
  assert.not.match(out, /1-0:52\.7\.0/)
  assert.equal(json()[0].absent, ['voltageL2', 'power'])
})

test('over TCP: Modbus TCP whatever the page, RTU where asked, and the other framing is found out', async () => {
  const server = must(
    await openTcpServer({ host: '127.0.0.1', port: 0 }, end => {
      serveModbus(end, new Map([[1, unitOf()]]), { ...TIMING, characterMs: 0, framing: 'rtu' })
    }),
  )
  const at = ['read', '--page', 'eastron-sdm630', '--tcp', `127.0.0.1:${server.port}`]
  assert.is((await runTieline([...at, '--framing', 'rtu'])).exit, 0)
  const wrong = await runTieline([...at, '--json'])
  assert.is(wrong.json()[0].fault.code, 'meter.wrong-framing')
  assert.match(
    wrong.err,
    /^tieline read: 127\.0\.0\.1:\d+: unit 1 does not answer tcp frames, but rtu ones: use --framing rtu\n$/,
  )
  assert.is(wrong.exit, 69)
  await server.close()
  const refused = await runTieline(at)
  assert.is(refused.exit, 69)
  assert.match(refused.err, /^tieline read: 127\.0\.0\.1:\d+: the device is there, but nothing listens on this port\n$/)
  const unknown = await runTieline(['read', '--page', 'shelly-pro-3em', '--tcp', 'tieline-none.invalid'])
  assert.match(unknown.err, /^tieline read: tieline-none\.invalid:502: (this name has no address|the name service)/)
})

test('a unit that is not there: the one that answers is named', async () => {
  const { pty, close } = await onPty()
  const { exit, err, json } = await runTieline([...READ, pty.path, '--unit', '7', '--json'])
  await close()
  assert.is(json()[0].fault.code, 'meter.wrong-unit')
  assert.match(err, /^tieline read: \S+: unit 7 does not answer, unit 1 does\n$/)
  assert.is(exit, 69)
})

test('ASCII where RTU was asked is found out', async () => {
  const { pty, close } = await onPty('ascii')
  const { exit, err } = await runTieline([...READ, pty.path])
  await close()
  assert.match(err, /use --framing ascii\n$/)
  assert.is(exit, 69)
})

test('nobody answers', async () => {
  const pty = must(await openPty())
  const { exit, err, json } = await runTieline([...READ, pty.path, '--json'])
  await pty.close()
  assert.is(json()[0].fault.code, 'meter.no-answer')
  assert.match(err, /^tieline read: \S+: unit 1 does not answer at 115200 baud 8N1: check /)
  assert.is(exit, 69)
})

test('bytes that make no frame: baud rate or parity', async () => {
  const { pty, unit, close } = await onPty()
  unit.faults.garbled = true
  const { exit, err, json } = await runTieline([...READ, pty.path, '--json'])
  await close()
  assert.is(json()[0].fault.code, 'meter.garbled')
  assert.match(err, /wrong baud rate or parity, or noise on the wires\n$/)
  assert.is(exit, 74)
})

test('a device that vanishes while it is read', async () => {
  const { pty, unit, stats } = await onPty()
  unit.faults.dead = true
  const running = runTieline([...READ, pty.path, '--json'])
  while (stats.requests === 0) await timers.sleep(5)
  pty.unplug()
  const { exit, err, json } = await running
  await pty.close()
  assert.is(json()[0].fault.code, 'meter.vanished', err)
  assert.match(err, /^tieline read: \S+: the device vanished while it was read \(serial\.\w+\)\n$/)
  assert.is(exit, 74)
})

test('a port that is not there, and one that another program has open', async () => {
  const missing = await runTieline([...READ, '/dev/tieline-missing'])
  assert.is(missing.exit, 69)
  assert.match(missing.err, /^tieline read: \/dev\/tieline-missing: no such device: check the path/)
  const named = await runTieline([...READ, '/dev/permission-lock', '--json'])
  assert.is(named.json()[0].fault.code, 'serial.missing', 'what the path is called means nothing')
  for (const path of ['/dev/null', tmpdir(), '']) {
    const strange = await runTieline([...READ, path, '--json'])
    assert.is(strange.json()[0].fault.code, 'serial.no-serial-device', strange.err)
    assert.is(strange.err, `tieline read: ${path}: this is no serial device\n`)
    assert.is(strange.exit, 69)
  }
  const pty = must(await openPty())
  const other = createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers)
  must(await other.open({ bytes: () => {}, down: () => {} }))
  const busy = await runTieline([...READ, pty.path, '--json'])
  assert.is(busy.json()[0].fault.code, 'serial.busy', busy.err)
  assert.match(busy.err, /: another program has this device open\n$/)
  assert.is(busy.exit, 75)
  await other.close()
  await pty.close()
})

test('a port that this user may not open', async () => {
  // Root may open everything: what the driver says to another user goes through the same two functions.
  const hint = 'allow this user to use serial devices'
  const denied = { code: 'serial.permission', path: '/dev/ttyUSB0', message: 'Error: Permission denied', hint }
  const parts = { openLine: () => assert.unreachable(), clock, timers, asked: undefined, wasOpen: false } as never
  const fault = await diagnose(denied, parts)
  assert.is(exitOf(fault), 77)
  assert.is(sayFault(fault, { line: '/dev/ttyUSB0', baud: '' }), `/dev/ttyUSB0: ${hint}`)
})

test('another product: its refusal is said as that', async () => {
  const { pty, close } = await onPty()
  const { exit, err } = await runTieline([
    'read',
    '--page',
    'schneider-iem3000',
    '--baud',
    '115200',
    '--line',
    pty.path,
  ])
  await close()
  assert.match(err, /^tieline read: \S+: it answers, but .* is it another product\?\n$/)
  assert.is(exit, 69)
})

test('a meter that speaks unasked is waited for; a silent and a garbled one are told apart', async () => {
  const speaking = async (change: (meter: ReturnType<typeof startSmlMeter>) => void) => {
    const pty: Pty = must(await openPty())
    const serverId = hex('0a 01 54 4c 4e 00 00 00 00 01')
    const meter = startSmlMeter({
      end: pty,
      measure,
      characterMs: 0,
      clock,
      timers,
      random: seededRandom(1),
      serverId,
      maker: 'TLN',
    })
    change(meter)
    const said = await runTieline(['read', '--telegram', 'sml', '--line', pty.path, '--json'])
    meter.stop()
    await pty.close()
    return said
  }
  const [good, silent, garbled] = await Promise.all([
    speaking(() => {}),
    speaking(({ faults }) => {
      faults.silent = true
    }),
    speaking(({ faults }) => {
      faults.flippedBits = 40
    }),
  ])
  assert.is(good.exit, 0, good.err)
  assert.is(good.json()[0].meter, '0a01544c4e0000000001')
  assert.is(silent.json()[0].fault.code, 'meter.no-answer')
  assert.is(silent.exit, 69)
  assert.is(garbled.json()[0].fault.code, 'meter.garbled')
  assert.is(garbled.exit, 74)
})

test('mistakes in what was typed are usage, each in one line with what was meant', async () => {
  for (const [args, says] of [
    [['--page', 'eastron-sdm631', '--line', 'x'], 'unknown page "eastron-sdm631", did you mean "eastron-sdm630"?'],
    [['--page', 'iem', '--line', 'x'], 'did you mean "schneider-iem3000" or "'],
    [['--telegram', 'smal', '--line', 'x'], 'unknown kind of telegram "smal", did you mean "sml"?'],
    [['--page', 'eastron-sdm630'], 'give either --line (a device) or --tcp (host:port)'],
    [['--line', 'x'], 'give either --page or --telegram'],
    [['--page', 'eastron-sdm630', '--line', 'x', '--unit', '248'], '--unit is a whole number from 1 to 247'],
    [['--page', 'eastron-sdm630', '--line', 'x', '--format', '8M1'], 'did you mean "8N1"'],
    [['--page', 'eastron-sdm630', '--line', 'x', '--every', 'often'], '--every is a duration, as in 1s'],
    [['--page', 'eastron-sdm630', '--line', 'x', '--framing', 'tcp'], '--framing tcp is for --tcp'],
    [['--page', 'eastron-sdm630', '--line', 'x', '--pgae', 'y'], "unknown option '--pgae'"],
  ] as const) {
    const { exit, err, out } = await runTieline(['read', ...args])
    assert.is(exit, 2, args.join(' '))
    assert.is(out, '')
    assert.ok(err.startsWith('tieline read: ') && err.includes(says), err)
    assert.is(err.trimEnd().split('\n').length, 1)
  }
})

test('a meter that comes back under another name is read again by the same command', async () => {
  const link = join(folder, 'by-id-name')
  const point = (path: string) => {
    symlinkSync(path, `${link}.new`)
    renameSync(`${link}.new`, link)
  }
  const first = await onPty()
  point(first.pty.path)
  const said = { good: 0, failed: 0 }
  let stop = () => {}
  const interrupted = new Promise<void>(resolve => {
    stop = resolve
  })
  const running = runTieline([...READ, link, '--every', '200ms', '--json'], {
    interrupted,
    onOut: text => {
      said[JSON.parse(text).ok ? 'good' : 'failed']++
    },
  })
  const until = async (which: keyof typeof said, count: number) => {
    while (said[which] < count) await timers.sleep(20)
  }
  await until('good', 2)
  // As udev does. A name left behind would lead to whichever program gets the freed number of the pseudo-terminal next.
  unlinkSync(link)
  first.pty.unplug()
  await first.close()
  await until('failed', 1)
  const second = await onPty()
  point(second.pty.path)
  await until('good', said.good + 1)
  stop()
  const { exit, json, err } = await running
  await second.close()
  // The gap is said, and nothing was made up for it.
  assert.ok(
    json().some(({ ok }) => !ok),
    err,
  )
  assert.is(exit, 0)
})

inner.run()
