import { EASTRON_SDM120 } from '../../../drivers/meters/eastron-sdm120.ts'
import { EASTRON_SDM630 } from '../../../drivers/meters/eastron-sdm630.ts'
import { SHELLY_PRO_3EM } from '../../../drivers/meters/shelly-pro-3em.ts'
import type { MeterReading } from '../../../drivers/ports.ts'
import { sdm120Bank, sdm630Bank } from '../../../hw/sim/eastron-image.ts'
import { f32, type Measured } from '../../../hw/sim/register-image.ts'
import { shellyPro3emBank } from '../../../hw/sim/shelly-image.ts'
import { findValue, OBIS, type Obis, towardZeroAt } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { readThrough } from './read-through.ts'

const test = suite('register images')

const MEASURED: Measured = {
  voltageMv: 231_200,
  currentMa: 12_500,
  powerMw: -2_890_500,
  frequencyMhz: 49_980,
  imported: 1_234_567_500n,
  exported: 42_001_500n,
}

const at = (reading: MeterReading, obis: Obis, scaler: number): bigint | undefined => {
  const value = findValue(reading.values, obis)
  return value && towardZeroAt(value, scaler)
}

const EXPECTED = [
  [OBIS.voltageL1, -1, 2_312n],
  [OBIS.currentL1, -3, 12_500n],
  [OBIS.power, -1, -28_905n],
  [OBIS.frequency, -2, 4_998n],
  [OBIS.energyImport, 0, 1_234_567n],
  [OBIS.energyExport, 0, 42_001n],
] as const

test('SDM120, SDM630 and Shelly Pro 3EM read as their pages say', async () => {
  const measure = () => MEASURED
  const cases = [
    [EASTRON_SDM120, sdm120Bank({ serial: 41_000_104, measure }), '41000104'],
    [EASTRON_SDM630, sdm630Bank({ serial: 0xffff_fffe, measure }), '4294967294'],
    [SHELLY_PRO_3EM, shellyPro3emBank({ mac: '34987a0000e5', measure }), '34987a0000e5'],
  ] as const
  for (const [page, bank, meterId] of cases) {
    const reading = await readThrough(page, bank)
    assert.is(reading.meterId, meterId, page.name)
    for (const [obis, scaler, value] of EXPECTED) assert.is(at(reading, obis, scaler), value, `${page.name} ${obis}`)
    if (page !== EASTRON_SDM120) assert.is(at(reading, OBIS.currentL2, -3), 0n, `${page.name}: L2 carries nothing`)
  }
})

test('both words of a value are of one moment, however fast it changes', () => {
  let calls = 0
  const bank = sdm120Bank({ serial: 1, measure: () => ({ ...MEASURED, powerMw: 1_000 * ++calls * 1_000 }) })
  const registers = bank.registers!()
  const now = calls
  const words = [registers('input', 0x0c)!, registers('input', 0x0d)!]
  assert.equal(words, [...f32(now * 1_000)])
  assert.is(calls, now)
})

test('Eastron meters refuse odd addresses, odd lengths and more than 80 registers; Shelly has no holding registers', () => {
  const measure = () => MEASURED
  const { refuse } = sdm630Bank({ serial: 1, measure })
  assert.is(refuse!('input', 1, 2), 2)
  assert.is(refuse!('input', 0, 3), 2)
  assert.is(refuse!('input', 0, 82), 3)
  assert.is(refuse!('input', 0, 80), undefined)
  const shelly = shellyPro3emBank({ mac: '34987a0000e5', measure }).registers!()
  assert.is(shelly('holding', 1013), undefined)
  assert.is(shelly('input', 0), 0x3433)
  assert.is(shelly('input', 100), undefined)
})

test.run()
