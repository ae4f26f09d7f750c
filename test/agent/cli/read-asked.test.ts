/** Meters with an optical head and meters on a wired M-Bus, on real pseudo-terminals: from a command's flags and from a configuration. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../../agent/config/load.ts'
import { openDevices } from '../../../agent/devices.ts'
import { openSystemLine } from '../../../agent/lines.ts'
import type { World } from '../../../agent/world.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { iecLines, mbusIdentity, mbusRecords, startIecPusher } from '../../../hw/sim/home-readout.ts'
import { startIecMeter } from '../../../hw/sim/iec-meter-sim.ts'
import { startMbusSlaves } from '../../../hw/sim/mbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import type { Measured } from '../../../hw/sim/register-image.ts'
import { must } from '../../../protocol/result.ts'
import type { Parity } from '../../../protocol/telegram/iec62056.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'

const { clock, timers } = createSystemTime()
const folder = mkdtempSync(join(tmpdir(), 'tieline-asked-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** 12,345.678 kWh in, 7.5 kWh out, 1,234 W out, 230.1 V. */
const measured: Measured = {
  imported: 12_345_678_000n,
  exported: 7_500_000n,
  powerMw: -1_234_000,
  voltageMv: 230_100,
  currentMa: 5_360,
  frequencyMhz: 50_000,
}

const onPty = async <T extends { stop(): void }>(make: (end: Awaited<ReturnType<typeof pty>>) => T) => {
  const end = await pty()
  const sim = make(end)
  return {
    path: end.path,
    sim,
    close: async () => {
      sim.stop()
      await end.close()
    },
  }
}
const pty = async () => must(await openPty())

const iecMeter = (parity: Parity, address?: string) =>
  onPty(end =>
    startIecMeter({
      end,
      identification: 'TLN5model-1',
      ...(address === undefined ? {} : { address }),
      lines: () => iecLines('47110815', measured),
      parity,
      paced: true,
      timers,
      random: seededRandom(3),
    }),
  )

const bus = () =>
  onPty(end =>
    startMbusSlaves({
      end,
      slaves: ['12345678', '12345679'].map((digits, i) => ({
        address: i + 1,
        identity: mbusIdentity(digits),
        telegrams: () => [mbusRecords(measured)],
      })),
      baud: 2_400,
      paced: true,
      timers,
      random: seededRandom(4),
    }),
  )

/** Each value as `name value*10^scaler unit`. */
// biome-ignore lint/suspicious/noExplicitAny: what the command said.
const said = (reading: any) =>
  reading.values.map(
    ({ obis, value, scaler, unit }: { obis: string; value: string; scaler: number; unit: string }) =>
      `${obis} ${value}e${scaler} ${unit}`,
  )

const IEC_SAYS = [
  '1-0:1.8.0 12345678e0 Wh',
  '1-0:2.8.0 7500e0 Wh',
  '1-0:1.7.0 0e0 W',
  '1-0:2.7.0 1234e0 W',
  '1-0:32.7.0 2301e-1 V',
  '1-0:31.7.0 536e-2 A',
]
const MBUS_SAYS = ['1-0:1.8.0 12345678e0 Wh', '1-0:2.8.0 7500e0 Wh', '1-0:16.7.0 -1234e0 W', '1-0:12.7.0 2301e-1 V']

const CONFIG = (lines: string, meters: string) => `version: 1
site: maple
role: household
data: data
keys: {account: a, metering: m, sealing: s}
ledger: {chain: c, trust: {height: 1, hash: ${'ab'.repeat(32)}}, primary: 'http://127.0.0.1:9', witnesses: []}
brokers: ['mqtt://127.0.0.1:9']
lines:
${lines}
meters:
${meters}
trade: {slot: 60s, energy: 1kWh}
`

const test = suite('cli read, asked meters')

test('an optical head in mode C, with seven bits from the driver or eight with the parity in the last', async () => {
  const read = async (parity: Parity, ...flags: readonly string[]) => {
    const { path, close } = await iecMeter(parity)
    const told = await runTieline(['read', '--page', 'iec62056', '--line', path, ...flags, '--json'])
    await close()
    return told
  }
  const [seven, eight] = await Promise.all([read('none'), read('even-in-bit-7', '--format', '8N1')])
  for (const { exit, json, err } of [seven, eight]) {
    assert.is(exit, 0, err)
    assert.is(json()[0].meter, '47110815')
    assert.equal(said(json()[0]), IEC_SAYS)
  }
})

test('of several meters at one head the one whose address was called', async () => {
  const { path, close } = await iecMeter('none', '00012')
  const at = ['read', '--page', 'iec62056', '--line', path, '--json', '--address']
  const there = await runTieline([...at, '00012'])
  assert.is(there.exit, 0, there.err)
  await close()
  const wrong = await runTieline([...at, 'A!'])
  assert.is(wrong.exit, 2)
  assert.match(wrong.err, /--address of iec62056 is at most 32 letters, digits or blanks; --help/)
})

test('a meter of mode D is heard, with its parity in the eighth bit', async () => {
  const { path, close } = await onPty(end =>
    startIecPusher({
      end,
      measure: () => measured,
      characterMs: 0,
      everyMs: 500,
      clock,
      timers,
      random: seededRandom(1),
      identification: 'TLN5model-1',
      serial: '47110815',
      parity: 'even-in-bit-7',
    }),
  )
  const args = ['read', '--telegram', 'iec62056', '--line', path, '--format', '8N1', '--json']
  const { exit, json, err } = await runTieline(args)
  await close()
  assert.is(exit, 0, err)
  assert.is(json()[0].meter, '47110815')
  assert.equal(said(json()[0]), IEC_SAYS)
})

test('M-Bus meters of one bus, by number with blanks and by primary address', async () => {
  const { path, close } = await bus()
  const at = ['read', '--page', 'mbus', '--line', path, '--json', '--address']
  const number = await runTieline([...at, '12345678-TLN-01-02'])
  const blanks = await runTieline([...at, 'FFFFFF79'])
  const primary = await runTieline([...at, '2'])
  const strange = await runTieline([...at, '12345678-ABC'])
  await close()
  assert.is(number.exit, 0, number.err)
  assert.is(number.json()[0].meter, '12345678-TLN-01-02')
  assert.equal(said(number.json()[0]), MBUS_SAYS)
  assert.is(blanks.json()[0].meter, '12345679-TLN-01-02')
  assert.is(primary.json()[0].meter, '12345679-TLN-01-02')
  assert.is(strange.json()[0].fault.code, 'mbus.not-selected')
  const typo = await runTieline([...at, '1234567'])
  assert.is(typo.exit, 2)
}, 90_000)

test('both in one configuration: read by the command, and by the devices of an agent', async () => {
  const head = await iecMeter('even-in-bit-7')
  const wire = await bus()
  const text = CONFIG(
    `  head: {serial: ${head.path}, format: 8N1}\n  bus: {serial: ${wire.path}}`,
    `  house: {line: head, protocol: iec62056, id: "47110815"}
  flat: {line: bus, protocol: mbus, address: 12345678}
  shop: {line: bus, protocol: mbus, address: 2}`,
  )
  const file = join(folder, 'site.yaml')
  writeFileSync(file, text)
  const house = await runTieline(['read', '--config', file, 'house', '--json'])
  assert.is(house.exit, 0, house.err)
  assert.equal(said(house.json()[0]), IEC_SAYS)

  const loaded = loadConfig(text, file)
  assert.ok(loaded.ok)
  const log = () => {}
  const openLine: World['openLine'] = line => openSystemLine(line, clock, timers, log)
  const devices = must(await openDevices(loaded.value, { clock, timers, log, openLine } as unknown as World, {}))
  const ids = await Promise.all([...devices.meters.values()].map(async meter => must(await meter.read()).meterId))
  await devices.close()
  await head.close()
  await wire.close()
  assert.equal(ids, ['47110815', '12345678-TLN-01-02', '12345679-TLN-01-02'])
}, 90_000)

test('what cannot be is said with its place', async () => {
  const file = join(folder, 'wrong.yaml')
  const check = async (lines: string, meters: string) => {
    writeFileSync(file, CONFIG(lines, meters))
    const { exit, err, out } = await runTieline(['check', file])
    assert.is(exit, 78)
    return (err + out).replaceAll(file, 'wrong.yaml')
  }
  assert.match(
    await check('  bus: {serial: /dev/b}', '  flat: {line: bus, protocol: mbus, address: 1234567}'),
    /^wrong\.yaml:11:\d+: meters\.flat\.address must be an M-Bus address: .*, not "1234567"$/m,
  )
  assert.match(
    await check('  head: {serial: /dev/h, format: 8E1}', '  house: {line: head, protocol: iec62056}'),
    /^wrong\.yaml:9:\d+: lines\.head\.format is not for house: iec62056 is 7 bits and even parity \(one of 7E1, 8N1\)$/m,
  )
  assert.match(
    await check('  head: {serial: /dev/h}', '  house: {line: head, protocol: iec62056, mode: pulled}'),
    /^wrong\.yaml:11:\d+: meters\.house\.mode must be pushed, or left out for a meter that is asked$/m,
  )
  assert.match(
    await check('  head: {serial: /dev/h}', '  house: {line: head, protocol: iec62056, address: "A!"}'),
    /meters\.house\.address must be a device address: at most 32 letters, digits or blanks, not "A!"$/m,
  )
})

test.run()
