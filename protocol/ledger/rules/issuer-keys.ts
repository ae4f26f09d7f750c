/**
 * Issuer keys of one-time keys' certificates (protocol/privacy): one a slot and side, for everybody the same, ahead of the
 * slot and never changed. A registrar that could give each meter a key of its own would know its certificates again.
 */
import { toHex } from '../../bytes.ts'
import { isModulus } from '../../crypto/rsa-pss.ts'
import { ok, type Result } from '../../result.ts'
import { type Instant, later } from '../../time.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import type { Draft } from '../state.ts'
import { ISSUER_KEYS, issuerKeyId } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { SLOT_MS } from './lines.ts'
import { hasRole } from './roles.ts'

/** A week, and a day: nobody orders farther ahead. */
const MAX_AHEAD_MS = 8 * 86_400_000

export const issuerKinds = { issuerKey: { gas: 1n, apply: applyIssuerKey } } satisfies Partial<Kinds>

function applyIssuerKey(
  draft: Draft,
  sender: Uint8Array,
  { slot, side, modulus }: BodyOf<'issuerKey'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  if (!hasRole(draft, 'registrar', sender)) {
    return refuse('ledger.role-only', { role: 'registrar', sender: toHex(sender) })
  }
  if (slot <= time) return refuse('ledger.window-begun', { start: slot, now: time })
  if (slot > time + MAX_AHEAD_MS) return refuse('ledger.window-far', { start: slot, latest: time + MAX_AHEAD_MS })
  if (!isModulus(modulus)) return refuse('ledger.issuer-key', { bytes: modulus.length })
  const id = issuerKeyId(slot, side)
  const known = draft.get(ISSUER_KEYS, id)
  // Not even by the same registrar: whoever asked under the first one would be told apart from the others.
  if (known !== undefined) return refuse('ledger.issuer-key-taken', { slot, side, by: toHex(known.registrar) })
  // Books close before their slot begins; for a while longer anybody can check again what stood in one.
  draft.put(ISSUER_KEYS, id, { registrar: sender, modulus, kept: later(slot, SLOT_MS) })
  return ok(new Uint8Array(0))
}

/** A key whose slot is over. */
export function forgetIssuerKey(draft: Draft, id: string, time: Instant): void {
  const key = draft.get(ISSUER_KEYS, id)
  if (key !== undefined && key.kept <= time) draft.remove(ISSUER_KEYS, id)
}
