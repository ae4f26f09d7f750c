/**
 * Heads of journals, so that an end that was cut off is missed.
 *
 * Of each journal of an account the newest head stands here, and never goes back. What the frames hold is no concern of the
 * ledger's: whoever has the journal compares. Another journal has a record of its own, so that a new one hides no old one.
 */
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import type { Draft } from '../state.ts'
import { JOURNALS, journalId } from '../tables.ts'
import type { BodyOf } from '../tx.ts'

const NO_DATA = new Uint8Array(0)

export const journalKinds = {
  head: { gas: 1n, apply: applyHead },
} satisfies Partial<Kinds>

function applyHead(
  draft: Draft,
  sender: Uint8Array,
  { journal, frame, hash }: BodyOf<'head'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const id = journalId(sender, journal)
  const newest = draft.get(JOURNALS, id)
  if (newest !== undefined && frame <= newest.frame) {
    return refuse('ledger.head-back', { newest: newest.frame, offered: frame })
  }
  draft.put(JOURNALS, id, { frame, hash, at: time })
  return ok(NO_DATA)
}
