import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { createBookings, type Feeder, feeOfPath, pathBetween } from '../../../protocol/market/feeder.ts'
import {
  checkFeederClearing,
  clearFeeder,
  type FeederClearing,
  type FeederOrder,
  type RoomOf,
  roomOfFeeder,
} from '../../../protocol/market/feeder-clearing.ts'
import { pairsOf, paymentOf } from '../../../protocol/market/feeder-pairs.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, assertProperty, fc } from '../../property.ts'
import { anyMarket, BEACON, feederOf, lineOf, order, programOf, welfareOf } from './feeder-street.ts'

const optimiser = await openOptimiser()

const codeOf = (feeder: Feeder, orders: readonly FeederOrder[], clearing: FeederClearing, roomOf?: RoomOf) => {
  const checked = checkFeederClearing(feeder, orders, clearing, roomOf)
  return checked.ok ? 'true' : checked.fault.code
}

const test = suite('feeder clearing')

/** grid - a, grid - b: fee 10 each, room 100. */
const pair = feederOf(lineOf('grid', undefined, 0n, 0n), lineOf('a', 'grid', 100n, 10n), lineOf('b', 'grid', 100n, 10n))

test('a bid that is worth offer and fee is matched, one a micro-unit below is not', () => {
  const cleared = (limit: bigint) =>
    must(clearFeeder(pair, [order('offer', 'a', 50n, 100n), order('bid', 'b', 50n, limit)], BEACON)).traded
  assert.equal(cleared(120n), [50n, 50n])
  assert.equal(cleared(119n), [0n, 0n])
  assert.equal(must(clearFeeder(pair, [order('offer', 'a', 50n, 100n), order('bid', 'a', 30n, 100n)], BEACON)).traded, [
    30n,
    30n,
  ])
})

test('a full line parts the prices by what it is worth, by hand', () => {
  const orders = [order('offer', 'a', 300n, 100n), order('bid', 'b', 300n, 200n), order('offer', 'b', 300n, 180n)]
  const clearing = must(clearFeeder(pair, orders, BEACON))
  assert.equal(clearing.traded, [100n, 300n, 200n])
  assert.equal(clearing.flows, [0n, 100n, -100n])
  // At b another Wh comes from the dear offer there; at a from the cheap one.
  assert.is(clearing.prices[2], 180n)
  assert.is(clearing.prices[1], 100n)
  assert.is(codeOf(pair, orders, clearing), 'true')
})

test('of what ties the lower sequence goes first, then what the slot’s beacon draws, whatever the order of the list', () => {
  const ties = [
    order('bid', 'a', 10n, 100n),
    order('offer', 'a', 10n, 50n),
    order('offer', 'a', 10n, 50n),
    order('bid', 'a', 5n, 100n),
    order('offer', 'a', 10n, 50n),
  ]
  assert.equal(must(clearFeeder(pair, ties, BEACON)).traded, [10n, 10n, 5n, 5n, 0n])
  assert.equal(must(clearFeeder(pair, ties.toReversed(), BEACON)).traded, [0n, 5n, 5n, 10n, 10n])
  const drawn = ties.map(one => ({ ...one, sequence: 1 }))
  const winners = new Set<string>()
  for (let n = 0; n < 20; n++) {
    const beacon = BEACON.with(0, n)
    const { traded } = must(clearFeeder(pair, drawn, beacon))
    assert.equal(must(clearFeeder(pair, drawn.toReversed(), beacon)).traded.toReversed(), traded)
    winners.add(traded.join())
  }
  // Three offers for 15 Wh: six ways to serve them.
  assert.ok(winners.size > 2 && winners.size <= 6)
})

test('in a tree without orders there is no price, and none is made up', () => {
  const clearing = must(clearFeeder(pair, [], BEACON))
  assert.equal(clearing.prices, [undefined, undefined, undefined])
  assert.is(codeOf(pair, [], clearing), 'true')
})

test('its welfare is the linear program’s and its certificate holds, on random trees and books', () => {
  let [trades, full] = [0, 0]
  assertCovering(
    fc.property(anyMarket(12, 24), ({ feeder, orders }) => {
      const clearing = must(clearFeeder(feeder, orders, BEACON))
      assert.is(codeOf(feeder, orders, clearing), 'true')
      const optimum = must(optimiser.solve(programOf(feeder, orders, roomOfFeeder(feeder))))
      assert.is(welfareOf(feeder, orders, clearing), BigInt(Math.round(optimum.objective)))
      if (clearing.traded.some(energy => energy > 0n)) trades++
      if (clearing.flows.some((flow, line) => flow !== 0n && flow === feeder.nodes[line]!.capacity)) full++
    }),
    1000,
  )
  assert.ok(trades > 250 && full > 25, `${trades} with trades, ${full} with a full line`)
})

test('what is reserved already is left alone, in each direction by itself', () => {
  assertProperty(
    fc.property(
      anyMarket(10, 20),
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.bigInt(1n, 30n)), { maxLength: 10 }),
      ({ feeder, orders }, reservations) => {
        const bookings = createBookings(feeder)
        for (const [n, [from, to, energy]] of reservations.entries()) {
          const ends = [from, to].map(node => feeder.nodes[node % feeder.nodes.length]!.id)
          bookings.take(String(n), must(pathBetween(feeder, ends[0]!, ends[1]!)), 7, wattHours(energy))
        }
        const roomOf: RoomOf = (line, direction) => bookings.free(line, 7, direction)
        const clearing = must(clearFeeder(feeder, orders, BEACON, roomOf))
        assert.is(codeOf(feeder, orders, clearing, roomOf), 'true')
        const optimum = must(optimiser.solve(programOf(feeder, orders, roomOf)))
        assert.is(welfareOf(feeder, orders, clearing), BigInt(Math.round(optimum.objective)))
        for (const [n, { seller, buyer, energy }] of pairsOf(feeder, orders, clearing).entries()) {
          const path = must(pathBetween(feeder, orders[seller]!.node, orders[buyer]!.node))
          assert.ok(bookings.take(`pair ${n}`, path, 7, energy).ok, 'each pair finds its reservation')
        }
      },
    ),
    300,
  )
})

test('pairs trade what was cleared over their own path, within both limits, and their money sums to 0', () => {
  assertProperty(
    fc.property(anyMarket(12, 24), ({ feeder, orders }) => {
      const clearing = must(clearFeeder(feeder, orders, BEACON))
      const sums = orders.map(() => 0n)
      const pairs = pairsOf(feeder, orders, clearing)
      for (const pair of pairs) {
        const [seller, buyer] = [orders[pair.seller]!, orders[pair.buyer]!]
        sums[pair.seller]! += pair.energy
        sums[pair.buyer]! += pair.energy
        assert.is(pair.fee, feeOfPath(feeder, must(pathBetween(feeder, seller.node, buyer.node))))
        assert.ok(pair.rent >= 0n && pair.price <= buyer.limit && pair.price - pair.fee - pair.rent >= seller.limit)
        const { paid, received, fee, rent, residue } = paymentOf(pair, pair.energy)
        assert.is(paid, received + fee + rent + residue)
        assert.ok(residue >= 0n && residue < 3n && paid * 1000n <= buyer.limit * pair.energy)
      }
      assert.equal(sums, clearing.traded.map(BigInt))
      assert.ok(pairs.length < Math.max(1, clearing.traded.filter(energy => energy > 0n).length))
    }),
    300,
  )
})

test('the order of the lines, and a split of an order, change nothing of the welfare', () => {
  assertProperty(
    fc.property(anyMarket(10, 16), fc.nat(), ({ feeder, orders }, which) => {
      const welfare = (book: readonly FeederOrder[]) => welfareOf(feeder, book, must(clearFeeder(feeder, book, BEACON)))
      assert.is(welfare(orders.toReversed()), welfare(orders))
      const first = orders[which % Math.max(1, orders.length)]
      if (first === undefined || first.quantity < 2n) return
      const rest = orders.filter(one => one !== first)
      const halves = [first.quantity / 2n, first.quantity - first.quantity / 2n].map(e =>
        order(first.side, first.node, e, first.limit),
      )
      assert.is(welfare([...rest, ...halves]), welfare(orders))
    }),
    300,
  )
})

test('each false clearing is refused by name', () => {
  const orders = [
    order('offer', 'a', 300n, 100n),
    order('bid', 'b', 300n, 200n),
    order('offer', 'b', 300n, 180n),
    order('bid', 'a', 10n, 20n),
  ]
  const honest = must(clearFeeder(pair, orders, BEACON))
  const lie = (change: { [K in keyof FeederClearing]?: readonly (bigint | undefined)[] }) =>
    codeOf(pair, orders, { ...honest, ...change } as FeederClearing)
  assert.is(lie({}), 'true')
  assert.is(lie({ traded: [100n, 300n, 200n] }), 'feeder-clearing.shape')
  assert.is(lie({ traded: [100n, 300n, 301n, 0n] }), 'feeder-clearing.quantity')
  assert.is(lie({ traded: [-1n, 300n, 200n, 0n] }), 'feeder-clearing.quantity')
  assert.is(lie({ flows: [0n, 99n, -100n] }), 'feeder-clearing.flow')
  // More than the line carries, everything else in order.
  assert.is(lie({ traded: [101n, 300n, 199n, 0n], flows: [0n, 101n, -101n] }), 'feeder-clearing.capacity')
  // A match that does not cover the fee.
  assert.is(lie({ traded: [110n, 300n, 200n, 10n] }), 'feeder-clearing.limit')
  // The dear neighbour is preferred to the cheap one.
  const local = { traded: [0n, 300n, 300n, 0n], flows: [0n, 0n, 0n] }
  assert.is(lie(local), 'feeder-clearing.local-price')
  assert.is(lie({ ...local, prices: [170n, 170n, 180n] }), 'feeder-clearing.passed-over')
  const [grid, a, b] = honest.prices
  assert.is(lie({ prices: [grid, a, 190n] }), 'feeder-clearing.passed-over')
  assert.is(lie({ prices: [grid, 99n, b] }), 'feeder-clearing.limit')
  assert.is(lie({ prices: [grid, a, undefined] }), 'feeder-clearing.price-missing')
  assert.is(lie({ prices: [undefined, a, b] }), 'feeder-clearing.price-missing')
  assert.is(lie({ prices: [105n, a, b] }), 'feeder-clearing.local-price')
})

test('a false price is refused on each kind of line: with flow either way, and with none', () => {
  const three = feederOf(lineOf('grid', undefined, 0n, 0n), ...['a', 'b', 'c'].map(id => lineOf(id, 'grid', 100n, 10n)))
  const orders = [order('offer', 'a', 50n, 100n), order('bid', 'b', 50n, 200n)]
  const honest = must(clearFeeder(three, orders, BEACON))
  assert.equal(honest.prices, [150n, 140n, 160n, 150n])
  const at = (...prices: bigint[]) =>
    codeOf(three, orders, { ...honest, prices: prices.map(price => microsPerKwh(price)) })
  assert.is(at(150n, 140n, 160n, 140n), 'true')
  for (const prices of [
    [150n, 139n, 160n, 150n],
    [150n, 141n, 160n, 150n],
    [150n, 140n, 159n, 150n],
    [150n, 140n, 161n, 150n],
    [150n, 140n, 160n, 161n],
    [150n, 140n, 160n, 139n],
  ]) {
    assert.is(at(...prices), 'feeder-clearing.local-price', prices.join())
  }
})

test('what is sold and bought by nobody is refused at the root', () => {
  const orders = [order('offer', 'grid', 10n, 50n)]
  const prices = [50n, 50n, 50n].map(price => microsPerKwh(price))
  assert.is(codeOf(pair, orders, { traded: [wattHours(10n)], flows: [10n, 0n, 0n], prices }), 'feeder-clearing.flow')
  assert.is(codeOf(pair, orders, { traded: [wattHours(0n)], flows: [0n, 0n, 0n], prices }), 'true')
})

test('a false local price earns its maker money wherever it is not checked', () => {
  const orders = [order('offer', 'a', 50n, 100n), order('bid', 'b', 50n, 200n)]
  const honest = must(clearFeeder(pair, orders, BEACON))
  const forged: FeederClearing = { ...honest, prices: [honest.prices[0], 100n, 200n].map(p => microsPerKwh(p!)) }
  assert.is(codeOf(pair, orders, forged), 'feeder-clearing.local-price')
  // Control: settled unchecked, the buyer pays more and the difference is a rent on a line that is not full.
  const [fair, unfair] = [honest, forged].map(of => paymentOf(pairsOf(pair, orders, of)[0]!, wattHours(50_000n)))
  assert.is(fair!.rent, 0n)
  assert.ok(unfair!.rent > 0n && unfair!.paid > fair!.paid)
})

test('nonsense orders are refused by name', () => {
  const refusal = (bad: FeederOrder) => {
    const cleared = clearFeeder(pair, [order('offer', 'a', 1n, 1n), bad], BEACON)
    return cleared.ok ? undefined : cleared.fault.code
  }
  assert.is(refusal(order('bid', 'a', 1n, 1n)), undefined)
  assert.is(refusal(order('bid', 'x', 1n, 1n)), 'feeder-clearing.node')
  assert.is(refusal(order('bid', 'a', 0n, 1n)), 'clearing.quantity')
  assert.is(refusal(order('bid', 'a', 2n ** 64n, 1n)), 'clearing.quantity')
  assert.is(refusal(order('bid', 'a', 1n, -1n)), 'clearing.price')
  assert.is(refusal(order('bid', 'a', 1n, 2n ** 64n)), 'clearing.price')
  const twice = order('bid', 'a', 1n, 1n)
  const cleared = clearFeeder(pair, [twice, twice], BEACON)
  assert.is(cleared.ok ? undefined : cleared.fault.code, 'clearing.twice')
  // Whoever publishes a clearing of such a book is refused as well.
  const lost = [order('bid', 'x', 1n, 1n)]
  const none = { traded: [wattHours(0n)], flows: [0n, 0n, 0n], prices: [undefined, undefined, undefined] }
  assert.is(codeOf(pair, lost, none), 'feeder-clearing.node')
})

test('a town of 2,000 orders on 500 lines is cleared as the linear program does', () => {
  let seed = 1
  const next = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  const feeder = feederOf(
    ...Array.from({ length: 500 }, (_, n) =>
      lineOf(`n${n}`, n === 0 ? undefined : `n${Math.floor((n - 1) / 4)}`, BigInt(next(20_000)), BigInt(next(20_000))),
    ),
  )
  const orders = Array.from({ length: 2000 }, () =>
    order(next(2) === 0 ? 'bid' : 'offer', `n${next(500)}`, BigInt(1 + next(5000)), BigInt(50_000 + next(250_000))),
  )
  const clearing = must(clearFeeder(feeder, orders, BEACON))
  assert.is(codeOf(feeder, orders, clearing), 'true')
  const optimum = must(optimiser.solve(programOf(feeder, orders, roomOfFeeder(feeder))))
  const welfare = welfareOf(feeder, orders, clearing)
  assert.ok(Math.abs(Number(welfare) / optimum.objective - 1) < 1e-9, `${welfare} of ${optimum.objective}`)
})

test.run()
