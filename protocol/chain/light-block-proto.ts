/**
 * Light blocks, and what they are made of, as CometBFT's protobuf (`tendermint.types.LightBlock`): what evidence carries and
 * what is kept and sent where bytes count.
 *
 *     LightBlock    1 signed_header   2 validator_set
 *     SignedHeader  1 header          2 commit
 *     ValidatorSet  1 validators      2 proposer       3 total_voting_power (Go always writes 0: nothing)
 *     Validator     1 address         2 pub_key        3 voting_power        4 proposer_priority
 *
 * The reader refuses whatever the writer would not have written, so one light block has one byte string. It judges the form
 * only; protocol/light judges what it says.
 */
import { concat, equalBytes, fromUtf8 } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import { nanosOf, ZERO_TIME } from './chain-time.ts'
import { encodeCommit } from './commit.ts'
import { encodeHeader } from './header.ts'
import type {
  BlockId,
  BlockIdFlag,
  ChainTime,
  Commit,
  CommitSig,
  Header,
  LightBlock,
  Validator,
} from './light-block.ts'
import {
  bytesField,
  type Fields,
  messageField,
  type ProtoFault,
  readMessage,
  type Shape,
  varintField,
} from './proto.ts'
import { lastProposer, MAX_VALIDATORS } from './validators.ts'

export const encodeLightBlock = ({ header, commit, validators }: LightBlock): Uint8Array =>
  concat(
    messageField(1, concat(messageField(1, encodeHeader(header)), messageField(2, encodeCommit(commit)))),
    messageField(2, encodeValidatorSet(validators)),
  )

export const encodeValidator = (validator: Validator): Uint8Array =>
  concat(
    bytesField(1, validator.address),
    messageField(2, messageField(1, validator.publicKey)),
    varintField(3, validator.votingPower),
    varintField(4, validator.proposerPriority),
  )

const encodeValidatorSet = (validators: readonly Validator[]): Uint8Array => {
  const proposer = lastProposer(validators)
  return concat(
    ...validators.map(one => messageField(1, encodeValidator(one))),
    ...(proposer === undefined ? [] : [messageField(2, encodeValidator(proposer))]),
  )
}

export const decodeLightBlock = (bytes: Uint8Array): Result<LightBlock, ProtoFault> => decode(bytes, readLightBlock)

export const decodeHeader = (bytes: Uint8Array): Result<Header, ProtoFault> => decode(bytes, readHeader)

export const decodeCommit = (bytes: Uint8Array): Result<Commit, ProtoFault> => decode(bytes, readCommit)

export const decodeValidator = (bytes: Uint8Array): Result<Validator, ProtoFault> => decode(bytes, readValidator)

export function decode<T>(
  bytes: Uint8Array,
  read: (reading: ProtoReading, bytes: Uint8Array) => T,
): Result<T, ProtoFault> {
  const reading = new ProtoReading()
  const value = read(reading, bytes)
  return reading.fault === undefined ? ok(value) : fail(reading.fault)
}

/**
 * Reads messages inside messages. Where something is not as expected it notes the first such place and answers a harmless
 * value, so that the shape of the reading stays in one expression.
 */
export class ProtoReading {
  fault: ProtoFault | undefined

  refuse(message: string, reason: string): void {
    this.fault ??= { code: 'chain.proto', message, reason, at: 0 }
  }

  /** The fields of a message that has to be there. */
  message<S extends Shape>(name: string, bytes: Uint8Array | undefined, shape: S): Fields<S> {
    if (bytes === undefined) this.refuse(name, 'is absent')
    const fields = readMessage(bytes ?? NOTHING, shape)
    if (fields.ok) return fields.value
    this.fault ??= { ...fields.fault, message: name }
    return emptyOf(shape)
  }

  /** An integer of at most `limit`; negative ones, which stand above every limit, are refused. */
  whole(name: string, value: bigint, limit: bigint): bigint {
    if (value <= limit) return value
    this.refuse(name, `is not from 0 to ${limit}`)
    return 0n
  }

  number(name: string, value: bigint, limit: bigint): number {
    return Number(this.whole(name, value, limit))
  }
}

/** No bytes are a message of any shape: all its fields are absent. */
function emptyOf<S extends Shape>(shape: S): Fields<S> {
  const fields = readMessage(NOTHING, shape)
  if (fields.ok) return fields.value
  throw new Error('an empty message was refused')
}

const NOTHING = new Uint8Array(0)
export const INT64 = 2n ** 63n - 1n
const UINT64 = 2n ** 64n - 1n
export const INT32 = 2n ** 31n - 1n
const UINT32 = 2n ** 32n - 1n

export function readLightBlock(reading: ProtoReading, bytes: Uint8Array | undefined): LightBlock {
  const block = reading.message('light_block', bytes, { 1: 'message', 2: 'message' })
  const signed = reading.message('signed_header', block[1], { 1: 'message', 2: 'message' })
  return {
    header: readHeader(reading, signed[1]),
    commit: readCommit(reading, signed[2]),
    validators: readValidatorSet(reading, block[2]),
  }
}

function readValidatorSet(reading: ProtoReading, bytes: Uint8Array | undefined): readonly Validator[] {
  const set = reading.message('validator_set', bytes, { 1: 'messages', 2: 'message' })
  if (set[1].length > MAX_VALIDATORS) {
    reading.refuse('validator_set', `has more than ${MAX_VALIDATORS} validators`)
    return []
  }
  const validators = set[1].map(one => readValidator(reading, one))
  const proposer = lastProposer(validators)
  const expected = proposer === undefined ? undefined : encodeValidator(proposer)
  const isIt = set[2] === undefined ? expected === undefined : expected !== undefined && equalBytes(set[2], expected)
  if (!isIt) reading.refuse('proposer', 'is not the validator of the lowest priority')
  return validators
}

export function readValidator(reading: ProtoReading, bytes: Uint8Array | undefined): Validator {
  const one = reading.message('validator', bytes, { 1: 'bytes', 2: 'message', 3: 'varint', 4: 'varint' })
  const key = reading.message('pub_key', one[2], { 1: 'bytes' })
  if (key[1].length !== 32) reading.refuse('pub_key', 'is not an Ed25519 key')
  return {
    address: one[1],
    publicKey: key[1],
    votingPower: reading.whole('voting_power', one[3], INT64),
    proposerPriority: BigInt.asIntN(64, one[4]),
  }
}

const HEADER = {
  1: 'message',
  2: 'bytes',
  3: 'varint',
  4: 'message',
  5: 'message',
  6: 'bytes',
  7: 'bytes',
  8: 'bytes',
  9: 'bytes',
  10: 'bytes',
  11: 'bytes',
  12: 'bytes',
  13: 'bytes',
  14: 'bytes',
} as const

function readHeader(reading: ProtoReading, bytes: Uint8Array | undefined): Header {
  const header = reading.message('header', bytes, HEADER)
  const version = reading.message('version', header[1], { 1: 'varint', 2: 'varint' })
  const chainId = fromUtf8(header[2])
  if (chainId === undefined) reading.refuse('chain_id', 'is not UTF-8')
  return {
    version: { block: reading.whole('block', version[1], UINT64), app: reading.whole('app', version[2], UINT64) },
    chainId: chainId ?? '',
    height: reading.whole('height', header[3], INT64),
    time: readTime(reading, header[4]),
    lastBlockId: readBlockId(reading, header[5]),
    lastCommitHash: header[6],
    dataHash: header[7],
    validatorsHash: header[8],
    nextValidatorsHash: header[9],
    consensusHash: header[10],
    appHash: header[11],
    lastResultsHash: header[12],
    evidenceHash: header[13],
    proposerAddress: header[14],
  }
}

export function readBlockId(reading: ProtoReading, bytes: Uint8Array | undefined): BlockId {
  const id = reading.message('block_id', bytes, { 1: 'bytes', 2: 'message' })
  const parts = reading.message('part_set_header', id[2], { 1: 'varint', 2: 'bytes' })
  return { hash: id[1], partSetHeader: { total: reading.number('total', parts[1], UINT32), hash: parts[2] } }
}

function readCommit(reading: ProtoReading, bytes: Uint8Array | undefined): Commit {
  const commit = reading.message('commit', bytes, { 1: 'varint', 2: 'varint', 3: 'message', 4: 'messages' })
  if (commit[4].length > MAX_VALIDATORS) reading.refuse('commit', `has more than ${MAX_VALIDATORS} signatures`)
  return {
    height: reading.whole('height', commit[1], INT64),
    round: reading.number('round', commit[2], INT32),
    blockId: readBlockId(reading, commit[3]),
    signatures: commit[4].slice(0, MAX_VALIDATORS).map(sig => readCommitSig(reading, sig)),
  }
}

function readCommitSig(reading: ProtoReading, bytes: Uint8Array): CommitSig {
  const sig = reading.message('commit_sig', bytes, { 1: 'varint', 2: 'bytes', 3: 'message', 4: 'bytes' })
  const flag = reading.number('block_id_flag', sig[1], 3n)
  if (flag === 0) reading.refuse('block_id_flag', 'is not from 1 to 3')
  const time = readTime(reading, sig[3])
  return {
    flag: flag as BlockIdFlag,
    validatorAddress: sig[2],
    timestamp: nanosOf(time) === nanosOf(ZERO_TIME) ? undefined : time,
    signature: sig[4],
  }
}

/** The last second of the year 9999: Go refuses later ones, and those before its zero time. */
const LAST_SECOND = 253_402_300_799n

export function readTime(reading: ProtoReading, bytes: Uint8Array | undefined): ChainTime {
  const time = reading.message('timestamp', bytes, { 1: 'varint', 2: 'varint' })
  const seconds = BigInt.asIntN(64, time[1])
  if (seconds < ZERO_TIME.seconds || seconds > LAST_SECOND) reading.refuse('timestamp', 'is not of the years 1 to 9999')
  return { seconds, nanos: reading.number('nanos', time[2], 999_999_999n) }
}
