/** What every kind of transaction shares: where it is applied, and how. */
import type { Verifier } from '../crypto/verify.ts'
import type { Result } from '../result.ts'
import type { Instant } from '../time.ts'
import type { LedgerFault } from './fault.ts'
import type { Draft } from './state.ts'
import type { Account, Rules } from './tables.ts'
import type { BodyOf, TxKind } from './tx.ts'

/** Where and how a transaction is applied. */
export interface Applying {
  readonly chainId: string
  readonly rules: Rules
  readonly height: bigint
  /** Block time: the only clock of the ledger. */
  readonly time: Instant
  readonly verifier: Verifier
}

/** How a kind of transaction is applied. The answer is the data that goes into the result's hash. */
export interface Kind<K extends TxKind> {
  /** The number of signatures to verify, which is nearly all that a transaction costs. */
  readonly gas: bigint | ((body: BodyOf<K>) => bigint)
  /**
   * The account that a sender without one opens by this very transaction; undefined where it opens none. A kind that has this
   * brings money into its sender's account, and the transaction's fee is taken after that.
   */
  newcomer?(sender: Uint8Array, body: BodyOf<K>): Result<Account | undefined, LedgerFault>
  apply(draft: Draft, sender: Uint8Array, body: BodyOf<K>, applying: Applying): Result<Uint8Array, LedgerFault>
}

export type Kinds = { readonly [K in TxKind]: Kind<K> }
