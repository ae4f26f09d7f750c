/**
 * A store's customer declares on the ledger what its meter will take and give the next day by deals with others, as on the day
 * before: the store plans around it (storage.ts), for trades among others are not the store's to move.
 */
import { DAY_AHEAD_MS } from '../../protocol/ledger/rules/plans.ts'
import { isOver } from '../../protocol/trade/deal-state.ts'
import type { DealInfo } from '../trading/trading.ts'
import type { Part, PartOptions } from './part.ts'

const DAY_MS = 86_400_000
const QUARTER_MS = 900_000
const SLOTS = 96
const LOOK_MS = 60_000
/** A quarter of an hour before stores begin to publish, an hour before the gate. */
const DECLARE_MS = 75 * 60_000

export interface StoreDeclareOptions extends Pick<PartOptions, 'energy' | 'clock' | 'timers' | 'health'> {
  readonly peer: string
  meterId(): string | undefined
  deals(): readonly DealInfo[]
}

export function createStoreDeclare(options: StoreDeclareOptions): Part {
  const { clock, timers, energy, peer } = options
  let cancel = () => {}
  let declared = 0

  /** What the last day's deals with others came to, by the quarter of the day; above zero it takes. */
  function planned(now: number): bigint[] {
    const plan = Array.from({ length: SLOTS }, () => 0n)
    for (const one of options.deals()) {
      const { role, contract, state } = one.runner.deal()
      const { start, end, energy: whole } = contract
      const never = isOver(one.runner.deal()) && state !== 'settled'
      // What is still to begin has its quarter of the last day in the plan already.
      const lastDay = start >= now - DAY_MS && start < now
      if (one.peer === peer || never || !lastDay || end - start > QUARTER_MS) continue
      plan[Math.floor(start / QUARTER_MS) % SLOTS]! += role === 'buyer' ? whole : -whole
    }
    return plan
  }

  async function declare(): Promise<void> {
    const now = clock.now()
    const day = Math.floor((now + DAY_AHEAD_MS) / DAY_MS) + 1
    const meterId = options.meterId()
    if (declared === day || meterId === undefined || now < day * DAY_MS - DAY_AHEAD_MS - DECLARE_MS) return
    declared = day
    const plan = planned(now)
    if (plan.every(net => net === 0n)) {
      declared = 0
      return
    }
    const sent = await energy.account.submit({ kind: 'schedule', body: { meterId, day, plan } })
    options.health('store.declare', sent.ok ? undefined : sent.fault)
    if (!sent.ok) declared = 0
  }

  return {
    start() {
      cancel = timers.every(LOOK_MS, () => void declare())
    },
    stop: () => cancel(),
  }
}
