import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { SOURCES } from '../../../protocol/trade/contract.ts'
import { type Model, type Option, type Plan, positionOf, route, type Wish } from '../../../protocol/trade/route.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const MODELS: readonly Model[] = ['direct', 'ad-hoc', 'storage', 'supplier']
const wh = (n: number | bigint) => wattHours(BigInt(n))
const price = (n: number | bigint) => microsPerKwh(BigInt(n))

const option = (id: string, model: Model, at: number, capacity: number, more: Partial<Option> = {}): Option => ({
  id,
  model,
  price: price(at),
  fee: price(0),
  capacity: wh(capacity),
  least: wh(0),
  firmness: 1000,
  ...(model === 'supplier' ? {} : { partner: id, source: 'solar' }),
  ...more,
})

const wish = (side: Wish['side'], energy: number, limit: number, more: Partial<Wish> = {}): Wish => ({
  side,
  energy: wh(energy),
  must: wh(energy),
  limit: price(limit),
  premium: {},
  strict: false,
  models: new Set(MODELS),
  refuse: new Set(),
  ...more,
})

const partsOf = ({ parts }: Plan) => Object.fromEntries(parts.map(({ option: { id }, energy }) => [id, Number(energy)]))
const codesOf = ({ refused }: Plan) => Object.fromEntries(refused.map(({ id, code }) => [id, code]))

const grid = option('grid', 'supplier', 300, 10_000)
const street = option('street', 'direct', 200, 500)
const market = option('market', 'ad-hoc', 180, 400, { fee: price(50) })
const store = option('store', 'storage', 250, 300)

const test = suite('router')

test('own use first, then what the battery gives beyond its reserve, then the market', () => {
  const expected = (generation: number, load: number, store: number, keep: number) =>
    positionOf({ generation: wh(generation), load: wh(load), store: wh(store), keep: wh(keep) })
  assert.equal(expected(500, 200, 0, 0), { side: 'sell', energy: 300n })
  assert.equal(expected(500, 900, 300, 100), { side: 'buy', energy: 200n })
  assert.equal(expected(500, 900, 100, 300), { side: 'buy', energy: 400n })
  assert.equal(expected(0, 0, 1000, 400), { side: 'sell', energy: 600n })
})

test('one need is met by all three models and the supplier in one slot, cheapest first', () => {
  const plan = route(wish('buy', 1500, 260), [grid, store, market, street])
  assert.equal(partsOf(plan), { street: 500, market: 400, store: 300, grid: 300 })
  assert.equal([plan.left, plan.short], [0n, 0n])
})

test('one surplus goes to the neighbour, the store and the feed-in in one slot, dearest first', () => {
  const plan = route(wish('sell', 1000, 90), [
    option('feed-in', 'supplier', 80, 10_000),
    option('neighbour', 'direct', 200, 400),
    option('store', 'storage', 120, 500),
    option('far', 'ad-hoc', 150, 500, { fee: price(61) }),
  ])
  assert.equal(partsOf(plan), { neighbour: 400, store: 500, 'feed-in': 100 })
  assert.is(codesOf(plan)['far'], 'route.limit')
})

test('what need not flow is left rather than traded beyond the limit, also with the supplier', () => {
  const plan = route(wish('buy', 1500, 220, { must: wh(600) }), [grid, store, market, street])
  assert.equal(partsOf(plan), { street: 500, grid: 100 })
  assert.is(plan.left, 900n)
  assert.equal(codesOf(plan), { market: 'route.limit', store: 'route.limit' })
  // A tariff within the limit takes the rest.
  assert.equal(partsOf(route(wish('buy', 1500, 300, { must: wh(0) }), [grid, street])), { street: 500, grid: 1000 })
})

test('without a supplier what must flow and nobody takes is short, and says so', () => {
  const plan = route(wish('buy', 900, 260, { must: wh(700) }), [street])
  assert.equal(partsOf(plan), { street: 500 })
  assert.equal([plan.left, plan.short], [200n, 200n])
})

test('an option that may fail is worth less by what the supplier would take for the rest', () => {
  // 0.8 * 200 + 0.2 * 300 = 220
  const shaky = { ...street, firmness: 800 }
  const choice = (at: number) => partsOf(route(wish('buy', 500, 300), [grid, shaky, option('firm', 'ad-hoc', at, 500)]))
  assert.equal(choice(219), { firm: 500 })
  assert.equal(choice(220), { street: 500 })
})

test('a premium counts for the choice and never for the limit', () => {
  const wind = option('wind', 'ad-hoc', 240, 500, { source: 'wind' })
  const choice = (premium: number, limit: number) =>
    partsOf(route(wish('buy', 500, limit, { premium: { wind: price(premium) } }), [grid, street, wind]))
  assert.equal(choice(39, 250), { street: 500 })
  assert.equal(choice(41, 250), { wind: 500 })
  assert.equal(choice(1000, 239), { street: 500 })
})

test('a smallest quantity is kept, and gives way where that is cheaper', () => {
  const lumps = [
    option('a', 'direct', 100, 600),
    option('b', 'ad-hoc', 150, 1000, { least: wh(500) }),
    option('c', 'storage', 290, 1000),
  ]
  // 600 of a leave 400, too little for b: 500 of b and 500 of a cost 125,000, with c for the rest it is 176,000.
  assert.equal(partsOf(route(wish('buy', 1000, 300), lumps)), { a: 500, b: 500 })
  const plan = route(wish('buy', 1000, 300), [
    lumps[0]!,
    { ...lumps[1]!, least: wh(1000) },
    option('c', 'storage', 200, 1000),
  ])
  assert.equal(partsOf(plan), { a: 600, c: 400 })
  assert.is(codesOf(plan)['b'], 'route.not-best')
})

test('each option that is not taken is told why', () => {
  const plan = route(
    wish('buy', 500, 250, {
      strict: true,
      premium: { solar: price(0) },
      refuse: new Set(['enemy']),
      models: new Set<Model>(['direct', 'ad-hoc']),
    }),
    [
      grid,
      street,
      { ...street, price: price(1) },
      option('enemy', 'direct', 1, 500),
      option('coal', 'direct', 1, 500, { source: 'conventional' }),
      store,
      option('dear', 'ad-hoc', 201, 500, { fee: price(50) }),
      option('large', 'ad-hoc', 1, 600, { least: wh(501) }),
      option('worse', 'ad-hoc', 250, 500),
      option('empty', 'ad-hoc', 1, 0),
      option('minus', 'ad-hoc', 1, -5),
      option('nan', 'ad-hoc', 1, 5, { firmness: Number.NaN }),
      option('huge', 'ad-hoc', 1, 5, { price: price(10n ** 18n) }),
      option('fee', 'ad-hoc', 1, 5, { fee: price(-1) }),
    ],
  )
  assert.equal(codesOf(plan), {
    street: 'route.twice',
    enemy: 'route.partner',
    coal: 'route.source',
    store: 'route.model',
    dear: 'route.limit',
    large: 'route.too-large',
    worse: 'route.not-best',
    empty: 'route.value',
    minus: 'route.value',
    nan: 'route.value',
    huge: 'route.value',
    fee: 'route.value',
    grid: 'route.not-best',
  })
  const only = route(wish('buy', 500, 250, { partners: new Set(['market']) }), [grid, street, market])
  assert.equal(partsOf(only), { market: 400, grid: 100 })
  assert.is(codesOf(only)['street'], 'route.partner')
  const many = Array.from({ length: 130 }, (_, n) => option(`o${String(n).padStart(3, '0')}`, 'direct', 1, 1))
  assert.equal(codesOf(route(wish('buy', 500, 250), many)), { o128: 'route.too-many', o129: 'route.too-many' })
  const flooded = route(wish('buy', 500, 250), [...many, option('grid', 'supplier', 300, 1000)])
  assert.is(flooded.short, 0n)
  assert.is(partsOf(flooded)['grid'], 372)
})

const anyOption = fc.record({
  model: fc.constantFrom<Model>(...MODELS),
  price: fc.integer({ min: -3, max: 12 }),
  fee: fc.integer({ min: 0, max: 3 }),
  capacity: fc.integer({ min: 1, max: 8 }),
  least: fc.integer({ min: 0, max: 6 }),
  firmness: fc.constantFrom(1000, 1000, 900, 500),
  source: fc.constantFrom(...SOURCES),
})
const anyCase = fc
  .record({
    side: fc.constantFrom<Wish['side']>('buy', 'sell'),
    energy: fc.integer({ min: 0, max: 8 }),
    must: fc.integer({ min: 0, max: 8 }),
    limit: fc.integer({ min: 0, max: 12 }),
    solar: fc.integer({ min: 0, max: 4 }),
    strict: fc.boolean(),
    tariff: fc.integer({ min: 0, max: 14 }),
    options: fc.array(anyOption, { maxLength: 4 }),
  })
  .map(({ side, energy, must, limit, solar, strict, tariff, options }) => ({
    wish: wish(side, energy, limit, { must: wh(must), premium: { solar: price(solar) }, strict }),
    options: [
      option('tariff', 'supplier', tariff, 100),
      ...options
        .filter(({ model, least, capacity }) => model !== 'supplier' && least <= capacity)
        .map(({ model, price: at, fee, capacity, least, firmness, source }, n) =>
          option(`${n}`, model, at, capacity, { fee: price(fee), least: wh(least), firmness, source }),
        ),
    ],
  }))

/** What a filling is expected to cost, in thousandths, written from the text of the rule. */
function expectedCost(
  { side, limit, premium }: Wish,
  taken: readonly (readonly [Option, number])[],
  left: number,
): number {
  const tariff = taken.find(([{ model }]) => model === 'supplier')![0].price
  let cost = (side === 'buy' ? 1 : -1) * left * Number(limit) * 1000
  for (const [{ price: at, fee, firmness, source }, energy] of taken) {
    const worth = source === undefined ? 0 : Number(premium[source] ?? 0)
    const each = side === 'buy' ? Number(at + fee) - worth : Number(at - fee)
    cost += (side === 'buy' ? 1 : -1) * energy * (firmness * each + (1000 - firmness) * Number(tariff))
  }
  return cost
}

function* fillings(options: readonly Option[], energy: number): Iterable<readonly (readonly [Option, number])[]> {
  const [first, ...others] = options
  if (first === undefined) return yield []
  for (let some = 0; some <= Math.min(energy, Number(first.capacity)); some++) {
    if (some > 0 && some < Number(first.least)) continue
    for (const rest of fillings(others, energy - some)) yield [[first, some], ...rest]
  }
}

test('no other filling costs less, by brute force over whole watt-hours', () => {
  assertProperty(
    fc.property(anyCase, ({ wish: want, options }) => {
      const plan = route(want, options)
      const inLimit = ({ model, price: at, fee, source }: Option) =>
        model === 'supplier' ||
        (want.side === 'sell' ? at - fee >= want.limit : at + fee <= want.limit && (!want.strict || source === 'solar'))
      let best = Number.POSITIVE_INFINITY
      for (const taken of fillings(options.filter(inLimit), Number(want.energy))) {
        const left = Number(want.energy) - taken.reduce((sum, [, energy]) => sum + energy, 0)
        if (left <= Math.max(0, Number(want.energy - want.must))) best = Math.min(best, expectedCost(want, taken, left))
      }
      const taken = plan.parts.map(({ option: one, energy }) => [one, Number(energy)] as const)
      const tariff = [options[0]!, 0] as const
      assert.is(plan.short, 0n)
      assert.is(expectedCost(want, [...taken, tariff], Number(plan.left)), best)
    }),
    1500,
  )
})

test('parts and what is left sum to the quantity, within each option and the limit, in any order of options', () => {
  assertProperty(
    fc.property(anyCase, ({ wish: want, options }) => {
      const plan = route(want, options)
      let sum = plan.left + plan.short
      for (const { option: one, energy } of plan.parts) {
        sum += energy
        assert.ok(energy > 0n && energy >= one.least && energy <= one.capacity)
        const all = want.side === 'buy' ? one.price + one.fee : one.price - one.fee
        if (one.model !== 'supplier') assert.ok(want.side === 'buy' ? all <= want.limit : all >= want.limit)
      }
      assert.is(sum, want.energy)
      assert.is(plan.parts.length + plan.refused.length, options.length)
      assert.equal(route(want, options.toReversed()), plan)
    }),
    1000,
  )
})

test('three models together are never worse than any one of them', () => {
  assertProperty(
    fc.property(anyCase, ({ wish: want, options }) => {
      const cost = (models: readonly Model[]) => {
        const { parts, left } = route({ ...want, models: new Set(models) }, options)
        const taken = parts.map(({ option: one, energy }) => [one, Number(energy)] as const)
        return expectedCost(want, [...taken, [options[0]!, 0]], Number(left))
      }
      for (const model of MODELS) assert.ok(cost(MODELS) <= cost([model]))
    }),
    500,
  )
})

test('a hundred options with smallest quantities are routed in an instant', () => {
  const options = Array.from({ length: 100 }, (_, n) =>
    option(`o${n}`, 'ad-hoc', 100 + ((n * 7919) % 150), 300 + ((n * 31) % 400), { least: wh(250 + ((n * 17) % 50)) }),
  )
  const plan = route(wish('buy', 9001, 300), [grid, ...options])
  assert.is(
    plan.parts.reduce((sum, { energy }) => sum + energy, 0n),
    9001n,
  )
}, 2000)

test('quantities that fit no need are not tried for ever', () => {
  // 60 lots of even size and one price, and a need that is odd.
  const lots = Array.from({ length: 60 }, (_, n) => option(`lot${n}`, 'ad-hoc', 100, 100, { least: wh(100) }))
  const plan = route(wish('buy', 3001, 300), [{ ...grid, least: wh(2) }, ...lots])
  assert.is(plan.short + plan.parts.reduce((sum, { energy }) => sum + energy, 0n), 3001n)
}, 5000)

test.run()
