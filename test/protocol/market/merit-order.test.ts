/** Merit order with source preference, judged by linear programs of its own and by hand. */
import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { tradesOf } from '../../../protocol/market/clear.ts'
import {
  type MeritOrder,
  meritOrder,
  RENEWABLE,
  type SourcedOrder,
  worthOf,
} from '../../../protocol/market/merit-order.ts'
import type { LinearProgram, Optimiser } from '../../../protocol/market/optimiser.ts'
import { microsPerKwh, type Price } from '../../../protocol/quantity.ts'
import { faultLine, must, ok } from '../../../protocol/result.ts'
import { SOURCES, type Source } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { BEACON, bookOrder } from './books.ts'

const test = suite('merit order with source preference')
const optimiser = await openOptimiser()
const WHOLE = { k: 1000 }

const offer = (source: Source, quantity: number, limit: number, name = source): SourcedOrder => ({
  ...bookOrder('offer', quantity, limit, name),
  source,
})
const bid = (
  quantity: number,
  limit: number,
  name: string,
  premium: Partial<Record<Source, number>> = {},
  strict = false,
): SourcedOrder => ({
  ...bookOrder('bid', quantity, limit, name),
  preferences: {
    premium: Object.fromEntries(
      Object.entries(premium).map(([source, extra]) => [source, microsPerKwh(BigInt(extra))]),
    ) as Partial<Record<Source, Price>>,
    strict,
  },
})

const anySourcedBook: fc.Arbitrary<readonly SourcedOrder[]> = fc
  .array(
    fc.record({
      side: fc.constantFrom('bid', 'offer'),
      quantity: fc.integer({ min: 1, max: 9 }),
      limit: fc.integer({ min: 0, max: 20 }),
      source: fc.constantFrom(...SOURCES),
      premium: fc.dictionary(fc.constantFrom(...SOURCES), fc.integer({ min: 0, max: 10 })),
      strict: fc.boolean(),
    }),
    { maxLength: 16 },
  )
  .map(all =>
    all.map(({ side, quantity, limit, source, premium, strict }, i) =>
      side === 'bid'
        ? bid(quantity, limit, `bid ${i}`, premium, strict)
        : offer(source, quantity, limit, `offer ${i}` as Source),
    ),
  )

/** The gain of each pair as a variable of its own: another program than the product's. */
function pairsProgram(orders: readonly SourcedOrder[], gain: (worth: number, limit: number, source: Source) => number) {
  const variables: { cost: number; lower: number; upper: number }[] = []
  const terms = orders.map(() => [] as [number, number][])
  for (const [b, buyer] of orders.entries()) {
    for (const [s, seller] of orders.entries()) {
      if (buyer.side !== 'bid' || seller.side !== 'offer') continue
      const worth = worthOf(buyer, seller.source!)
      if (worth === undefined) continue
      const at = variables.push({ cost: gain(worth, Number(seller.limit), seller.source!), lower: 0, upper: 1e9 }) - 1
      terms[b]!.push([at, 1])
      terms[s]!.push([at, 1])
    }
  }
  const constraints = orders.map(({ quantity }, i) => ({ lower: 0, upper: Number(quantity), terms: terms[i]! }))
  return { sense: 'maximise', variables, constraints } satisfies LinearProgram
}
const mostGain = (orders: readonly SourcedOrder[]): number =>
  Math.round(must(optimiser.solve(pairsProgram(orders, (worth, limit) => worth - limit))).objective)

/** The most renewable energy that a clearing of that gain can deliver. */
function attainable(orders: readonly SourcedOrder[], gain: number): number {
  const program = pairsProgram(orders, (_worth, _limit, source) => (RENEWABLE.has(source) ? 1 : 0))
  const gains = pairsProgram(orders, (worth, limit) => worth - limit)
  const enough = {
    lower: gain - 1e-6,
    upper: gain + 1,
    terms: gains.variables.map(({ cost }, i) => [i, cost] as const),
  }
  return Math.round(must(optimiser.solve({ ...program, constraints: [...program.constraints, enough] })).objective)
}

/** Gain and renewable energy of a clearing, after everything that must hold of its trades. */
function judged(orders: readonly SourcedOrder[], clearing: MeritOrder) {
  let [gain, renewable] = [0, 0]
  const filled = new Map<SourcedOrder, bigint>()
  for (const { bid: buyer, offer: seller, quantity, price } of tradesOf(orders, clearing)) {
    const worth = worthOf(buyer, seller.source!)
    assert.ok(worth !== undefined, 'a strict bid has a source that it did not name')
    assert.ok(price >= seller.limit && price <= BigInt(worth!))
    assert.ok(quantity > 0n)
    gain += (worth! - Number(seller.limit)) * Number(quantity)
    if (RENEWABLE.has(seller.source!)) renewable += Number(quantity)
    for (const order of [buyer, seller]) filled.set(order, (filled.get(order) ?? 0n) + quantity)
  }
  for (const [order, quantity] of filled) assert.ok(quantity <= order.quantity)
  return { gain, renewable }
}

test('a premium lets solar win over cheaper energy, and no further than the premium', () => {
  const shown = (orders: readonly SourcedOrder[]) =>
    tradesOf(orders, must(meritOrder(orders, WHOLE, BEACON, optimiser)))
      .map(({ offer: seller, quantity, price }) => `${quantity} ${seller.source} at ${price}`)
      .join(', ')
  const both = [offer('solar', 5, 14), offer('conventional', 5, 10)]
  assert.equal(shown([bid(5, 20, 'b', { solar: 5 }), ...both]), '5 solar at 25')
  assert.equal(shown([bid(5, 20, 'b', { solar: 3 }), ...both]), '5 conventional at 20')
  assert.equal(shown([bid(5, 20, 'b'), ...both]), '5 conventional at 20')
  // Equal gain: the renewable one.
  assert.equal(shown([bid(5, 20, 'b', { solar: 4 }), ...both]), '5 solar at 24')
  // What solar does not cover comes from elsewhere, unless the bid is strict.
  assert.equal(shown([bid(8, 20, 'b', { solar: 5 }), ...both]), '5 solar at 25, 3 conventional at 20')
  assert.equal(shown([bid(8, 20, 'b', { solar: 5 }, true), ...both]), '5 solar at 25')
})

test('it gains what the linear program of all pairs gains, and delivers what renewable energy can be', () => {
  const property = fc.property(anySourcedBook, orders => {
    const { gain, renewable } = judged(orders, must(meritOrder(orders, { k: 500 }, BEACON, optimiser)))
    assert.is(gain, mostGain(orders))
    assert.ok(renewable >= attainable(orders, gain), `${renewable} of ${attainable(orders, gain)}`)
  })
  assertProperty(property, 600)
})

test('without preferences and with one source it gains what pay as bid would', () => {
  const property = fc.property(anySourcedBook, all => {
    const orders = all.map(order =>
      order.side === 'bid'
        ? { ...order, preferences: { premium: {}, strict: false } }
        : { ...order, source: 'wind' as const },
    )
    const best = mostGain(orders)
    assert.is(judged(orders, must(meritOrder(orders, WHOLE, BEACON, optimiser))).gain, best)
  })
  assertProperty(property, 300)
})

test('the order in which orders came changes nothing', () => {
  const shuffled = anySourcedBook.chain(orders =>
    fc.tuple(fc.constant(orders), fc.shuffledSubarray([...orders], { minLength: orders.length })),
  )
  const property = fc.property(shuffled, ([orders, other]) => {
    const named = (book: readonly SourcedOrder[]) =>
      tradesOf(book, must(meritOrder(book, WHOLE, BEACON, optimiser))).map(
        ({ bid: buyer, offer: seller, quantity, price }) =>
          `${toHex(buyer.id)} ${toHex(seller.id)} ${quantity} ${price}`,
      )
    assert.equal(named(other), named(orders))
  })
  assertProperty(property, 300)
})

test('a solver that is wrong by a watt-hour, or not at its optimum, is not believed', () => {
  const orders = [bid(5, 20, 'b', { solar: 5 }), offer('solar', 5, 14), offer('conventional', 5, 10)]
  const lying = (change: (values: number[]) => void): Optimiser => ({
    solve(program) {
      const answer = must(optimiser.solve(program))
      const values = [...answer.values]
      change(values)
      return ok({ ...answer, values })
    },
  })
  const why = (change: (values: number[]) => void) => {
    const result = meritOrder(orders, WHOLE, BEACON, lying(change))
    return result.ok ? 'believed' : result.fault.code
  }
  assert.is(
    why(() => {}),
    'believed',
  )
  assert.is(
    why(values => values.fill(0)),
    'merit-order.unproven',
  )
  assert.is(
    why(values => {
      values[0]! += 1
    }),
    'merit-order.unproven',
  )
  assert.is(
    why(values => {
      values[0]! += 1e-7
    }),
    'believed',
  )
})

test('an offer without a source is refused', () => {
  const { source: _, ...bare } = offer('solar', 1, 1)
  const result = meritOrder([bare], WHOLE, BEACON, optimiser)
  assert.match(result.ok ? 'cleared' : faultLine(result.fault), /^merit-order\.source/)
  assert.not.ok(meritOrder([], { k: -1 }, BEACON, optimiser).ok)
})

test.run()
