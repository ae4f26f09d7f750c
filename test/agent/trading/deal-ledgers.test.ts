/** What a deal asks of the ledgers, and that it asks nothing any more once it is over. */
import { createDealLedgers } from '../../../agent/trading/deal-ledgers.ts'
import { instant } from '../../../protocol/time.ts'
import type { Deal } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { Side } from '../../protocol/trade/grid-deal.ts'

const test = suite('deal ledgers')

test('a deal that is over leaves no timer behind, one that is not keeps its own', () => {
  let deal: Deal = new Side('buyer').until('armed').deal
  const ticking = new Set<() => void>()
  const timers = {
    every: (_: number, tick: () => void) => {
      ticking.add(tick)
      return () => void ticking.delete(tick)
    },
    after: () => () => {},
    exactly: async () => {},
    sleep: async () => {},
  }
  const none = {} as never
  createDealLedgers({
    name: 'deal',
    deal: () => deal,
    around: {
      light: none,
      account: none,
      clock: { now: () => instant(0) },
      timers,
      log: () => {},
      onRefused: () => {},
    },
    feed: () => {},
    relied: () => false,
  })
  for (const tick of [...ticking]) tick()
  assert.is(ticking.size, 1)
  deal = new Side('buyer').until('settled').deal
  for (const tick of [...ticking]) tick()
  assert.is(ticking.size, 0)
})

test.run()
