import { microsPerKwh, type Price, wattHours } from '../../../protocol/quantity.ts'
import {
  batteryOutlook,
  limitsOf,
  type Means,
  orderPermille,
  quote,
  type SeenSlot,
} from '../../../protocol/trade/strategy.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { compete } from './zero-intelligence.ts'

const t = suite('what a site bids')

const price = (n: number): Price => microsPerKwh(BigInt(n))
const tariff = { drawn: price(300_000), fedIn: price(50_000) }
const means = (more: Partial<Means> = {}): Means => ({ tariff, fee: price(50_000), owner: {}, ...more })

t('limits are the tariff’s, the fee on the seller’s side, and the owner’s word goes before them', () => {
  assert.equal(limitsOf(means()), { need: price(300_000), surplus: price(100_000) })
  const owner = { mostPays: price(220_000), leastGets: price(80_000) }
  assert.equal(limitsOf(means({ owner })), { need: price(220_000), surplus: price(130_000) })
})

t('a battery buys below what it saves later and sells above what it is missed for, by hand', () => {
  const battery = { keptPermille: 900, wear: price(20_000), laterPays: price(300_000), refill: price(90_000) }
  const { charge, discharge } = limitsOf(means({ battery }))
  // 0.30 x 0.9 - 0.02; and 0.09 / 0.9 + 0.02 + the fee of 0.05.
  assert.is(charge, price(250_000))
  assert.is(discharge, price(170_000))
  const worn = limitsOf(means({ battery: { ...battery, wear: price(280_000) } }))
  assert.is(worn.charge, undefined, 'nothing is cheap enough')
  assert.throws(() => limitsOf(means({ battery: { ...battery, keptPermille: 0 } })))
})

t('a Wh in the battery is worth the dearest need that is not served yet, before the sun fills it again', () => {
  const slot = (net: number, pays: number, gets = 50) => ({ net: BigInt(net), pays: price(pays), gets: price(gets) })
  const night = [slot(1000, 200), slot(500, 300), slot(1000, 250), slot(-5000, 200), slot(1000, 900)]
  const later = (held: number) => Number(batteryOutlook(night, wattHours(BigInt(held)), wattHours(5000n)).laterPays)
  assert.equal([0, 499, 500, 1499, 1500, 2499, 2500].map(later), [300, 300, 250, 250, 200, 200, 50])
  assert.is(
    batteryOutlook(night, wattHours(0n), wattHours(5000n)).refill,
    price(50),
    'its own surplus, at what it brings',
  )
  assert.is(batteryOutlook(night.slice(0, 3), wattHours(0n), wattHours(5000n)).refill, price(200))
  // A battery that the sun does not fill serves the need behind it, too.
  assert.is(batteryOutlook(night, wattHours(0n), wattHours(6000n)).laterPays, price(900))
  assert.equal(batteryOutlook([], wattHours(0n), wattHours(1n)), { laterPays: price(0), refill: price(0) })
})

t('that worth is what the best use of one Wh more saves: every use tried', () => {
  const needs = fc.array(fc.record({ net: fc.integer({ min: 0, max: 3 }), pays: fc.integer({ min: 1, max: 9 }) }), {
    maxLength: 4,
  })
  const saves = (slots: readonly { net: number; pays: number }[], held: number): number => {
    const [first, ...rest] = slots
    if (first === undefined) return 0
    const uses = Array.from({ length: Math.min(first.net, held) + 1 }, (_, use) => use)
    return Math.max(...uses.map(use => use * first.pays + saves(rest, held - use)))
  }
  assertProperty(
    fc.property(needs, fc.nat(10), (slots, held) => {
      const coming = slots.map(({ net, pays }) => ({ net: BigInt(net), pays: price(pays), gets: price(0) }))
      const { laterPays } = batteryOutlook(coming, wattHours(BigInt(held)), wattHours(100n))
      assert.is(Number(laterPays), saves(slots, held + 1) - saves(slots, held))
    }),
  )
})

const anyPrice = fc.integer({ min: 0, max: 1_000_000 }).map(price)

t('a round trip of the battery at its own limits never loses money, wear included', () => {
  assertProperty(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      anyPrice,
      anyPrice,
      anyPrice,
      (keptPermille, wear, laterPays, refill) => {
        const limits = limitsOf(means({ battery: { keptPermille, wear, laterPays, refill } }))
        if (limits.charge !== undefined) {
          assert.ok(limits.charge * 1000n + wear * 1000n <= laterPays * BigInt(keptPermille))
        }
        const got = limits.discharge! - price(50_000) - wear
        assert.ok(got >= laterPays || got * BigInt(keptPermille) >= refill * 1000n)
      },
    ),
  )
})

t('no quote goes beyond its limit, whatever was seen, under either rule', () => {
  assertProperty(
    fc.property(anyPrice, fc.array(fc.option(anyPrice, { nil: undefined })), (limit, marginals) => {
      const seen = marginals.map((marginal): SeenSlot => (marginal === undefined ? {} : { marginal }))
      for (const rule of ['pay-as-clear', 'pay-as-bid'] as const) {
        assert.ok(quote('bid', limit, rule, seen) <= limit)
        assert.ok(quote('offer', limit, rule, seen) >= limit)
      }
      assert.is(quote('bid', limit, 'pay-as-bid', []), limit)
    }),
  )
})

t(
  'where each pays what it bids, the quote is what would have gained most over what was seen: every price tried',
  () => {
    const small = fc.integer({ min: 0, max: 30 })
    assertProperty(
      fc.property(
        small,
        fc.array(small, { minLength: 1, maxLength: 8 }),
        fc.constantFrom('bid', 'offer'),
        (limit, seen, side) => {
          const gain = (at: number) =>
            seen.filter(one => (side === 'bid' ? at >= one : at <= one)).length *
            (side === 'bid' ? limit - at : at - limit)
          const best = Math.max(...Array.from({ length: 31 }, (_, at) => gain(at)))
          const said = quote(
            side,
            price(limit),
            'pay-as-bid',
            seen.map(one => ({ marginal: price(one) })),
          )
          assert.is(gain(Number(said)), Math.max(0, best))
        },
      ),
    )
  },
)

t('more is ordered the less a shortfall costs', () => {
  assert.is(orderPermille(price(100), price(100)), 500)
  assert.is(orderPermille(price(100), price(300)), 250)
  assert.is(orderPermille(price(100), price(0)), 950)
  assert.is(orderPermille(price(0), price(100)), 0)
})

for (const rule of [
  { rule: 'pay-as-clear', option: 'midpoint', ties: 'first-come' },
  { rule: 'pay-as-bid', k: 500, ties: 'first-come' },
] as const) {
  t(
    `under ${rule.rule} ours earn more than zero-intelligence traders of the same values in the same book, on both sides`,
    () => {
      for (const seed of [1, 2, 3]) {
        const { earned, beyond } = compete(rule, seed)
        assert.is(beyond, 0)
        for (const side of ['bid', 'offer'] as const) {
          const ratio = earned(true, side) / earned(false, side)
          if (process.env['TIELINE_PRINT']) process.stdout.write(`${rule.rule} ${side} ${ratio.toFixed(2)}\n`)
          assert.ok(ratio > 1.1, `${rule.rule} ${side} ${ratio}`)
        }
      }
    },
  )
}

t.run()
