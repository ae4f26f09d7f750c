/**
 * Standing agreements with a store.
 *
 *     proposed  --accepted-->  accepted  --notice of either-->  ending  --its time-->  gone
 *        |-----rejected----->  rejected, with the reason  --answerBy-->  gone
 *        |-----no answer by answerBy, or withdrawn-------------------->  gone
 *
 * The owner signs the offer, the store the answer. Energy under an agreement is delivered and paid by deals as any other;
 * the agreement holds no money.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { ok, type Result } from '../../result.ts'
import { type Instant, later } from '../../time.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import { AGREEMENTS, type Agreement, agreementId } from '../service-tables.ts'
import type { Draft, State } from '../state.ts'
import type { BodyOf } from '../tx.ts'
import { ownMeter } from './registry.ts'
import { hasRole } from './roles.ts'

const NO_DATA = new Uint8Array(0)
/** An offer that waits longer is made again. */
const MAX_WAIT_MS = 31 * 86_400_000

type Answer = Result<Uint8Array, LedgerFault>

export const agreementKinds = {
  propose: { gas: 1n, apply: applyPropose },
  answer: { gas: 1n, apply: applyAnswer },
  end: { gas: 1n, apply: applyEnd },
} satisfies Partial<Kinds>

function applyPropose(draft: Draft, owner: Uint8Array, terms: BodyOf<'propose'>, { time }: Applying): Answer {
  const { storage, meterId, from, answerBy } = terms
  if (!hasRole(draft, 'storage', storage)) {
    return refuse('ledger.role-only', { role: 'storage', sender: toHex(storage) })
  }
  const meter = ownMeter(draft, meterId, owner)
  if (!meter.ok) return meter
  if (answerBy <= time || answerBy > time + MAX_WAIT_MS || from < answerBy) {
    return refuse('ledger.agreement-terms', { now: time, answerBy, from, latest: time + MAX_WAIT_MS })
  }
  const agreement = agreementId({ ...terms, owner })
  const id = toHex(agreement)
  if (draft.get(AGREEMENTS, id) !== undefined) return refuse('ledger.agreement-taken', { agreement: id })
  draft.put(AGREEMENTS, id, { ...terms, owner, state: 'proposed' })
  return ok(agreement)
}

function agreementOf(state: State, hash: Uint8Array): Result<Agreement, LedgerFault> {
  const agreement = state.get(AGREEMENTS, toHex(hash))
  return agreement === undefined ? refuse('ledger.no-agreement', { agreement: toHex(hash) }) : ok(agreement)
}

function applyAnswer(
  draft: Draft,
  sender: Uint8Array,
  { agreement: hash, accepted, reason }: BodyOf<'answer'>,
  { time }: Applying,
): Answer {
  const found = agreementOf(draft, hash)
  if (!found.ok) return found
  const { storage, state, answerBy } = found.value
  if (!equalBytes(sender, storage)) return refuse('ledger.not-a-party', { agreement: toHex(hash) })
  if (!hasRole(draft, 'storage', sender)) {
    return refuse('ledger.role-only', { role: 'storage', sender: toHex(sender) })
  }
  if (state !== 'proposed' || answerBy <= time) return refuse('ledger.agreement-state', { state, answerBy, now: time })
  // Whoever is rejected is told why, and nobody else needs to be.
  if (accepted !== (reason === undefined)) return refuse('ledger.agreement-terms', { accepted, reason })
  const next = accepted ? { state: 'accepted' as const } : { state: 'rejected' as const, reason: reason! }
  draft.put(AGREEMENTS, toHex(hash), { ...found.value, ...next })
  return ok(NO_DATA)
}

function applyEnd(draft: Draft, sender: Uint8Array, { agreement: hash }: BodyOf<'end'>, { time }: Applying): Answer {
  const found = agreementOf(draft, hash)
  if (!found.ok) return found
  const { owner, storage, state, noticeMs } = found.value
  const offering = equalBytes(sender, owner)
  if (!offering && !equalBytes(sender, storage)) return refuse('ledger.not-a-party', { agreement: toHex(hash) })
  if (state === 'proposed' && offering) draft.remove(AGREEMENTS, toHex(hash))
  else if (state === 'accepted') {
    draft.put(AGREEMENTS, toHex(hash), { ...found.value, state: 'ending', ends: later(time, noticeMs) })
  } else return refuse('ledger.agreement-state', { state })
  return ok(NO_DATA)
}

/** An agreement whose end, or an offer whose last moment, has come. */
export function forgetAgreement(draft: Draft, id: string, time: Instant): void {
  const agreement = draft.get(AGREEMENTS, id)
  if (agreement === undefined || agreement.state === 'accepted') return
  if ((agreement.ends ?? agreement.answerBy) <= time) draft.remove(AGREEMENTS, id)
}
