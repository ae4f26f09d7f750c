/**
 * One transaction against the state: first whoever sent it, then what it asks for. A refused one leaves no trace, its fee
 * and sequence included, so a sender repeats it with what was wrong put right; a mempool refuses it without cost anyway.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { kidOf, type Sign1, verifySign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import type { Money } from '../quantity.ts'
import { ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { applyCommit } from './commit.ts'
import { type LedgerFault, refuse } from './fault.ts'
import { meteringKeyFault } from './genesis.ts'
import { applyReceipt } from './receipt.ts'
import { ACCOUNTS, accountId, credit, type Draft, debit, METERS, type State } from './state.ts'
import { type BodyOf, parseTx, TX_CONTEXT, type Tx } from './tx.ts'

/** What genesis fixed for good. */
export interface Rules {
  readonly chainId: string
  readonly fee: Money
  readonly feeAccount: Uint8Array
  readonly operator: Uint8Array
}

/** Where and how a transaction is applied. */
export interface Applying {
  readonly rules: Rules
  readonly height: bigint
  /** Block time: the only clock of the ledger. */
  readonly time: Instant
  readonly verifier: Verifier
}

export interface Applied {
  readonly kind: Tx['kind']
  /** Part of the result's hash: the contract hash of a commit or receipt, else empty. */
  readonly data: Uint8Array
}

/** Applies a transaction to `state` as a whole, or not at all. */
export function applyTx(state: Draft, bytes: Uint8Array, applying: Applying): Result<Applied, LedgerFault> {
  const parsed = parseTx(bytes)
  if (!parsed.ok) return refuse('ledger.malformed', { reason: parsed.fault.code })
  const { tx, envelope } = parsed.value
  const admitted = checkSender(state, tx, envelope, applying)
  if (!admitted.ok) return admitted
  const draft = state.draft()
  const id = accountId(tx.sender)
  const charged = debit(draft, id, tx.fee)
  if (!charged.ok) return charged
  credit(draft, accountId(applying.rules.feeAccount), tx.fee)
  draft.put(ACCOUNTS, id, { ...draft.get(ACCOUNTS, id)!, sequence: tx.sequence + 1n })
  const data = applyContent(draft, tx, applying)
  if (!data.ok) return data
  draft.merge()
  return ok({ kind: tx.kind, data: data.value })
}

/** The sender's right to speak now. Comparisons come first, the signature last: it costs more than all the others. */
function checkSender(state: State, tx: Tx, envelope: Sign1, applying: Applying): Result<void, LedgerFault> {
  const { rules, height, verifier } = applying
  if (tx.chainId !== rules.chainId) {
    return refuse('ledger.chain-id', { expected: rules.chainId, received: tx.chainId })
  }
  if (tx.expiry < height) return refuse('ledger.expired', { expiry: tx.expiry, height })
  if (tx.fee < rules.fee) return refuse('ledger.fee', { least: rules.fee, offered: tx.fee })
  const account = state.get(ACCOUNTS, accountId(tx.sender))
  if (account === undefined) return refuse('ledger.no-account', { sender: toHex(tx.sender) })
  if (tx.sequence !== account.sequence) {
    return refuse('ledger.sequence', { expected: account.sequence, received: tx.sequence })
  }
  const { alg, kid } = envelope
  if (alg !== 'EdDSA' || !equalBytes(kid, kidOf('EdDSA', account.publicKey))) {
    return refuse('ledger.signature', { reason: 'not the account key', kid: toHex(kid) })
  }
  const verified = verifySign1(envelope, account.publicKey, TX_CONTEXT, verifier)
  return verified.ok ? ok(undefined) : refuse('ledger.signature', { reason: verified.fault.code })
}

const NO_DATA = new Uint8Array(0)

function applyContent(draft: Draft, tx: Tx, applying: Applying): Result<Uint8Array, LedgerFault> {
  switch (tx.kind) {
    case 'transfer':
      return applyTransfer(draft, tx.sender, tx.body)
    case 'enrol':
      return applyEnrol(draft, tx.sender, tx.body, applying.rules)
    case 'commit':
      return applyCommit(draft, tx.sender, tx.body, applying)
    case 'receipt':
      return applyReceipt(draft, tx.sender, tx.body, applying)
  }
}

function applyTransfer(draft: Draft, sender: Uint8Array, body: BodyOf<'transfer'>): Result<Uint8Array, LedgerFault> {
  if (body.amount === 0n) return refuse('ledger.amount', { amount: body.amount })
  const to = accountId(body.to)
  if (draft.get(ACCOUNTS, to) === undefined) return refuse('ledger.no-account', { to })
  const paid = debit(draft, accountId(sender), body.amount)
  if (!paid.ok) return paid
  credit(draft, to, body.amount)
  return ok(NO_DATA)
}

function applyEnrol(
  draft: Draft,
  sender: Uint8Array,
  body: BodyOf<'enrol'>,
  rules: Rules,
): Result<Uint8Array, LedgerFault> {
  const { meterId, ...meter } = body
  if (!equalBytes(sender, rules.operator)) {
    return refuse('ledger.operator-only', { operator: toHex(rules.operator), sender: toHex(sender) })
  }
  if (draft.get(METERS, meterId) !== undefined) return refuse('ledger.meter-taken', { meterId })
  if (draft.get(ACCOUNTS, accountId(meter.owner)) === undefined) {
    return refuse('ledger.no-account', { owner: toHex(meter.owner) })
  }
  const fault = meteringKeyFault(meter.publicKey)
  if (fault !== undefined) return refuse('ledger.key', { reason: fault.reason })
  draft.put(METERS, meterId, meter)
  return ok(NO_DATA)
}
