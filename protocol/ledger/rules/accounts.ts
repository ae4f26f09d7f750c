/** Accounts and their keys; coins on the move, made and unmade. */
import { equalBytes, toHex } from '../../bytes.ts'
import { addressOf } from '../../crypto/hash.ts'
import { admissionFault } from '../../identity/key.ts'
import { micros } from '../../quantity.ts'
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import { MAX_MONEY } from '../fields.ts'
import type { Applying, Kinds } from '../kind.ts'
import { accountId, credit, type Draft, debit } from '../state.ts'
import { ACCOUNTS, CHAIN } from '../tables.ts'
import type { BodyOf } from '../tx.ts'

type Answer = Result<Uint8Array, LedgerFault>

const NO_DATA = new Uint8Array(0)

export const accountKinds = {
  transfer: { gas: 1n, apply: applyTransfer },
  open: { gas: 1n, apply: applyOpen },
  rekey: { gas: 1n, apply: applyRekey },
  mint: { gas: 1n, apply: applyMint },
  burn: { gas: 1n, apply: applyBurn },
} satisfies Partial<Kinds>

function applyTransfer(draft: Draft, sender: Uint8Array, body: BodyOf<'transfer'>): Answer {
  if (body.amount === 0n) return refuse('ledger.amount', { amount: body.amount })
  const to = accountId(body.to)
  if (draft.get(ACCOUNTS, to) === undefined) return refuse('ledger.no-account', { to })
  const paid = debit(draft, accountId(sender), body.amount)
  if (!paid.ok) return paid
  credit(draft, to, body.amount)
  return ok(NO_DATA)
}

function applyOpen(draft: Draft, sender: Uint8Array, { publicKey, amount }: BodyOf<'open'>): Answer {
  if (amount === 0n) return refuse('ledger.amount', { amount })
  const id = accountId(addressOf(publicKey))
  if (draft.get(ACCOUNTS, id) !== undefined) return refuse('ledger.account-taken', { account: id })
  const fault = admissionFault(publicKey)
  if (fault !== undefined) return refuse('ledger.key', { reason: fault.reason })
  const paid = debit(draft, accountId(sender), amount)
  if (!paid.ok) return paid
  draft.put(ACCOUNTS, id, { publicKey, balance: amount, sequence: 0n })
  return ok(NO_DATA)
}

function applyRekey(draft: Draft, sender: Uint8Array, { publicKey }: BodyOf<'rekey'>): Answer {
  const id = accountId(sender)
  const account = draft.get(ACCOUNTS, id)!
  if (equalBytes(publicKey, account.publicKey)) return refuse('ledger.key', { reason: 'it is the key already' })
  const fault = admissionFault(publicKey)
  if (fault !== undefined) return refuse('ledger.key', { reason: fault.reason })
  draft.put(ACCOUNTS, id, { ...account, publicKey })
  return ok(NO_DATA)
}

function applyMint(draft: Draft, sender: Uint8Array, { to, amount }: BodyOf<'mint'>, applying: Applying): Answer {
  const allowed = checkOperator(sender, applying)
  if (!allowed.ok) return allowed
  if (amount === 0n) return refuse('ledger.amount', { amount })
  const id = accountId(to)
  if (draft.get(ACCOUNTS, id) === undefined) return refuse('ledger.no-account', { to: id })
  const chain = draft.get(CHAIN, '')!
  const minted = chain.minted + amount
  if (minted > MAX_MONEY) return refuse('ledger.supply', { minted, limit: MAX_MONEY })
  draft.put(CHAIN, '', { ...chain, minted: micros(minted) })
  credit(draft, id, amount)
  return ok(NO_DATA)
}

function applyBurn(draft: Draft, sender: Uint8Array, { amount }: BodyOf<'burn'>, applying: Applying): Answer {
  const allowed = checkOperator(sender, applying)
  if (!allowed.ok) return allowed
  if (amount === 0n) return refuse('ledger.amount', { amount })
  const burnt = debit(draft, accountId(sender), amount)
  if (!burnt.ok) return burnt
  const chain = draft.get(CHAIN, '')!
  draft.put(CHAIN, '', { ...chain, minted: micros(chain.minted - amount) })
  return ok(NO_DATA)
}

function checkOperator(sender: Uint8Array, { rules }: Applying): Answer {
  return equalBytes(sender, rules.operator)
    ? ok(NO_DATA)
    : refuse('ledger.operator-only', { operator: toHex(rules.operator), sender: toHex(sender) })
}
