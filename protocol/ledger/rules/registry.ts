/**
 * Which meters there are.
 *
 * A meter is revoked because its key or its counter is not believed any more. Whoever has the key can date a reading back,
 * so no receipt of it is taken from then on, whatever time its readings carry. A receipt that stands already keeps its
 * place, and a deal that was locked before settles by its rules: the other side's receipt counts alone once the dispute
 * window is over, and without one the escrow goes back to the buyer.
 *
 * A meter is suspended by the regulator, from a coming moment on: no contract of it is committed whose window starts in the
 * suspension. What is committed stays, and its receipts are taken: the regulator ends no deal, it lets none begin.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { admissionFault } from '../../identity/key.ts'
import { done, ok, type Result } from '../../result.ts'
import type { Instant } from '../../time.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import { accountId, type Draft, type State } from '../state.ts'
import { ACCOUNTS, type EnrolledMeter, METERS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { hasRole } from './roles.ts'
import { forgetRegisters } from './windows.ts'

type Answer = Result<Uint8Array, LedgerFault>

const NO_DATA = new Uint8Array(0)

export const registryKinds = {
  enrol: { gas: 1n, apply: applyEnrol },
  revoke: { gas: 1n, apply: applyRevoke },
  suspend: { gas: 1n, apply: applySuspend },
} satisfies Partial<Kinds>

/** The operator enrols, and whom it made an enroller. */
function checkEnroller(draft: Draft, sender: Uint8Array, { rules }: Applying): Result<void, LedgerFault> {
  return equalBytes(sender, rules.operator) || hasRole(draft, 'enroller', sender)
    ? done
    : refuse('ledger.role-only', { role: 'enroller', sender: toHex(sender) })
}

function applyEnrol(draft: Draft, sender: Uint8Array, body: BodyOf<'enrol'>, applying: Applying): Answer {
  const { meterId, ...meter } = body
  const allowed = checkEnroller(draft, sender, applying)
  if (!allowed.ok) return allowed
  const before = draft.get(METERS, meterId)
  if (before !== undefined && before.revoked === undefined) return refuse('ledger.meter-taken', { meterId })
  if (draft.get(ACCOUNTS, accountId(meter.owner)) === undefined) {
    return refuse('ledger.no-account', { owner: toHex(meter.owner) })
  }
  const fault = admissionFault(meter.publicKey)
  if (fault !== undefined) return refuse('ledger.key', { reason: fault.reason })
  // A serial number comes back with a new key only: what the old one signed stays without worth.
  if (before !== undefined && equalBytes(before.publicKey, meter.publicKey)) {
    return refuse('ledger.key', { reason: 'revoked' })
  }
  // Another enrolment is no way out of a suspension.
  const suspended = before?.suspended === undefined ? {} : { suspended: before.suspended }
  draft.put(METERS, meterId, { ...meter, ...suspended })
  forgetRegisters(draft, meterId)
  return ok(NO_DATA)
}

/** The suspension of a meter that holds for a window of this start. */
export function suspendedAt({ suspended }: EnrolledMeter, start: Instant): EnrolledMeter['suspended'] {
  if (suspended === undefined || start < suspended.from) return undefined
  return suspended.until === undefined || start < suspended.until ? suspended : undefined
}

/** A meter that is the sender's, and is believed. */
export function ownMeter(state: State, meterId: string, owner: Uint8Array): Result<EnrolledMeter, LedgerFault> {
  const meter = state.get(METERS, meterId)
  if (meter === undefined) return refuse('ledger.meter-unknown', { meterId })
  if (meter.revoked !== undefined) return refuse('ledger.meter-revoked', { meterId, revoked: meter.revoked })
  return equalBytes(meter.owner, owner)
    ? ok(meter)
    : refuse('ledger.meter-owner', { meterId, enrolled: toHex(meter.owner), sender: toHex(owner) })
}

function applyRevoke(draft: Draft, sender: Uint8Array, { meterId }: BodyOf<'revoke'>, applying: Applying): Answer {
  const allowed = checkEnroller(draft, sender, applying)
  if (!allowed.ok) return allowed
  const meter = draft.get(METERS, meterId)
  if (meter === undefined) return refuse('ledger.meter-unknown', { meterId })
  if (meter.revoked !== undefined) return refuse('ledger.meter-revoked', { meterId, revoked: meter.revoked })
  draft.put(METERS, meterId, { ...meter, revoked: applying.time })
  return ok(NO_DATA)
}

/**
 * Announced, not backdated: from a moment after this block on. It takes the place of the meter's suspension, if there is
 * one; one that ends where it begins lifts that.
 */
function applySuspend(
  draft: Draft,
  sender: Uint8Array,
  { meterId, ...suspended }: BodyOf<'suspend'>,
  { time }: Applying,
): Answer {
  if (!hasRole(draft, 'regulator', sender)) {
    return refuse('ledger.role-only', { role: 'regulator', sender: toHex(sender) })
  }
  const meter = draft.get(METERS, meterId)
  if (meter === undefined) return refuse('ledger.meter-unknown', { meterId })
  const { from, until } = suspended
  if (from <= time || (until !== undefined && until < from)) {
    return refuse('ledger.suspension', { from, until, now: time })
  }
  const { suspended: _, ...free } = meter
  draft.put(METERS, meterId, until === from ? free : { ...free, suspended })
  return ok(NO_DATA)
}
