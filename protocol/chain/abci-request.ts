/**
 * Requests of ABCI 2.0 as CometBFT v0.38 and v0.40 send them (tendermint.abci.Request): what the application uses of them.
 *
 * They come from the node that this application belongs to, and nobody hashes them. So fields that are not read here are
 * passed over: the votes of the last commit, and whatever the node's next version adds within the same protocol. What is
 * read is read strictly, and bounded.
 */
import { fromUtf8 } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import type { ChainTime } from './light-block.ts'
import { type Fields, type ProtoFault, type ReadOptions, readMessage, type Shape } from './proto.ts'

/** A validator by its key, with its power; 0 where it leaves. */
export interface AbciValidator {
  /** Ed25519. */
  readonly publicKey: Uint8Array
  readonly power: bigint
}

export interface AbciMisbehaviour {
  readonly type: 'duplicate-vote' | 'light-client-attack' | 'unknown'
  readonly address: Uint8Array
  readonly height: bigint
}

export interface AbciSnapshot {
  readonly height: bigint
  readonly format: number
  readonly chunks: number
  readonly hash: Uint8Array
  readonly metadata: Uint8Array
}

/** What Prepare-, ProcessProposal and FinalizeBlock have in common. */
interface AtBlock {
  readonly txs: readonly Uint8Array[]
  readonly height: bigint
  readonly time: ChainTime
}

export type AbciRequest =
  | { readonly kind: 'echo'; readonly message: Uint8Array }
  | { readonly kind: 'flush' }
  | { readonly kind: 'info'; readonly version: string; readonly abciVersion: string }
  | {
      readonly kind: 'initChain'
      readonly chainId: string
      readonly time: ChainTime
      readonly validators: readonly AbciValidator[]
      readonly appState: Uint8Array
      readonly initialHeight: bigint
      /** Of a block, by the consensus parameters; -1 is no limit but CometBFT's own. */
      readonly maxBlockBytes: bigint | undefined
    }
  | {
      readonly kind: 'query'
      readonly data: Uint8Array
      readonly path: string
      /** 0 is the newest. */
      readonly height: bigint
      readonly prove: boolean
    }
  | { readonly kind: 'checkTx'; readonly tx: Uint8Array; readonly again: boolean }
  | { readonly kind: 'commit' }
  | { readonly kind: 'listSnapshots' }
  | { readonly kind: 'offerSnapshot'; readonly snapshot: AbciSnapshot | undefined; readonly appHash: Uint8Array }
  | {
      readonly kind: 'loadSnapshotChunk'
      readonly height: bigint
      readonly format: number
      readonly chunk: number
    }
  | {
      readonly kind: 'applySnapshotChunk'
      readonly index: number
      readonly chunk: Uint8Array
      /** The peer that it came from. */
      readonly sender: string
    }
  | ({ readonly kind: 'prepareProposal'; readonly maxTxBytes: bigint } & AtBlock)
  | ({ readonly kind: 'processProposal' } & AtBlock)
  | { readonly kind: 'extendVote' }
  | { readonly kind: 'verifyVoteExtension'; readonly extension: Uint8Array }
  | ({
      readonly kind: 'finalizeBlock'
      /** Of this block's header. */
      readonly hash: Uint8Array
      readonly misbehaviour: readonly AbciMisbehaviour[]
    } & AtBlock)
  | { readonly kind: 'insertTx'; readonly tx: Uint8Array }
  | { readonly kind: 'reapTxs' }

export type AbciKind = AbciRequest['kind']

export type RequestFault =
  | ProtoFault
  /** A method of another protocol version. */
  | { readonly code: 'abci.method'; readonly number: number }
  | { readonly code: 'abci.field'; readonly method: AbciKind; readonly field: string; readonly reason: string }
  /**
   * A proposed block of more transactions than could be valid ones. It is the proposer's fault, not the node's, and must be
   * answered with a refusal: an exception would stop every honest node.
   */
  | { readonly code: 'abci.too-many-txs'; readonly limit: number }

/**
 * The smallest transaction, an empty body under the shortest chain id, is above 100 bytes, and no block is larger than 22 MB.
 * An empty one takes two bytes of a block and some hundred of our memory: unbounded, a hostile block of them is a gigabyte.
 */
export const MAX_BLOCK_TXS = 220_000

const LOOSE: ReadOptions = { skipUnknown: true, itemsMax: MAX_BLOCK_TXS }

/** A part of a request that is not what its place says; caught below, it never leaves this file. */
class Misfit {
  readonly fault: RequestFault
  constructor(fault: RequestFault) {
    this.fault = fault
  }
}

function fieldsOf<S extends Shape>(bytes: Uint8Array | undefined, shape: S): Fields<S> {
  const read = readMessage(bytes ?? new Uint8Array(0), shape, LOOSE)
  if (!read.ok) throw new Misfit(read.fault)
  return read.value
}

const int64 = (value: bigint): bigint => BigInt.asIntN(64, value)
const uint32 = (value: bigint): number => Number(BigInt.asUintN(32, value))

function textOf(bytes: Uint8Array, method: AbciKind, field: string): string {
  const text = fromUtf8(bytes)
  if (text === undefined) throw new Misfit({ code: 'abci.field', method, field, reason: 'is not UTF-8' })
  return text
}

function timeOf(bytes: Uint8Array | undefined, method: AbciKind): ChainTime {
  const { 1: seconds, 2: nanos } = fieldsOf(bytes, { 1: 'varint', 2: 'varint' })
  if (nanos >= 1_000_000_000n) {
    throw new Misfit({ code: 'abci.field', method, field: 'time', reason: `${nanos} nanoseconds` })
  }
  // Beyond the years 1 to 9999 a protobuf Timestamp is none (its own definition).
  const whole = int64(seconds)
  if (whole < -62_135_596_800n || whole > 253_402_300_799n) {
    throw new Misfit({ code: 'abci.field', method, field: 'time', reason: `${whole} seconds` })
  }
  return { seconds: whole, nanos: Number(nanos) }
}

const MISBEHAVIOUR = ['unknown', 'duplicate-vote', 'light-client-attack'] as const

function misbehaviourOf(bytes: Uint8Array): AbciMisbehaviour {
  const { 1: type, 2: validator, 3: height } = fieldsOf(bytes, { 1: 'varint', 2: 'message', 3: 'varint' })
  const { 1: address } = fieldsOf(validator, { 1: 'bytes' })
  return { type: MISBEHAVIOUR[Number(type)] ?? 'unknown', address, height: int64(height) }
}

function validatorOf(bytes: Uint8Array): AbciValidator {
  const { 1: key, 2: power } = fieldsOf(bytes, { 1: 'message', 2: 'varint' })
  const { 1: publicKey } = fieldsOf(key, { 1: 'bytes' })
  if (publicKey.length !== 32) {
    const reason = 'a key that is not Ed25519'
    throw new Misfit({ code: 'abci.field', method: 'initChain', field: 'validators', reason })
  }
  return { publicKey, power: int64(power) }
}

function snapshotOf(bytes: Uint8Array): AbciSnapshot {
  const fields = fieldsOf(bytes, { 1: 'varint', 2: 'varint', 3: 'varint', 4: 'bytes', 5: 'bytes' })
  const { 1: height, 2: format, 3: chunks, 4: hash, 5: metadata } = fields
  return { height, format: uint32(format), chunks: uint32(chunks), hash, metadata }
}

/** By their numbers in the oneof; each is given its message's bytes. */
const METHODS: Readonly<Record<number, (body: Uint8Array) => AbciRequest>> = {
  1: body => ({ kind: 'echo', message: fieldsOf(body, { 1: 'bytes' })[1] }),
  2: () => ({ kind: 'flush' }),
  3: body => {
    const { 1: version, 4: abciVersion } = fieldsOf(body, { 1: 'bytes', 4: 'bytes' })
    return {
      kind: 'info',
      version: textOf(version, 'info', 'version'),
      abciVersion: textOf(abciVersion, 'info', 'abci_version'),
    }
  },
  5: body => {
    const shape = { 1: 'message', 2: 'bytes', 3: 'message', 4: 'messages', 5: 'bytes', 6: 'varint' } as const
    const { 1: time, 2: chainId, 3: params, 4: validators, 5: appState, 6: initialHeight } = fieldsOf(body, shape)
    const { 1: block } = fieldsOf(params, { 1: 'message' })
    return {
      kind: 'initChain',
      chainId: textOf(chainId, 'initChain', 'chain_id'),
      time: timeOf(time, 'initChain'),
      validators: validators.map(validatorOf),
      appState,
      initialHeight: int64(initialHeight),
      maxBlockBytes: block === undefined ? undefined : int64(fieldsOf(block, { 1: 'varint' })[1]),
    }
  },
  6: body => {
    const fields = fieldsOf(body, { 1: 'bytes', 2: 'bytes', 3: 'varint', 4: 'varint' })
    const { 1: data, 2: path, 3: height, 4: prove } = fields
    return { kind: 'query', data, path: textOf(path, 'query', 'path'), height: int64(height), prove: prove !== 0n }
  },
  8: body => {
    const { 1: tx, 2: type } = fieldsOf(body, { 1: 'bytes', 2: 'varint' })
    return { kind: 'checkTx', tx, again: type === 1n }
  },
  11: () => ({ kind: 'commit' }),
  12: () => ({ kind: 'listSnapshots' }),
  13: body => {
    const { 1: snapshot, 2: appHash } = fieldsOf(body, { 1: 'message', 2: 'bytes' })
    return { kind: 'offerSnapshot', snapshot: snapshot === undefined ? undefined : snapshotOf(snapshot), appHash }
  },
  14: body => {
    const { 1: height, 2: format, 3: chunk } = fieldsOf(body, { 1: 'varint', 2: 'varint', 3: 'varint' })
    return { kind: 'loadSnapshotChunk', height, format: uint32(format), chunk: uint32(chunk) }
  },
  15: body => {
    const { 1: index, 2: chunk, 3: sender } = fieldsOf(body, { 1: 'varint', 2: 'bytes', 3: 'bytes' })
    const from = textOf(sender, 'applySnapshotChunk', 'sender')
    return { kind: 'applySnapshotChunk', index: uint32(index), chunk, sender: from }
  },
  16: body => {
    const fields = fieldsOf(body, { 1: 'varint', 2: 'messages', 5: 'varint', 6: 'message' })
    const { 1: maxTxBytes, 2: txs, 5: height, 6: time } = fields
    const at = { height: int64(height), time: timeOf(time, 'prepareProposal') }
    return { kind: 'prepareProposal', maxTxBytes: int64(maxTxBytes), txs, ...at }
  },
  17: body => {
    const read = readMessage(body, { 1: 'messages', 5: 'varint', 6: 'message' }, LOOSE)
    if (!read.ok) {
      throw new Misfit('itemsMax' in read.fault ? { code: 'abci.too-many-txs', limit: MAX_BLOCK_TXS } : read.fault)
    }
    const { 1: txs, 5: height, 6: time } = read.value
    return { kind: 'processProposal', txs, height: int64(height), time: timeOf(time, 'processProposal') }
  },
  18: () => ({ kind: 'extendVote' }),
  19: body => ({ kind: 'verifyVoteExtension', extension: fieldsOf(body, { 4: 'bytes' })[4] }),
  20: body => {
    const shape = { 1: 'messages', 3: 'messages', 4: 'bytes', 5: 'varint', 6: 'message' } as const
    const { 1: txs, 3: misbehaviour, 4: hash, 5: height, 6: time } = fieldsOf(body, shape)
    return {
      kind: 'finalizeBlock',
      txs,
      misbehaviour: misbehaviour.map(misbehaviourOf),
      hash,
      height: int64(height),
      time: timeOf(time, 'finalizeBlock'),
    }
  },
  21: body => ({ kind: 'insertTx', tx: fieldsOf(body, { 1: 'bytes' })[1] }),
  22: () => ({ kind: 'reapTxs' }),
}

/** One request, or why it is none. The byte strings in it are views into `bytes`. */
export function decodeRequest(bytes: Uint8Array): Result<AbciRequest, RequestFault> {
  const number = bytes[0] === undefined ? 0 : methodNumber(bytes)
  const method = METHODS[number]
  if (method === undefined) return fail({ code: 'abci.method', number })
  try {
    const body = fieldsOf(bytes, { [number]: 'message' } as const)[number]
    return ok(method(body ?? new Uint8Array(0)))
  } catch (error) {
    if (error instanceof Misfit) return fail(error.fault)
    throw error
  }
}

/** The first field's number; every method's fits into one or two bytes of a tag. */
function methodNumber(bytes: Uint8Array): number {
  const first = bytes[0]!
  return (first < 0x80 ? first : (first & 0x7f) + (bytes[1] ?? 0) * 0x80) >> 3
}
