import { type Crowd, checkCrowd, coarsen, leastCrowd } from '../../../protocol/privacy/anonymity.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('anonymity')

const crowd = (size: number): Crowd => ({ slot: instant(0), side: 'bid', feeder: 'street', size })

test('k is the least crowd, and a crowd below what is asked for is named', () => {
  assert.is(leastCrowd([crowd(5), crowd(3), crowd(9)]), 3)
  assert.is(leastCrowd([]), undefined)
  assert.ok(checkCrowd(crowd(3), 3).ok)
  assert.equal(checkCrowd(crowd(2), 3), {
    ok: false,
    fault: { code: 'anonymity.crowd', feeder: 'street', size: 2, least: 3 },
  })
})

const lots = { lot: wattHours(100n), step: microsPerKwh(50_000n) }
const limitOf = (side: 'bid' | 'offer', limit: bigint) =>
  coarsen({ side, quantity: wattHours(100n), limit: microsPerKwh(limit) }, lots)?.limit

test('a limit goes to the step that its maker keeps to: a bid’s below, an offer’s above', () => {
  assert.equal([limitOf('bid', 249_999n), limitOf('bid', 250_000n)], [200_000n, 250_000n])
  assert.equal([limitOf('offer', 200_001n), limitOf('offer', 200_000n)], [250_000n, 200_000n])
})

test('what fills no lot is not ordered, and a lot of nothing is our own mistake', () => {
  const wish = { side: 'bid' as const, quantity: wattHours(99n), limit: microsPerKwh(1n) }
  assert.is(coarsen(wish, lots), undefined)
  assert.throws(() => coarsen(wish, { ...lots, lot: wattHours(0n) }), /above zero/)
})

test('whatever is wished, all orders are of one quantity, and nobody promises more than he wished', () => {
  const wishes = fc.record({
    side: fc.constantFrom('bid' as const, 'offer' as const),
    quantity: fc.bigInt(0n, 20_000n).map(wattHours),
    limit: fc.bigInt(0n, 1_000_000n).map(microsPerKwh),
  })
  const kept = fc.property(wishes, wish => {
    const said = coarsen(wish, lots)
    if (said === undefined) return wish.quantity < lots.lot
    const within = wish.side === 'bid' ? said.limit <= wish.limit : said.limit >= wish.limit
    return within && said.quantity === lots.lot && said.quantity <= wish.quantity && said.limit % lots.step === 0n
  })
  assertProperty(kept)
})

test.run()
