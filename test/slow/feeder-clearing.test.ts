/** Random feeder trees and order books, each cleared and judged by a linear program. */
import { openOptimiser } from '../../drivers/optimiser/highs.ts'
import { checkFeederClearing, clearFeeder, roomOfFeeder } from '../../protocol/market/feeder-clearing.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'
import { assertProperty, fc } from '../property.ts'
import { anyMarket, BEACON, programOf, welfareOf } from '../protocol/market/feeder-street.ts'

const test = suite('feeder clearing, many times')

test('50,000 random trees and books: the linear program’s welfare and local prices that prove it', async () => {
  const optimiser = await openOptimiser()
  let trades = 0
  assertProperty(
    fc.property(anyMarket(16, 30), ({ feeder, orders }) => {
      const clearing = must(clearFeeder(feeder, orders, BEACON))
      must(checkFeederClearing(feeder, orders, clearing))
      const optimum = must(optimiser.solve(programOf(feeder, orders, roomOfFeeder(feeder))))
      assert.is(welfareOf(feeder, orders, clearing), BigInt(Math.round(optimum.objective)))
      if (clearing.traded.some(energy => energy > 0n)) trades++
    }),
    50_000,
  )
  assert.ok(trades > 20_000, `${trades} with trades`)
}, 900_000)

test.run()
