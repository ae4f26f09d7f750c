/** The price band: what the regulator lets a kilowatt-hour cost. A contract is judged by the band of the block that locks it. */
import { toHex } from '../../bytes.ts'
import { ok, type Result } from '../../result.ts'
import type { Instant } from '../../time.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import type { Draft, State } from '../state.ts'
import { BAND, type Band } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { hasRole } from './roles.ts'

export const bandKinds = { band: { gas: 1n, apply: applyBand } } satisfies Partial<Kinds>

/** The band in force at a block time; undefined where any price will do. */
export function bandAt(state: State, time: Instant): Band | undefined {
  const bands = state.get(BAND, '')
  return bands?.next !== undefined && bands.next.from <= time ? bands.next : bands?.now
}

/** One band is in force and one is announced; another announcement takes the place of the one that has not begun. */
function applyBand(
  draft: Draft,
  sender: Uint8Array,
  next: BodyOf<'band'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  if (!hasRole(draft, 'regulator', sender)) {
    return refuse('ledger.role-only', { role: 'regulator', sender: toHex(sender) })
  }
  const { from, floor, ceiling } = next
  if (floor > ceiling) return refuse('ledger.band', { floor, ceiling })
  // Announced, not backdated: whoever bargains sees it before it binds.
  if (from <= time) return refuse('ledger.band-late', { from, now: time })
  const now = bandAt(draft, time)
  draft.put(BAND, '', { ...(now === undefined ? {} : { now }), next })
  return ok(new Uint8Array(0))
}
