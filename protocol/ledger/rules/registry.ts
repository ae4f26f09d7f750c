/** Which meters there are. */
import { equalBytes, toHex } from '../../bytes.ts'
import { admissionFault } from '../../identity/key.ts'
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import { accountId, type Draft } from '../state.ts'
import { ACCOUNTS, METERS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'

const NO_DATA = new Uint8Array(0)

export const registryKinds = { enrol: { gas: 1n, apply: applyEnrol } } satisfies Partial<Kinds>

function applyEnrol(
  draft: Draft,
  sender: Uint8Array,
  body: BodyOf<'enrol'>,
  { rules }: Applying,
): Result<Uint8Array, LedgerFault> {
  const { meterId, ...meter } = body
  if (!equalBytes(sender, rules.operator)) {
    return refuse('ledger.operator-only', { operator: toHex(rules.operator), sender: toHex(sender) })
  }
  if (draft.get(METERS, meterId) !== undefined) return refuse('ledger.meter-taken', { meterId })
  if (draft.get(ACCOUNTS, accountId(meter.owner)) === undefined) {
    return refuse('ledger.no-account', { owner: toHex(meter.owner) })
  }
  const fault = admissionFault(meter.publicKey)
  if (fault !== undefined) return refuse('ledger.key', { reason: fault.reason })
  draft.put(METERS, meterId, meter)
  return ok(NO_DATA)
}
