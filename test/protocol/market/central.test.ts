import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { type CentralSlot, dispatchCentrally, type NamedOrder } from '../../../protocol/market/central.ts'
import { LEARNT, type SlotSite, tradeNothing } from '../../../protocol/market/no-trade.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const t = suite('one central operator, and no market at all')

const prices = { drawn: microsPerKwh(300_000n), fedIn: microsPerKwh(50_000n) }
const fee = microsPerKwh(50_000n)
const site = (name: string, imported: number, exported: number, flexible = 0): SlotSite => ({
  site: name,
  imported: wattHours(BigInt(imported)),
  exported: wattHours(BigInt(exported)),
  flexible: wattHours(BigInt(flexible)),
})
let made = 0
const order = (name: string, side: 'bid' | 'offer', quantity: number, limit: number): NamedOrder => ({
  id: Uint8Array.from({ length: 16 }, (_, i) => (++made >> (8 * i)) & 0xff),
  site: name,
  side,
  quantity: wattHours(BigInt(quantity)),
  limit: microsPerKwh(BigInt(limit)),
  sequence: 0,
})

t('without a market each site pays its supplier, by hand', () => {
  const none = must(tradeNothing([site('a', 2000, 0), site('b', 0, 1000, 0)], prices))
  assert.equal(
    none.sites.map(({ money }) => money),
    [-600_000n, 50_000n],
  )
  assert.is(none.money, -550_000n)
  assert.equal([none.drawn, none.fedIn, none.traded, none.reduced], [2000n, 1000n, 0n, 0n])
  assert.not.ok(none.observations.some(({ learns }) => learns === 'limit'))
})

t('the operator matches the two, takes the fee, and both gain', () => {
  const slot: CentralSlot = {
    sites: [site('a', 2000, 0), site('b', 0, 1000)],
    orders: [order('a', 'bid', 2000, 300_000), order('b', 'offer', 1000, 50_000)],
    prices,
    fee,
  }
  const central = must(dispatchCentrally(slot))
  // The seller's limit with the fee is 0.10, the buyer's 0.30, which the unfilled rest of the bid keeps the price at.
  assert.is(central.price, 300_000n)
  assert.equal(
    central.sites.map(({ money }) => money),
    [-600_000n, 250_000n],
  )
  assert.is(central.fees, 50_000n)
  assert.equal([central.drawn, central.fedIn], [1000n, 0n])
})

t('demand response holds the district to its limit as far as load is flexible', () => {
  const sites = [site('a', 3000, 0, 1000), site('b', 1000, 0, 500), site('c', 0, 500)]
  const slot = (most: number): CentralSlot => ({
    sites,
    orders: [],
    prices,
    fee,
    mostDrawn: wattHours(BigInt(most)),
  })
  assert.is(must(dispatchCentrally(slot(3500))).reduced, 0n)
  const some = must(dispatchCentrally(slot(2600)))
  assert.equal(
    some.sites.map(({ reduced }) => reduced),
    [600n, 300n, 0n],
  )
  assert.is(must(dispatchCentrally(slot(0))).reduced, 1500n)
})

t('the operator learns everything of everybody, the supplier only what it bills', () => {
  const sites = [site('a', 2000, 0), site('b', 0, 1000)]
  const orders = [order('a', 'bid', 2000, 300_000), order('b', 'offer', 1000, 50_000)]
  const { observations, needs, messages } = must(dispatchCentrally({ sites, orders, prices, fee }))
  assert.equal(new Set(observations.map(({ learns }) => learns)), new Set(LEARNT))
  assert.ok(observations.every(one => one.observer === 'operator' && one.sites === 2))
  assert.equal(needs, ['operator'])
  assert.is(messages, 10)
  assert.is(must(tradeNothing(sites, prices)).messages, 2)
})

t('nonsense is refused with the values', () => {
  const code = (sites: SlotSite[], orders: NamedOrder[] = []) => {
    const answer = dispatchCentrally({ sites, orders, prices, fee })
    return answer.ok || answer.fault.code
  }
  assert.is(code([site('a', 1, 0), site('a', 1, 0)]), 'compare.site-twice')
  assert.is(code([site('a', -1, 0)]), 'compare.negative')
  assert.is(code([site('a', 1, 0, 2)]), 'compare.flexible')
  assert.is(code([site('a', 1, 0)], [order('b', 'bid', 1, 1)]), 'central.unknown-site')
  assert.is(code([site('a', 1, 0)], [order('a', 'bid', 0, 1)]), 'clearing.quantity')
})

const random = fc.array(
  fc.record({
    net: fc.integer({ min: -5000, max: 5000 }),
    ordered: fc.integer({ min: 1, max: 6000 }),
    limit: fc.integer({ min: 50_000, max: 300_000 }),
  }),
  { minLength: 1, maxLength: 8 },
)
const slotOf = (homes: readonly { net: number; ordered: number; limit: number }[], truth: boolean): CentralSlot => ({
  sites: homes.map(({ net }, i) => site(`s${i}`, Math.max(0, net), Math.max(0, -net))),
  orders: homes.flatMap(({ net, ordered, limit }, i) =>
    net === 0 ? [] : [order(`s${i}`, net > 0 ? 'bid' : 'offer', truth ? Math.abs(net) : ordered, limit)],
  ),
  prices,
  fee,
})

t('money sums to zero with the supplier, each Wh is booked once, and nobody pays more than without a market', () => {
  assertProperty(
    fc.property(random, homes => {
      const slot = slotOf(homes, false)
      const central = must(dispatchCentrally(slot))
      const none = must(tradeNothing(slot.sites, prices))
      for (const [i, { money, traded }] of central.sites.entries()) {
        assert.ok(money >= none.sites[i]!.money - 3n, `${money} against ${none.sites[i]!.money}`)
        const { imported, exported } = slot.sites[i]!
        assert.ok(traded <= imported + exported)
      }
      const total = (what: 'imported' | 'exported') => slot.sites.reduce((sum, one) => sum + one[what], 0n)
      assert.is(central.drawn + central.traded, total('imported'))
      assert.is(central.fedIn + central.traded, total('exported'))
      // What the sites, the distributor and the rounding gained, the supplier paid: its two prices times two energies.
      const paid = (central.fedIn * prices.fedIn - central.drawn * prices.drawn) / 1000n
      const off = central.money + central.fees + central.rounding - paid
      assert.ok(off <= 1n && off >= -BigInt(2 * homes.length), `${off}`)
    }),
  )
})

const optimiser = await openOptimiser()

t('with true quantities the dispatch has the welfare of the linear program', () => {
  assertProperty(
    fc.property(random, homes => {
      const slot = slotOf(homes, true)
      const central = must(dispatchCentrally(slot))
      const variables = slot.orders.map(({ side, quantity, limit }) => ({
        cost: side === 'bid' ? Number(limit) : -Number(limit + fee),
        lower: 0,
        upper: Number(quantity),
      }))
      const terms = slot.orders.map(({ side }, i) => [i, side === 'bid' ? 1 : -1] as const)
      const { objective } = must(
        optimiser.solve({ sense: 'maximise', variables, constraints: [{ lower: 0, upper: 0, terms }] }),
      )
      // By merit order each order's part is known from the total alone.
      const worth = (side: 'bid' | 'offer') => {
        let left = Number(central.traded)
        return slot.orders
          .filter(one => one.side === side)
          .sort((a, b) => Number(side === 'bid' ? b.limit - a.limit : a.limit - b.limit))
          .reduce((sum, { quantity, limit }) => {
            const part = Math.min(left, Number(quantity))
            left -= part
            return sum + part * Number(side === 'bid' ? limit : limit + fee)
          }, 0)
      }
      assert.ok(Math.abs(worth('bid') - worth('offer') - objective) <= 1e-6 * Math.max(1, objective))
    }),
    100,
  )
})

t.run()
