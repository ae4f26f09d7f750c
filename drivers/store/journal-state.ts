/**
 * What is in force in a journal: the newest record under each name, in the order in which they came, and the journal's own
 * origin. It follows from the committed records alone, so that a checkpoint written between two commits is exactly what
 * stood before the second.
 */
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { BLOCK, type JournalRecord, type ReadFrame, readFrame, readRecords } from './journal-block.ts'
import { CHECKPOINT, ORIGIN, type Origin, readCheckpoint, readNote, readOrigin, unwrap } from './journal-own.ts'
import {
  corrupt,
  type Layout,
  type Place,
  type ReadableDisk,
  type Recovered,
  readSegment,
  type Segment,
  type SegmentFault,
  segmentMissing,
  segmentName,
  visitSegment,
} from './journal-recovery.ts'

/**
 * What a record means for a restart: it is kept `as` the newest of that name, and what is kept under the names `over` is
 * needed no longer. Undefined: a restart does without it.
 */
export type Keeping = (record: JournalRecord) => Keep | undefined

export interface Keep {
  readonly as?: string
  readonly over?: readonly string[]
}

export type JournalFault =
  | SegmentFault<'journal'>
  | { readonly code: 'disk.held'; readonly name: string; readonly hint: string }
  | { readonly code: 'journal.missing'; readonly hint: string }
  | { readonly code: 'journal.dropped-meanwhile'; readonly segment: string; readonly hint: string }
  | { readonly code: 'journal.not-a-journal'; readonly files: number; readonly found: string; readonly hint: string }
  | { readonly code: 'journal.no-origin'; readonly segment: string; readonly hint: string }
  | { readonly code: 'journal.foreign'; readonly owner: string; readonly expected: string; readonly hint: string }
  | { readonly code: 'journal.checkpoint-too-long'; readonly bytes: number; readonly limit: number }
  | { readonly code: 'journal.busy'; readonly queuedBytes: number }
  | { readonly code: 'journal.record-too-long'; readonly bytes: number; readonly limit: number }

/** Whether nothing is kept while this is raised; the others warn. */
export const isRefusing = (fault: JournalFault | undefined): boolean =>
  fault !== undefined && fault.code !== 'journal.nearly-full' && fault.code !== 'journal.checkpoint-too-long'

export const LAYOUT: Layout<'journal'> = { room: 'journal', name: 'journal' }

export interface State {
  readonly origin: Origin | undefined
  /** The last segment that was removed because its time was over; 0 for none. */
  readonly dropped: number
  /** The last segment whose end is on record; 0 for none. */
  readonly sealed: number
  take(record: JournalRecord): void
  /** In force, the one that changed last at the end. */
  records(): readonly JournalRecord[]
}

function createState(keeping: Keeping): State {
  const kept = new Map<string, JournalRecord>()
  let origin: Origin | undefined
  let dropped = 0
  let sealed = 0
  return {
    get origin() {
      return origin
    },
    get dropped() {
      return dropped
    },
    get sealed() {
      return sealed
    },
    take(record) {
      if (record.kind === ORIGIN) {
        origin ??= readOrigin(record)
        return
      }
      const note = readNote(record)
      if (note?.kind === 'dropped') dropped = note.segment
      if (note?.kind === 'sealed') sealed = note.segment
      const checkpoint = readCheckpoint(record)
      if (checkpoint !== undefined) {
        dropped = Math.max(dropped, checkpoint.dropped)
        sealed = Math.max(sealed, checkpoint.sealed)
      }
      const { as, over = [] } = keeping(record) ?? {}
      for (const name of over) kept.delete(name)
      if (as === undefined) return
      // Anew, so that it stands behind what came before it.
      kept.delete(as)
      kept.set(as, record)
    },
    records: () => [...kept.values()],
  }
}

export interface Restored {
  readonly state: State
  /** All records ever, those of dropped segments included. */
  readonly records: number
  /** The segment that the newest whole checkpoint begins; 0 where there is nothing yet. */
  readonly checkpoint: number
  /** Whether the segment that is written on lacks its checkpoint: the power went between its opening and that. */
  readonly checkpointDue: boolean
}

/**
 * Reads back to the newest whole checkpoint, verifying all that it reads. Says `journal.segment-missing` where segments at
 * the beginning are gone that nobody dropped.
 */
export async function restoreState(
  disk: ReadableDisk,
  { segments }: Recovered,
  keeping: Keeping,
): Promise<Result<Restored, JournalFault>> {
  const state = createState(keeping)
  const parts: JournalRecord[][] = []
  let checkpoint = 0
  let checkpointDue = false
  let records = 0
  for (const segment of segments.toReversed()) {
    const found: JournalRecord[] = []
    const visited = await visitSegment(disk, LAYOUT, segment, frame => {
      found.push(...recordsIn(frame))
    })
    if (!visited.ok) return visited
    const begins = beginning(found)
    // What stands for older records before the whole of it was there says nothing new, and would come behind its time.
    parts.unshift(begins === 'whole' ? found : found.filter(record => !unwrap(record).carried))
    if (segment === segments.at(-1)) {
      checkpointDue = begins === 'unfinished'
      records = Number(segment.next) - 1 + found.length
    }
    if (begins === 'whole') {
      checkpoint = segment.number
      break
    }
  }
  for (const record of parts.flat()) state.take(unwrap(record).record)
  const [oldest] = segments
  if (oldest !== undefined && oldest.after > state.dropped) return segmentMissing(LAYOUT, oldest.after)
  if (oldest !== undefined && records > 0 && state.origin === undefined) {
    return fail({
      code: 'journal.no-origin',
      segment: segmentName(LAYOUT, oldest.number),
      hint: 'it does not say whose it is; set the folder aside',
    })
  }
  return ok({ state, records, checkpoint, checkpointDue })
}

/**
 * Whether a segment's first records are a checkpoint, the beginning of one (or nothing yet), or neither. Where the power cut
 * one short, a whole one stands behind its beginning.
 */
function beginning(records: readonly JournalRecord[]): 'whole' | 'unfinished' | 'none' {
  if (records[0]?.kind === ORIGIN) return 'whole'
  const carried = records.findIndex(record => !unwrap(record).carried)
  if (carried === -1) return 'unfinished'
  return records[carried]!.kind === CHECKPOINT && (readCheckpoint(records[carried]!)?.count ?? carried + 1) <= carried
    ? 'whole'
    : 'none'
}

/** Where a record stands: `at` is the byte at which its frame begins. */
export interface At extends Place {
  /** The frame's sequence and hash, as heads name them. */
  readonly frame: bigint
  readonly frameHash: Uint8Array
  /** Records before it, from the journal's beginning on. */
  readonly index: number
  /** Stands for one further back, which may have been dropped. */
  readonly carried: boolean
}

/** `enough` ends the visit; a promise is waited for, and answers the same. Whatever else is answered means nothing. */
export type Visitor = (record: JournalRecord, at: At) => unknown

/**
 * Every record in the frames from `from` on, in order, each segment verified before any of it is visited. Of carried records
 * only those of the oldest segment are, or, where that was given up before its checkpoint was whole, of the one behind it:
 * any further they would come twice.
 */
export async function visitRecords(
  disk: ReadableDisk,
  segments: readonly Segment[],
  visit: Visitor,
  from = 0n,
): Promise<Result<void, SegmentFault<'journal'>>> {
  let carriedDue = true
  for (const segment of segments) {
    if (segment.seal !== undefined && segment.seal.sequence < from) {
      carriedDue = false
      continue
    }
    const found: { readonly record: JournalRecord; readonly frame: ReadFrame; readonly at: number }[] = []
    const visited = await visitSegment(disk, LAYOUT, segment, (frame, at) => {
      for (const record of recordsIn(frame)) found.push({ record, frame, at })
    })
    if (!visited.ok) return visited
    const first = Number(segment.next) - 1
    const records = found.map(({ record }) => record)
    const begins = carriedDue ? carriedFrom(records) : found.length
    if (beginning(records) !== 'unfinished') carriedDue = false
    for (const [i, { record: written, frame, at }] of found.entries()) {
      const { record, carried } = unwrap(written)
      if (frame.sequence < from || (carried && i < begins)) continue
      const { sequence, hash } = frame
      const said = visit(record, {
        frame: sequence,
        frameHash: hash,
        index: first + i,
        segment: segment.number,
        at,
        carried,
      })
      // Most say nothing, and are not made to wait for it.
      const go = said instanceof Promise ? await said : said
      if (go === 'enough') return done
    }
  }
  return done
}

/**
 * The records of one frame, as they were before they were carried; undefined where its segment was dropped. It is verified by
 * its own checksum alone: of the frames around it nothing is read.
 */
export async function recordsAt(
  disk: ReadableDisk,
  segments: readonly Segment[],
  { segment, at }: Place,
): Promise<Result<readonly JournalRecord[] | undefined, SegmentFault<'journal'>>> {
  const [oldest] = segments
  if (oldest === undefined || segment < oldest.number) return ok(undefined)
  let bytes = await readSegment(disk, LAYOUT, segment, at, BLOCK)
  if (!bytes.ok) return bytes
  let read = readFrame(bytes.value)
  if (read.kind === 'need' && bytes.value.length === BLOCK) {
    bytes = await readSegment(disk, LAYOUT, segment, at, BLOCK + read.bytes)
    if (!bytes.ok) return bytes
    read = readFrame(bytes.value)
  }
  return read.kind === 'frame'
    ? ok(recordsIn(read.value).map(record => unwrap(record).record))
    : corrupt(LAYOUT, segment, at, read.kind === 'junk' ? read.fault.reason : 'a frame beyond the end')
}

const recordsIn = (frame: ReadFrame): readonly JournalRecord[] =>
  frame.kind === 'records' ? (readRecords(frame.body) ?? []) : []

/** Where the carried records of a segment's checkpoint begin: before them may stand those of one that was cut short. */
function carriedFrom(records: readonly JournalRecord[]): number {
  const end = records.findIndex(({ kind }) => kind === CHECKPOINT)
  return end === -1 ? records.length : end - (readCheckpoint(records[end]!)?.count ?? 0)
}

/** The hash of the frame of that sequence; undefined where it was dropped or is not there yet. */
export async function frameHash(
  disk: ReadableDisk,
  segments: readonly Segment[],
  sequence: bigint,
): Promise<Result<Uint8Array | undefined, SegmentFault<'journal'>>> {
  const [oldest] = segments
  if (oldest?.before.sequence === sequence) return ok(oldest.before.hash)
  const segment = segments.find(
    ({ before, seal }) => before.sequence < sequence && sequence <= (seal?.sequence ?? sequence),
  )
  let found: Uint8Array | undefined
  const visited =
    segment === undefined
      ? ok(undefined)
      : await visitSegment(disk, LAYOUT, segment, frame => {
          if (frame.sequence === sequence) found = frame.hash
        })
  return visited.ok ? ok(found) : visited
}
