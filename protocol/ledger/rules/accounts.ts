/** Coins on the move. */
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Kinds } from '../kind.ts'
import { accountId, credit, type Draft, debit } from '../state.ts'
import { ACCOUNTS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'

const NO_DATA = new Uint8Array(0)

export const accountKinds = { transfer: { gas: 1n, apply: applyTransfer } } satisfies Partial<Kinds>

function applyTransfer(draft: Draft, sender: Uint8Array, body: BodyOf<'transfer'>): Result<Uint8Array, LedgerFault> {
  if (body.amount === 0n) return refuse('ledger.amount', { amount: body.amount })
  const to = accountId(body.to)
  if (draft.get(ACCOUNTS, to) === undefined) return refuse('ledger.no-account', { to })
  const paid = debit(draft, accountId(sender), body.amount)
  if (!paid.ok) return paid
  credit(draft, to, body.amount)
  return ok(NO_DATA)
}
