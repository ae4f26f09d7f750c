import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { EASTRON_SDM120 } from '../../../drivers/meters/eastron-sdm120.ts'
import { EASTRON_SDM630 } from '../../../drivers/meters/eastron-sdm630.ts'
import {
  A,
  CHANNELS,
  holding,
  input,
  kWh,
  type MeterPage,
  ratio,
  steps,
  V,
  W,
  Wh,
} from '../../../drivers/meters/page.ts'
import { SHELLY_PRO_3EM } from '../../../drivers/meters/shelly-pro-3em.ts'
import { sdm120Bank, sdm630Bank } from '../../../hw/sim/eastron-image.ts'
import type { ModbusBank } from '../../../hw/sim/modbus-bank.ts'
import { channelsOf, createPageBank, inventSerial, thousandthsOf } from '../../../hw/sim/page-bank.ts'
import type { Measured } from '../../../hw/sim/register-image.ts'
import { shellyPro3emBank } from '../../../hw/sim/shelly-image.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { findValue } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { readThrough } from './read-through.ts'

const test = suite('page bank')

/** Every figure is another one, and import is not export. */
const MEASURED: Measured = {
  voltageMv: 231_200,
  currentMa: 12_500,
  powerMw: -2_890_500,
  frequencyMhz: 49_980,
  imported: 1_234_567_500n,
  exported: 42_001_500n,
  phases: [
    { voltageMv: 231_200, currentMa: 7_100, powerMw: -1_600_100 },
    { voltageMv: 230_100, currentMa: 3_200, powerMw: -700_200 },
    { voltageMv: 229_300, currentMa: 2_200, powerMw: -590_200 },
  ],
  reactiveMvar: 450_300,
  reactive: { imported: 7_001_500n, exported: 3_002_500n },
  firstTariff: { imported: 400_000_000n, exported: 2_000_000n },
}

const bankOf = (page: MeterPage, measured = MEASURED): ModbusBank =>
  must(createPageBank({ page, serial: inventSerial(page, 0), measure: () => measured }))

test('every page reads from its own bank what was measured, to the digits that it shows', async () => {
  assert.ok(PAGES.size > 2)
  for (const page of PAGES.values()) {
    const meterId = inventSerial(page, 0)
    const reading = await readThrough(page, bankOf(page), page.identity.as === 'none' ? meterId : undefined)
    assert.is(reading.meterId, meterId, page.name)
    for (const channel of channelsOf(page)) {
      const { negated = false, type } = page.registers[channel]!
      const value = findValue(reading.values, CHANNELS[channel].obis)
      const measured = thousandthsOf(channel, MEASURED)
      const shown = type.startsWith('u') && (negated ? measured > 0n : measured < 0n) ? 0n : measured
      assert.ok(value !== undefined, `${page.name} ${channel} is absent`)
      const scale = 10n ** BigInt(Math.max(0, -3 - value.scaler))
      const read = value.scaler >= -3 ? value.value * 10n ** BigInt(value.scaler + 3) : value.value / scale
      const step = value.scaler >= -3 ? 10n ** BigInt(value.scaler + 3) : 1n
      const off = shown - read
      assert.ok(off < step && off > -step, `${page.name} ${channel}: ${read} of ${shown} in steps of ${step}`)
    }
  }
})

test('where an image was written by hand the bank says the same, register by register', () => {
  const oneFlow = { ...MEASURED, phases: undefined, reactiveMvar: undefined }
  const { phases: _, reactiveMvar: __, ...plain } = oneFlow
  const measure = () => plain
  const cases = [
    [EASTRON_SDM120, sdm120Bank({ serial: 41_000_101, measure }), '41000101'],
    [EASTRON_SDM630, sdm630Bank({ serial: 41_000_101, measure }), '41000101'],
    [SHELLY_PRO_3EM, shellyPro3emBank({ mac: '34987a0000e5', measure }), '34987a0000e5'],
  ] as const
  let compared = 0
  for (const [page, image, serial] of cases) {
    const ours = must(createPageBank({ page, serial, measure })).registers!()
    const theirs = image.registers!()
    const known = ['voltage', 'current', 'power', 'frequency', 'energy']
    const spans = channelsOf(page)
      // The images do not know every register that the pages name.
      .filter(channel => known.includes(CHANNELS[channel].quantity) && !/(power|energy\w+)(L\d|T\d)$/.test(channel))
      .map(channel => page.registers[channel]!)
    for (const { table, address, count } of [page.identity, ...spans])
      for (let i = address; i < address + count; i++) {
        assert.is(ours(table, i), theirs(table, i), `${page.name} ${table} ${i}`)
        compared++
      }
  }
  assert.ok(compared > 50, `${compared} registers`)
})

/** Everything that a maker may think of, in one page. */
const ODD: MeterPage = {
  ...EASTRON_SDM630,
  name: 'odd',
  wordOrder: 'low-first',
  holes: 'forbidden',
  maxRegisters: 6,
  identity: { table: 'holding', address: 90, count: 3, as: 'text-low-byte-first' },
  sentinels: { u16: [0xffffn], i32: [0x8000_0000n] },
  registers: {
    voltageL1: holding(0, 'u16', steps(-1, V)),
    power: holding(2, 'i32', W, { negated: true }),
    powerFactor: holding(4, 'i16', ratio, {
      scaledBy: { table: 'holding', address: 5, count: 1 },
      sentinels: [0x8000n],
    }),
    currentL1: input(8, 'f32', A),
    energyImported: input(10, 'u64', Wh, { wordOrder: 'high-first' }),
    energyExported: input(14, 'u32', kWh),
  },
}

test('types, word order, sign, scale register, own order and identity stand where the page says', () => {
  const registers = must(createPageBank({ page: ODD, serial: 'AB12', measure: () => MEASURED })).registers!()
  const at = (table: 'holding' | 'input', from: number, count: number) =>
    Array.from({ length: count }, (_, i) => registers(table, from + i)?.toString(16))
  //                              'BA'    '21'    zeros
  assert.equal(at('holding', 90, 3), ['4241', '3231', '0'])
  assert.equal(at('holding', 0, 2), [(2312).toString(16), undefined])
  // 2,890 W of export counted positive: 0x00000b4a, low word first.
  assert.equal(at('holding', 2, 2), ['b4a', '0'])
  // -2890.5 W of 2925.4 VA: -0.98 in hundredths, scale 10^-2.
  assert.equal(at('holding', 4, 2), [(0x1_0000 - 98).toString(16), 'fffe'])
  // 7.1 A as a single is 0x40e33333.
  assert.equal(at('input', 8, 2), ['3333', '40e3'])
  // 1,234,567 Wh is 0x12d687, high word first; 42 kWh, low word first.
  assert.equal(at('input', 10, 6), ['0', '0', '12', 'd687', '2a', '0'])
})

test('holes are refused or read 0 as the page says, and long requests earn exception 3', () => {
  const odd = must(createPageBank({ page: ODD, serial: 'AB12', measure: () => MEASURED }))
  assert.is(odd.registers!()('holding', 1), undefined)
  assert.is(odd.refuse!('holding', 0, 6), undefined)
  assert.is(odd.refuse!('holding', 0, 7), 3)
  const readable = must(
    createPageBank({ page: { ...ODD, holes: 'readable' }, serial: 'AB12', measure: () => MEASURED }),
  )
  const registers = readable.registers!()
  assert.equal([registers('holding', 1), registers('holding', 89)], [0, 0])
  assert.equal(
    [registers('holding', 93), registers('input', 7), registers('input', 16)],
    [undefined, undefined, undefined],
  )
})

test('a channel that is missing holds the sentinel of its page or no number, and is absent from a reading', async () => {
  const missing = ['voltageL1', 'power', 'powerFactor', 'currentL1'] as const
  const page: MeterPage = { ...ODD, holes: 'readable', maxRegisters: 125 }
  const bank = must(createPageBank({ page, serial: 'AB12', measure: () => MEASURED, missing }))
  const registers = bank.registers!()
  assert.is(registers('holding', 0), 0xffff)
  assert.equal([registers('holding', 2), registers('holding', 3)], [0, 0x8000])
  assert.is(registers('holding', 4), 0x8000)
  assert.equal([registers('input', 8), registers('input', 9)], [0, 0x7fc0])
  const reading = await readThrough(page, bank)
  for (const channel of channelsOf(page)) {
    const value = findValue(reading.values, CHANNELS[channel].obis)
    assert.is(value === undefined, (missing as readonly string[]).includes(channel), channel)
  }
})

test('a channel that the page cannot call missing, or does not have, is refused; so is a serial number that does not fit', () => {
  const options = { page: ODD, serial: 'AB12', measure: () => MEASURED }
  const code = (result: Result<ModbusBank>) => !result.ok && result.fault.code
  assert.is(code(createPageBank({ ...options, missing: ['energyImported'] })), 'page-bank.never-missing')
  assert.is(code(createPageBank({ ...options, missing: ['frequency'] })), 'page-bank.never-missing')
  for (const serial of ['', 'ABCDEFG', 'Ä1', 'A B'])
    assert.is(code(createPageBank({ ...options, serial })), 'page-bank.serial', serial)
  for (const serial of ['', '0', '4294967295', '4294967296', '-1', '1e3', 'AB'])
    assert.is(code(createPageBank({ ...options, page: EASTRON_SDM630, serial })), 'page-bank.serial', serial)
})

test('invented serial numbers fit every page and differ', () => {
  for (const page of PAGES.values()) {
    const serials = [0, 1, 2, 246].map(index => inventSerial(page, index))
    assert.is(new Set(serials).size, 4, page.name)
    for (const serial of serials) assert.ok(createPageBank({ page, serial, measure: () => MEASURED }).ok, serial)
  }
})

test.run()
