/**
 * One transaction against the state: first whoever sent it, then what it asks for. A refused one leaves no trace, its fee
 * and sequence included, so a sender repeats it with what was wrong put right; a mempool refuses it without cost anyway.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { kidOf, type Sign1, verifySign1 } from '../crypto/cose.ts'
import { hasLowS } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { done, ok, type Result } from '../result.ts'
import { type LedgerFault, refuse } from './fault.ts'
import type { Applying, Kind, Kinds } from './kind.ts'
import { accountKinds } from './rules/accounts.ts'
import { bandKinds } from './rules/band.ts'
import { coinKinds } from './rules/coins.ts'
import { dealKinds } from './rules/deals.ts'
import { issuerKinds } from './rules/issuer-keys.ts'
import { journalKinds } from './rules/journals.ts'
import { networkKinds } from './rules/network.ts'
import { registryKinds } from './rules/registry.ts'
import { roleKinds } from './rules/roles.ts'
import { serviceKinds } from './rules/services.ts'
import { stakeKinds } from './rules/stake.ts'
import { accountId, credit, type Draft, debit, type State } from './state.ts'
import { ACCOUNTS, type Account } from './tables.ts'
import { parseTx, TX_CONTEXT, type Tx, type TxKind } from './tx.ts'

export interface Applied {
  readonly gas: bigint
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
  draft.put(ACCOUNTS, id, { ...admitted.value, sequence: tx.sequence + 1n })
  const { gas, apply, newcomer } = kindOf(tx.kind)
  const early = newcomer === undefined ? charge(draft, tx, applying) : done
  if (!early.ok) return early
  const data = apply(draft, tx.sender, tx.body, applying)
  if (!data.ok) return data
  const late = newcomer === undefined ? done : charge(draft, tx, applying)
  if (!late.ok) return late
  draft.merge()
  return ok({ gas: typeof gas === 'bigint' ? gas : gas(tx.body), data: data.value })
}

function charge(draft: Draft, { sender, fee }: Tx, { rules }: Applying): Result<void, LedgerFault> {
  const charged = debit(draft, accountId(sender), fee)
  if (charged.ok) credit(draft, accountId(rules.feeAccount), fee)
  return charged
}

/** The account that the sender speaks for, and its right to do so now. Comparisons come first, the signature last: it costs more than all the others. */
function checkSender(state: State, tx: Tx, envelope: Sign1, applying: Applying): Result<Account, LedgerFault> {
  const { chainId, rules, height, verifier } = applying
  if (tx.chainId !== chainId) {
    return refuse('ledger.chain-id', { expected: chainId, received: tx.chainId })
  }
  if (tx.expiry < height) return refuse('ledger.expired', { expiry: tx.expiry, height })
  if (tx.fee < rules.fee) return refuse('ledger.fee', { least: rules.fee, offered: tx.fee })
  const known = state.get(ACCOUNTS, accountId(tx.sender))
  const opened = known === undefined ? kindOf(tx.kind).newcomer?.(tx.sender, tx.body) : undefined
  if (opened?.ok === false) return opened
  const account = known ?? opened?.value
  if (account === undefined) return refuse('ledger.no-account', { sender: toHex(tx.sender) })
  if (tx.sequence !== account.sequence) {
    return refuse('ledger.sequence', { expected: account.sequence, received: tx.sequence })
  }
  const { alg, kid, signature } = envelope
  if (alg !== algOfKey(account.publicKey) || !equalBytes(kid, kidOf(alg, account.publicKey))) {
    return refuse('ledger.signature', { reason: 'not the account key', kid: toHex(kid) })
  }
  // Else a stranger could give the transaction a second hash, under which its sender would not find it.
  if (alg === 'ES256' && !hasLowS(signature)) return refuse('ledger.signature', { reason: 'not the lower s' })
  const verified = verifySign1(envelope, account.publicKey, TX_CONTEXT, verifier)
  return verified.ok ? ok(account) : refuse('ledger.signature', { reason: verified.fault.code })
}

const KINDS: Kinds = {
  ...accountKinds,
  ...registryKinds,
  ...roleKinds,
  ...bandKinds,
  ...stakeKinds,
  ...dealKinds,
  ...networkKinds,
  ...serviceKinds,
  ...journalKinds,
  ...issuerKinds,
  ...coinKinds,
}

const kindOf = <K extends TxKind>(kind: K): Kind<K> => KINDS[kind]
