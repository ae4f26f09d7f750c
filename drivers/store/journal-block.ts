/**
 * The journal's bytes. A commit is one frame in whole blocks of 4 kB:
 *
 *     0         4       8     12        20               52       56
 *     54 4c 4a 31  length  crc   sequence  previous hash    kind     body ... zeros to the block's end
 *     T  L  J  1   u32     u32   u64       32 bytes         u32
 *
 * All integers little-endian. `length` counts the body; `crc` is CRC-32 (zip) of everything from `sequence` to the body's
 * end; `previous hash` is SHA-256 of the frame before, header and body. Zeros after the body are checked too, so that no
 * flipped bit goes unseen.
 *
 * A segment is a file of zeros that frames are written into from its start, never twice in the same place once
 * acknowledged. Its first frame is an opening: it names the segment before and seals where that one ends, so that what a
 * failed sync left beyond is no part of the journal.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { equalBytes, fromUtf8, utf8 } from '../../protocol/bytes.ts'
import type { Pull } from '../../protocol/result.ts'

/** The write unit of flash and page cache: a torn write of one block never reaches into another. */
export const BLOCK = 4096
const MAGIC = 0x314a4c54
const CRC_FROM = 12
const PREVIOUS_AT = 20
const KIND_AT = 52
const BODY_AT = 56

export const NO_HASH = new Uint8Array(32)

/** One commit is at most this long: what a torn write can reach, and a batch that a slow card syncs in well under a second. */
export const MAX_COMMIT = 64 * BLOCK
const MAX_BODY = MAX_COMMIT - BODY_AT

export type FrameKind = 'opening' | 'records'
const KINDS: readonly FrameKind[] = ['opening', 'records']

export interface Frame {
  readonly sequence: bigint
  readonly previous: Uint8Array
  readonly kind: FrameKind
  readonly body: Uint8Array
}

export interface JournalRecord {
  /** A short name, as in `reading`; 1 to 32 printable ASCII characters. */
  readonly kind: string
  readonly bytes: Uint8Array
}

/** Where a segment begins. */
export interface Opening {
  /** The segment before it, 0 for none, and the byte at which that one ends. */
  readonly after: number
  readonly endsAt: number
  /** Number of the first record that ends in this segment or later. */
  readonly next: bigint
  /** Unix ms when it was begun; 0 where the clock was not synchronised. */
  readonly begun: number
}

export type FrameFault = { readonly code: 'journal.frame'; readonly reason: string }

/** What a body of this many bytes takes on the disk, and the longest body that so many bytes of disk take. */
export const framedBytes = (bodyBytes: number): number => Math.ceil((BODY_AT + bodyBytes) / BLOCK) * BLOCK
export const bodyRoom = (diskBytes: number): number => Math.min(diskBytes, MAX_COMMIT) - BODY_AT

/** A frame's blocks and its hash, which the next frame carries. */
export function encodeFrame(frame: Frame): { readonly blocks: Uint8Array; readonly hash: Uint8Array } {
  const { sequence, previous, kind, body } = frame
  const end = BODY_AT + body.length
  const blocks = new Uint8Array(framedBytes(body.length))
  const view = new DataView(blocks.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint32(4, body.length, true)
  view.setBigUint64(CRC_FROM, sequence, true)
  blocks.set(previous, PREVIOUS_AT)
  view.setUint32(KIND_AT, KINDS.indexOf(kind), true)
  blocks.set(body, BODY_AT)
  view.setUint32(8, crc32(blocks.subarray(CRC_FROM, end)), true)
  return { blocks, hash: sha256(blocks.subarray(0, end)) }
}

export interface ReadFrame extends Frame {
  readonly hash: Uint8Array
}

/** The frame at the start of `bytes`. Zeros, where nothing was written yet, are junk too: the caller knows where it is. */
export function readFrame(bytes: Uint8Array): Pull<ReadFrame, FrameFault> {
  const junk = (reason: string) => ({ kind: 'junk', skip: BLOCK, fault: { code: 'journal.frame', reason } }) as const
  if (bytes.length < BLOCK) return { kind: 'need', bytes: BLOCK - bytes.length }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0, true) !== MAGIC) return junk('no magic')
  const length = view.getUint32(4, true)
  if (length > MAX_BODY) return junk(`a body of ${length} bytes`)
  const used = framedBytes(length)
  if (bytes.length < used) return { kind: 'need', bytes: used - bytes.length }
  const end = BODY_AT + length
  if (crc32(bytes.subarray(CRC_FROM, end)) !== view.getUint32(8, true)) return junk('checksum')
  if (!isZero(bytes.subarray(end, used))) return junk('bytes after the body')
  const kind = KINDS[view.getUint32(KIND_AT, true)]
  if (kind === undefined) return junk('unknown kind')
  return {
    kind: 'frame',
    used,
    value: {
      sequence: view.getBigUint64(CRC_FROM, true),
      previous: bytes.slice(PREVIOUS_AT, PREVIOUS_AT + 32),
      kind,
      body: bytes.subarray(BODY_AT, end),
      hash: sha256(bytes.subarray(0, end)),
    },
  }
}

/** after u32, ends at u32, next u64, begun u64. */
export const encodeOpening = ({ after, endsAt, next, begun }: Opening): Uint8Array => {
  const body = new Uint8Array(OPENING_BYTES)
  const view = new DataView(body.buffer)
  view.setUint32(0, after, true)
  view.setUint32(4, endsAt, true)
  view.setBigUint64(8, next, true)
  view.setBigUint64(16, BigInt(begun), true)
  return body
}

const OPENING_BYTES = 24

export function readOpening({ kind, body }: Frame): Opening | undefined {
  if (kind !== 'opening' || body.length !== OPENING_BYTES) return undefined
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  return {
    after: view.getUint32(0, true),
    endsAt: view.getUint32(4, true),
    next: view.getBigUint64(8, true),
    begun: Number(view.getBigUint64(16, true)),
  }
}

/** Bytes that a record takes in a body: kind length u8, kind, length u32, bytes. */
export const recordBytes = ({ kind, bytes }: JournalRecord): number => 1 + kind.length + 4 + bytes.length

export function encodeRecords(records: readonly JournalRecord[]): Uint8Array {
  const body = new Uint8Array(records.reduce((sum, record) => sum + recordBytes(record), 0))
  const view = new DataView(body.buffer)
  let at = 0
  for (const { kind, bytes } of records) {
    body[at] = kind.length
    body.set(utf8(kind), at + 1)
    at += 1 + kind.length
    view.setUint32(at, bytes.length, true)
    body.set(bytes, at + 4)
    at += 4 + bytes.length
  }
  return body
}

/** The records of a body, or undefined where it is not exactly a list of records. Bytes are copies. */
export function readRecords(body: Uint8Array): JournalRecord[] | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const records: JournalRecord[] = []
  for (let at = 0; at < body.length; ) {
    const sizeAt = at + 1 + body[at]!
    if (sizeAt + 4 > body.length) return undefined
    const kind = fromUtf8(body.subarray(at + 1, sizeAt))
    const end = sizeAt + 4 + view.getUint32(sizeAt, true)
    if (kind === undefined || end > body.length) return undefined
    records.push({ kind, bytes: body.slice(sizeAt + 4, end) })
    at = end
  }
  return records
}

export const isRecordKind = (kind: string): boolean => /^[\x21-\x7e]{1,32}$/.test(kind)

export type Scan =
  | { readonly kind: 'whole'; readonly endsAt: number; readonly last: ReadFrame }
  /** A commit that the power cut short: from `at` to `until` nothing was ever acknowledged. */
  | { readonly kind: 'torn'; readonly at: number; readonly until: number; readonly last: ReadFrame }
  /** Made, but its opening is not there, or torn: then `torn` bytes of it are not zero. */
  | { readonly kind: 'unopened'; readonly torn: number }
  | { readonly kind: 'corrupt'; readonly at: number; readonly reason: string }

/**
 * Walks a segment's frames in order. `sealedAt` is where the next segment's opening says that it ends; the last segment
 * has none, and there one commit, the last, may be torn: it has no good frame behind it and reaches no further than a
 * commit can. Damage to the very last commit after it was synced looks the same; nothing on this disk can tell them apart.
 */
export function scanSegment(
  bytes: Uint8Array,
  sealedAt: number | undefined,
  visit: (frame: ReadFrame, at: number) => void,
): Scan {
  const until = sealedAt ?? bytes.length
  if (until > bytes.length) return { kind: 'corrupt', at: bytes.length, reason: `shorter than its seal at ${until}` }
  let last: ReadFrame | undefined
  let at = 0
  while (at < until) {
    const found = readFrame(bytes.subarray(at, until))
    if (found.kind !== 'frame') {
      const reason = found.kind === 'junk' ? found.fault.reason : 'a frame beyond the end'
      return sealedAt === undefined ? scanTail(bytes, at, reason, last) : { kind: 'corrupt', at, reason }
    }
    const frame = found.value
    const reason = misplaced(frame, last)
    if (reason !== undefined) return { kind: 'corrupt', at, reason }
    visit(frame, at)
    last = frame
    at += found.used
  }
  return last === undefined ? { kind: 'unopened', torn: 0 } : { kind: 'whole', endsAt: at, last }
}

/** Why a sound frame cannot stand behind `last`, or first where there is none. */
function misplaced(frame: ReadFrame, last: ReadFrame | undefined): string | undefined {
  if ((readOpening(frame) !== undefined) !== (last === undefined)) return 'an opening out of place'
  if (frame.kind === 'records' && readRecords(frame.body) === undefined) return 'a body that is no list of records'
  if (last === undefined) return undefined
  if (frame.sequence !== last.sequence + 1n) return `sequence ${frame.sequence} after ${last.sequence}`
  return equalBytes(frame.previous, last.hash) ? undefined : 'previous hash'
}

/** What stands from `at` on, where no good frame does. */
function scanTail(bytes: Uint8Array, at: number, reason: string, last: ReadFrame | undefined): Scan {
  let until = bytes.length
  while (until > at && bytes[until - 1] === 0) until--
  until = Math.min(bytes.length, Math.ceil(until / BLOCK) * BLOCK)
  if (until - at > (last === undefined ? BLOCK : MAX_COMMIT)) return { kind: 'corrupt', at, reason }
  for (let block = at + BLOCK; block < until; block += BLOCK) {
    if (readFrame(bytes.subarray(block)).kind === 'frame') return { kind: 'corrupt', at, reason }
  }
  if (last === undefined) return { kind: 'unopened', torn: until - at }
  return until > at ? { kind: 'torn', at, until, last } : { kind: 'whole', endsAt: at, last }
}

const ZEROS = new Uint8Array(BLOCK)
/** Of at most a block. */
const isZero = (bytes: Uint8Array): boolean => Buffer.compare(bytes, ZEROS.subarray(0, bytes.length)) === 0

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())
