/**
 * An append-only log of numbered records: what was acknowledged is there after any crash, in order, or opening and reading
 * say what is wrong. The oldest are dropped by whole segments.
 *
 * Its bytes are the journal's (journal-block.ts, journal-writer.ts); what differs is that records are numbered from 1, may
 * be longer than a frame (log-record.ts), are read one by one, and are verified when they are read rather than all at
 * opening.
 */
import { concat } from '../../protocol/bytes.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Clock, Disk } from '../ports.ts'
import type { HoldFault } from './hold.ts'
import {
  BLOCK,
  encodeRecords,
  framedBytes,
  type JournalRecord,
  MAX_COMMIT,
  type ReadFrame,
  readFrame,
} from './journal-block.ts'
import {
  type Cut,
  corrupt,
  type Layout,
  readSegment,
  recoverJournal,
  type Segment,
  type SegmentFault,
  visitSegment,
} from './journal-recovery.ts'
import { openWriter, type WriterStats } from './journal-writer.ts'
import { isEnd, PART_OVERHEAD, type Part, part, partsOf } from './log-record.ts'

export type LogFault = SegmentFault<'log'> | HoldFault

export interface LogOptions {
  readonly disk: Disk
  readonly clock: Clock
  /** What the names of its files begin with; several logs may share a folder. */
  readonly name: string
  /** Whole blocks of 4 kB, two or more. */
  readonly segmentBytes: number
}

export interface Log {
  /** Number of the oldest record kept; `next` where there is none. */
  readonly first: bigint
  /** Number that the next record will have; the first of all has 1. */
  readonly next: bigint
  /** What opening found half written and left out: nothing that was acknowledged. */
  readonly cuts: readonly Cut[]
  /** Resolves with the record's number once it is on the disk. The bytes must stay as they are until then. */
  append(bytes: Uint8Array): Promise<Result<bigint, LogFault>>
  /** Undefined for a record that was dropped or is not there yet. */
  read(number: bigint): Promise<Result<Uint8Array | undefined, LogFault>>
  /** Every record from `from` on that is there now, in order. */
  visit(from: bigint, visit: (bytes: Uint8Array, number: bigint) => void): Promise<Result<void, LogFault>>
  /** Drops records below a number, as far as whole segments allow. */
  dropBefore(number: bigint): Promise<Result<void, LogFault>>
  /** Raised while appends fail or soon will, cleared by the next one that goes well. */
  health(): LogFault | undefined
  stats(): WriterStats
  /** Commits what waits, then refuses. */
  close(): Promise<void>
}

/** A frame of records: its place, what it takes on the disk, and the number of the first record that ends in it or later. */
interface Indexed {
  readonly at: number
  readonly bytes: number
  readonly next: bigint
}

interface Waiting {
  readonly bytes: Uint8Array
  readonly answer: (result: Result<bigint, LogFault>) => void
}

const NO_PARTS = 'no parts of records'
/** Whoever reads old blocks reads neighbours; an index is at most 4095 entries. */
const INDEXES_KEPT = 4

/** The last item whose `next` is at most `number`; undefined where all are above. */
function lastUpTo<T extends { readonly next: bigint }>(items: readonly T[], number: bigint): T | undefined {
  let [low, high] = [0, items.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (items[middle]!.next <= number) low = middle + 1
    else high = middle
  }
  return items[low - 1]
}

/** One writer at a time: `disk.held` while another has it open. */
export async function openLog(options: LogOptions): Promise<Result<Log, LogFault>> {
  const { disk, clock, name, segmentBytes } = options
  const held = await disk.hold(name)
  if (!held.ok) {
    return held.fault.code === 'disk.held'
      ? fail({ code: 'disk.held', name, hint: held.fault.hint ?? '' })
      : fail({ code: 'log.io', segment: '', cause: held.fault.code })
  }
  const log = await openHeld(disk, clock, { room: 'log', name }, segmentBytes, held.value)
  if (!log.ok) await held.value()
  return log
}

async function openHeld(
  disk: Disk,
  clock: Clock,
  layout: Layout<'log'>,
  segmentBytes: number,
  release: () => Promise<void>,
): Promise<Result<Log, LogFault>> {
  const found = await recoverJournal(disk, layout)
  if (!found.ok) return found
  let [first, next] = [1n, 1n]
  const opened = await openWriter({ disk, clock, layout, segmentBytes, found: found.value, next: () => next })
  if (!opened.ok) return opened
  const writer = opened.value
  const indexes = new Map<number, Indexed[]>()

  /** Every part in a segment's frames, in order, until `visit` says what is wrong with one. */
  async function visitParts(
    segment: Segment,
    visit: (part: Part, frame: ReadFrame, at: number) => string | undefined,
  ): Promise<Result<void, LogFault>> {
    let bad: { readonly at: number; readonly reason: string } | undefined
    const visited = await visitSegment(disk, layout, segment, (frame, at) => {
      if (frame.kind !== 'records' || bad !== undefined) return
      const parts = partsOf(frame)
      if (parts === undefined) bad = { at, reason: NO_PARTS }
      for (const one of parts ?? []) {
        const reason = visit(one, frame, at)
        if (reason === undefined) continue
        bad = { at, reason }
        break
      }
    })
    if (!visited.ok || bad === undefined) return visited
    return corrupt(layout, segment.number, bad.at, bad.reason)
  }

  /** The index of a segment, and the number of the record behind its last. */
  async function scan(segment: Segment): Promise<Result<{ index: Indexed[]; next: bigint }, LogFault>> {
    const index: Indexed[] = []
    let number = segment.next
    const visited = await visitParts(segment, (one, frame, at) => {
      if (one.number !== number) return `record ${one.number} instead of ${number}`
      if (index.at(-1)?.at !== at) index.push({ at, bytes: framedBytes(frame.body.length), next: number })
      if (isEnd(one)) number++
      return undefined
    })
    return visited.ok ? ok({ index, next: number }) : visited
  }

  async function indexOf(segment: Segment): Promise<Result<Indexed[], LogFault>> {
    if (!indexes.has(segment.number)) {
      const scanned = await scan(segment)
      if (!scanned.ok) return scanned
      // A commit meanwhile knows more.
      if (!indexes.has(segment.number)) keepIndex(segment.number, scanned.value.index)
    }
    const index = indexes.get(segment.number)!
    // The one used last goes last.
    indexes.delete(segment.number)
    indexes.set(segment.number, index)
    return ok(index)
  }

  function keepIndex(segment: number, index: Indexed[]): void {
    indexes.set(segment, index)
    const open = writer.segments().at(-1)?.number
    for (const old of indexes.keys()) {
      if (indexes.size <= INDEXES_KEPT) break
      if (old !== open) indexes.delete(old)
    }
  }

  /** The parts in one frame, read and verified anew. */
  async function readParts(segment: Segment, { at, bytes }: Indexed): Promise<Result<readonly Part[], LogFault>> {
    const read = await readSegment(disk, layout, segment.number, at, bytes)
    if (!read.ok) return read
    const found = readFrame(read.value)
    const parts = found.kind === 'frame' ? partsOf(found.value) : undefined
    const reason = found.kind === 'junk' ? found.fault.reason : found.kind === 'need' ? 'too short' : NO_PARTS
    return parts === undefined ? corrupt(layout, segment.number, at, reason) : ok(parts)
  }

  async function read(number: bigint): Promise<Result<Uint8Array | undefined, LogFault>> {
    if (number < first || number >= next) return ok(undefined)
    const segments = writer.segments()
    let segment = lastUpTo(segments, number)!
    let index = await indexOf(segment)
    if (!index.ok) return index
    let frame = lastUpTo(index.value, number)
    let tail: readonly Uint8Array[] = []
    for (;;) {
      if (frame === undefined) {
        // The beginning of a long record stands at the end of the segment before.
        const before = segments[segments.indexOf(segment) - 1]
        if (before === undefined) return corrupt(layout, segment.number, 0, `the beginning of ${number} is not there`)
        segment = before
        index = await indexOf(segment)
        if (!index.ok) return index
        frame = index.value.at(-1)
        if (frame === undefined) continue
      }
      const parts = await readParts(segment, frame)
      if (!parts.ok) return parts
      const found = tail.length > 0 ? parts.value.at(-1) : parts.value.find(one => one.number === number && isEnd(one))
      if (found?.number !== number) return corrupt(layout, segment.number, frame.at, `record ${number} is not there`)
      tail = [found.bytes, ...tail]
      if (found.kind === 'w' || found.kind === 'b') return ok(tail.length === 1 ? found.bytes : concat(...tail))
      frame = index.value[index.value.indexOf(frame) - 1]
    }
  }

  async function visit(
    from: bigint,
    visitRecord: (bytes: Uint8Array, number: bigint) => void,
  ): Promise<Result<void, LogFault>> {
    const segments = writer.segments()
    // A record that is the first to end in a segment may begin in the one before.
    const start = lastUpTo(segments, from - 1n) ?? segments[0]
    let expected = start?.next ?? 1n
    let begun: Uint8Array[] | undefined
    for (const segment of start === undefined ? [] : segments.slice(segments.indexOf(start))) {
      const visited = await visitParts(segment, ({ kind, number, bytes }) => {
        if (number !== expected) return `record ${number} instead of ${expected}`
        if (kind === 'w' || kind === 'b') begun = []
        begun?.push(bytes)
        if (kind === 'b' || kind === 'm') return undefined
        if (number >= from && number >= first) {
          if (begun === undefined) return `record ${number} has no beginning`
          visitRecord(begun.length === 1 ? begun[0]! : concat(...begun), number)
        }
        begun = undefined
        expected++
        return undefined
      })
      if (!visited.ok) return visited
    }
    return done
  }

  async function commitFrame(parts: readonly JournalRecord[], ended: number): Promise<Result<void, LogFault>> {
    const body = encodeRecords(parts)
    const placed = await writer.commit(body)
    if (!placed.ok) return placed
    const { segment, at } = placed.value
    const index = indexes.get(segment)
    const entry = { at, bytes: framedBytes(body.length), next }
    if (index === undefined) keepIndex(segment, [entry])
    else index.push(entry)
    next += BigInt(ended)
    return done
  }

  /** A record longer than a frame: its parts in frames that follow each other. */
  async function commitLong(bytes: Uint8Array): Promise<Result<void, LogFault>> {
    const room = writer.room - PART_OVERHEAD
    for (let at = 0; at < bytes.length; at += room) {
      const isLast = at + room >= bytes.length
      const kind = at === 0 ? 'b' : isLast ? 'e' : 'm'
      const committed = await commitFrame(
        [part({ kind, number: next, bytes: bytes.subarray(at, at + room) })],
        isLast ? 1 : 0,
      )
      if (!committed.ok) return committed
    }
    return done
  }

  const queue: Waiting[] = []
  let committing: Promise<void> | undefined
  let closed = false

  async function commitQueue(): Promise<void> {
    // Records handed over in the same turn share the commit.
    await Promise.resolve()
    while (queue.length > 0) {
      let bytes = 0
      let count = 0
      for (; count < queue.length; count++) {
        bytes += PART_OVERHEAD + queue[count]!.bytes.length
        if (bytes > writer.room) break
      }
      const batch = queue.splice(0, Math.max(1, count))
      const number = next
      const result =
        count === 0
          ? await commitLong(batch[0]!.bytes)
          : await commitFrame(
              batch.map((one, i) => part({ kind: 'w', number: number + BigInt(i), bytes: one.bytes })),
              count,
            )
      for (const [i, { answer }] of batch.entries()) answer(result.ok ? ok(number + BigInt(i)) : result)
    }
    committing = undefined
  }

  /** Where the first segment begins in the middle of a record, that one is not there. */
  async function findFirst(): Promise<Result<void, LogFault>> {
    first = writer.segments()[0]?.next ?? 1n
    // An opening takes the first block, and a segment that was given up behind it holds nothing else.
    const begun = writer.segments().find(segment => segment.endsAt > BLOCK)
    if (begun === undefined) return done
    const parts = await readParts(begun, {
      at: BLOCK,
      bytes: Math.min(MAX_COMMIT, begun.endsAt - BLOCK),
      next: first,
    })
    if (!parts.ok) return parts
    const { kind } = parts.value[0]!
    if (kind === 'm' || kind === 'e') first++
    return done
  }

  const open = writer.segments().at(-1)
  if (open !== undefined) {
    const scanned = await scan(open)
    if (!scanned.ok) return scanned
    next = scanned.value.next
    keepIndex(open.number, scanned.value.index)
  }
  const begins = await findFirst()
  if (!begins.ok) return begins

  return ok({
    get first() {
      return first
    },
    get next() {
      return next
    },
    cuts: writer.cuts,
    append: async bytes =>
      closed
        ? fail({ code: 'log.closed' })
        : new Promise(answer => {
            queue.push({ bytes, answer })
            committing ??= commitQueue()
          }),
    read,
    visit,
    async dropBefore(number) {
      // The segment in which the record before ends: the record itself begins in it or later.
      const keep = lastUpTo(writer.segments(), number - 1n)
      if (keep === undefined) return done
      const dropped = await writer.dropBelow(keep.number)
      if (!dropped.ok) return dropped
      for (const old of indexes.keys()) if (old < keep.number) indexes.delete(old)
      return findFirst()
    },
    health: writer.health,
    stats: writer.stats,
    async close() {
      closed = true
      await committing
      await writer.close()
      await release()
    },
  })
}
