/** What a block brings to the ledger, and what it does to the validators. Types only. */
import type { Verifier } from '../crypto/verify.ts'
import type { Instant } from '../time.ts'

/** Transactions at a place in the chain's history. */
export interface BlockTxs {
  readonly height: bigint
  readonly time: Instant
  readonly txs: readonly Uint8Array[]
  readonly verifier: Verifier
}

export interface BlockInput extends BlockTxs {
  /** Hash of the header of this very block. */
  readonly hash: Uint8Array
  /** Validators that CometBFT (or the producer) found to have misbehaved, by address. */
  readonly misbehaved: readonly Uint8Array[]
}

/** A validator's new power, 0 where it leaves. It acts two blocks later. */
export interface ValidatorUpdate {
  /** Ed25519. */
  readonly publicKey: Uint8Array
  readonly power: bigint
}
