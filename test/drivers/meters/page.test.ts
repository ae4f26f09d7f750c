import { PAGES } from '../../../drivers/meters/catalogue.ts'
import {
  A,
  Hz,
  holding,
  identityText,
  input,
  kW,
  kWh,
  type MeterPage,
  type Registers,
  scalerOf,
  steps,
  V,
  VA,
  W,
} from '../../../drivers/meters/page.ts'
import { holesIn, planReads, requestCost } from '../../../drivers/meters/plan.ts'
import { hex } from '../../../protocol/bytes.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('meter pages')

test('a register whose unit does not fit its quantity does not compile', () => {
  const fits: Registers = { energyImported: input(0x48, 'f32', kWh), voltageL1: input(0, 'f32', V) }
  // @ts-expect-error: volts are no energy
  const voltsForEnergy: Registers = { energyImported: input(0x48, 'f32', V) }
  // @ts-expect-error: kilowatt-hours are no power
  const energyForPower: Registers = { power: holding(0x34, 'f32', kWh) }
  // @ts-expect-error: volt-amperes are no active power
  const apparentForActive: Registers = { powerL1: input(0, 'f32', VA) }
  // @ts-expect-error: watts are no reactive power
  const activeForReactive: Registers = { reactivePower: input(0, 'i32', steps(-1, W)) }
  // @ts-expect-error: kilowatt-hours are no reactive energy
  const activeForReactiveEnergy: Registers = { reactiveEnergyImported: input(0, 'u32', kWh) }
  // @ts-expect-error: a power factor has no unit, and hertz are one
  const hertzForRatio: Registers = { powerFactor: input(0, 'i16', Hz) }
  // @ts-expect-error: a tariff counts energy
  const powerForTariff: Registers = { energyImportedT1: input(0, 'u32', kW) }
  const more = [apparentForActive, activeForReactive, activeForReactiveEnergy, hertzForRatio, powerForTariff]
  // @ts-expect-error: no such quantity
  const unknown: Registers = { voltagel1: input(0, 'f32', V) }
  assert.ok(fits && voltsForEnergy && energyForPower && unknown && more.every(registers => registers))
})

test('a kilowatt-hour register of 1 Wh resolution counts whole Wh; tenths of a volt count tenths', () => {
  const sdm = PAGES.get('eastron-sdm120')!
  assert.is(scalerOf(sdm, sdm.registers.energyImported!), 0)
  assert.is(scalerOf(sdm, sdm.registers.voltageL1!), -2)
  assert.is(scalerOf(sdm, input(0, 'u16', steps(-1, V))), -1)
  assert.is(scalerOf(sdm, input(0, 'i32', steps(-3, A))), -3)
  assert.is(scalerOf(sdm, input(0, 'u32', steps(-2, kWh))), 1)
  assert.is(scalerOf(sdm, input(0, 'i16', W)), 0)
})

test('an identity is a number that somebody gave, or text in either byte order', () => {
  const as = (how: Exclude<MeterPage['identity']['as'], 'none'>, bytes: string) => {
    const sdm = PAGES.get('eastron-sdm120')!
    return identityText({ ...sdm, identity: { ...sdm.identity, as: how } }, hex(bytes))
  }
  assert.is(as('u32', '02 71 9c 41'), '41000001')
  assert.is(as('u32', '00 00 00 00'), undefined)
  assert.is(as('u32', 'ff ff ff ff'), undefined)
  assert.is(as('bcd', '15 06 00 01'), '15060001')
  assert.is(as('bcd', '15 06 0a 01'), undefined)
  assert.is(as('text', '41 42 43 00'), 'ABC')
  // One letter a register.
  assert.is(as('text', '00 41 00 42'), 'AB')
  assert.is(as('text-low-byte-first', '42 41 00 43'), 'ABC')
  assert.is(as('text', '00 00'), undefined)
  assert.is(as('text', '41 0a 42 42'), undefined)
  assert.is(as('text', 'ff fe'), undefined)
})

test('a serial number inside a block that is given whole only is found there', () => {
  const siemens = PAGES.get('siemens-pac2200')!
  assert.equal([siemens.identity.address, siemens.identity.count], [64_001, 27])
  // Manufacturer 42, an order number, the serial number, and versions behind it.
  const text = (letters: string, length: number) => Buffer.from(letters.padEnd(length, ' '), 'latin1')
  const serial = Buffer.concat([
    Buffer.from([0, 42]),
    text('7KM2200-2EA40-1JA1', 20),
    text('LQN1701000123', 16),
    Buffer.alloc(16, 1),
  ])
  assert.is(serial.length, 2 * 27)
  assert.is(identityText(siemens, serial), 'LQN1701000123')
  assert.is(identityText(siemens, serial.fill(0, 22, 38)), undefined)
})

const span = (address: number, count: number, table: 'input' | 'holding' = 'input') => ({ table, address, count })
const limits = { maxRegisters: 80, requestCost: 10 }

test('neighbours are joined when the hole is cheaper than a request, and only then', () => {
  assert.equal(planReads([span(0, 2), span(11, 2)], limits), [span(0, 13)])
  assert.equal(planReads([span(0, 2), span(12, 2)], limits), [span(0, 2), span(12, 2)])
  assert.equal(planReads([span(0, 2), span(2, 2, 'holding')], limits), [span(2, 2, 'holding'), span(0, 2)])
  assert.equal(planReads([span(0, 60), span(60, 60)], limits), [span(0, 60), span(60, 60)])
  assert.equal(planReads([], limits), [])
})

test('the line meter of the street is read in two requests at 9,600 baud', () => {
  const page = PAGES.get('eastron-sdm120')!
  const cost = requestCost(10_000 / 9600, (3.5 * 10_000) / 9600, page.turnaroundMs)
  const { voltageL1, currentL1, power, frequency, energyImported, energyExported } = page.registers
  const wanted = [voltageL1!, currentL1!, power!, frequency!, energyImported!, energyExported!]
  assert.equal(planReads(wanted, { maxRegisters: page.maxRegisters, requestCost: cost }), [
    span(0x00, 14),
    span(0x46, 6),
  ])
})

test('the whole register set of an SDM630 is two islands, one request each', () => {
  const page = PAGES.get('eastron-sdm630')!
  const cost = requestCost(10_000 / 9600, (3.5 * 10_000) / 9600, page.turnaroundMs)
  assert.equal(planReads(Object.values(page.registers), { maxRegisters: page.maxRegisters, requestCost: cost }), [
    span(0x00, 18),
    span(0x34, 28),
  ])
})

test('an island that was refused whole is not asked for whole again, nor more than it', () => {
  const spans = [span(0, 2), span(2, 2), span(4, 2)]
  assert.equal(planReads(spans, limits), [span(0, 6)])
  assert.equal(planReads(spans, { ...limits, refused: [span(0, 6)] }), [span(0, 4), span(4, 2)])
  assert.equal(planReads(spans, { ...limits, refused: [span(0, 4), span(2, 4)] }), spans)
})

test('a refused hole is not run over again, and a length to be avoided is planned around', () => {
  const spans = [span(0, 2), span(6, 2), span(12, 2)]
  assert.equal(planReads(spans, limits), [span(0, 14)])
  const forbidden = holesIn(span(0, 14), spans)
  assert.equal(forbidden, [span(2, 4), span(8, 4)])
  assert.equal(planReads(spans, { ...limits, forbidden }), spans)
  const avoid = (lengths: number[]) => planReads(spans, { ...limits, avoid: island => lengths.includes(island.count) })
  assert.equal(avoid([14]), [span(0, 8), span(12, 2)])
  assert.equal(avoid([14, 8]), spans)
  assert.equal(avoid([14, 2]), undefined)
})

test('every plan covers what was asked, within every limit, and no single request could be left out', () => {
  const spans = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 12 })
  assertProperty(
    fc.property(spans, fc.integer({ min: 2, max: 60 }), fc.integer({ min: 0, max: 30 }), (at, maxRegisters, cost) => {
      const wanted = at.map(address => span(2 * address, 2))
      const plan = planReads(wanted, { maxRegisters, requestCost: cost })!
      for (const one of wanted)
        assert.is(plan.filter(p => one.address >= p.address && one.address + 2 <= p.address + p.count).length, 1)
      assert.ok(plan.every(p => p.count <= maxRegisters))
      const total = (islands: readonly { count: number }[]) =>
        islands.reduce((sum, island) => sum + cost + island.count, 0)
      assert.ok(total(plan) <= total(wanted))
    }),
    500,
  )
})

test.run()
