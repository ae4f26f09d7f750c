/**
 * Frames written behind each other, in one segment after the other; a journal and a log both write through this.
 *
 * A commit is one frame of whole blocks in a segment made of zeros beforehand, written once and synced before anybody hears
 * of it. A block with acknowledged records is never written again. After a failed write or sync the segment is poisoned:
 * what the disk then says about it proves nothing, so the commit goes into a new segment whose opening seals the old one
 * before the failed frame, and is acknowledged only there.
 */
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Clock, Disk } from '../ports.ts'
import { BLOCK, bodyRoom, encodeFrame, encodeOpening, type FrameKind, framedBytes } from './journal-block.ts'
import {
  type Cut,
  type Head,
  type Layout,
  listSegments,
  type Place,
  type Recovered,
  type Segment,
  type SegmentFault,
  segmentName,
} from './journal-recovery.ts'

export interface WriterOptions<R extends string> {
  readonly disk: Disk
  readonly clock: Clock
  readonly layout: Layout<R>
  /** Whole blocks, two or more. */
  readonly segmentBytes: number
  /** What recovery found, and nothing was written since. */
  readonly found: Recovered
  /** What is committed at opening about commits that were cut; without it they are only told. */
  readonly noteCuts?: (cuts: readonly Cut[]) => Uint8Array
  /** Number of the first record that ends in the next commit or later. */
  readonly next: () => bigint
  /** What is written behind each opening before anything else; the last of the segments is the one that begins. */
  readonly begin?: (segments: readonly Segment[]) => readonly Prologue[]
  /** Whether the segment that is written on still lacks what `begin` gives. */
  readonly beginDue?: boolean
  /** Hears every change of `health`. */
  readonly onHealth?: (fault: SegmentFault<R> | undefined) => void
}

export interface Prologue {
  readonly body: Uint8Array
  /** It is on the disk, in the segment of that number. */
  landed(segment: number): void
}

export interface WriterStats {
  readonly commits: number
  readonly blocks: number
  /** Everything handed to the disk since opening, zeros of new segments included: what wears a card. */
  readonly bytesWritten: number
  readonly syncs: number
  /** Segments that hold the records. */
  readonly segments: number
  /** Segments given up after a failed write or sync. */
  readonly poisoned: number
}

export interface SegmentWriter<R extends string> {
  /** What opening found half written and left out. */
  readonly cuts: readonly Cut[]
  /** The longest body that a commit takes. */
  readonly room: number
  /**
   * One frame with a body of records, in this segment or, where it is full or fails, in the next; resolves once it is on
   * the disk.
   */
  commit(body: Uint8Array): Promise<Result<Place, SegmentFault<R>>>
  /** In order, the one that is written on last; it ends where the last commit does. */
  segments(): readonly Segment[]
  /** Removes every segment below a number; the one that is written on stays. */
  dropBelow(segment: number): Promise<Result<void, SegmentFault<R>>>
  head(): Head
  /** Raised while commits fail or soon will, cleared by the next one that goes well. */
  health(): SegmentFault<R> | undefined
  stats(): WriterStats
  /** Resolves when nothing is under way; no commit may follow. */
  close(): Promise<void>
}

/** After a segment could not be made: each try on a full card writes most of a segment before it fails. */
const RETRY_MS = 10_000
/** Below this share of a segment left, the next one is made beside the commits. */
const PREPARE_SHARE = 1 / 4

export async function openWriter<R extends string>(
  options: WriterOptions<R>,
): Promise<Result<SegmentWriter<R>, SegmentFault<R>>> {
  const { disk, clock, layout, segmentBytes, found, noteCuts, begin, onHealth } = options
  const { room } = layout
  if (segmentBytes % BLOCK !== 0 || segmentBytes < 2 * BLOCK) throw new RangeError('a segment is two blocks or more')
  const { cuts, unopened } = found

  /** Sealed segments; the open one is `segment`. */
  let sealed = found.segments.slice(0, -1)
  const open = found.segments.at(-1)
  let segment = {
    number: open?.number ?? 0,
    at: open?.endsAt ?? 0,
    next: open?.next ?? 1n,
    begun: open?.begun ?? 0,
    after: open?.after ?? 0,
    before: open?.before ?? found.head,
    size: found.lastSize,
    // Where there is none yet, the first commit makes one.
    poisoned: open === undefined,
  }
  let { head } = found
  /** The number of the newest segment made. */
  let newest = Math.max(segment.number, ...unopened.map(one => one.number))
  let prepared: Promise<Result<number, SegmentFault<R>>> | undefined
  /** No segment is made before then, for the reason that the last one was not. */
  let refused: { readonly until: Mono; readonly fault: SegmentFault<R> } | undefined
  let trouble: SegmentFault<R> | undefined
  let beginDue = options.beginDue ?? false
  const counts = { commits: 0, blocks: 0, bytesWritten: 0, syncs: 0, poisoned: 0 }

  const nameOf = (number: number) => segmentName(layout, number)
  const io = (number: number, cause: string) =>
    fail({ code: `${room}.io`, segment: nameOf(number), cause } as const satisfies SegmentFault<R>)

  function setTrouble(fault: SegmentFault<R> | undefined): void {
    const changed = trouble?.code !== fault?.code
    trouble = fault
    if (changed) onHealth?.(fault)
  }

  const isRefused = () => refused !== undefined && clock.mono() < refused.until
  function refuse(fault: SegmentFault<R>): void {
    refused = { until: later(clock.mono(), RETRY_MS), fault }
  }

  /** Writes a frame behind the head and syncs it; the segment is poisoned where that fails. */
  async function put(into: typeof segment, kind: FrameKind, body: Uint8Array): Promise<Result<Place, SegmentFault<R>>> {
    const name = nameOf(into.number)
    const sequence = head.sequence + 1n
    const { blocks, hash } = encodeFrame({ sequence, previous: head.hash, kind, body })
    counts.bytesWritten += blocks.length
    const written = await disk.write(name, into.at, blocks)
    if (written.ok) counts.syncs++
    const synced = written.ok ? await disk.sync(name) : written
    if (!synced.ok) {
      into.poisoned = true
      counts.poisoned++
      // What failed is in the kernel's memory still, as if it were on the disk, and the next sync says that it is: a process
      // that comes after this one must not find it there.
      await disk.write(name, into.at, new Uint8Array(blocks.length))
      return io(into.number, synced.fault.code)
    }
    const { at } = into
    into.at += blocks.length
    head = { sequence, hash }
    counts.commits++
    counts.blocks += blocks.length / BLOCK
    return ok({ segment: into.number, at })
  }

  async function makeSegment(): Promise<Result<number, SegmentFault<R>>> {
    let number = newest + 1
    let made = await disk.create(nameOf(number), segmentBytes)
    // Left by a create that failed when all but the folder's entry was on the disk.
    while (!made.ok && made.fault.code === 'disk.exists') {
      newest = number++
      made = await disk.create(nameOf(number), segmentBytes)
    }
    if (made.ok) {
      newest = number
      counts.bytesWritten += segmentBytes
      return ok(number)
    }
    return made.fault.code === 'disk.full'
      ? fail({ code: `${room}.full`, hint: 'free some space; nothing is acknowledged until then' })
      : io(number, made.fault.code)
  }

  /** Its number is free again, so that a lone first segment is always number 1. */
  async function discard(number: number): Promise<void> {
    const removed = await disk.remove(nameOf(number))
    if (removed.ok && number === newest) newest--
  }

  /** Begins the next segment. Until its opening is synced, the old one stays the last. */
  async function turn(): Promise<Result<void, SegmentFault<R>>> {
    if (isRefused()) return fail(refused!.fault)
    const making = prepared ?? makeSegment()
    prepared = undefined
    const made = await making
    const after = segment.number
    const next = options.next()
    const begun = clock.quality() === 'synchronised' ? clock.now() : 0
    const number = made.ok ? made.value : 0
    const seal = head
    const into = { number, at: 0, next, begun, after, before: seal, size: segmentBytes, poisoned: false }
    const opened = made.ok
      ? await put(into, 'opening', encodeOpening({ after, endsAt: segment.at, next, begun }))
      : made
    if (!opened.ok) {
      refuse(opened.fault)
      if (made.ok) {
        // Its opening may be on the disk for all that, and come back with a remove that a power cut undoes: what it says
        // about the end of this segment has to stay true.
        segment.poisoned = true
        await discard(made.value)
      }
      return opened
    }
    refused = undefined
    if (segment.number !== 0) sealed.push({ ...described(), seal })
    segment = into
    beginDue = begin !== undefined
    return done
  }

  /** The segment that is written on. */
  function described(): Segment {
    const { number, at: endsAt, next, begun, after, before } = segment
    return { number, endsAt, next, begun, after, before, seal: undefined }
  }

  async function putPrologue(): Promise<Result<void, SegmentFault<R>>> {
    for (const { body, landed } of begin?.([...sealed, described()]) ?? []) {
      const placed = await put(segment, 'records', body)
      if (!placed.ok) return placed
      landed(segment.number)
    }
    beginDue = false
    return done
  }

  async function commit(body: Uint8Array): Promise<Result<Place, SegmentFault<R>>> {
    let result: Result<Place, SegmentFault<R>> | undefined
    const need = framedBytes(body.length)
    for (let tries = 0; tries < 2; tries++) {
      if (segment.poisoned || segment.size - segment.at < need) {
        const turned = await turn()
        if (!turned.ok) {
          setTrouble(turned.fault)
          return turned
        }
      }
      const begun = beginDue ? await putPrologue() : done
      result = begun.ok ? await put(segment, 'records', body) : begun
      if (result.ok) {
        prepare()
        return result
      }
    }
    const failed = result!
    if (!failed.ok) {
      setTrouble(failed.fault)
      refuse(failed.fault)
    }
    return failed
  }

  /** What was torn becomes zeros again; until then a crash finds it torn once more. */
  async function clear(from: number, until: number): Promise<void> {
    if (from >= until) return
    const name = nameOf(segment.number)
    counts.bytesWritten += until - from
    const written = await disk.write(name, from, new Uint8Array(until - from))
    const synced = written.ok ? await disk.sync(name) : written
    if (!synced.ok) segment.poisoned = true
  }

  function nearlyFull(): void {
    setTrouble({ code: `${room}.nearly-full`, hint: 'free some space; this segment is the last that fits' })
  }

  function prepare(): void {
    setTrouble(undefined)
    if (prepared !== undefined || segment.size - segment.at > segment.size * PREPARE_SHARE) return
    if (isRefused()) return nearlyFull()
    const making = makeSegment()
    prepared = making
    void making.then(made => {
      if (made.ok || prepared !== making) return
      prepared = undefined
      refuse(made.fault)
      nearlyFull()
    })
  }

  if (open !== undefined) {
    // Makes durable what a killed process wrote and did not sync: from here on it is believed.
    const synced = await disk.sync(nameOf(open.number))
    if (!synced.ok) return io(open.number, synced.fault.code)
  }
  for (const { number, size, torn } of unopened) {
    if (prepared === undefined && torn === 0 && size === segmentBytes) prepared = Promise.resolve(ok(number))
    else await discard(number)
  }
  if (cuts.length > 0) {
    const noted = noteCuts === undefined ? done : await commit(noteCuts(cuts))
    if (!noted.ok) return noted
    const torn = cuts.find(cut => cut.segment === segment.number)
    if (torn !== undefined) await clear(segment.at, torn.offset + torn.bytes)
  }

  return ok({
    cuts,
    room: bodyRoom(segmentBytes - BLOCK),
    commit,
    segments() {
      return segment.number === 0 ? sealed : [...sealed, described()]
    },
    async dropBelow(below) {
      const listed = await listSegments(disk, layout)
      if (!listed.ok) return listed
      // From the oldest on, so that what is left after a crash begins somewhere and has no hole.
      for (const number of listed.value.filter(one => one < below && one < segment.number)) {
        const removed = await disk.remove(nameOf(number))
        if (!removed.ok) return io(number, removed.fault.code)
        sealed = sealed.filter(one => one.number !== number)
      }
      return done
    },
    head: () => head,
    health: () => trouble,
    stats: () => ({ segments: sealed.length + (segment.number > 0 ? 1 : 0), ...counts }),
    async close() {
      await prepared
    },
  })
}
