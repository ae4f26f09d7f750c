/** The regulator's price band: who may set it, when it counts, and what it does to a book. */
import { createP256Signer, createSigner } from '../../../drivers/crypto/signer.ts'
import { nobleVerifier } from '../../../protocol/crypto/verify.ts'
import {
  assembleSignedBand,
  bandToSign,
  clearWithin,
  encodeBand,
  holdInBand,
  type PriceBand,
  verifyBand,
} from '../../../protocol/market/band.ts'
import { clear, type Rule, tradesOf, welfareOf } from '../../../protocol/market/clear.ts'
import { microsPerKwh } from '../../../protocol/quantity.ts'
import { faultLine, must, type Result } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { anyBook, anyRule, BEACON, bookOrder, PAY_AS_BID, PAY_AS_CLEAR } from './books.ts'

const test = suite('price band')

const regulator = createSigner(new Uint8Array(32).fill(9))
const FROM = 1_800_000_000_000
const DAY = 86_400_000
const band: PriceBand = {
  from: instant(FROM),
  until: instant(FROM + DAY),
  floor: microsPerKwh(50_000n),
  ceiling: microsPerKwh(400_000n),
}
const sign = (value: PriceBand, by = regulator, chainId = 'street-1'): Uint8Array => {
  const payload = encodeBand(value)
  return assembleSignedBand(payload, by.publicKey, by.signNow(bandToSign(payload, by.publicKey, chainId)))
}
const why = (result: Result<unknown>) => (result.ok ? 'taken' : faultLine(result.fault))
const read = (bytes: Uint8Array, slot = FROM) =>
  verifyBand(bytes, regulator.publicKey, 'street-1', instant(slot), nobleVerifier)

test('a band that the regulator signed is taken while it is good', () => {
  assert.equal(must(read(sign(band))), band)
  assert.equal(must(read(sign(band), FROM + DAY - 1)), band)
  assert.is(why(read(sign(band), FROM - 1)), `band.not-yet-valid (from=${FROM} slot=${FROM - 1})`)
  assert.is(why(read(sign(band), FROM + DAY)), `band.expired (until=${FROM + DAY} slot=${FROM + DAY})`)
  const p256 = createP256Signer(new Uint8Array(32).fill(3))
  assert.equal(must(verifyBand(sign(band, p256), p256.publicKey, 'street-1', instant(FROM), nobleVerifier)), band)
})

test('a band that is unsigned, of somebody else, of another market or upside down is refused', () => {
  assert.match(why(read(encodeBand(band))), /^cose\./)
  assert.match(why(read(sign(band, createSigner(new Uint8Array(32).fill(8))))), /^band\.key/)
  assert.match(why(read(sign(band, regulator, 'street-2'))), /^cose\.signature/)
  assert.match(why(read(sign({ ...band, ceiling: microsPerKwh(1n) }))), /^band\.order/)
  const good = sign(band)
  const property = fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const bad = good.slice()
    bad[at]! ^= change
    assert.not.ok(read(bad).ok)
  })
  assertProperty(property, 200)
})

test('an offer above the ceiling and a bid below the floor are refused, every other limit is held within', () => {
  const limits = { floor: microsPerKwh(10n), ceiling: microsPerKwh(20n) }
  const held = (side: 'bid' | 'offer', limit: number) => {
    const result = holdInBand(bookOrder(side, 1, limit, 'x'), limits)
    return result.ok ? Number(result.value.limit) : faultLine(result.fault)
  }
  assert.is(held('offer', 21), 'band.offer-above-ceiling (limit=21 ceiling=20)')
  assert.is(held('bid', 9), 'band.bid-below-floor (limit=9 floor=10)')
  assert.is(held('offer', 9), 10)
  assert.is(held('bid', 21), 20)
  assert.is(held('offer', 20), 20)
  assert.is(held('bid', 10), 10)
})

const limits = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }))
  .map(([a, b]) => ({ floor: microsPerKwh(BigInt(Math.min(a, b))), ceiling: microsPerKwh(BigInt(Math.max(a, b))) }))

test('every price of a banded book lies within the band and within both limits', () => {
  const mcafee = fc.constant<Rule>({ rule: 'pay-as-clear', option: 'mcafee', ties: 'first-come' })
  const property = fc.property(anyBook(), fc.oneof(anyRule, mcafee), limits, (book, rule, within) => {
    const { clearing, orders, refused } = must(clearWithin(book, rule, BEACON, within))
    assert.is(orders.length + refused.length, book.length)
    const spread = clearing.uniform?.spread ?? 0n
    for (const { bid, offer, price } of tradesOf(orders, clearing)) {
      assert.ok(price <= within.ceiling && price - spread >= within.floor, `${price}`)
      assert.ok(price <= bid.limit && price - spread >= offer.limit)
    }
    for (const { order } of refused) {
      assert.ok(order.side === 'bid' ? order.limit < within.floor : order.limit > within.ceiling)
    }
  })
  assertProperty(property, 1000)
  // Without the band the same book clears far above it.
  const scarce = [bookOrder('bid', 5, 900, 'b'), bookOrder('offer', 5, 10, 's')]
  assert.is(must(clear(scarce, { ...PAY_AS_CLEAR, k: 1000 } as Rule, BEACON)).uniform!.price, 900n)
  const capped = must(
    clearWithin(scarce, { ...PAY_AS_CLEAR, k: 1000 } as Rule, BEACON, {
      floor: microsPerKwh(0n),
      ceiling: microsPerKwh(20n),
    }),
  )
  assert.is(capped.clearing.uniform!.price, 20n)
})

test('what is scarce at the ceiling is shared in proportion, not by whose limit was higher', () => {
  const book = [
    bookOrder('bid', 6, 900, 'rich'),
    bookOrder('bid', 3, 100, 'b2'),
    bookOrder('bid', 3, 70, 'b3'),
    bookOrder('offer', 4, 10, 's'),
  ]
  const got = (within: { floor: bigint; ceiling: bigint }) => {
    const { clearing, orders } = must(
      clearWithin(book, PAY_AS_BID, BEACON, {
        floor: microsPerKwh(within.floor),
        ceiling: microsPerKwh(within.ceiling),
      }),
    )
    return book.slice(0, 3).map(({ id }) =>
      tradesOf(orders, clearing)
        .filter(({ bid }) => bid.id === id)
        .reduce((sum, { quantity }) => sum + Number(quantity), 0),
    )
  }
  assert.equal(got({ floor: 0n, ceiling: 60n }), [2, 1, 1])
  assert.equal(got({ floor: 0n, ceiling: 1000n }), [4, 0, 0])
})

test('a band never makes more welfare than there is without it', () => {
  const property = fc.property(anyBook(), limits, (book, within) => {
    const { clearing, orders } = must(clearWithin(book, PAY_AS_BID, BEACON, within))
    assert.ok(welfareOf(orders, clearing) <= welfareOf(book, must(clear(book, PAY_AS_BID, BEACON))))
  })
  assertProperty(property, 500)
})

test.run()
