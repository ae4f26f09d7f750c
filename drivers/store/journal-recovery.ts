/**
 * What is left of a journal or a log after whatever happened: read from the disk, judged, nothing changed. The oldest
 * segments may have been dropped. Of sealed ones only the openings are looked at, so that a long log opens at once; they are
 * verified when they are read.
 */
import { equalBytes } from '../../protocol/bytes.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Disk } from '../ports.ts'
import type { DiskFault } from './disk.ts'
import { BLOCK, NO_HASH, type Opening, type ReadFrame, readOpening, scanSegment } from './journal-block.ts'

/** `R` names the room that the fault is of: a journal or a log. */
export type SegmentFault<R extends string> =
  | {
      readonly code: `${R}.corrupt`
      readonly segment: string
      readonly offset: number
      readonly reason: string
      readonly hint: string
    }
  | { readonly code: `${R}.segment-missing`; readonly segment: string; readonly hint: string }
  | { readonly code: `${R}.io`; readonly segment: string; readonly cause: string; readonly errno?: string }
  | { readonly code: `${R}.full`; readonly hint: string }
  | { readonly code: `${R}.nearly-full`; readonly hint: string }
  | { readonly code: `${R}.closed` }

/** Which segments of a folder are meant. */
export interface Layout<R extends string> {
  readonly room: R
  /** What the names of its files begin with. */
  readonly name: string
}

/** What reading takes of a disk. */
export type ReadableDisk = Pick<Disk, 'list' | 'read'>

/** The last frame. Two journals with the same head are the same, which is what neighbours compare. */
export interface Head {
  readonly sequence: bigint
  readonly hash: Uint8Array
}

/** One segment on the way to the head. */
export interface Segment {
  readonly number: number
  /** The byte at which it ends. */
  readonly endsAt: number
  /** Number of the first record that ends in it or later. */
  readonly next: bigint
  /** Unix ms when it was begun; 0 where the clock was not synchronised. */
  readonly begun: number
  /** Number of the segment that it continues, 0 for none, and the last frame of that. */
  readonly after: number
  readonly before: Head
  /** Its last frame, as the segment behind it says; undefined for the one that is written on. */
  readonly seal: Head | undefined
}

/** Where a frame stands: its segment, and the byte at which it begins there. */
export interface Place {
  readonly segment: number
  readonly at: number
}

/** What a power cut left half written. Nothing in it was ever acknowledged. */
export interface Cut {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
}

export interface Recovered {
  /** In order; the last one is written on. Empty where nothing was written yet. */
  readonly segments: readonly Segment[]
  readonly head: Head
  readonly lastSize: number
  readonly cuts: readonly Cut[]
  /** Segments that were made and never opened. */
  readonly unopened: readonly { readonly number: number; readonly size: number; readonly torn: number }[]
}

export const segmentName = ({ name }: { readonly name: string }, number: number): string =>
  `${name}-${String(number).padStart(8, '0')}.seg`

/** Numbers of all segments there are, in order. */
export async function listSegments<R extends string>(
  disk: ReadableDisk,
  layout: Layout<R>,
): Promise<Result<readonly number[], SegmentFault<R>>> {
  const listed = await disk.list()
  if (!listed.ok) return fail({ code: `${layout.room}.io`, segment: '', cause: listed.fault.code })
  const numbers = listed.value.flatMap(name => {
    const number = Number(/-(\d{8})\.seg$/.exec(name)?.[1])
    return name === segmentName(layout, number) ? [number] : []
  })
  return ok(numbers.sort((a, b) => a - b))
}

export const corrupt = <R extends string>(layout: Layout<R>, number: number, offset: number, reason: string) =>
  fail({
    code: `${layout.room}.corrupt`,
    segment: segmentName(layout, number),
    offset,
    reason,
    hint: 'set the folder aside and restore it from a copy; it is not continued as if it were empty',
  } as const)

export const segmentMissing = <R extends string>(layout: Layout<R>, number: number) =>
  fail({
    code: `${layout.room}.segment-missing`,
    segment: segmentName(layout, number),
    hint: `restore it; the ${layout.room} does not begin behind it`,
  } as const)

/** The whole segment, or its first bytes. */
export async function readSegment<R extends string>(
  disk: ReadableDisk,
  layout: Layout<R>,
  number: number,
  from?: number,
  length?: number,
): Promise<Result<Uint8Array, SegmentFault<R>>> {
  const segment = segmentName(layout, number)
  const bytes = await disk.read(segment, from, length)
  if (bytes.ok) return bytes
  const { code, errno } = bytes.fault as DiskFault & { readonly errno?: string }
  return code === 'disk.missing'
    ? segmentMissing(layout, number)
    : fail({ code: `${layout.room}.io`, segment, cause: code, ...(errno === undefined ? {} : { errno }) })
}

/** Every frame of a segment, in order, each verified, and that it ends as the segment behind it says. */
export async function visitSegment<R extends string>(
  disk: ReadableDisk,
  layout: Layout<R>,
  segment: Segment,
  visit: (frame: ReadFrame, at: number) => void,
): Promise<Result<void, SegmentFault<R>>> {
  const { number, endsAt, seal } = segment
  // Behind it are the zeros of what is not written yet: as many megabytes as a small board can do without.
  const bytes = await readSegment(disk, layout, number, 0, endsAt)
  if (!bytes.ok) return bytes
  const scan = scanSegment(bytes.value, endsAt, visit)
  if (scan.kind === 'corrupt') return corrupt(layout, number, scan.at, scan.reason)
  const isSealed = scan.kind === 'whole' && (seal === undefined || sameHead(scan.last, seal))
  return isSealed ? done : corrupt(layout, number, endsAt, NOT_CONTINUED)
}

export async function recoverJournal<R extends string>(
  disk: ReadableDisk,
  layout: Layout<R>,
): Promise<Result<Recovered, SegmentFault<R>>> {
  const listed = await listSegments(disk, layout)
  if (!listed.ok) return listed
  const numbers = listed.value

  // From the newest down: what was made but never opened, then the segment that is written on.
  const unopened: { number: number; size: number; torn: number }[] = []
  for (const number of numbers.toReversed()) {
    const bytes = await readSegment(disk, layout, number)
    if (!bytes.ok) return bytes
    const scan = scanSegment(bytes.value, undefined, () => {})
    if (scan.kind === 'corrupt') return corrupt(layout, number, scan.at, scan.reason)
    if (scan.kind !== 'unopened') return walkBack(disk, layout, numbers, bytes.value, unopened)
    unopened.push({ number, size: bytes.value.length, torn: scan.torn })
  }
  // Only a first segment may stand alone and unopened: a later one says that there was something before.
  const newest = numbers.at(-1) ?? 0
  if (newest > 1) return corrupt(layout, newest, 0, 'no segment before it is left')
  return ok({
    segments: [],
    head: NO_HEAD,
    lastSize: 0,
    cuts: cutsOf(unopened),
    unopened,
  })
}

/**
 * The segments from the last to the first, as each opening names the one before and seals its end. A segment that no
 * opening names was given up when its own opening could not be synced, and holds nothing.
 */
async function walkBack<R extends string>(
  disk: ReadableDisk,
  layout: Layout<R>,
  numbers: readonly number[],
  lastBytes: Uint8Array,
  unopened: Recovered['unopened'],
): Promise<Result<Recovered, SegmentFault<R>>> {
  const segments: Segment[] = []
  const cuts = cutsOf(unopened)
  const last = numbers[numbers.length - 1 - unopened.length]!
  let head: Head | undefined
  let later: { readonly frame: ReadFrame; readonly opening: Opening } | undefined
  for (let number = last; number !== 0; ) {
    // Dropped from the oldest on, so that nothing older is left either.
    if (number < numbers[0]!) break
    const bytes = number === last ? ok(lastBytes) : await readSegment(disk, layout, number, 0, BLOCK)
    if (!bytes.ok) return bytes
    let first: ReadFrame | undefined
    const scan = scanSegment(bytes.value, later === undefined ? undefined : BLOCK, frame => {
      first ??= frame
    })
    if (scan.kind === 'corrupt') return corrupt(layout, number, scan.at, scan.reason)
    const opening = first === undefined ? undefined : readOpening(first)
    if (scan.kind === 'unopened' || first === undefined || opening === undefined)
      return corrupt(layout, number, 0, 'no opening')
    if (opening.after >= number)
      return corrupt(layout, number, 0, 'it names itself or a later segment as the one before')
    const seal = later === undefined ? undefined : beforeOf(later.frame)
    if (scan.kind === 'torn') cuts.push({ segment: number, offset: scan.at, bytes: scan.until - scan.at })
    const endsAt = later?.opening.endsAt ?? (scan.kind === 'torn' ? scan.at : scan.endsAt)
    const { after, next, begun } = opening
    segments.unshift({ number, endsAt, next, begun, after, before: beforeOf(first), seal })
    head ??= { sequence: scan.last.sequence, hash: scan.last.hash }
    later = { frame: first, opening }
    number = after
  }
  // Neither can be missing: the last segment was found before this walk began.
  if (later === undefined || head === undefined) throw new Error('no segment to walk back from')
  if (later.opening.after === 0 && !sameHead(beforeOf(later.frame), NO_HEAD)) {
    return corrupt(layout, segments[0]!.number, 0, 'not a beginning')
  }
  return ok({ segments, head, lastSize: lastBytes.length, cuts, unopened })
}

/** What stands before the first frame of all. */
const NO_HEAD: Head = { sequence: 0n, hash: NO_HASH }

const NOT_CONTINUED = 'the segment behind it does not continue it'

/** What stood before a frame. */
const beforeOf = (frame: ReadFrame): Head => ({ sequence: frame.sequence - 1n, hash: frame.previous })

const sameHead = (a: Head, b: Head): boolean => a.sequence === b.sequence && equalBytes(a.hash, b.hash)

const cutsOf = (unopened: Recovered['unopened']): Cut[] =>
  unopened.filter(({ torn }) => torn > 0).map(({ number, torn }) => ({ segment: number, offset: 0, bytes: torn }))
