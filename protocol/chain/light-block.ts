/** What a light client is handed for one height, as CometBFT v0.38/v0.40 names it (`tendermint.types`). Types only. */

/** google.protobuf.Timestamp: UTC, nanos 0..999,999,999. */
export interface ChainTime {
  readonly seconds: bigint
  readonly nanos: number
}

export interface PartSetHeader {
  readonly total: number
  readonly hash: Uint8Array
}

export interface BlockId {
  readonly hash: Uint8Array
  readonly partSetHeader: PartSetHeader
}

export interface Header {
  readonly version: { readonly block: bigint; readonly app: bigint }
  readonly chainId: string
  readonly height: bigint
  readonly time: ChainTime
  readonly lastBlockId: BlockId
  readonly lastCommitHash: Uint8Array
  readonly dataHash: Uint8Array
  readonly validatorsHash: Uint8Array
  readonly nextValidatorsHash: Uint8Array
  readonly consensusHash: Uint8Array
  readonly appHash: Uint8Array
  readonly lastResultsHash: Uint8Array
  readonly evidenceHash: Uint8Array
  readonly proposerAddress: Uint8Array
}

/** BlockIDFlag: 1 absent, 2 commit, 3 nil. */
export type BlockIdFlag = 1 | 2 | 3

export interface CommitSig {
  readonly flag: BlockIdFlag
  /** Empty where absent. */
  readonly validatorAddress: Uint8Array
  /** Undefined where absent (Go's zero time on the wire). */
  readonly timestamp: ChainTime | undefined
  readonly signature: Uint8Array
}

export interface Commit {
  readonly height: bigint
  readonly round: number
  readonly blockId: BlockId
  readonly signatures: readonly CommitSig[]
}

export interface Validator {
  readonly address: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  readonly votingPower: bigint
  readonly proposerPriority: bigint
}

export interface LightBlock {
  readonly header: Header
  readonly commit: Commit
  readonly validators: readonly Validator[]
}
