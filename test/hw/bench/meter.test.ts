/** `tieline-bench meter`, `record` and `play` as programs of their own, read by other programs' code. */
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import modbusSerial from 'modbus-serial'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { parseCapture } from '../../../drivers/line/capture.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { decodeDsmrTelegram, decodeSmlTelegram } from '../../../drivers/meters/telegrams.ts'
import { startChild } from '../../../drivers/process/child.ts'
import { tielineBench } from '../../../hw/bench/cli.ts'
import { concat } from '../../../protocol/bytes.ts'
import { must, type Pull } from '../../../protocol/result.ts'
import type { Telegram } from '../../../protocol/telegram/telegram.ts'
import { runTieline } from '../../agent/cli/cli-run.ts'
import { assert, suite } from '../../harness.ts'

const ModbusRTU = modbusSerial.default
const MAIN = fileURLToPath(new URL('../../../hw/bench/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'tieline-meter-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

const inner = suite('meter command')
/** Programs of their own, which a busy machine takes its time to start. */
const test = Object.assign(
  (name: string, body: () => void | Promise<void>, ms = 180_000) => inner(name, body, ms),
  inner,
)

async function start(...args: string[]) {
  const out: string[] = []
  const err: string[] = []
  let heard = () => {}
  const child = must(
    await startChild({
      entry: MAIN,
      args,
      onOut: line => {
        out.push(line)
        heard()
      },
      onErr: line => err.push(line),
    }),
  )
  return {
    out,
    err,
    ended: child.ended,
    /** Once so many lines are there. */
    lines: async (count: number) => {
      while (out.length < count) await new Promise<void>(resolve => (heard = resolve))
      return out
    },
    stop: async () => {
      child.kill('SIGINT')
      return (await child.ended).code
    },
  }
}

interface Announced {
  readonly path: string
  readonly port: number
  readonly units: readonly { readonly unit: number; readonly serial: string }[]
}

const placeOf = (line: string): Announced => JSON.parse(line)

test('a meter on a serial device is read by modbus-serial, and tells how its line was used', async () => {
  const meter = await start(
    'meter',
    '--page',
    'eastron-sdm630',
    '--unit',
    '1,2',
    '--serial',
    '500',
    '--baud',
    '38400',
    '--json',
  )
  const { path, units } = placeOf((await meter.lines(1))[0]!)
  assert.equal(units, [
    { unit: 1, serial: '500' },
    { unit: 2, serial: '501' },
  ])
  const client = new ModbusRTU()
  await client.connectRTUBuffered(path, { baudRate: 38_400 })
  client.setTimeout(30_000)
  client.setID(2)
  const volts = (await client.readInputRegisters(0, 6)).buffer
  assert.ok(volts.readFloatBE(0) > 220 && volts.readFloatBE(0) < 240, `${volts.readFloatBE(0)} V`)
  assert.is((await client.readHoldingRegisters(0xfc00, 2)).buffer.readUInt32BE(0), 501)
  await new Promise<void>(resolve => client.close(() => resolve()))
  const held = openSync(path, constants.O_RDWR | constants.O_NOCTTY)
  assert.is(await meter.stop(), EXIT.ok)
  const { requests, answers, silences } = JSON.parse(meter.out[1]!)
  assert.equal([requests, answers, silences], [2, 2, 1])
  // Its number may be another program's by now.
  assert.throws(() => writeSync(held, Uint8Array.of(1)), /EIO/, 'the device is gone')
  closeSync(held)
})

test('on TCP it is read by modbus-serial; faults strike; an unplugged device says where it is again', async () => {
  const meter = await start(
    ...['meter', '--page', 'shelly-pro-3em', '--tcp', '0', '--json', '--serial', 'ABCDEF012345'],
    ...['--fault', 'unplug=12s', '--missing', 'voltageL1'],
  )
  const { port } = placeOf((await meter.lines(1))[0]!)
  const client = new ModbusRTU()
  await client.connectTCP('127.0.0.1', { port })
  client.setID(1)
  assert.is((await client.readInputRegisters(0, 6)).buffer.swap16().toString(), 'ABCDEF012345')
  // Not a number: a quiet NaN, low word first.
  assert.is((await client.readInputRegisters(1020, 2)).buffer.toString('hex'), '00007fc0')
  const again = placeOf((await meter.lines(2))[1]!)
  assert.is(again.port, port)
  assert.is(await meter.stop(), EXIT.ok)
  assert.is(JSON.parse(meter.out[2]!).injected, 1)
})

test('the plain answer is the device and the line to type', async () => {
  const meter = await start('meter', '--page', 'eastron-sdm120', '--baud', '2400')
  const [path, command] = await meter.lines(2)
  assert.match(path!, /^\/dev\/pts\/\d+$/)
  assert.is(command, `tieline read --line ${path} --baud 2400 --page eastron-sdm120 --unit 1`)
  assert.is(await meter.stop(), EXIT.ok)
  assert.match(meter.err.at(-1)!, /^0 requests, 0 answers, 0 faults$/)
})

/** The first telegram in the bytes. */
function firstOf(bytes: Uint8Array, decode: (bytes: Uint8Array) => Pull<Telegram>): Telegram | undefined {
  for (let from = 0; from < bytes.length; ) {
    const pull = decode(bytes.subarray(from))
    if (pull.kind === 'frame') return pull.value
    if (pull.kind === 'need') return undefined
    from += pull.skip
  }
  return undefined
}

test('a speaking meter is recorded, and what was recorded is played to whoever listens', async () => {
  const there = async (kind: 'sml' | 'dsmr', decode: (bytes: Uint8Array) => Pull<Telegram>, id: string) => {
    const file = join(folder, `${kind}.capture`)
    const meter = await start('meter', '--telegram', kind, '--serial', id, '--json')
    const { path } = placeOf((await meter.lines(1))[0]!)
    const baud = kind === 'sml' ? '9600' : '115200'
    const recorder = await start('record', '--line', path, '--baud', baud, file)
    const heardOf = () =>
      concat(...(existsSync(file) ? must(parseCapture(readFileSync(file, 'utf8'))).chunks.map(c => c.bytes) : []))
    while (!existsSync(file) || !readFileSync(file, 'utf8').includes('\n') || firstOf(heardOf(), decode) === undefined)
      await sleep(50)
    assert.is(await recorder.stop(), EXIT.ok)
    assert.is(await meter.stop(), EXIT.ok)
    assert.is(firstOf(heardOf(), decode)!.meterId, id)

    const player = await start('play', file, '--speed', '5', '--wait', '5')
    const [device] = await player.lines(1)
    const { clock, timers } = createSystemTime()
    const line = createSerialLine({ path: device!, baudRate: 9600 }, clock, timers)
    const heard: Uint8Array[] = []
    must(await line.open({ bytes: chunk => void heard.push(chunk), down: () => {} }))
    assert.is((await player.ended).code, EXIT.ok)
    await line.close()
    assert.equal(concat(...heard), heardOf(), 'every byte that was recorded')
  }
  await Promise.all([
    there('sml', decodeSmlTelegram, '0a01544c4e0000000777'),
    there('dsmr', decodeDsmrTelegram, 'E777'),
  ])
})

test('a meter of every kind of telegram is read by the command that it prints', async () => {
  const key = '00112233445566778899aabbccddee01'
  const there = async (spec: string, serial: string) => {
    const meter = await start('meter', '--telegram', ...spec.split(' '), '--serial', serial, '--json')
    const { read } = JSON.parse((await meter.lines(1))[0]!)
    const { exit, err, json } = await runTieline([...read[0].split(' ').slice(1), '--json'])
    assert.is(await meter.stop(), EXIT.ok)
    assert.is(exit, 0, `${read[0]}: ${err}`)
    assert.is(json()[0].meter.slice(0, serial.length), serial, spec)
    const imported = json()[0].values.find(({ obis }: { obis: string }) => obis === '1-0:1.8.0')
    // What the simulated home begins with, in kWh.
    const kWh = Number(imported.value) * 10 ** (imported.scaler - 3)
    assert.ok(kWh >= 9_877 && kWh < 9_878, `${spec}: ${kWh} kWh`)
  }
  await Promise.all([
    there('sml', '0a01544c4e0000000777'),
    there(`dsmr --key ${key}`, 'E777'),
    there('dlms', 'TLN777'),
    there('iec62056', '777'),
    there('mbus', '00000777'),
  ])
  await Promise.all([
    there('dsmr', 'E778'),
    there(`dlms --key ${key}`, 'TLN778'),
    there('iec62056 --format 8N1', '778'),
    there('iec62056-pushed', '779'),
    there('iec62056-pushed --format 8N1', '780'),
  ])
}, 300_000)

test('record and play say in one line what is wrong', async () => {
  const cut = join(folder, 'other.txt')
  writeFileSync(cut, '/ISk5\\2M550\n')
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['record', join(folder, 'x')], EXIT.usage, /^tieline-bench record: required option '--line <device>'/],
    [['record', '--line', '/dev/nothing', join(folder, 'y')], EXIT.unavailable, /serial\.missing .*check the path/],
    [
      ['record', '--line', '127.0.0.1:1', join(folder, 'z')],
      EXIT.unavailable,
      /tcp\.gone .*nothing listens on this port/,
    ],
    [['record', '--line', '/dev/ptmx', cut], EXIT.io, /file\.exists .*nothing is overwritten/],
    [['play', join(folder, 'none')], EXIT.io, /file\.missing/],
    [['play', cut], EXIT.unavailable, /capture\.header .*a capture begins with/],
    [['play', cut, '--speed', '0'], EXIT.usage, /--speed must be above 0/],
    [
      ['meter', '--page', 'eastron-sdm630', '--serial', 'x'],
      EXIT.usage,
      /a serial number of this page is a whole number below 2\^32/,
    ],
    [['meter', '--telegram', 'sml', '--serial', 'x'], EXIT.usage, /a server id of SML is/],
  ]
  for (const [args, code, expected] of cases) {
    let [out, err] = ['', '']
    const exit = await tielineBench(args, {
      terminal: {
        out: text => {
          out += text
        },
        err: text => {
          err += text
        },
        colour: false,
        env: {},
      },
      columns: () => undefined,
      interruption: () => new Promise(() => {}),
    })
    assert.is(exit, code, args.join(' '))
    assert.is(out, '', args.join(' '))
    assert.match(err, expected)
    assert.match(err, /^[^\n]+\n$/)
  }
  assert.equal(
    readdirSync(folder).filter(name => name.length === 1),
    [],
    'files of nothing',
  )
})

test.run()
