/** The hour-ahead auction: by hand, against a linear program on lines, in any order, and to the last micro-unit. */
import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { type BalancingOrder, balance, type HourAhead, settleBalance } from '../../../protocol/market/hour-ahead.ts'
import { createNetworkCheck, type Network, readNetwork } from '../../../protocol/market/network-check.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { networkOf, price, street, wh } from './storage-days.ts'

const test = suite('hour ahead')
const optimiser = await openOptimiser()
const beacon = new Uint8Array(32).fill(3)
const check = (network: Network = street) => createNetworkCheck(must(readNetwork(network)))
const sell = (id: string, energy: number, limit: number, node = 'A'): BalancingOrder => ({
  ...{ id, node, side: 'sell', energy: wh(energy), limit: price(limit) },
})
const buy = (id: string, energy: number, limit: number, node = 'A'): BalancingOrder => ({
  ...sell(id, energy, limit, node),
  side: 'buy',
})
const hour = (change: Partial<HourAhead> = {}): HourAhead => ({
  slot: 5,
  deviations: [
    { party: 'short', energy: -1000n },
    { party: 'long', energy: 300n },
  ],
  orders: [sell('dear', 500, 350_000), sell('cheap', 400, 250_000), sell('too dear', 9000, 400_001)],
  imbalance: { deficit: price(400_000), surplus: price(50_000) },
  beacon,
  ...change,
})
const cleared = (one: HourAhead, network?: Network) => must(balance(one, check(network)))
const plain = (map: ReadonlyMap<string, bigint>) =>
  Object.fromEntries([...map].map(([name, value]) => [name, Number(value)]))

test('a deficit is bought from the cheapest, all at the price of the last, and paid by who was short', () => {
  const found = cleared(hour())
  assert.equal(found, {
    net: -700n,
    price: price(350_000),
    taken: [
      { id: 'cheap', energy: wh(400) },
      { id: 'dear', energy: wh(300) },
    ],
    mainGrid: 0n,
  })
  const { parties, orders, mainGrid, rounding } = settleBalance(hour(), found)
  assert.equal(plain(parties), { short: -350_000, long: 105_000 })
  assert.equal(plain(orders), { cheap: 140_000, dear: 105_000 })
  assert.equal([mainGrid, rounding], [0n, 0n])
})

test('what no offer under the imbalance price covers comes from the main grid at that price', () => {
  const found = cleared(hour({ deviations: [{ party: 'short', energy: -2000n }] }))
  assert.equal([found.price, found.mainGrid], [price(400_000), -1100n])
  const { parties, mainGrid } = settleBalance(hour({ deviations: [{ party: 'short', energy: -2000n }] }), found)
  assert.equal(plain(parties), { short: -800_000 })
  assert.is(mainGrid, 440_000n)
})

test('a surplus goes to who pays most for it, and never below what the main grid gives', () => {
  const one = hour({
    deviations: [{ party: 'sunny', energy: 900n }],
    orders: [buy('pump', 300, 120_000), buy('car', 400, 200_000), buy('greedy', 900, 49_999), sell('other side', 1, 1)],
  })
  const found = cleared(one)
  assert.equal(
    found.taken.map(({ id, energy }) => [id, Number(energy)]),
    [
      ['car', 400],
      ['pump', 300],
    ],
  )
  assert.equal([found.price, found.mainGrid], [price(50_000), 200n])
  const settled = settleBalance(one, found)
  assert.equal(plain(settled.parties), { sunny: 45_000 })
  assert.equal(plain(settled.orders), { car: -20_000, pump: -15_000 })
  assert.is(settled.mainGrid, -10_000n)
})

test('deviations that cover each other touch nobody else', () => {
  const deviations = [
    { party: 'short', energy: -333n },
    { party: 'long', energy: 333n },
  ]
  const found = cleared(hour({ deviations }))
  assert.equal(found, { net: 0n, price: price(225_000), taken: [], mainGrid: 0n })
  const { parties, rounding } = settleBalance(hour({ deviations }), found)
  // 74,925 micro-units exactly.
  assert.equal([plain(parties), rounding], [{ short: -74_925, long: 74_925 }, 0n])
})

test('an offer behind a full line is passed over, and does not set the price', () => {
  const network = networkOf({ T: [undefined, 9000, 10], A: ['T', 100, 50], C: ['T', 9000, 60] })
  const orders = [sell('behind', 700, 100_000, 'A'), sell('free', 700, 300_000, 'C')]
  const found = cleared(hour({ orders }), network)
  assert.equal(
    found.taken.map(({ id, energy }) => [id, Number(energy)]),
    [
      ['behind', 100],
      ['free', 600],
    ],
  )
  assert.is(found.price, 300_000n)
})

test('nonsense is refused', () => {
  const code = (change: Partial<HourAhead>) => {
    const result = balance(hour(change), check())
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(code({ orders: [sell('a', 0, 1)] }), 'hour-ahead.order')
  assert.is(code({ orders: [sell('a', -5, 1)] }), 'hour-ahead.order')
  assert.is(code({ orders: [sell('a', 1, -1)] }), 'hour-ahead.order')
  assert.is(code({ orders: [sell('a', 10_000_001, 1)] }), 'hour-ahead.order')
  assert.is(code({ orders: [sell('a', 1, 1), sell('a', 2, 2)] }), 'hour-ahead.twice')
  assert.is(code({ deviations: [{ party: 'a', energy: 1n << 60n }] }), 'hour-ahead.deviation')
  assert.is(
    code({
      deviations: [
        { party: 'a', energy: 1n },
        { party: 'a', energy: 1n },
      ],
    }),
    'hour-ahead.twice',
  )
  assert.is(code({ imbalance: { deficit: price(1), surplus: price(2) } }), 'hour-ahead.imbalance-price')
})

const someHour = fc
  .record({
    deviations: fc.array(fc.integer({ min: -3000, max: 3000 }), { minLength: 1, maxLength: 6 }),
    orders: fc.array(
      fc.record({
        node: fc.constantFrom('T', 'A', 'B', 'C'),
        side: fc.constantFrom('sell' as const, 'buy' as const),
        energy: fc.integer({ min: 1, max: 2000 }),
        // Few prices, so that there are ties.
        limit: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 8 },
    ),
    capacity: fc.array(fc.integer({ min: 0, max: 2500 }), { minLength: 4, maxLength: 4 }),
  })
  .map(({ deviations, orders, capacity }) => ({
    one: hour({
      deviations: deviations.map((energy, p) => ({ party: `p${p}`, energy: BigInt(energy) })),
      orders: orders.map(({ node, side, energy, limit }, o) => ({
        ...sell(`o${o}`, energy, limit * 50_001, node),
        side,
      })),
    }),
    network: networkOf({
      T: [undefined, 2 * capacity[0]!, 10],
      A: ['T', capacity[1]!, 50],
      B: ['A', capacity[2]!, 80],
      C: ['T', capacity[3]!, 60],
    }),
  }))

test('it is the least cost that the lines allow, of any order of orders, and the money adds up', () => {
  assertProperty(
    fc.property(someHour, fc.infiniteStream(fc.nat()), ({ one, network }, random) => {
      const found = cleared(one, network)
      const { parties, orders, mainGrid, rounding } = settleBalance(one, found)
      const all = [...parties.values(), ...orders.values(), mainGrid, rounding].reduce((sum, value) => sum + value, 0n)
      assert.is(all, 0n)
      assert.ok(rounding >= 0n && rounding <= BigInt(parties.size + orders.size + 1), 'less than a micro-unit each')
      // Every watt-hour of the net is somebody's.
      const short = found.net < 0n
      const took = found.taken.reduce((sum, { energy }) => sum + energy, 0n)
      assert.is(took + (short ? -found.mainGrid : found.mainGrid), short ? -found.net : found.net)
      for (const { id } of found.taken) {
        const { limit } = one.orders.find(order => order.id === id)!
        assert.ok(short ? found.price >= limit : found.price <= limit, 'nobody beyond its limit')
      }
      assert.ok(found.price <= one.imbalance.deficit && found.price >= one.imbalance.surplus)
      const shuffled = [...one.orders].map(order => ({ order, by: random.next().value })).sort((a, b) => a.by - b.by)
      assert.equal(cleared({ ...one, orders: shuffled.map(({ order }) => order) }, network), found)
      // The same as a linear program: flows add up over the lines, the main grid gives the rest at its price.
      const cap = Number(short ? one.imbalance.deficit : one.imbalance.surplus)
      const usable = one.orders.filter(({ side }) => side === (short ? 'sell' : 'buy'))
      const worth = (limit: bigint) => (short ? cap - Number(limit) : Number(limit) - cap)
      const behind = (line: string, node: string): boolean =>
        node === line ||
        (network.lines.get(node)!.feeder !== undefined && behind(line, network.lines.get(node)!.feeder!))
      const solved = must(
        optimiser.solve({
          sense: 'maximise',
          variables: usable.map(({ energy, limit }) => ({ cost: worth(limit), lower: 0, upper: Number(energy) })),
          constraints: [
            { lower: 0, upper: Math.abs(Number(found.net)), terms: usable.map((_, o) => [o, 1] as const) },
            ...[...network.lines].map(([line, { capacity }]) => ({
              lower: 0,
              upper: Number(capacity),
              terms: usable.flatMap(({ node }, o) => (behind(line, node!) ? [[o, 1] as const] : [])),
            })),
          ],
        }),
      )
      const saved = found.taken.reduce(
        (sum, { id, energy }) => sum + worth(one.orders.find(order => order.id === id)!.limit) * Number(energy),
        0,
      )
      assert.ok(
        Math.abs(saved - solved.objective) <= 1e-6 * Math.max(1, solved.objective),
        `${saved} of ${solved.objective}`,
      )
    }),
    400,
  )
})

test('who planned right pays nothing, whatever the others do', () => {
  assertProperty(
    fc.property(someHour, ({ one, network }) => {
      const with0 = { ...one, deviations: [...one.deviations, { party: 'right', energy: 0n }] }
      assert.is(settleBalance(with0, cleared(with0, network)).parties.get('right'), 0n)
    }),
    50,
  )
})

test.run()
