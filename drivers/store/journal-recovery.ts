/** What is left of a journal after whatever happened: read from the disk, judged, nothing changed. */
import { equalBytes } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Disk } from '../ports.ts'
import { NO_HASH, type Opening, type ReadFrame, readOpening, readRecords, scanSegment } from './journal-block.ts'

export type JournalFault =
  | {
      readonly code: 'journal.corrupt'
      readonly segment: string
      readonly offset: number
      readonly reason: string
      readonly hint: string
    }
  | { readonly code: 'journal.segment-missing'; readonly segment: string; readonly hint: string }
  | { readonly code: 'journal.io'; readonly segment: string; readonly cause: string }
  | { readonly code: 'journal.full'; readonly hint: string }
  | { readonly code: 'journal.nearly-full'; readonly hint: string }
  | { readonly code: 'journal.busy'; readonly queuedBytes: number }
  | { readonly code: 'journal.record-too-long'; readonly bytes: number; readonly limit: number }
  | { readonly code: 'journal.closed' }

/** The last frame of the journal. Two journals with the same head are the same, which is what neighbours compare. */
export interface Head {
  readonly sequence: bigint
  readonly hash: Uint8Array
}

/** One segment on the way from the journal's beginning to its head, and the byte at which it ends. */
export interface Segment {
  readonly number: number
  readonly endsAt: number
}

/** What a power cut left half written. Nothing in it was ever acknowledged. */
export interface Cut {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
}

export interface Recovered {
  /** In order; the last one is written on. Empty where the journal is new. */
  readonly segments: readonly Segment[]
  readonly head: Head
  readonly records: number
  readonly lastSize: number
  readonly cuts: readonly Cut[]
  /** Segments that were made and never opened. */
  readonly unopened: readonly { readonly number: number; readonly size: number; readonly torn: number }[]
}

export const segmentName = (number: number): string => `journal-${String(number).padStart(8, '0')}.seg`
const segmentNumber = (name: string): number | undefined => {
  const match = /^journal-(\d{8})\.seg$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

const corrupt = (number: number, offset: number, reason: string) =>
  fail({
    code: 'journal.corrupt',
    segment: segmentName(number),
    offset,
    reason,
    hint: 'set the folder aside and restore it from a copy; it is not continued as if it were empty',
  } as const)

async function readSegment(disk: Disk, number: number): Promise<Result<Uint8Array, JournalFault>> {
  const segment = segmentName(number)
  const bytes = await disk.read(segment)
  if (bytes.ok) return bytes
  return bytes.fault.code === 'disk.missing'
    ? fail({ code: 'journal.segment-missing', segment, hint: 'restore it; the journal does not begin behind it' })
    : fail({ code: 'journal.io', segment, cause: bytes.fault.code })
}

/** Every record of a run of segments, in order. */
export async function visitSegments(
  disk: Disk,
  segments: readonly Segment[],
  visit: (frame: ReadFrame) => void,
): Promise<Result<void, JournalFault>> {
  for (const { number, endsAt } of segments) {
    const bytes = await readSegment(disk, number)
    if (!bytes.ok) return bytes
    const scan = scanSegment(bytes.value, endsAt, visit)
    if (scan.kind === 'corrupt') return corrupt(number, scan.at, scan.reason)
  }
  return ok(undefined)
}

export async function recoverJournal(disk: Disk): Promise<Result<Recovered, JournalFault>> {
  const listed = await disk.list()
  if (!listed.ok) return fail({ code: 'journal.io', segment: '', cause: listed.fault.code })
  const numbers = listed.value.map(segmentNumber).filter(number => number !== undefined)

  // From the newest down: what was made but never opened, then the segment that is written on.
  const unopened: { number: number; size: number; torn: number }[] = []
  for (const number of numbers.toReversed()) {
    const bytes = await readSegment(disk, number)
    if (!bytes.ok) return bytes
    const scan = scanSegment(bytes.value, undefined, () => {})
    if (scan.kind === 'corrupt') return corrupt(number, scan.at, scan.reason)
    if (scan.kind !== 'unopened') return walkBack(disk, number, bytes.value, unopened)
    unopened.push({ number, size: bytes.value.length, torn: scan.torn })
  }
  // Only a first segment may stand alone and unopened: a later one says that there was a journal.
  const newest = numbers.at(-1) ?? 0
  if (newest > 1) return corrupt(newest, 0, 'no segment before it is left')
  return ok({
    segments: [],
    head: { sequence: 0n, hash: NO_HASH },
    records: 0,
    lastSize: 0,
    cuts: cutsOf(unopened),
    unopened,
  })
}

/**
 * The segments from the last to the first, as each opening names the one before and seals its end. A segment that no
 * opening names was given up when its own opening could not be synced, and holds nothing.
 */
async function walkBack(
  disk: Disk,
  last: number,
  lastBytes: Uint8Array,
  unopened: Recovered['unopened'],
): Promise<Result<Recovered, JournalFault>> {
  const segments: Segment[] = []
  const cuts = cutsOf(unopened)
  let records = 0
  let head: Head | undefined
  let later: { readonly frame: ReadFrame; readonly opening: Opening } | undefined
  for (let number = last; number !== 0; ) {
    const bytes = number === last ? ok(lastBytes) : await readSegment(disk, number)
    if (!bytes.ok) return bytes
    let first: ReadFrame | undefined
    const scan = scanSegment(bytes.value, later?.opening.endsAt, frame => {
      first ??= frame
      if (frame.kind === 'records') records += readRecords(frame.body)?.length ?? 0
    })
    if (scan.kind === 'corrupt') return corrupt(number, scan.at, scan.reason)
    const opening = first === undefined ? undefined : readOpening(first)
    if (scan.kind === 'unopened' || first === undefined || opening === undefined)
      return corrupt(number, 0, 'no opening')
    if (opening.after >= number) return corrupt(number, 0, 'it names itself or a later segment as the one before')
    if (later !== undefined && !continues(later.frame, scan.last)) {
      return corrupt(number, later.opening.endsAt, 'the segment behind it does not continue it')
    }
    if (scan.kind === 'torn') cuts.push({ segment: number, offset: scan.at, bytes: scan.until - scan.at })
    segments.unshift({ number, endsAt: scan.kind === 'torn' ? scan.at : scan.endsAt })
    head ??= { sequence: scan.last.sequence, hash: scan.last.hash }
    later = { frame: first, opening }
    number = opening.after
  }
  const beginning = later?.frame
  if (
    beginning === undefined ||
    head === undefined ||
    beginning.sequence !== 1n ||
    !equalBytes(beginning.previous, NO_HASH)
  ) {
    return corrupt(segments[0]?.number ?? last, 0, 'not the beginning of a journal')
  }
  return ok({ segments, head, records, lastSize: lastBytes.length, cuts, unopened })
}

const continues = (frame: ReadFrame, before: ReadFrame): boolean =>
  frame.sequence === before.sequence + 1n && equalBytes(frame.previous, before.hash)

const cutsOf = (unopened: Recovered['unopened']): Cut[] =>
  unopened.filter(({ torn }) => torn > 0).map(({ number, torn }) => ({ segment: number, offset: 0, bytes: torn }))
