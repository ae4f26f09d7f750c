/** `tieline detect` on real pseudo-terminals and TCP: what it says of meters that answer, speak unasked, or are not there. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createCoilBoard } from '../../../hw/sim/coil-board.ts'
import { createHomeMeter } from '../../../hw/sim/home-meter.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank, inventSerial } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { startSmlMeter } from '../../../hw/sim/telegram-meters.ts'
import { hex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'

const { clock, timers } = createSystemTime()
const measure = createHomeMeter(1, clock)
const unitOf = (name: string) => {
  const page = PAGES.get(name)!
  return createUnit(must(createPageBank({ page, serial: inventSerial(page, 0), measure })))
}
const TIMING = { turnaroundMs: 5, clock, timers, random: seededRandom(1) } as const
const CHARACTER_MS = 10_000 / 115_200

const test = suite('cli detect')

test('a meter and a relay board on one line: a page for the one, none for the other', async () => {
  const pty = must(await openPty())
  const board = createCoilBoard({ channels: 4, moved: () => {}, clock, timers }).unit
  const units = new Map([
    [2, unitOf('carlo-gavazzi-em340')],
    [20, board],
  ])
  const stop = serveModbus(pty, units, { ...TIMING, characterMs: CHARACTER_MS, framing: 'rtu' })
  const args = ['detect', '--line', pty.path, '--baud', '115200', '--units', '1-3,20']
  const [data, text] = [await runTieline([...args, '--json']), await runTieline(args)]
  stop()
  await pty.close()
  assert.is(data.exit, 0, data.err)
  const [meter, other] = data.json()
  const help = (await runTieline(['detect', '--help'])).out
  for (const key of [...Object.keys(meter), ...Object.keys(meter.pages[0])]) assert.ok(help.includes(`"${key}"`), key)
  assert.is(meter.unit, 2)
  assert.ok(meter.pages.some((fit: { page: string }) => fit.page === 'carlo-gavazzi-em340'))
  assert.equal([other.unit, other.pages, other.models], [20, [], []])
  assert.match(text.out, /unit 20 answers, no page fits/)
  assert.match(
    text.out,
    /tieline read --page carlo-gavazzi-\S+ --line \/dev\/pts\/\d+ --baud 115200 --format 8N1 --unit 2\n/,
  )
}, 120_000)

test('a meter that speaks unasked is named, and nothing is asked', async () => {
  const pty = must(await openPty())
  let asked = 0
  pty.onBytes(() => asked++)
  const serverId = hex('0a 01 54 4c 4e 00 00 00 00 01')
  const end = { ...pty, onBytes: () => {} }
  const meter = startSmlMeter({
    end,
    measure,
    characterMs: 0,
    clock,
    timers,
    random: seededRandom(1),
    serverId,
    maker: 'TLN',
  })
  const { exit, json } = await runTieline(['detect', '--line', pty.path, '--baud', '9600', '--json'])
  meter.stop()
  await pty.close()
  assert.is(exit, 0)
  const serial = '0a01544c4e0000000001'
  const said = { ok: true, line: pty.path, baud: 9600, format: '8N1', telegram: 'sml', meter: serial, encrypted: false }
  assert.equal(json(), [said])
  assert.is(asked, 0)
})

const onTcp = async (page: string, framing: 'rtu' | 'tcp') =>
  must(
    await openTcpServer({ host: '127.0.0.1', port: 0 }, end => {
      serveModbus(end, new Map([[1, unitOf(page)]]), { ...TIMING, characterMs: 0, framing })
    }),
  )

test('a device on TCP', async () => {
  const server = await onTcp('shelly-pro-3em', 'tcp')
  const { exit, json } = await runTieline(['detect', '--tcp', `127.0.0.1:${server.port}`, '--units', '1', '--json'])
  await server.close()
  assert.is(exit, 0)
  assert.is(json()[0].pages[0].page, 'shelly-pro-3em')
  assert.is(json()[0].tcp, `127.0.0.1:${server.port}`)
})

test('the command that is proposed reads what was found, where page and framing are not the usual pair', async () => {
  const proposedReads = async (page: string, framing: 'rtu' | 'tcp') => {
    const server = await onTcp(page, framing)
    const found = ['detect', '--tcp', `127.0.0.1:${server.port}`, '--framing', framing, '--units', '1']
    const proposed = /^ {2}tieline (read .*)$/m.exec((await runTieline(found)).out)?.[1] ?? ''
    const { exit, err } = await runTieline(proposed.split(' '))
    await server.close()
    assert.is(exit, 0, `${proposed}: ${err}`)
  }
  await Promise.all([proposedReads('eastron-sdm630', 'tcp'), proposedReads('shelly-pro-3em', 'rtu')])
})

test('a device at another speed is not found, but heard', async () => {
  const pty = must(await openPty())
  const unit = unitOf('eastron-sdm630')
  unit.faults.garbled = true
  const stop = serveModbus(pty, new Map([[1, unit]]), { ...TIMING, characterMs: CHARACTER_MS, framing: 'rtu' })
  const { exit, out, err } = await runTieline(['detect', '--line', pty.path, '--baud', '115200', '--units', '1'])
  stop()
  await pty.close()
  assert.is(out, '')
  assert.match(err, /^\S+ at 115200 8N1: bytes are heard that make no answer: another speed or parity, or noise\?\n/)
  assert.match(err, /nothing was found\n$/)
  assert.is(exit, 1)
})

test('nothing found, a device that is not there, and mistakes in what was typed', async () => {
  const pty = must(await openPty())
  const nothing = await runTieline(['detect', '--line', pty.path, '--baud', '9600', '--units', '1-2'])
  await pty.close()
  assert.is(nothing.exit, 1)
  assert.match(nothing.err, /nothing was found\n$/)
  const missing = await runTieline(['detect', '--line', '/dev/tieline-missing'])
  assert.is(missing.exit, 69)
  assert.match(missing.err, /no such device/)
  const [fault] = (await runTieline(['detect', '--line', '/dev/tieline-missing', '--json'])).json()
  assert.equal([fault.ok, fault.line, fault.fault.code], [false, '/dev/tieline-missing', 'serial.missing'])
  for (const [args, says] of [
    [['--units', '5-1'], '--units is numbers from 1 to 247'],
    [['--units', '1-300'], '--units is numbers'],
    [['--units', '0'], '--units is numbers from 1 to 247'],
    [['--framing', 'tcp'], '--framing tcp is for --tcp'],
    [['--baud', '9600,fast'], '--baud is a whole number'],
    [['--format', '8n3'], '--format: unknown choice "8N3"'],
    [['--framing', 'rtv'], 'did you mean "rtu"'],
  ] as const) {
    const { exit, err } = await runTieline(['detect', '--line', 'x', ...args])
    assert.is(exit, 2, args.join(' '))
    assert.ok(err.includes(says), err)
  }
})

test.run()
