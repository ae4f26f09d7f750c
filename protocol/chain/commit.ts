/** Votes and commits (`tendermint.types.Commit`): what a validator signs, the commit's hash, and its shape. */
import { concat, equalBytes, utf8 } from '../bytes.ts'
import { encodeTime, nanosOf, ZERO_TIME } from './chain-time.ts'
import { encodeBlockId } from './header.ts'
import type { BlockId, ChainTime, Commit, CommitSig } from './light-block.ts'
import { merkleRoot } from './merkle.ts'
import { bytesField, delimited, fixed64Field, messageField, varintField } from './proto.ts'

export const FLAG_ABSENT = 1
export const FLAG_COMMIT = 2
export const FLAG_NIL = 3

/** SignedMsgType of a precommit. */
export const PRECOMMIT = 2

type Vote = (timestamp: ChainTime | undefined) => Uint8Array

/**
 * What a validator signs when it precommits: CanonicalVote {type, height, round, block id, timestamp, chain id} behind its
 * length. `blockId` is undefined in a vote for nil.
 */
export const precommitSignBytes = (
  chainId: string,
  height: bigint,
  round: number,
  blockId: BlockId | undefined,
  timestamp: ChainTime | undefined,
): Uint8Array => canonicalVote(chainId, height, round, blockId)(timestamp)

function canonicalVote(chainId: string, height: bigint, round: number, blockId: BlockId | undefined): Vote {
  const before = concat(
    varintField(1, PRECOMMIT),
    fixed64Field(2, height),
    fixed64Field(3, BigInt(round)),
    ...(blockId === undefined ? [] : [messageField(4, encodeBlockId(blockId))]),
  )
  const after = bytesField(6, utf8(chainId))
  return timestamp => delimited(concat(before, messageField(5, encodeTime(timestamp ?? ZERO_TIME)), after))
}

/** Sign bytes of one signature of a commit: its own timestamp, and no block where it voted nil. */
export const voteSignBytes = (chainId: string, commit: Commit, sig: CommitSig): Uint8Array =>
  commitSignBytes(chainId, commit)(sig)

/** The same for many signatures of one commit: what they have in common is written once. */
export function commitSignBytes(chainId: string, { height, round, blockId }: Commit): (sig: CommitSig) => Uint8Array {
  const forBlock = canonicalVote(chainId, height, round, blockId)
  const forNil = canonicalVote(chainId, height, round, undefined)
  return ({ flag, timestamp }) => (flag === FLAG_COMMIT ? forBlock : forNil)(timestamp)
}

const encodeCommitSig = (sig: CommitSig): Uint8Array =>
  concat(
    varintField(1, sig.flag),
    bytesField(2, sig.validatorAddress),
    messageField(3, encodeTime(sig.timestamp ?? ZERO_TIME)),
    bytesField(4, sig.signature),
  )

/** LastCommitHash: the tree over the commit's signatures. */
export const hashCommit = (commit: Commit): Uint8Array => merkleRoot(commit.signatures.map(encodeCommitSig))

/** The whole commit, as it stands in the next block. */
export const encodeCommit = (commit: Commit): Uint8Array =>
  concat(
    varintField(1, commit.height),
    varintField(2, commit.round),
    messageField(3, encodeBlockId(commit.blockId)),
    ...commit.signatures.map(sig => messageField(4, encodeCommitSig(sig))),
  )

export interface CommitShapeFault {
  readonly code: 'chain.commit-shape'
  readonly reason: string
  /** Index of the signature meant, where one is. */
  readonly index?: number | undefined
  readonly [detail: string]: string | number | undefined
}

/** Largest signature of any key type that CometBFT knows. */
const MAX_SIGNATURE_BYTES = 64

/** Why a commit is none, whatever it commits to (CometBFT's Commit.ValidateBasic). */
export function commitFault(commit: Commit): CommitShapeFault | undefined {
  const bad = (reason: string, index?: number): CommitShapeFault => ({ code: 'chain.commit-shape', reason, index })
  if (commit.height < 1n) return bad(`height ${commit.height}`)
  if (!Number.isInteger(commit.round) || commit.round < 0 || commit.round > 0x7fff_ffff)
    return bad(`round ${commit.round}`)
  const { hash, partSetHeader } = commit.blockId
  if (hash.length !== 32 || partSetHeader.hash.length !== 32 || partSetHeader.total < 1)
    return bad('block id is incomplete')
  if (commit.signatures.length === 0) return bad('no signatures')
  for (const [index, sig] of commit.signatures.entries()) {
    if (sig.flag === FLAG_ABSENT) {
      if (sig.validatorAddress.length !== 0) return bad('absent, yet with an address', index)
      if (sig.timestamp !== undefined) return bad('absent, yet with a time', index)
      if (sig.signature.length !== 0) return bad('absent, yet with a signature', index)
    } else if (sig.flag === FLAG_COMMIT || sig.flag === FLAG_NIL) {
      if (sig.validatorAddress.length !== 20) return bad(`address of ${sig.validatorAddress.length} bytes`, index)
      if (sig.signature.length < 1 || sig.signature.length > MAX_SIGNATURE_BYTES)
        return bad(`signature of ${sig.signature.length} bytes`, index)
    } else return bad(`flag ${sig.flag}`, index)
  }
  return undefined
}

/**
 * BFT time: the median of the times in a commit, weighted by power (CometBFT's WeightedMedian). It is the time of the next
 * header. `power` answers the voting power of an address; undefined when nobody voted.
 */
export function medianTime(commit: Commit, power: (address: Uint8Array) => bigint): ChainTime | undefined {
  const votes = commit.signatures
    .filter(sig => sig.flag !== FLAG_ABSENT && sig.timestamp !== undefined)
    .map(sig => ({ time: sig.timestamp!, power: power(sig.validatorAddress) }))
    .sort((a, b) => (nanosOf(a.time) < nanosOf(b.time) ? -1 : nanosOf(a.time) > nanosOf(b.time) ? 1 : 0))
  let median = votes.reduce((sum, vote) => sum + vote.power, 0n) / 2n
  for (const vote of votes) {
    if (median <= vote.power) return vote.time
    median -= vote.power
  }
  return undefined
}

export const sameBlockId = (a: BlockId, b: BlockId): boolean =>
  equalBytes(a.hash, b.hash) &&
  a.partSetHeader.total === b.partSetHeader.total &&
  equalBytes(a.partSetHeader.hash, b.partSetHeader.hash)
