/**
 * The running day's bill as it is told: worked out anew each minute, and not told at all once it is old or its day is over. What a
 * site pays is positive here, as costs are in a home: the API's own sums are the other way round.
 */
import type { Cancel, Clock, Log, Timers } from '../../drivers/ports.ts'
import { faultLine } from '../../protocol/result.ts'
import { isoTime } from '../../protocol/time.ts'
import type { SiteBill, SiteBills } from '../bill/site-bill.ts'
import { decimalOf, exactNumber } from './registers.ts'

export interface BillTold {
  /** When the day began: the sums begin at 0 then. */
  readonly since: string
  /** What lies before is in the sums, but for what is missing. */
  readonly until: string
  /** In coins; negative where more is earned than paid. */
  readonly cost: number | string
  /** What trading saved against the supplier alone, in coins. */
  readonly saved: number | string
  /** Why some stretches of the day are in no sum yet, or never. */
  readonly missing: readonly string[]
}

/** It is a sum over a day's readings and deals; the page asks for it as often. */
const EVERY_MS = 60_000
/** Three that came to nothing: what was told last is then no longer today's. */
const OLD_MS = 3 * EVERY_MS
const MICRO = -6

export interface BillKept {
  /** Undefined while nobody knows. */
  latest(): BillTold | undefined
  stop(): void
}

export function keepBill(bills: SiteBills, clock: Clock, timers: Timers, log: Log): BillKept {
  let kept: { readonly bill: SiteBill; readonly at: number } | undefined
  let asking = false
  let said = ''
  async function look(): Promise<void> {
    if (asking) return
    asking = true
    const bill = await bills.bill('day', clock.now())
    asking = false
    if (bill.ok) kept = { bill: bill.value, at: clock.mono() }
    // What stands in the way is said once.
    const now = bill.ok ? '' : bill.fault.code
    if (!bill.ok && now !== said) log('warn', 'publish', `today's bill is not told: ${faultLine(bill.fault)}`)
    said = now
  }
  const cancel: Cancel = timers.every(EVERY_MS, () => void look())
  void look()
  return {
    latest() {
      if (kept === undefined || clock.mono() - kept.at > OLD_MS) return undefined
      const { start, end, until, money, saved, missing } = kept.bill
      const now = clock.now()
      return now >= start && now < end ? told({ start, until, money, saved, missing }) : undefined
    },
    stop: cancel,
  }
}

const told = (bill: Pick<SiteBill, 'start' | 'until' | 'money' | 'saved' | 'missing'>): BillTold => ({
  since: isoTime(bill.start),
  until: isoTime(bill.until),
  cost: exactNumber(decimalOf({ value: -bill.money, scaler: MICRO })),
  saved: exactNumber(decimalOf({ value: bill.saved, scaler: MICRO })),
  missing: [...new Set(bill.missing.map(({ why }) => why))],
})
