/** Ancillary products: bought at least cost, settled by measurement, and carried by the ledger's events. */

import { eventId } from '../../../protocol/ledger/service-tables.ts'
import {
  type AncillaryOffer,
  buyAncillary,
  type Need,
  PRODUCTS,
  settleAncillary,
} from '../../../protocol/market/ancillary.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { BEGIN, buyer, contextOf, FEE, RICH, readingOf, seller, sideOf } from '../ledger/parties.ts'
import { aggregator, bench } from '../ledger/service-bench.ts'

const test = suite('ancillary products')

const START = instant(Math.ceil(BEGIN / SLOT_MS + 2) * SLOT_MS)
const window = { start: START, end: instant(START + SLOT_MS) }
const offer = (n: number, most: bigint, price: bigint, change: Partial<AncillaryOffer> = {}): AncillaryOffer => ({
  id: new Uint8Array(32).fill(n),
  product: 'balancing-up',
  ...window,
  most: wattHours(most),
  price: microsPerKwh(price),
  ...change,
})
const need = (energy: bigint, change: Partial<Need> = {}): Need => ({
  product: 'balancing-up',
  ...window,
  energy: wattHours(energy),
  limit: microsPerKwh(1_000_000n),
  ...change,
})

test('the cheapest are bought, at the price of the dearest of them or each at its own', () => {
  const offers = [
    offer(1, 500n, 300_000n),
    offer(3, 400n, 100_000n),
    offer(2, 400n, 100_000n),
    offer(4, 900n, 900_000n),
  ]
  const bought = (rule: 'uniform' | 'pay-as-bid', change: Partial<Need> = {}) => {
    const { activations, short } = must(buyAncillary(need(1000n, change), offers, rule))
    return [activations.map(({ offer, bought, price }) => [offer.id[0], bought, price]), short]
  }
  assert.equal(bought('uniform'), [
    [
      [2, 400n, 300_000n],
      [3, 400n, 300_000n],
      [1, 200n, 300_000n],
    ],
    0n,
  ])
  assert.equal(bought('pay-as-bid'), [
    [
      [2, 400n, 100_000n],
      [3, 400n, 100_000n],
      [1, 200n, 300_000n],
    ],
    0n,
  ])
  const limit = microsPerKwh(299_999n)
  assert.equal(bought('uniform', { limit }), [
    [
      [2, 400n, 100_000n],
      [3, 400n, 100_000n],
    ],
    200n,
  ])
  for (const change of [{ product: 'balancing-down' }, { end: instant(window.end + 1) }] as const) {
    assert.equal(bought('uniform', change), [[], 1000n])
  }
})

test('no other choice of offers covers the need at less', () => {
  assertProperty(
    fc.property(
      fc.array(fc.tuple(fc.bigInt(1n, 6n), fc.bigInt(0n, 9n)), { minLength: 1, maxLength: 6 }),
      fc.bigInt(1n, 20n),
      (some, energy) => {
        const offers = some.map(([most, price], i) => offer(i, most, price * 1000n))
        const { activations, short } = must(buyAncillary(need(energy), offers, 'pay-as-bid'))
        const cost = activations.reduce((sum, { bought, price }) => sum + bought * price, 0n)
        // Watt-hour by watt-hour, the cheapest ones that there are.
        const each = offers.flatMap(one => Array.from({ length: Number(one.most) }, () => one.price as bigint))
        each.sort((a, b) => Number(a - b))
        const best = each.slice(0, Number(energy))
        assert.is(
          cost,
          best.reduce((a, b) => a + b, 0n),
        )
        assert.is(BigInt(best.length) + short, energy)
        const { activations: uniform } = must(buyAncillary(need(energy), offers, 'uniform'))
        assert.ok(uniform.every(({ price, offer }) => price === best.at(-1) && price >= offer.price))
      },
    ),
  )
})

test('needs and offers that make no sense are refused', () => {
  const code = (one: Need, offers: AncillaryOffer[]) => {
    const found = buyAncillary(one, offers, 'uniform')
    return found.ok ? 'bought' : found.fault.code
  }
  assert.is(code(need(0n), []), 'ancillary.need')
  assert.is(code(need(-1n), []), 'ancillary.need')
  assert.is(code(need(1n, { end: window.start }), []), 'ancillary.need')
  assert.is(code(need(1n), [offer(1, 1n, 1n), offer(1, 2n, 2n)]), 'ancillary.offer-twice')
  assert.is(code(need(1n), [offer(1, 0n, 1n)]), 'ancillary.offer')
  assert.is(code(need(1n), [offer(1, 1n, -1n)]), 'ancillary.offer')
})

const PENALTY = { price: microsPerKwh(500_000n), tolerance: 100 }

test('what counts is the distance from the reference, in the product’s direction, by hand', () => {
  const settle = (product: AncillaryOffer['product'], reference: bigint, metered: bigint | undefined) => {
    const activation = {
      offer: offer(1, 1000n, 200_000n, { product }),
      bought: wattHours(1000n),
      price: microsPerKwh(200_000n),
    }
    const { settled, buyerPays } = settleAncillary([activation], [{ reference, metered }], PENALTY)
    const { delivered, shortfall, pay, penalty } = settled[0]!
    assert.is(buyerPays, pay - penalty)
    return [delivered, shortfall, pay, penalty]
  }
  assert.equal(settle('balancing-up', 500n, -700n), [1000n, 0n, 200_000n, 0n])
  assert.equal(settle('balancing-up', 500n, -400n), [900n, 100n, 180_000n, 0n], 'a tenth is tolerated')
  assert.equal(settle('balancing-up', 500n, -399n), [899n, 101n, 179_800n, 500n])
  assert.equal(settle('balancing-up', 500n, 900n), [0n, 1000n, 0n, 450_000n])
  assert.equal(settle('balancing-down', 500n, 900n), [400n, 600n, 80_000n, 250_000n])
  assert.equal(settle('balancing-down', -500n, 5000n), [1000n, 0n, 200_000n, 0n])
  assert.equal(settle('peak-reduction', 3000n, 2000n), [1000n, 0n, 200_000n, 0n])
  assert.equal(settle('peak-reduction', 3000n, undefined), [0n, 1000n, 0n, 450_000n], 'no readings, nothing delivered')
})

test('it sums to 0, and nobody’s money depends on what another’s meter shows', () => {
  const one = fc.record({
    bought: fc.bigInt(1n, 5000n),
    price: fc.bigInt(0n, 900_001n),
    product: fc.constantFrom(...PRODUCTS),
    reference: fc.bigInt(-6000n, 6000n),
    metered: fc.option(fc.bigInt(-6000n, 6000n), { nil: undefined }),
  })
  assertProperty(
    fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), fc.nat(1000), fc.nat(5), (some, tolerance, changed) => {
      const activations = some.map(({ bought, price, product }, i) => ({
        offer: offer(i, bought, price, { product }),
        bought: wattHours(bought),
        price: microsPerKwh(price),
      }))
      const terms = { ...PENALTY, tolerance }
      const { settled, buyerPays } = settleAncillary(activations, some, terms)
      assert.is(
        settled.reduce((sum, { pay, penalty }) => sum + pay - penalty, -buyerPays),
        0n,
      )
      for (const [i, { delivered, shortfall, penalty }] of settled.entries()) {
        assert.is(delivered + shortfall, some[i]!.bought)
        assert.ok(shortfall > 0n || penalty === 0n)
      }
      const other = some.map((shown, i) => (i === changed ? { ...shown, metered: undefined } : shown))
      const again = settleAncillary(activations, other, terms).settled
      for (const [i, was] of settled.entries()) if (i !== changed) assert.equal(again[i], was)
    }),
  )
})

test('a purchase of a short window is carried by the ledger: bought, reported by meters, paid', () => {
  const { ledger, take, until } = bench()
  // Two loads offer to take less in one quarter of an hour; 1.5 kWh are needed.
  const offers = [offer(1, 1000n, 250_000n), offer(2, 1200n, 400_000n)]
  const { activations } = must(buyAncillary(need(1500n), offers, 'uniform'))
  const [first, second] = activations as [(typeof activations)[0], (typeof activations)[0]]
  assert.equal([first.bought, second.bought], [1000n, 500n])
  const terms = { ...window, reportBy: instant(window.end + 600_000), price: first.price, most: wattHours(1500n) }
  take(aggregator, { kind: 'event', body: terms })
  const event = eventId({ ...terms, announcer: aggregator.address })
  // What each would take by its schedule, and took.
  const providers = [
    { party: seller, side: 'seller', meterId: 'S-1', activation: first, reference: 2000n, metered: 900n },
    { party: buyer, side: 'buyer', meterId: 'B-1', activation: second, reference: 800n, metered: 500n },
  ] as const
  for (const { party, meterId, activation, reference } of providers) {
    const body = { event, meterId, baseline: wattHours(reference), most: activation.bought }
    take(party, { kind: 'optIn', body })
    take(aggregator, { kind: 'admit', body })
  }
  until(window.end + 1000)
  const before = providers.map(({ party }) => ledger.account(party).balance)
  for (const { party, side, meterId, metered } of providers) {
    const by = { ...sideOf(side, new Uint8Array(0)), direction: 'import' as const }
    const context = contextOf(by)
    const session = { contract: event, line: 'L1', direction: 'import' as const }
    const begin = readingOf(by, context, { reason: 'begin', mWh: 0n, at: window.start, session })
    const end = readingOf(by, context, { reason: 'end', mWh: metered * 1000n, at: window.end, sequence: 9, session })
    take(party, { kind: 'report', body: { event, meterId, begin, end, contexts: [context] } })
  }
  const { settled, buyerPays } = settleAncillary(activations, providers, { ...PENALTY, price: microsPerKwh(0n) })
  for (const [i, { party }] of providers.entries()) {
    assert.is(ledger.account(party).balance - before[i]!, settled[i]!.pay - FEE)
  }
  //  1 kWh and 0.3 kWh at 0.40
  assert.is(buyerPays, 520_000n)
  until(terms.reportBy)
  const sent = 3n
  assert.is(ledger.account(aggregator).balance, RICH - buyerPays - sent * FEE)
})

test.run()
