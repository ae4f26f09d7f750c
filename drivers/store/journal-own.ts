/**
 * The journal's records about itself, between those of its users:
 *
 *     journal.origin      {1: id, 2: owner, 3: begun}                      the first record of all
 *     journal.carried     kind length u8, kind, bytes                      an older record that a restart needs
 *     journal.checkpoint  {1: count, 2: dropped, 3: sealed}                so many carried records stand before it; the last segment dropped, and noted as sealed
 *     journal.cut         {1: segment, 2: offset, 3: bytes, 4: found}      what a power cut left half written
 *     journal.sealed      {1: segment, 2: sequence, 3: hash, 4: records}   a segment was finished
 *     journal.dropped     {1: segment, 2: sequence, 3: hash}               removed are all up to it; its last frame
 *
 * Maps are canonical CBOR, times Unix ms. A segment begins with a checkpoint: every record in force, carried forward, the
 * origin first. So a restart reads from the newest checkpoint on, and what stands before it may be dropped.
 */
import { concat, fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { JOURNAL_ID_BYTES } from '../../protocol/reading/head.ts'
import { bytes, decodeAs, encodeAs, integer, record } from '../../protocol/record.ts'
import { type JournalRecord, recordBytes } from './journal-block.ts'
import type { Cut, Head } from './journal-recovery.ts'

export interface Origin {
  /** What tells this journal from every other. */
  readonly id: Uint8Array
  /** UEID of the device that writes it. */
  readonly owner: Uint8Array
  readonly begun: number
}

/** What the journal did or found, to be signed by whoever can; its numbers are those of journal-recovery.ts. */
export type Note =
  | ({ readonly kind: 'cut' } & Cut)
  | ({ readonly kind: 'sealed'; readonly segment: number; readonly records: number } & Head)
  | ({ readonly kind: 'dropped'; readonly segment: number } & Head)

const COUNT = integer(0, Number.MAX_SAFE_INTEGER)
const HASH = bytes(32)
const origin = record({ id: [1, bytes(JOURNAL_ID_BYTES)], owner: [2, bytes(7, 33)], begun: [3, COUNT] })
const checkpoint = record({ count: [1, COUNT], dropped: [2, COUNT], sealed: [3, COUNT] })
const cut = record({ segment: [1, COUNT], offset: [2, COUNT], bytes: [3, COUNT], found: [4, COUNT] })
const sealed = record({ segment: [1, COUNT], sequence: [2, COUNT], hash: [3, HASH], records: [4, COUNT] })
const dropped = record({ segment: [1, COUNT], sequence: [2, COUNT], hash: [3, HASH] })
/** The longest of them has four numbers and a hash. */
const MAX_BYTES = 128

export const ORIGIN = 'journal.origin'
const CARRIED = 'journal.carried'
export const CHECKPOINT = 'journal.checkpoint'

export const originRecord = (value: Origin): JournalRecord => ({ kind: ORIGIN, bytes: encodeAs(origin, value) })

export function readOrigin({ kind, bytes }: JournalRecord): Origin | undefined {
  const read = kind === ORIGIN ? decodeAs(origin, bytes, kind, MAX_BYTES) : undefined
  return read?.ok ? read.value : undefined
}

export interface Checkpoint {
  /** So many carried records stand before it. */
  readonly count: number
  /** The last segment that was removed because its time was over; 0 for none. */
  readonly dropped: number
  /** The last segment whose end is on record before it; 0 for none. */
  readonly sealed: number
}

export const checkpointRecord = (value: Checkpoint): JournalRecord => ({
  kind: CHECKPOINT,
  bytes: encodeAs(checkpoint, value),
})

export function readCheckpoint({ kind, bytes }: JournalRecord): Checkpoint | undefined {
  const read = kind === CHECKPOINT ? decodeAs(checkpoint, bytes, kind, MAX_BYTES) : undefined
  return read?.ok ? read.value : undefined
}

export const carriedRecord = ({ kind, bytes }: JournalRecord): JournalRecord => ({
  kind: CARRIED,
  bytes: concat(Uint8Array.of(kind.length), utf8(kind), bytes),
})

/** What a record takes once it is carried. */
export const carriedBytes = (record: JournalRecord): number =>
  recordBytes({ kind: CARRIED, bytes: record.bytes }) + 1 + record.kind.length

export interface Unwrapped {
  readonly record: JournalRecord
  /** Not new here: it stands for one further back, which may have been dropped. */
  readonly carried: boolean
}

export function unwrap(record: JournalRecord): Unwrapped {
  if (record.kind !== CARRIED) return { record, carried: false }
  const end = 1 + (record.bytes[0] ?? 0)
  const kind = fromUtf8(record.bytes.subarray(1, end))
  // What nobody of ours wrote keeps its wrapping, and means nothing to anyone.
  return kind === undefined
    ? { record, carried: false }
    : { record: { kind, bytes: record.bytes.slice(end) }, carried: true }
}

export function noteRecord(note: Note, found: number): JournalRecord {
  const kind = `journal.${note.kind}`
  if (note.kind === 'cut') return { kind, bytes: encodeAs(cut, { ...note, found }) }
  const last = { ...note, sequence: Number(note.sequence) }
  return { kind, bytes: last.kind === 'sealed' ? encodeAs(sealed, last) : encodeAs(dropped, last) }
}

/** The note in a record; undefined for every other kind. */
export function readNote({ kind, bytes }: JournalRecord): Note | undefined {
  if (kind === 'journal.cut') {
    const read = decodeAs(cut, bytes, kind, MAX_BYTES)
    if (!read.ok) return undefined
    const { segment, offset, bytes: count } = read.value
    return { kind: 'cut', segment, offset, bytes: count }
  }
  if (kind === 'journal.sealed') {
    const read = decodeAs(sealed, bytes, kind, MAX_BYTES)
    return read.ok ? { kind: 'sealed', ...read.value, sequence: BigInt(read.value.sequence) } : undefined
  }
  if (kind === 'journal.dropped') {
    const read = decodeAs(dropped, bytes, kind, MAX_BYTES)
    return read.ok ? { kind: 'dropped', ...read.value, sequence: BigInt(read.value.sequence) } : undefined
  }
  return undefined
}
