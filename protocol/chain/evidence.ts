/**
 * Evidence of misbehaviour as CometBFT has it (`tendermint.types.Evidence`; types/evidence.go): its bytes and its hash.
 *
 *     Evidence                   1 duplicate_vote_evidence | 2 light_client_attack_evidence
 *     DuplicateVoteEvidence      1 vote_a  2 vote_b  3 total_voting_power  4 validator_power  5 timestamp
 *     LightClientAttackEvidence  1 conflicting_block  2 common_height  3 byzantine_validators  4 total_voting_power
 *                                5 timestamp
 */
import { compareBytes, concat } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Result } from '../result.ts'
import { encodeTime } from './chain-time.ts'
import { PRECOMMIT } from './commit.ts'
import { encodeBlockId, hashHeader } from './header.ts'
import type { BlockId, ChainTime, LightBlock, Validator } from './light-block.ts'
import {
  decode,
  encodeLightBlock,
  encodeValidator,
  INT32,
  INT64,
  type ProtoReading,
  readBlockId,
  readLightBlock,
  readTime,
  readValidator,
} from './light-block-proto.ts'
import { merkleRoot } from './merkle.ts'
import type { ProtoFault } from './proto.ts'
import { bytesField, messageField, varint, varintField } from './proto.ts'

/** A precommit as it was sent. Extensions are not used by our chains. */
export interface Vote {
  readonly height: bigint
  readonly round: number
  readonly blockId: BlockId
  readonly timestamp: ChainTime
  readonly validatorAddress: Uint8Array
  readonly validatorIndex: number
  readonly signature: Uint8Array
}

/** One validator signed two blocks in one round. `voteA` is the one whose block id sorts first. */
export interface DuplicateVote {
  readonly kind: 'duplicate-vote'
  readonly voteA: Vote
  readonly voteB: Vote
  readonly totalPower: bigint
  readonly validatorPower: bigint
  /** Of the block of the votes' height, as is each power. */
  readonly time: ChainTime
}

/** A block that validators signed against the chain that stands. */
export interface LightClientAttack {
  readonly kind: 'light-client-attack'
  readonly conflicting: LightBlock
  /**
   * Lunatic: the last height that both chains share. Else the height of the conflicting block, by which CometBFT tells
   * the kinds apart.
   */
  readonly commonHeight: bigint
  /** In the order of their set: power descending, address ascending. */
  readonly byzantine: readonly Validator[]
  /** Of the set at `commonHeight`. */
  readonly totalPower: bigint
  /** Of the block at `commonHeight`. */
  readonly time: ChainTime
}

export type Evidence = DuplicateVote | LightClientAttack

/** The two votes in CometBFT's order: by block id, its hash before its parts. */
export const inVoteOrder = (a: Vote, b: Vote): readonly [Vote, Vote] =>
  compareBytes(voteKey(a), voteKey(b)) < 0 ? [a, b] : [b, a]

const voteKey = ({ blockId }: Vote): Uint8Array =>
  concat(blockId.hash, varintField(1, blockId.partSetHeader.total), bytesField(2, blockId.partSetHeader.hash))

const encodeVote = (vote: Vote): Uint8Array =>
  concat(
    varintField(1, PRECOMMIT),
    varintField(2, vote.height),
    varintField(3, vote.round),
    messageField(4, encodeBlockId(vote.blockId)),
    messageField(5, encodeTime(vote.timestamp)),
    bytesField(6, vote.validatorAddress),
    varintField(7, vote.validatorIndex),
    bytesField(8, vote.signature),
  )

/** What the tree of EvidenceHash is over. */
const encodeBody = (evidence: Evidence): Uint8Array =>
  evidence.kind === 'duplicate-vote'
    ? concat(
        messageField(1, encodeVote(evidence.voteA)),
        messageField(2, encodeVote(evidence.voteB)),
        varintField(3, evidence.totalPower),
        varintField(4, evidence.validatorPower),
        messageField(5, encodeTime(evidence.time)),
      )
    : concat(
        messageField(1, encodeLightBlock(evidence.conflicting)),
        varintField(2, evidence.commonHeight),
        ...evidence.byzantine.map(one => messageField(3, encodeValidator(one))),
        varintField(4, evidence.totalPower),
        messageField(5, encodeTime(evidence.time)),
      )

/** `tendermint.types.Evidence`, as it stands in a block. */
export const encodeEvidence = (evidence: Evidence): Uint8Array =>
  messageField(evidence.kind === 'duplicate-vote' ? 1 : 2, encodeBody(evidence))

/** EvidenceHash of a header: the tree over the evidence of its block. */
export const hashEvidenceList = (list: readonly Evidence[]): Uint8Array => merkleRoot(list.map(encodeBody))

/**
 * By what one piece of evidence is known. For an attack it is over the conflicting header and the common height only, so
 * that the same attack shown with other signatures is the same evidence. Go copies 31 of the hash's 32 bytes, writes the
 * height as a zigzag varint, and leaves the byte between at 0.
 */
export function hashEvidence(evidence: Evidence): Uint8Array {
  if (evidence.kind === 'duplicate-vote') return sha256(encodeBody(evidence))
  const header = hashHeader(evidence.conflicting.header)
  return sha256(concat(header.subarray(0, 31), Uint8Array.of(0), varint(evidence.commonHeight * 2n)))
}

export const decodeEvidence = (bytes: Uint8Array): Result<Evidence, ProtoFault> =>
  decode(bytes, (reading, all) => {
    const one = reading.message('evidence', all, { 1: 'message', 2: 'message' })
    if (one[1] !== undefined && one[2] !== undefined) reading.refuse('evidence', 'is of two kinds')
    return one[1] === undefined ? readAttack(reading, one[2]) : readDuplicateVote(reading, one[1])
  })

function readDuplicateVote(reading: ProtoReading, bytes: Uint8Array): DuplicateVote {
  const body = reading.message('duplicate_vote', bytes, {
    1: 'message',
    2: 'message',
    3: 'varint',
    4: 'varint',
    5: 'message',
  })
  return {
    kind: 'duplicate-vote',
    voteA: readVote(reading, body[1]),
    voteB: readVote(reading, body[2]),
    totalPower: reading.whole('total_voting_power', body[3], INT64),
    validatorPower: reading.whole('validator_power', body[4], INT64),
    time: readTime(reading, body[5]),
  }
}

const VOTE = {
  1: 'varint',
  2: 'varint',
  3: 'varint',
  4: 'message',
  5: 'message',
  6: 'bytes',
  7: 'varint',
  8: 'bytes',
} as const

function readVote(reading: ProtoReading, bytes: Uint8Array | undefined): Vote {
  const vote = reading.message('vote', bytes, VOTE)
  if (vote[1] !== BigInt(PRECOMMIT)) reading.refuse('type', 'is not a precommit')
  return {
    height: reading.whole('height', vote[2], INT64),
    round: reading.number('round', vote[3], INT32),
    blockId: readBlockId(reading, vote[4]),
    timestamp: readTime(reading, vote[5]),
    validatorAddress: vote[6],
    validatorIndex: reading.number('validator_index', vote[7], INT32),
    signature: vote[8],
  }
}

function readAttack(reading: ProtoReading, bytes: Uint8Array | undefined): LightClientAttack {
  const body = reading.message('light_client_attack', bytes, {
    1: 'message',
    2: 'varint',
    3: 'messages',
    4: 'varint',
    5: 'message',
  })
  return {
    kind: 'light-client-attack',
    conflicting: readLightBlock(reading, body[1]),
    commonHeight: reading.whole('common_height', body[2], INT64),
    byzantine: body[3].map(one => readValidator(reading, one)),
    totalPower: reading.whole('total_voting_power', body[4], INT64),
    time: readTime(reading, body[5]),
  }
}
