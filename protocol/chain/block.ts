/** What a block producer and a receipt's verifier hash besides the header: transactions, results, parameters, the block itself. */
import { concat } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { encodeCommit } from './commit.ts'
import { encodeHeader, hashHeader } from './header.ts'
import type { BlockId, Commit, Header } from './light-block.ts'
import { type MerkleProof, merkleProof, merkleRoot, verifyMerkleProof } from './merkle.ts'
import { bytesField, messageField, varintField } from './proto.ts'

/** CometBFT gossips a block in parts of this size; the BlockID names their root. */
const PART_BYTES = 65_536

/** DataHash: the tree over the hashes of the transactions. */
export const hashData = (txs: readonly Uint8Array[]): Uint8Array => merkleRoot(txs.map(sha256))

/** Proof that transaction `index` is in the block, against its DataHash. */
export const proveTx = (txs: readonly Uint8Array[], index: number): MerkleProof => merkleProof(txs.map(sha256), index)

export const verifyTx = (dataHash: Uint8Array, tx: Uint8Array, proof: MerkleProof): boolean =>
  verifyMerkleProof(dataHash, sha256(tx), proof)

/** The part of an ExecTxResult that validators must agree on; log, info, events and codespace are each node's own. */
export interface TxResult {
  readonly code: number
  readonly data: Uint8Array
  readonly gasWanted: bigint
  readonly gasUsed: bigint
}

const encodeResult = (result: TxResult): Uint8Array =>
  concat(
    varintField(1, result.code),
    bytesField(2, result.data),
    varintField(5, result.gasWanted),
    varintField(6, result.gasUsed),
  )

/** LastResultsHash of the next header. */
export const hashResults = (results: readonly TxResult[]): Uint8Array => merkleRoot(results.map(encodeResult))

/** Proof of result `index`, against LastResultsHash of the next header. */
export const proveResult = (results: readonly TxResult[], index: number): MerkleProof =>
  merkleProof(results.map(encodeResult), index)

export const verifyResult = (lastResultsHash: Uint8Array, result: TxResult, proof: MerkleProof): boolean =>
  verifyMerkleProof(lastResultsHash, encodeResult(result), proof)

/** ConsensusHash: the hash of HashedParams, the block's limits. -1 gas is unlimited. */
export const hashConsensusParams = (limits: { readonly maxBytes: bigint; readonly maxGas: bigint }): Uint8Array =>
  sha256(concat(varintField(1, limits.maxBytes), varintField(2, limits.maxGas)))

/** EvidenceHash of a block that carries no evidence. */
export const NO_EVIDENCE_HASH = merkleRoot([])

/** The first block carries an empty commit. */
export interface Block {
  readonly header: Header
  readonly txs: readonly Uint8Array[]
  /** Each item as `encodeEvidence` writes it. */
  readonly evidence?: readonly Uint8Array[]
  readonly lastCommit: Commit
}

export const encodeBlock = (block: Block): Uint8Array =>
  concat(
    messageField(1, encodeHeader(block.header)),
    messageField(2, concat(...block.txs.map(tx => messageField(1, tx)))),
    messageField(3, concat(...(block.evidence ?? []).map(one => messageField(1, one)))),
    messageField(4, encodeCommit(block.lastCommit)),
  )

/** The BlockID that validators vote for: the header's hash, and the root over the parts of the whole block. */
export function makeBlockId(block: Block): BlockId {
  const bytes = encodeBlock(block)
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += PART_BYTES) parts.push(bytes.subarray(at, at + PART_BYTES))
  return { hash: hashHeader(block.header), partSetHeader: { total: parts.length, hash: merkleRoot(parts) } }
}
