/** Each watt-hour of a slot to whoever is best, by hand-computed splits; limits and preferences bind. */
import { aboveFeedIn, directOutlets, type Quote, sharePurchase, shareSale } from '../../../agent/grid/routing.ts'
import type { DealInfo } from '../../../agent/trading/trading.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const price = (coins: number) => microsPerKwh(BigInt(Math.round(coins * 1_000_000)))
const wh = (energy: number) => wattHours(BigInt(energy))
const START = 1_800_000_000_000
const WINDOW = { start: instant(START), end: instant(START + 900_000) }
const STORE = { peer: 'store', storePrice: price(0.05), returnPrice: price(0.15), most: wh(100) }
const TARIFF = { import: price(0.3), feedIn: price(0.08) }
const alone = { premium: {}, strict: false, live: true }
const shares = (direct: number, adHoc: number, storage: number, supplier: number) => ({
  ...{ direct: wh(direct), 'ad-hoc': wh(adHoc), storage: wh(storage), supplier: wh(supplier) },
})
const quote = (id: string, coins: number, capacity: number, source?: Quote['source']): Quote => ({
  ...{ id, price: price(coins), capacity: wh(capacity) },
  ...(source === undefined ? {} : { source }),
})

const test = suite('grid routing')

test('without anything beside them quotes have it all, on both sides', () => {
  assert.equal(shareSale(wh(300), WINDOW, alone, { asked: price(0.1), direct: [] }), shares(0, 300, 0, 0))
  const bought = sharePurchase(wh(300), WINDOW, alone, { quotes: [quote('a', 0.2, 500)], limit: price(0.3) })
  assert.equal(bought, shares(0, 300, 0, 0))
})

test('a surplus goes to the dearest first: the direct line as far as it takes, quotes, the store, the supplier', () => {
  const settings = { ...alone, store: STORE, tariff: { ...TARIFF, feedIn: price(0.02) } }
  const direct = [{ id: 'ash', price: price(0.25), capacity: wh(50) }]
  assert.equal(shareSale(wh(300), WINDOW, settings, { asked: price(0.1), direct }), shares(50, 250, 0, 0))
  // Quotes are over: what they did not take.
  assert.equal(shareSale(wh(300), WINDOW, settings, { asked: undefined, direct }), shares(50, 0, 100, 150))
})

test('a store that gives more than is asked has its part, and quotes the rest', () => {
  const settings = { ...alone, store: { ...STORE, storePrice: price(0.12) } }
  assert.equal(shareSale(wh(300), WINDOW, settings, { asked: price(0.1), direct: [] }), shares(0, 200, 100, 0))
  // Without an agreement in force it is nobody.
  assert.equal(
    shareSale(wh(300), WINDOW, { ...settings, live: false }, { asked: price(0.1), direct: [] }),
    shares(0, 300, 0, 0),
  )
})

test('half a quarter of an hour is half of what the store takes', () => {
  const half = { start: WINDOW.start, end: instant(START + 450_000) }
  assert.equal(
    shareSale(wh(300), half, { ...alone, store: STORE }, { asked: undefined, direct: [] }),
    shares(0, 0, 50, 0),
  )
})

test('a need is served by the cheapest: quotes below the store, the store, quotes below the supplier', () => {
  const settings = { ...alone, store: STORE, tariff: TARIFF }
  const quotes = [quote('cheap', 0.1, 80), quote('dear', 0.2, 60), quote('dearer', 0.29, 10)]
  const limit = price(0.35)
  assert.equal(sharePurchase(wh(400), WINDOW, settings, { quotes, limit }), shares(0, 150, 100, 150))
  assert.equal(sharePurchase(wh(150), WINDOW, settings, { quotes, limit }), shares(0, 80, 70, 0))
})

test('the owner’s limit and sources bind, whatever else there is', () => {
  const quotes = [quote('sun', 0.2, 100, 'solar'), quote('coal', 0.1, 100, 'conventional')]
  assert.equal(sharePurchase(wh(200), WINDOW, alone, { quotes, limit: price(0.15) }), shares(0, 100, 0, 0))
  const strict = { ...alone, strict: true, premium: { solar: price(0) }, store: STORE }
  assert.equal(sharePurchase(wh(200), WINDOW, strict, { quotes, limit: price(0.3) }), shares(0, 100, 0, 0))
  // Dearer than the supplier, but worth it to its owner.
  const green = { ...alone, tariff: TARIFF, premium: { solar: price(0.05) } }
  const dear = [quote('sun', 0.34, 100, 'solar'), quote('coal', 0.34, 100, 'conventional')]
  assert.equal(sharePurchase(wh(200), WINDOW, green, { quotes: dear, limit: price(0.4) }), shares(0, 100, 0, 100))
})

test('nothing is asked below what the supplier gives', () => {
  const grid = { sell: { reserve: price(0.05), opening: price(0.07) }, tariff: TARIFF } as never
  assert.equal(aboveFeedIn(grid).sell, { reserve: price(0.08), opening: price(0.08) })
  assert.equal(
    shareSale(wh(10), WINDOW, { ...alone, tariff: TARIFF }, { asked: price(0.07), direct: [] }).supplier,
    10n,
  )
})

test('nothing to route is routed nowhere', () => {
  assert.equal(
    shareSale(wh(0), WINDOW, { ...alone, store: STORE, tariff: TARIFF }, { asked: price(0.1), direct: [] }),
    shares(0, 0, 0, 0),
  )
})

test('a direct line is expected to take what it took in the last hour, at its last price', () => {
  const deal = (
    peer: string,
    startedAgo: number,
    coins: number,
    energy: number,
    state = 'settled',
    role = 'seller',
  ) => {
    const start = START - startedAgo
    const contract = { start, end: start + 600_000, price: price(coins), energy: wh(energy) }
    return { peer, runner: { deal: () => ({ role, state, contract }) } } as unknown as DealInfo
  }
  const deals = [
    deal('ash', 700_000, 0.2, 200),
    deal('ash', 2_000_000, 0.3, 400),
    deal('ash', 9_000_000, 0.9, 900),
    deal('ash', 300_000, 0.9, 900, 'aborted'),
    deal('ivy', 600_000, 0.25, 100, 'settled', 'buyer'),
  ]
  assert.equal(directOutlets(deals, START, WINDOW), [{ id: 'ash', price: price(0.2), capacity: wh(150) }])
})

test.run()
