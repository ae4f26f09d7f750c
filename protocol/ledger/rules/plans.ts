/**
 * What meters will take and give: a schedule for each day, and orders for what the forecast missed.
 *
 * Both may be replaced until their gate closes; from then on they stand as they are, so that whatever is cleared from them
 * is cleared from what everybody can read. The markets that clear them run beside the ledger.
 */
import { ok, type Result } from '../../result.ts'
import { type Instant, instant, later } from '../../time.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import { ORDERS, SCHEDULES } from '../service-tables.ts'
import type { Draft } from '../state.ts'
import type { Table } from '../table.ts'
import type { BodyOf } from '../tx.ts'
import { SLOT_MS } from './lines.ts'
import { ownMeter } from './registry.ts'

const NO_DATA = new Uint8Array(0)
const DAY_MS = 86_400_000
/** Schedules are fixed at noon of the day before, as Europe's day-ahead markets are. */
export const DAY_AHEAD_MS = 12 * 3_600_000
export const HOUR_AHEAD_MS = 3_600_000
/** A week ahead, from any hour: what lies farther is nobody's plan yet. */
const MAX_AHEAD_MS = 8 * DAY_MS
/** After its time a plan is kept this long, for whoever compares it with what was metered. */
const KEPT_MS = 7 * DAY_MS

export const planKinds = {
  schedule: { gas: 1n, apply: applySchedule },
  order: { gas: 1n, apply: applyOrder },
} satisfies Partial<Kinds>

function checkGate(start: number, aheadMs: number, now: Instant): Result<void, LedgerFault> {
  const gate = start - aheadMs
  if (now >= gate) return refuse('ledger.gate-closed', { start, gate, now })
  if (start > now + MAX_AHEAD_MS) return refuse('ledger.window-far', { start, latest: now + MAX_AHEAD_MS })
  return ok(undefined)
}

function applySchedule(
  draft: Draft,
  owner: Uint8Array,
  { meterId, day, plan }: BodyOf<'schedule'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const meter = ownMeter(draft, meterId, owner)
  if (!meter.ok) return meter
  const open = checkGate(day * DAY_MS, DAY_AHEAD_MS, time)
  if (!open.ok) return open
  const kept = later(instant((day + 1) * DAY_MS), KEPT_MS)
  draft.put(SCHEDULES, `${day}/${meterId}`, { owner, plan, kept })
  return ok(NO_DATA)
}

function applyOrder(
  draft: Draft,
  owner: Uint8Array,
  { meterId, slot, side, energy, limit }: BodyOf<'order'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const meter = ownMeter(draft, meterId, owner)
  if (!meter.ok) return meter
  const open = checkGate(slot * SLOT_MS, HOUR_AHEAD_MS, time)
  if (!open.ok) return open
  const id = `${slot}/${side}/${meterId}`
  if (energy > 0n) {
    const kept = later(instant((slot + 1) * SLOT_MS), KEPT_MS)
    draft.put(ORDERS, id, { owner, energy, limit, kept })
  } else if (draft.get(ORDERS, id) === undefined) return refuse('ledger.no-order', { order: id })
  else draft.remove(ORDERS, id)
  return ok(NO_DATA)
}

/** A schedule or an order that was kept long enough. */
export function forgetPlan(draft: Draft, table: Table<{ readonly kept: Instant }>, id: string, time: Instant): void {
  const plan = draft.get(table, id)
  if (plan !== undefined && plan.kept <= time) draft.remove(table as Table<unknown>, id)
}
