import { milliwattHours, wattHours } from '../../../protocol/quantity.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { instant } from '../../../protocol/time.ts'
import { deliveredWh, expectedPayment, wholeBetween } from '../../../protocol/trade/receipt.ts'
import { assert, suite } from '../../harness.ts'
import { TERMS } from './deal-street.ts'

const test = suite('trade receipt')

/** A line meter's reading: import and export registers in watt-hours with `scaler`. */
const reading = (sequence: number, imported: bigint, exported: bigint, scaler = 0): Reading => ({
  context: new Uint8Array(8),
  sequence,
  operatingSeconds: sequence,
  time: instant(1_800_000_000_000 + sequence),
  quality: 'synchronised',
  registers: [
    { obis: '1-0:1.8.0', value: imported, scaler, unit: 'Wh' },
    { obis: '1-0:2.8.0', value: exported, scaler, unit: 'Wh' },
  ],
  status: [],
  errors: [],
  reason: 'begin',
})
const wh = (result: ReturnType<typeof deliveredWh>) => (result.ok ? result.value : result.fault.code)

test('a seller delivers by its export register, a buyer takes by its import register', () => {
  const begin = reading(1, 100n, 7000n)
  const end = reading(2, 400n, 7310n)
  assert.is(wh(deliveredWh(begin, end, 'seller')), 310n)
  assert.is(wh(deliveredWh(begin, end, 'buyer')), 300n)
})

test('a fraction of a watt-hour is nobody’s, and is cut from the difference, not from the registers', () => {
  assert.is(wholeBetween(milliwattHours(1900n), milliwattHours(4100n)), 2n)
  assert.is(wh(deliveredWh(reading(1, 1999n, 0n, -3), reading(2, 3998n, 0n, -3), 'buyer')), 1n)
  assert.is(wh(deliveredWh(reading(1, 12n, 0n, 1), reading(2, 15n, 0n, 1), 'buyer')), 30n)
})

test('registers that run backwards, readings out of order and a missing register are refused', () => {
  assert.is(wh(deliveredWh(reading(1, 5n, 0n), reading(2, 4n, 0n), 'buyer')), 'receipt.backwards')
  // A neighbour that signs this must not stop the agent when it is journalled.
  assert.is(wh(deliveredWh(reading(1, 0n, 0n, 9), reading(2, 2n ** 63n - 1n, 0n, 9), 'buyer')), 'receipt.no-register')
  // Nor may a deal begin at a register that the ledger will not settle.
  assert.is(wh(deliveredWh(reading(1, -5n, 0n), reading(2, 6n, 0n), 'buyer')), 'receipt.no-register')
  assert.is(wh(deliveredWh(reading(2, 5n, 0n), reading(2, 6n, 0n), 'buyer')), 'receipt.order')
  assert.is(
    wh(deliveredWh(reading(1, 5n, 0n), { ...reading(2, 6n, 0n), registers: [] }, 'buyer')),
    'receipt.no-register',
  )
})

test('a reading that says of itself that it is not to be settled on is refused, as the first or as the last', () => {
  const [begin, end] = [reading(1, 5n, 0n), reading(2, 6n, 0n)]
  for (const errors of [['energy'], ['time'], ['energy', 'time']] as const) {
    assert.is(wh(deliveredWh({ ...begin, errors }, end, 'buyer')), 'receipt.errors')
    assert.is(wh(deliveredWh(begin, { ...end, errors }, 'seller')), 'receipt.errors')
  }
})

test('the payment is for the least of contract, seller and buyer, and a range where something is not known', () => {
  // 500 Wh at 200,000 micro a kWh is 100,000.
  const pay = (own?: bigint, peer?: bigint, disputed = false, over: { readonly to?: string } = {}) =>
    expectedPayment(
      { ...TERMS, ...over },
      own === undefined ? undefined : { energy: wattHours(own), final: true },
      peer === undefined ? undefined : { energy: wattHours(peer), final: true },
      disputed,
    )
  assert.equal(pay(400n, 390n), { least: 78_000n, most: 78_000n })
  assert.equal(pay(600n, 700n), { least: 100_000n, most: 100_000n })
  assert.equal(pay(400n), { least: 0n, most: 80_000n })
  assert.equal(pay(), { least: 0n, most: 100_000n })
  assert.equal(pay(400n, 390n, true), { least: 78_000n, most: 80_000n })
  assert.equal(pay(400n, undefined, true), { least: 0n, most: 100_000n })
  // Over the grid other contracts of either meter may have had their part of the 390 Wh.
  assert.equal(pay(400n, 390n, false, { to: 'N2' }), { least: 0n, most: 78_000n })
})

test('a count without its end reading can only rise: it bounds the payment from below, and not from above', () => {
  const pay = (own: readonly [bigint, boolean], peer: readonly [bigint, boolean], disputed = false) => {
    const [a, b] = [own, peer].map(([energy, final]) => ({ energy: wattHours(energy), final }))
    return expectedPayment(TERMS, a, b, disputed)
  }
  assert.equal(pay([400n, true], [0n, false]), { least: 0n, most: 80_000n })
  assert.equal(pay([400n, true], [100n, false]), { least: 20_000n, most: 80_000n })
  assert.equal(pay([100n, false], [400n, true]), { least: 20_000n, most: 80_000n })
  assert.equal(pay([100n, false], [90n, false]), { least: 18_000n, most: 100_000n })
  assert.equal(pay([400n, true], [100n, false], true), { least: 20_000n, most: 100_000n })
})

test.run()
