/**
 * Evidence in CometBFT's JSON: what /broadcast_evidence takes, and what is saved for a person to hand in. Go writes the
 * fields that have no json tag under their Go names.
 *
 *     { type: "tendermint/DuplicateVoteEvidence", value: { vote_a, vote_b, TotalVotingPower, ... } }
 *     { type: "tendermint/LightClientAttackEvidence", value: { ConflictingBlock: { signed_header, validator_set }, ... } }
 */
import type { Result } from '../result.ts'
import { toBase64 } from './base64.ts'
import { timeText } from './chain-time.ts'
import { PRECOMMIT } from './commit.ts'
import type { DuplicateVote, Evidence, LightClientAttack, Vote } from './evidence.ts'
import type { LightBlock } from './light-block.ts'
import {
  blockIdJson,
  INT32,
  INT64,
  type JsonFault,
  parse,
  type Reader,
  readBlockId,
  readSignedHeader,
  readValidator,
  signedHeaderJson,
  upperHex,
  validatorsJson,
} from './rpc-json.ts'
import { lastProposer } from './validators.ts'

const DUPLICATE_VOTE = 'tendermint/DuplicateVoteEvidence'
const LIGHT_CLIENT_ATTACK = 'tendermint/LightClientAttackEvidence'

export const evidenceJson = (evidence: Evidence) =>
  evidence.kind === 'duplicate-vote'
    ? { type: DUPLICATE_VOTE, value: duplicateVoteJson(evidence) }
    : { type: LIGHT_CLIENT_ATTACK, value: attackJson(evidence) }

const duplicateVoteJson = (evidence: DuplicateVote) => ({
  vote_a: voteJson(evidence.voteA),
  vote_b: voteJson(evidence.voteB),
  TotalVotingPower: String(evidence.totalPower),
  ValidatorPower: String(evidence.validatorPower),
  Timestamp: timeText(evidence.time),
})

const voteJson = (vote: Vote) => ({
  type: PRECOMMIT,
  height: String(vote.height),
  round: vote.round,
  block_id: blockIdJson(vote.blockId),
  timestamp: timeText(vote.timestamp),
  validator_address: upperHex(vote.validatorAddress),
  validator_index: vote.validatorIndex,
  signature: toBase64(vote.signature),
  extension: null,
  extension_signature: null,
})

const attackJson = (evidence: LightClientAttack) => ({
  ConflictingBlock: conflictingJson(evidence.conflicting),
  CommonHeight: String(evidence.commonHeight),
  // A nil list, as CometBFT wants it where nobody can be blamed; an empty one it refuses.
  ByzantineValidators: evidence.byzantine.length === 0 ? null : validatorsJson(evidence.byzantine),
  TotalVotingPower: String(evidence.totalPower),
  Timestamp: timeText(evidence.time),
})

const conflictingJson = (block: LightBlock) => {
  const proposer = lastProposer(block.validators)
  return {
    signed_header: signedHeaderJson(block),
    validator_set: {
      validators: validatorsJson(block.validators),
      ...(proposer === undefined ? {} : { proposer: validatorsJson([proposer])[0] }),
    },
  }
}

export const parseEvidence = (json: unknown): Result<Evidence, JsonFault> =>
  parse(json, reader => {
    const type = reader.text('type')
    if (type !== DUPLICATE_VOTE && type !== LIGHT_CLIENT_ATTACK)
      reader.refuse('type', `${DUPLICATE_VOTE} or ${LIGHT_CLIENT_ATTACK}`)
    const value = reader.object('value')
    return type === DUPLICATE_VOTE ? readDuplicateVote(value) : readAttack(value)
  })

const readDuplicateVote = (reader: Reader): DuplicateVote => ({
  kind: 'duplicate-vote',
  voteA: readVote(reader.object('vote_a')),
  voteB: readVote(reader.object('vote_b')),
  totalPower: reader.integer('TotalVotingPower', 0n, INT64),
  validatorPower: reader.integer('ValidatorPower', 0n, INT64),
  time: reader.time('Timestamp'),
})

const readVote = (reader: Reader): Vote => {
  if (reader.whole('type', INT32) !== PRECOMMIT) reader.refuse('type', `${PRECOMMIT}, a precommit`)
  for (const field of ['extension', 'extension_signature'])
    if (reader.has(field) && !reader.isNull(field)) reader.refuse(field, 'null')
  return {
    height: reader.integer('height', 0n, INT64),
    round: reader.whole('round', INT32),
    blockId: readBlockId(reader.object('block_id')),
    timestamp: reader.time('timestamp'),
    validatorAddress: reader.hex('validator_address'),
    validatorIndex: reader.whole('validator_index', INT32),
    signature: reader.base64('signature'),
  }
}

const readAttack = (reader: Reader): LightClientAttack => {
  const block = reader.object('ConflictingBlock')
  return {
    kind: 'light-client-attack',
    conflicting: {
      ...readSignedHeader(block.object('signed_header')),
      validators: block.object('validator_set').list('validators').map(readValidator),
    },
    commonHeight: reader.integer('CommonHeight', 0n, INT64),
    byzantine: reader.isNull('ByzantineValidators') ? [] : reader.list('ByzantineValidators').map(readValidator),
    totalPower: reader.integer('TotalVotingPower', 0n, INT64),
    time: reader.time('Timestamp'),
  }
}
