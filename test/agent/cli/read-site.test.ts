/** A meter as a configuration names it, read by the command; and meters that take more than a page to name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPty } from '../../../drivers/line/pty.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { sunspecBank, sunspecText } from '../../../hw/sim/sunspec-image.ts'
import { speak } from '../../../hw/sim/telegram-meters.ts'
import { must } from '../../../protocol/result.ts'
import { encodePush } from '../../../protocol/telegram/dlms/write.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'
import { clock, measure, onPty, TIMING, timers } from './sdm630-sim.ts'

const folder = mkdtempSync(join(tmpdir(), 'tieline-read-site-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const test = suite('cli read of a site')

/** A configuration with nothing but lines and meters to speak of. */
const SITE = (lines: string, meters: string) => `version: 1
site: maple
role: household
data: data
keys: {account: a, metering: m, sealing: s}
ledger: {chain: c, trust: {height: 1, hash: ${'ab'.repeat(32)}}, primary: 'http://127.0.0.1:9', witnesses: []}
brokers: ['mqtt://127.0.0.1:9']
lines: ${lines}
meters:
${meters}
trade: {slot: 60s, energy: 1kWh}
`

/** A SunSpec model of so many registers, 0 but for those given by their offset. */
const model = (id: number, count: number, at: Readonly<Record<number, readonly number[]>>) => {
  const words = Array.from({ length: count }, () => 0)
  for (const [offset, content] of Object.entries(at)) words.splice(Number(offset), content.length, ...content)
  return { id, words }
}

test('a device that describes itself is read by its models', async () => {
  // Common model 1 (maker, model, serial), then model 101, a single-phase inverter: 1,500 W, 230.1 V, 50.00 Hz.
  const models = () => [
    model(1, 66, { 0: sunspecText('Fronius', 16), 16: sunspecText('Primo', 16), 48: sunspecText('INV-1', 16) }),
    model(101, 50, { 8: [2301], 11: [0xffff], 12: [150, 1], 14: [5000, 0xfffe], 22: [0, 1234, 0], 36: [4] }),
  ]
  const server = must(
    await openTcpServer({ host: '127.0.0.1', port: 0 }, end => {
      serveModbus(end, new Map([[126, createUnit(sunspecBank({ models }))]]), {
        ...TIMING,
        characterMs: 0,
        framing: 'tcp',
      })
    }),
  )
  const args = ['read', '--page', 'sunspec-inverter', '--tcp', `127.0.0.1:${server.port}`, '--unit', '126', '--json']
  const { exit, json, err } = await runTieline(args)
  await server.close()
  assert.is(exit, 0, err)
  assert.is(json()[0].meter, 'Fronius INV-1')
  const power = json()[0].values.find(({ name }: { name: string }) => name === 'power')
  // What an inverter makes flows out: import is positive.
  assert.equal([power.value, power.scaler, power.unit], ['-150', 1, 'W'])
})

test('the second of two meters behind one gateway, RTU over TCP, in short answers', async () => {
  const named = (serial: string) =>
    model(1, 66, { 0: sunspecText('TLN', 16), 16: sunspecText('M', 16), 48: sunspecText(serial, 16) })
  // Model 201, a single-phase meter: power and its scale at 16 and 20.
  const meter = (watts: number) => model(201, 105, { 16: [watts], 20: [0] })
  const server = must(
    await openTcpServer({ host: '127.0.0.1', port: 0 }, end => {
      const bank = sunspecBank({ models: () => [named('A'), meter(111), named('B'), meter(222)] })
      serveModbus(end, new Map([[3, createUnit(bank)]]), { ...TIMING, characterMs: 0, framing: 'rtu' })
    }),
  )
  const tcp = `127.0.0.1:${server.port}`
  const flags = ['--tcp', tcp, '--framing', 'rtu', '--unit', '3', '--nth', '2', '--max-registers', '40', '--json']
  const typed = await runTieline(['read', '--page', 'sunspec-meter', ...flags])
  const file = join(folder, 'sunspec.yaml')
  const meterOf = `pv: {line: lan, protocol: sunspec, unit: 3, nth: 2, max_registers: 40, framing: rtu}`
  writeFileSync(file, SITE(`{lan: {tcp: '${tcp}'}}`, `  ${meterOf}`))
  const written = await runTieline(['read', '--config', file, 'pv', '--json'])
  await server.close()
  for (const { exit, json, err } of [typed, written]) {
    assert.is(exit, 0, err)
    assert.is(json()[0].meter, 'TLN B')
    assert.is(json()[0].values.find(({ name }: { name: string }) => name === 'power').value, '222')
  }
  const stray = await runTieline(['read', '--page', 'eastron-sdm630', '--tcp', tcp, '--nth', '2'])
  assert.is(stray.exit, 2)
  assert.match(stray.err, /--nth and --max-registers are for sunspec/)
})

test('a DLMS push without a frame around it, from flags and from a configuration', async () => {
  const pty = must(await openPty())
  const values = [{ obis: '1-0:1.8.0', value: 4426n, scaler: 0, unit: 'Wh' }] as const
  const meter = speak(
    { end: pty, measure, characterMs: 0, everyMs: 300, clock, timers, random: seededRandom(1) },
    (_, sequence) => encodePush({ meterId: 'SAG1', sequence, values }),
  )
  const flags = await runTieline(['read', '--telegram', 'dlms-raw', '--line', pty.path, '--json'])
  const file = join(folder, 'raw.yaml')
  writeFileSync(file, SITE(`{h1: {serial: ${pty.path}}}`, '  house: {line: h1, protocol: dlms-raw}'))
  const written = await runTieline(['read', '--config', file, 'house', '--json'])
  meter.stop()
  await pty.close()
  for (const { exit, json, err } of [flags, written]) {
    assert.is(exit, 0, err)
    assert.is(json()[0].meter, 'SAG1')
    assert.equal(json()[0].values[0].value, '4426')
  }
})

test('a meter of a configuration, on its line, with its keys', async () => {
  const { pty, close } = await onPty()
  const config = (rest: string) =>
    SITE(
      `{rs485: {serial: ${pty.path}, baud: 115200}, eye: {serial: /dev/none}}`,
      `  grid: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1}\n${rest}`,
    )
  const file = join(folder, 'site.yaml')
  writeFileSync(file, config(''))
  const { exit, json } = await runTieline(['read', '--config', file, 'grid', '--json'])
  assert.is(json()[0].meter, '41000101')
  assert.is(exit, 0)
  const typo = await runTieline(['read', '--config', file, 'gird'])
  assert.is(typo.exit, 2)
  assert.match(typo.err, /unknown meter "gird", did you mean "grid"\?\n$/)
  // A key file stands beside the configuration, and for its owner alone.
  writeFileSync(file, config('  main: {line: eye, protocol: dlms, key_file: main.key}'))
  assert.is((await runTieline(['read', '--config', file, 'main'])).exit, 74)
  writeFileSync(join(folder, 'main.key'), '00112233445566778899aabbccddeeff\n', { mode: 0o644 })
  const exposed = await runTieline(['read', '--config', file, 'main'])
  assert.is(exposed.exit, 77)
  assert.match(exposed.err, /main\.key: others can read this key: chmod 600\n$/)
  await close()
})

test.run()
