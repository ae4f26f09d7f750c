/**
 * Light blocks as CometBFT's RPC writes them in JSON: 64-bit integers as decimal strings, hashes and addresses in upper-case
 * hex, keys and signatures in base64, times in RFC 3339 with nanoseconds.
 *
 *     /commit       { signed_header: { header, commit }, canonical }
 *     /validators   { block_height, validators: [...], count, total }
 *
 * The reader takes whatever JSON.parse gave: it answers a fault that names the place and never throws. It judges the form
 * only; protocol/light judges what it says.
 */
import { fromHex, toHex } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import { fromBase64, toBase64 } from './base64.ts'
import { nanosOf, timeOfText, timeText, ZERO_TIME } from './chain-time.ts'
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
import { MAX_VALIDATORS } from './validators.ts'

const KEY_TYPE = 'tendermint/PubKeyEd25519'

export interface SignedHeader {
  readonly header: Header
  readonly commit: Commit
}

export interface JsonFault {
  readonly code: 'chain.json'
  /** Where in the document, as in `commit.signatures[3].timestamp`. */
  readonly place: string
  readonly expected: string
  readonly [detail: string]: string
}

export const upperHex = (bytes: Uint8Array): string => toHex(bytes).toUpperCase()

export const blockIdJson = (id: BlockId) => ({
  hash: upperHex(id.hash),
  parts: { total: id.partSetHeader.total, hash: upperHex(id.partSetHeader.hash) },
})

export const headerJson = (header: Header) => ({
  version: {
    block: String(header.version.block),
    ...(header.version.app === 0n ? {} : { app: String(header.version.app) }),
  },
  chain_id: header.chainId,
  height: String(header.height),
  time: timeText(header.time),
  last_block_id: blockIdJson(header.lastBlockId),
  last_commit_hash: upperHex(header.lastCommitHash),
  data_hash: upperHex(header.dataHash),
  validators_hash: upperHex(header.validatorsHash),
  next_validators_hash: upperHex(header.nextValidatorsHash),
  consensus_hash: upperHex(header.consensusHash),
  app_hash: upperHex(header.appHash),
  last_results_hash: upperHex(header.lastResultsHash),
  evidence_hash: upperHex(header.evidenceHash),
  proposer_address: upperHex(header.proposerAddress),
})

export const commitJson = (commit: Commit) => ({
  height: String(commit.height),
  round: commit.round,
  block_id: blockIdJson(commit.blockId),
  signatures: commit.signatures.map(sig => ({
    block_id_flag: sig.flag,
    validator_address: upperHex(sig.validatorAddress),
    timestamp: timeText(sig.timestamp ?? ZERO_TIME),
    signature: sig.signature.length === 0 ? null : toBase64(sig.signature),
  })),
})

export const signedHeaderJson = ({ header, commit }: SignedHeader) => ({
  header: headerJson(header),
  commit: commitJson(commit),
})

export const validatorsJson = (validators: readonly Validator[]) =>
  validators.map(validator => ({
    address: upperHex(validator.address),
    pub_key: { type: KEY_TYPE, value: toBase64(validator.publicKey) },
    voting_power: String(validator.votingPower),
    proposer_priority: String(validator.proposerPriority),
  }))

/** A whole light block: the form in which evidence and trusted blocks are kept on disk. */
export const lightBlockJson = (block: LightBlock) => ({
  signed_header: signedHeaderJson(block),
  validators: validatorsJson(block.validators),
})

export const parseSignedHeader = (json: unknown): Result<SignedHeader, JsonFault> => parse(json, readSignedHeader)

export const readSignedHeader = (reader: Reader): SignedHeader => ({
  header: readHeader(reader.object('header')),
  commit: readCommit(reader.object('commit')),
})

export const parseHeader = (json: unknown): Result<Header, JsonFault> => parse(json, readHeader)

/** The list of one page of /validators, or of a whole set. */
export const parseValidators = (json: unknown): Result<readonly Validator[], JsonFault> =>
  parse({ validators: json }, reader => reader.list('validators').map(readValidator))

export const parseLightBlock = (json: unknown): Result<LightBlock, JsonFault> => parse(json, readLightBlock)

export const readLightBlock = (reader: Reader): LightBlock => ({
  ...readSignedHeader(reader.object('signed_header')),
  validators: reader.list('validators').map(readValidator),
})

const readHeader = (reader: Reader): Header => {
  const version = reader.object('version')
  return {
    version: {
      block: version.integer('block', 0n, UINT64),
      app: version.has('app') ? version.integer('app', 0n, UINT64) : 0n,
    },
    chainId: reader.text('chain_id'),
    height: reader.integer('height', 0n, INT64),
    time: reader.time('time'),
    lastBlockId: readBlockId(reader.object('last_block_id')),
    lastCommitHash: reader.hex('last_commit_hash'),
    dataHash: reader.hex('data_hash'),
    validatorsHash: reader.hex('validators_hash'),
    nextValidatorsHash: reader.hex('next_validators_hash'),
    consensusHash: reader.hex('consensus_hash'),
    appHash: reader.hex('app_hash'),
    lastResultsHash: reader.hex('last_results_hash'),
    evidenceHash: reader.hex('evidence_hash'),
    proposerAddress: reader.hex('proposer_address'),
  }
}

export const readBlockId = (reader: Reader): BlockId => {
  const parts = reader.object('parts')
  return { hash: reader.hex('hash'), partSetHeader: { total: parts.whole('total', UINT32), hash: parts.hex('hash') } }
}

const readCommit = (reader: Reader): Commit => ({
  height: reader.integer('height', 0n, INT64),
  round: reader.whole('round', INT32),
  blockId: readBlockId(reader.object('block_id')),
  signatures: reader.list('signatures').map(readCommitSig),
})

const readCommitSig = (reader: Reader): CommitSig => {
  const timestamp = reader.time('timestamp')
  const flag = reader.whole('block_id_flag', 3)
  if (flag === 0) reader.refuse('block_id_flag', 'a flag from 1 to 3')
  return {
    flag: flag as BlockIdFlag,
    validatorAddress: reader.hex('validator_address'),
    timestamp: nanosOf(timestamp) === nanosOf(ZERO_TIME) ? undefined : timestamp,
    signature: reader.isNull('signature') ? NOTHING : reader.base64('signature'),
  }
}

export const readValidator = (reader: Reader): Validator => {
  const key = reader.object('pub_key')
  const type = key.text('type')
  if (type !== KEY_TYPE) key.refuse('type', KEY_TYPE)
  return {
    address: reader.hex('address'),
    publicKey: key.base64('value', 32),
    votingPower: reader.integer('voting_power', 0n, INT64),
    proposerPriority: reader.integer('proposer_priority', -INT64 - 1n, INT64),
  }
}

export const INT64 = 2n ** 63n - 1n
const UINT64 = 2n ** 64n - 1n
export const INT32 = 2 ** 31 - 1
const UINT32 = 2 ** 32 - 1
const NOTHING = new Uint8Array(0)

/** Runs a reading: its value, or the first fault. */
export function parse<T>(json: unknown, read: (reader: Reader) => T): Result<T, JsonFault> {
  const first: { fault?: JsonFault } = {}
  const value = read(new Reader(json, '', first))
  return first.fault === undefined ? ok(value) : fail(first.fault)
}

/**
 * Reads one object of a document. Where something is not as expected it notes the first such place for the whole document
 * and answers a harmless value, so that the shape of the reading stays in one expression.
 */
export class Reader {
  private readonly fields: Readonly<Record<string, unknown>>
  private readonly place: string
  private readonly first: { fault?: JsonFault }

  constructor(json: unknown, place: string, first: { fault?: JsonFault }) {
    this.place = place
    this.first = first
    const isObject = typeof json === 'object' && json !== null && !Array.isArray(json)
    this.fields = isObject ? (json as Record<string, unknown>) : {}
    if (!isObject)
      this.first.fault ??= { code: 'chain.json', place: place === '' ? 'document' : place, expected: 'an object' }
  }

  refuse(field: string, expected: string): void {
    this.first.fault ??= { code: 'chain.json', place: this.at(field), expected }
  }

  has(field: string): boolean {
    return Object.hasOwn(this.fields, field)
  }

  isNull(field: string): boolean {
    return this.get(field) === null
  }

  object(field: string): Reader {
    return new Reader(this.get(field), this.at(field), this.first)
  }

  list(field: string, limit = MAX_VALIDATORS): readonly Reader[] {
    return this.items(field, limit).map((item, i) => new Reader(item, `${this.at(field)}[${i}]`, this.first))
  }

  base64List(field: string, limit: number): readonly Uint8Array[] {
    return this.items(field, limit).map((item, i) => {
      const bytes = typeof item === 'string' ? fromBase64(item) : undefined
      if (bytes === undefined) this.refuse(`${field}[${i}]`, 'base64')
      return bytes ?? NOTHING
    })
  }

  private items(field: string, limit: number): readonly unknown[] {
    const value = this.get(field)
    if (Array.isArray(value) && value.length <= limit) return value
    this.refuse(field, `a list of at most ${limit}`)
    return []
  }

  text(field: string): string {
    const value = this.get(field)
    if (typeof value === 'string') return value
    this.refuse(field, 'a text')
    return ''
  }

  /** A 64-bit integer, written as its shortest decimal string. */
  integer(field: string, from: bigint, to: bigint): bigint {
    const text = this.text(field)
    if (/^(0|-?[1-9]\d{0,19})$/.test(text)) {
      const value = BigInt(text)
      if (value >= from && value <= to) return value
    }
    this.refuse(field, `an integer from ${from} to ${to} in a string`)
    return 0n
  }

  /** A JSON number from 0 to `limit`. */
  whole(field: string, limit: number): number {
    const value = this.get(field)
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= limit) return value
    this.refuse(field, `a number from 0 to ${limit}`)
    return 0
  }

  hex(field: string): Uint8Array {
    const bytes = fromHex(this.text(field))
    if (bytes === undefined) this.refuse(field, 'hexadecimal')
    return bytes ?? NOTHING
  }

  base64(field: string, length?: number): Uint8Array {
    const bytes = fromBase64(this.text(field))
    if (bytes !== undefined && (length === undefined || bytes.length === length)) return bytes
    this.refuse(field, length === undefined ? 'base64' : `${length} bytes in base64`)
    return NOTHING
  }

  time(field: string): ChainTime {
    const time = timeOfText(this.text(field))
    if (time === undefined) this.refuse(field, 'a time as 2026-11-22T12:00:00.5Z')
    return time ?? ZERO_TIME
  }

  private get(field: string): unknown {
    return this.has(field) ? this.fields[field] : undefined
  }

  private at(field: string): string {
    return this.place === '' ? field : `${this.place}.${field}`
  }
}
