/**
 * A log's records in the frames of journal-block.ts:
 *
 *     kind    w a whole record; b, m, e the beginning, middle and end of a long one, in frames that follow each other
 *     bytes   number u64 little-endian, then the record's or the part's own
 *
 * A beginning without an end is a record that was never acknowledged; the next one has its number.
 */
import { type JournalRecord, type ReadFrame, readRecords, recordBytes } from './journal-block.ts'

export interface Part {
  readonly kind: 'w' | 'b' | 'm' | 'e'
  /** Of the record, from 1. */
  readonly number: bigint
  readonly bytes: Uint8Array
}

const NUMBER_BYTES = 8
/** What a part takes in a frame besides its own bytes. */
export const PART_OVERHEAD = recordBytes({ kind: 'w', bytes: new Uint8Array(NUMBER_BYTES) })

export function part({ kind, number, bytes }: Part): JournalRecord {
  const out = new Uint8Array(NUMBER_BYTES + bytes.length)
  new DataView(out.buffer).setBigUint64(0, number, true)
  out.set(bytes, NUMBER_BYTES)
  return { kind, bytes: out }
}

const isKind = (kind: string): kind is Part['kind'] => /^[wbme]$/.test(kind)

/** The parts in a frame of records, one at least, or undefined where it does not hold a log's. */
export function partsOf(frame: ReadFrame): readonly Part[] | undefined {
  const parts: Part[] = []
  for (const { kind, bytes } of readRecords(frame.body) ?? []) {
    if (!isKind(kind) || bytes.length < NUMBER_BYTES) return undefined
    const number = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
    parts.push({ kind, number, bytes: bytes.subarray(NUMBER_BYTES) })
  }
  return parts.length === 0 ? undefined : parts
}

/** Whether a record ends with this part. */
export const isEnd = ({ kind }: Part): boolean => kind === 'w' || kind === 'e'
