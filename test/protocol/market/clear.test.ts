/** Clearings judged by the linear program, by brute force over prices and watt-hours, and by hand. */
import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { toHex } from '../../../protocol/bytes.ts'
import {
  clear,
  clearingHash,
  createSum,
  type Rule,
  tradedQuantity,
  tradesOf,
  welfareOf,
} from '../../../protocol/market/clear.ts'
import { shareOut } from '../../../protocol/market/matching.ts'
import type { BookOrder } from '../../../protocol/market/ranking.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { faultLine, must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import {
  anyBook,
  anyRule,
  anyUniformRule,
  BEACON,
  bookOrder,
  clearingPrices,
  namedTrades,
  PAY_AS_BID,
  PAY_AS_CLEAR,
  tradesByUnits,
  welfareNumber,
  welfareProgram,
} from './books.ts'

const test = suite('market clearing')
const optimiser = await openOptimiser()

/** 4 at 30 and 6 at 24 meet 5 at 10 and 3 at 20; 4 at 15 and 9 at 26 stay outside. */
const small = [
  bookOrder('bid', 6, 24, 'b2'),
  bookOrder('offer', 9, 26, 's3'),
  bookOrder('offer', 5, 10, 's1'),
  bookOrder('bid', 4, 30, 'b1'),
  bookOrder('bid', 4, 15, 'b3'),
  bookOrder('offer', 3, 20, 's2'),
]
const names = new Map(['b1', 'b2', 'b3', 's1', 's2', 's3'].map(name => [toHex(bookOrder('bid', 1, 1, name).id), name]))
const shown = (orders: readonly BookOrder[], rule: Rule) =>
  tradesOf(orders, must(clear(orders, rule, BEACON))).map(
    ({ bid, offer, quantity, price }) =>
      `${names.get(toHex(bid.id))} ${names.get(toHex(offer.id))} ${quantity} at ${price}`,
  )

test('pay as bid serves the highest bid from the lowest offer, each pair at a price of its own', () => {
  assert.equal(shown(small, PAY_AS_BID), ['b1 s1 4 at 30', 'b2 s1 1 at 24', 'b2 s2 3 at 24'])
  const half = { ...PAY_AS_BID, k: 500 } as Rule
  assert.equal(shown(small, half), ['b1 s1 4 at 20', 'b2 s1 1 at 17', 'b2 s2 3 at 22'])
  assert.is(welfareOf(small, must(clear(small, PAY_AS_BID, BEACON))), 4n * 20n + 14n + 3n * 4n)
})

test('pay as clear has one price, from the best that stays outside to the last that comes in', () => {
  // What is left of b2 at 24 would pay more than 23 and no offer below 26 is left: the price is 24 and no other.
  assert.equal(must(clear(small, PAY_AS_CLEAR, BEACON)).uniform, {
    price: microsPerKwh(24n),
    lower: microsPerKwh(24n),
    upper: microsPerKwh(24n),
    spread: microsPerKwh(0n),
  })
  // b2 wants 4: nothing is left of it, s2 is used up, and any price from 20 to 24 would do.
  const exact = small.map(order => (order.limit === 24n ? { ...order, quantity: wattHours(4n) } : order))
  const priceBy = (rule: object) =>
    Number(must(clear(exact, { rule: 'pay-as-clear', ties: 'first-come', ...rule } as Rule, BEACON)).uniform!.price)
  assert.is(priceBy({ option: 'between', k: 0 }), 20)
  assert.is(priceBy({ option: 'between', k: 250 }), 21)
  assert.is(priceBy({ option: 'between', k: 1000 }), 24)
  assert.is(priceBy({ option: 'midpoint' }), 22)
  assert.is(priceBy({ option: 'last-bid' }), 24)
  assert.is(priceBy({ option: 'last-offer' }), 20)
  // (15 + 26) / 2 = 20.5, rounded down, lies between 20 and 24: nobody is left out.
  assert.is(priceBy({ option: 'mcafee' }), 20)
})

test('McAfee leaves the last pair out where the middle of the next is no clearing price, and names what is left over', () => {
  const book = [
    bookOrder('bid', 4, 30, 'b1'),
    bookOrder('bid', 4, 24, 'b2'),
    bookOrder('offer', 5, 10, 's1'),
    bookOrder('offer', 3, 20, 's2'),
    bookOrder('bid', 1, 2, 'b3'),
    bookOrder('offer', 1, 25, 's3'),
  ]
  const rule: Rule = { rule: 'pay-as-clear', option: 'mcafee', ties: 'first-come' }
  const { uniform } = must(clear(book, rule, BEACON))
  // (2 + 25) / 2 = 13 is below what s2 takes. b1 pays what b2 bid, s1 receives what s2 asked.
  assert.equal(shown(book, rule), ['b1 s1 4 at 24'])
  assert.is(uniform!.spread, 4n)
  // Without a next order on either side there is no middle.
  assert.equal(shown(book.slice(0, 4), rule), ['b1 s1 4 at 24'])
  assert.equal(shown([book[0]!, book[2]!], rule), [])
})

test('a book without a bid, without an offer, or whose sides do not meet trades nothing', () => {
  for (const orders of [
    [],
    [small[0]!],
    [small[2]!],
    [bookOrder('bid', 1, 9, 'b1'), bookOrder('offer', 1, 10, 's1')],
  ]) {
    for (const rule of [PAY_AS_BID, PAY_AS_CLEAR, { ...PAY_AS_CLEAR, option: 'mcafee' } as Rule]) {
      const clearing = must(clear(orders, rule, BEACON))
      assert.is(tradedQuantity(clearing), 0n)
      assert.is(clearing.uniform, undefined)
    }
  }
})

test('whatever the book and the rule, nothing gains more than the clearing does, by the linear program', () => {
  const property = fc.property(anyBook(), anyRule, (orders, rule) => {
    const clearing = must(clear(orders, rule, BEACON))
    assert.is(welfareNumber(orders, clearing), Math.round(must(optimiser.solve(welfareProgram(orders))).objective))
  })
  assertProperty(property, 3000)
})

test('the price of pay as clear lies where brute force says that a price must lie', () => {
  const property = fc.property(anyBook(), anyUniformRule, (orders, rule) => {
    const { uniform } = must(clear(orders, rule, BEACON))
    if (uniform === undefined) return
    const prices = clearingPrices(orders, 31)
    assert.equal([uniform.lower, uniform.upper].map(Number), [prices[0], prices.at(-1)])
    assert.ok(prices.includes(Number(uniform.price)), `${uniform.price} is none of ${prices}`)
    assert.is(uniform.spread, 0n)
  })
  assertProperty(property, 3000)
})

test('who trades with whom is what zipping the book watt-hour by watt-hour gives', () => {
  const property = fc.property(anyBook(), anyRule, (orders, rule) => {
    const clearing = must(clear(orders, { ...rule, ties: 'first-come' }, BEACON))
    assert.equal(namedTrades(orders, clearing), tradesByUnits(orders, BEACON))
  })
  assertProperty(property, 1000)
})

test('every price lies between the two limits, whatever the rule, McAfee’s with what sellers receive', () => {
  const mcafee = fc.constant<Rule>({ rule: 'pay-as-clear', option: 'mcafee', ties: 'pro-rata' })
  const property = fc.property(anyBook(), fc.oneof(anyRule, mcafee), (orders, rule) => {
    const clearing = must(clear(orders, rule, BEACON))
    const spread = clearing.uniform?.spread ?? 0n
    const filled = new Map<BookOrder, bigint>()
    for (const { bid, offer, quantity, price } of tradesOf(orders, clearing)) {
      assert.ok(price <= bid.limit && price - spread >= offer.limit && spread >= 0n)
      assert.ok(quantity > 0n)
      for (const order of [bid, offer]) filled.set(order, (filled.get(order) ?? 0n) + quantity)
    }
    for (const [order, quantity] of filled) assert.ok(quantity <= order.quantity)
  })
  assertProperty(property, 1000)
})

test('the order in which orders came changes nothing', () => {
  const shuffled = anyBook().chain(orders =>
    fc.tuple(fc.constant(orders), fc.shuffledSubarray([...orders], { minLength: orders.length })),
  )
  const property = fc.property(shuffled, anyRule, ([orders, other], rule) => {
    const hash = (book: readonly BookOrder[]) => toHex(clearingHash(book, must(clear(book, rule, BEACON))))
    assert.is(hash(other), hash(orders))
  })
  assertProperty(property, 1000)
})

test('among equal orders the beacon draws, and another beacon draws otherwise', () => {
  // 100 of one price on one side, one on the other: more than a short run, so that both ways of sorting ties are seen.
  for (const count of [10, 100, 1000]) {
    const orders = [
      ...Array.from({ length: count }, (_, i) => bookOrder('bid', 2, 20, `bid ${i}`, i % 3)),
      bookOrder('offer', count, 20, 'offer'),
    ]
    const first = must(clear(orders, PAY_AS_BID, BEACON))
    assert.equal(namedTrades(orders, first), tradesByUnits(orders, BEACON))
    const other = must(clear(orders, PAY_AS_BID, new Uint8Array(32).fill(1)))
    assert.is.not(toHex(clearingHash(orders, other)), toHex(clearingHash(orders, first)))
  }
})

test('all quantities times k trade k times as much at the same price; all prices times k gain k times as much', () => {
  const property = fc.property(anyBook(), fc.integer({ min: 2, max: 100_000 }), (orders, k) => {
    const times = BigInt(k)
    const before = must(clear(orders, PAY_AS_CLEAR, BEACON))
    const more = orders.map(order => ({ ...order, quantity: wattHours(order.quantity * times) }))
    const larger = must(clear(more, PAY_AS_CLEAR, BEACON))
    assert.is(tradedQuantity(larger), tradedQuantity(before) * times)
    assert.equal(larger.uniform, before.uniform)
    const dear = orders.map(order => ({ ...order, limit: microsPerKwh(order.limit * times) }))
    const dearer = must(clear(dear, PAY_AS_CLEAR, BEACON))
    assert.is(welfareOf(dear, dearer), welfareOf(orders, before) * times)
    assert.equal(dearer.trades.quantity, before.trades.quantity)
    assert.is(dearer.uniform?.lower, before.uniform === undefined ? undefined : before.uniform.lower * times)
    assert.is(dearer.uniform?.upper, before.uniform === undefined ? undefined : before.uniform.upper * times)
  })
  assertProperty(property, 500)
})

test('an order split in two of the same price changes neither welfare nor price nor what is traded', () => {
  const property = fc.property(anyBook(), anyUniformRule, fc.nat(), fc.nat(), (orders, rule, which, where) => {
    const place = which % Math.max(orders.length, 1)
    const whole = orders[place]
    if (whole === undefined || whole.quantity < 2n) return
    const part = BigInt(1 + (where % (Number(whole.quantity) - 1)))
    const split = orders.flatMap((order, i) =>
      i === place
        ? [
            { ...order, quantity: wattHours(part) },
            { ...bookOrder(order.side, order.quantity - part, order.limit, 'the other part', order.sequence) },
          ]
        : [order],
    )
    const [before, after] = [must(clear(orders, rule, BEACON)), must(clear(split, rule, BEACON))]
    assert.is(welfareOf(split, after), welfareOf(orders, before))
    assert.is(tradedQuantity(after), tradedQuantity(before))
    assert.equal(after.uniform, before.uniform)
  })
  assertProperty(property, 1000)
})

test('shares in proportion add up exactly, none is a whole unit off, and none passes its weight', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 1e12 }), { minLength: 1, maxLength: 30 })
  const property = fc.property(weights, fc.double({ min: 0, max: 1, noNaN: true }), (all, part) => {
    const whole = all.reduce((sum, one) => sum + one, 0)
    const total = Math.floor(whole * part)
    const shares = shareOut(total, Float64Array.from(all))
    assert.is(
      shares.reduce((sum, one) => sum + one, 0),
      total,
    )
    for (const [i, share] of shares.entries()) {
      const exact = (BigInt(total) * BigInt(all[i]!)) / BigInt(whole)
      assert.ok(share <= all[i]! && (BigInt(share) === exact || BigInt(share) === exact + 1n))
    }
  })
  assertProperty(property, 1000)
  assert.equal([...shareOut(10, Float64Array.of(3, 3, 3, 3))], [3, 3, 2, 2])
  assert.equal([...shareOut(7, Float64Array.of(1, 10, 5))], [1, 4, 2])
})

test('pro rata gives each of the last price its share, and those before it all', () => {
  const book = [
    bookOrder('bid', 5, 30, 'b1'),
    bookOrder('bid', 20, 20, 'b2'),
    bookOrder('bid', 10, 20, 'b3'),
    bookOrder('offer', 20, 10, 's1'),
  ]
  const got = (rule: Rule) => {
    const by = new Map<string, bigint>()
    for (const { bid, quantity } of tradesOf(book, must(clear(book, rule, BEACON)))) {
      by.set(names.get(toHex(bid.id))!, quantity)
    }
    return ['b1', 'b2', 'b3'].map(name => Number(by.get(name) ?? 0n))
  }
  assert.equal(got({ ...PAY_AS_CLEAR, ties: 'pro-rata' }), [5, 10, 5])
  assert.equal(got({ ...PAY_AS_BID, ties: 'pro-rata' }), [5, 10, 5])
  assert.ok([15, 5].includes(got(PAY_AS_CLEAR)[1]!), 'first come gives all to one of them first')
})

test('orders that would make a number untrue are refused by name', () => {
  const good = bookOrder('bid', 1, 1, 'b1')
  const why = (orders: readonly BookOrder[], rule: Rule = PAY_AS_BID) => {
    const result = clear(orders, rule, BEACON)
    return result.ok ? 'cleared' : faultLine(result.fault).replace(/order=\w+ ?/, '')
  }
  assert.is(why([bookOrder('bid', 0, 1, 'x')]), 'clearing.quantity (quantity=0)')
  assert.is(why([bookOrder('offer', -1, 1, 'x')]), 'clearing.quantity (quantity=-1)')
  assert.is(why([bookOrder('bid', 2n ** 64n, 1, 'x')]), 'clearing.quantity (quantity=18446744073709551616)')
  assert.is(why([bookOrder('bid', 1, -1, 'x')]), 'clearing.price (limit=-1)')
  assert.is(why([bookOrder('bid', 1, 2n ** 32n, 'x')]), 'clearing.price (limit=4294967296)')
  assert.is(why([bookOrder('bid', 1, 1, 'x', -1)]), 'clearing.sequence (sequence=-1)')
  assert.is(why([bookOrder('bid', 1, 1, 'x', Number.NaN)]), 'clearing.sequence (sequence=NaN)')
  assert.is(why([good, good, bookOrder('offer', 3, 1, 's1')]), 'clearing.twice ()')
  const much = Array.from({ length: 9008 }, (_, i) => bookOrder('bid', 1e12, i, `much ${i}`))
  assert.is(why(much), 'clearing.overflow (orders=9008)')
  for (const k of [-1, 1001, 0.5, Number.NaN]) {
    assert.is(why([good], { ...PAY_AS_BID, k } as Rule), `clearing.rule (k=${k})`)
  }
})

test('welfare is exact where doubles are not', () => {
  const orders = [
    bookOrder('bid', 1e12 - 1, 4_294_967_295n, 'b1'),
    bookOrder('bid', 999_999_999_989, 4_294_967_291n, 'b2'),
    bookOrder('offer', 1e12, 1, 's1'),
    bookOrder('offer', 999_999_999_988, 2, 's2'),
  ]
  const exact = (10n ** 12n - 1n) * 4_294_967_294n + 4_294_967_290n + 999_999_999_988n * 4_294_967_289n
  assert.is(welfareOf(orders, must(clear(orders, PAY_AS_BID, BEACON))), exact)
  const sum = createSum()
  const factors = [2 ** 31 + 1, 2 ** 22 - 1, 3, 2 ** 40 + 7]
  for (const factor of factors) sum.add(factor, -factor)
  assert.is(sum.value(), -factors.map(BigInt).reduce((total, factor) => total + factor * factor, 0n))
})

test.run()
