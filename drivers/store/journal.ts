/**
 * The journal: what was acknowledged is there after any crash, in order, or opening it says what is wrong.
 *
 * One writer. Records are gathered and committed together, every `groupMs` or at once where one is urgent; a commit is one
 * frame of whole blocks in a segment made of zeros beforehand, written once and synced before anybody hears of it. A block
 * with acknowledged records is never written again. After a failed write or sync the segment is poisoned: what the disk
 * then says about it proves nothing, so the commit goes into a new segment whose opening seals the old one before the
 * failed frame, and is acknowledged only there.
 */
import { encode } from '../../protocol/cbor.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Cancel, Clock, Disk, Timers } from '../ports.ts'
import {
  BLOCK,
  bodyRoom,
  encodeFrame,
  encodeOpening,
  encodeRecords,
  type FrameKind,
  isRecordKind,
  type JournalRecord,
  readRecords,
  recordBytes,
} from './journal-block.ts'
import {
  type Cut,
  type Head,
  type JournalFault,
  recoverJournal,
  segmentName,
  visitSegments,
} from './journal-recovery.ts'

export interface JournalOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly timers: Timers
  /** Whole blocks; a bench or test takes less. */
  readonly segmentBytes?: number
  readonly groupMs?: number
}

export interface JournalStats {
  readonly records: number
  readonly commits: number
  readonly blocks: number
  /** Everything handed to the disk since opening, zeros of new segments included: what wears a card. */
  readonly bytesWritten: number
  readonly syncs: number
  readonly segments: number
  /** Segments given up after a failed write or sync. */
  readonly poisoned: number
}

export interface Journal {
  /** Resolves once the record is on the disk; `index` counts records from 0. Throws on a kind that is no short name. */
  append(
    kind: string,
    bytes: Uint8Array,
    options?: { readonly urgent?: boolean },
  ): Promise<Result<{ readonly index: number }, JournalFault>>
  /** Commits what is queued now, for whoever has to wait for a record of its own that is queued. */
  flush(): void
  /** Every acknowledged record so far, in order. Records of kind `journal.cut` are the journal's own. */
  replay(visit: (record: JournalRecord, index: number) => void): Promise<Result<void, JournalFault>>
  head(): Head
  /** What opening found half written and left out; each is also a record of kind `journal.cut`. */
  readonly cuts: readonly Cut[]
  /** Raised while appends are refused or soon will be, cleared by the next one that goes well. */
  health(): JournalFault | undefined
  stats(): JournalStats
  /** Commits what is queued, then refuses. */
  close(): Promise<void>
}

/** 16 MiB hold 4095 commits: an hour of one a second; made in a tenth of a second on a card. */
const SEGMENT_BYTES = 16 << 20
/** How long an unhurried reading may wait for others to share its block. */
const GROUP_MS = 1000
/** Queued bytes beyond which a disk that no longer keeps up is answered for at once. */
const MAX_QUEUE = 4 << 20
/** After a segment could not be made: each try on a full card writes most of a segment before it fails. */
const RETRY_MS = 10_000
/** Below this share of a segment left, the next one is made beside the commits. */
const PREPARE_SHARE = 1 / 4

/** A record of the journal about itself: a map of segment, offset, bytes left out, Unix ms. */
const CUT_KIND = 'journal.cut'

interface Waiting {
  readonly record: JournalRecord
  readonly answer: (result: Result<{ readonly index: number }, JournalFault>) => void
}

export async function openJournal(options: JournalOptions): Promise<Result<Journal, JournalFault>> {
  const { disk, clock, timers, segmentBytes = SEGMENT_BYTES, groupMs = GROUP_MS } = options
  if (segmentBytes % BLOCK !== 0 || segmentBytes < 2 * BLOCK) throw new RangeError('a segment is two blocks or more')
  const found = await recoverJournal(disk)
  if (!found.ok) return found
  const { cuts, unopened } = found.value

  /** Sealed segments; the open one is `segment`. */
  const sealed = found.value.segments.slice(0, -1)
  const open = found.value.segments.at(-1)
  let segment = {
    number: open?.number ?? 0,
    at: open?.endsAt ?? 0,
    size: found.value.lastSize,
    // Where there is none yet, the first commit makes one.
    poisoned: open === undefined,
  }
  let { head, records } = found.value
  /** The number of the newest segment made. */
  let newest = Math.max(segment.number, ...unopened.map(one => one.number))
  let prepared: Promise<Result<number, JournalFault>> | undefined
  let refusedUntil: Mono | undefined
  let trouble: JournalFault | undefined
  const counts = { commits: 0, blocks: 0, bytesWritten: 0, syncs: 0, poisoned: 0 }

  const roomInSegment = bodyRoom(segmentBytes - BLOCK)

  /** Writes a frame behind the head and syncs it; the segment is poisoned where that fails. */
  async function put(into: typeof segment, kind: FrameKind, body: Uint8Array): Promise<Result<void, JournalFault>> {
    const name = segmentName(into.number)
    const sequence = head.sequence + 1n
    const { blocks, hash } = encodeFrame({ sequence, previous: head.hash, kind, body })
    counts.bytesWritten += blocks.length
    const written = await disk.write(name, into.at, blocks)
    if (written.ok) counts.syncs++
    const synced = written.ok ? await disk.sync(name) : written
    if (!synced.ok) {
      into.poisoned = true
      counts.poisoned++
      return fail({ code: 'journal.io', segment: name, cause: synced.fault.code })
    }
    into.at += blocks.length
    head = { sequence, hash }
    counts.commits++
    counts.blocks += blocks.length / BLOCK
    return done
  }

  async function makeSegment(): Promise<Result<number, JournalFault>> {
    const number = newest + 1
    const name = segmentName(number)
    const made = await disk.create(name, segmentBytes)
    if (made.ok) {
      newest = number
      counts.bytesWritten += segmentBytes
      return ok(number)
    }
    return made.fault.code === 'disk.full'
      ? fail({ code: 'journal.full', hint: 'free some space; readings are not acknowledged until then' })
      : fail({ code: 'journal.io', segment: name, cause: made.fault.code })
  }

  /** Its number is free again, so that a lone first segment is always number 1. */
  async function discard(number: number): Promise<void> {
    const removed = await disk.remove(segmentName(number))
    if (removed.ok && number === newest) newest--
  }

  /** Begins the next segment. Until its opening is synced, the old one stays the end of the journal. */
  async function turn(): Promise<Result<void, JournalFault>> {
    if (refusedUntil !== undefined && clock.mono() < refusedUntil && trouble !== undefined) return fail(trouble)
    const making = prepared ?? makeSegment()
    prepared = undefined
    const made = await making
    const next = { number: made.ok ? made.value : 0, at: 0, size: segmentBytes, poisoned: false }
    const opened = made.ok
      ? await put(next, 'opening', encodeOpening({ after: segment.number, endsAt: segment.at }))
      : made
    if (!opened.ok) {
      refusedUntil = later(clock.mono(), RETRY_MS)
      // Nothing in it counts; where it cannot be removed either, no opening will ever name it.
      if (made.ok) await discard(made.value)
      return opened
    }
    refusedUntil = undefined
    if (segment.number !== 0) sealed.push({ number: segment.number, endsAt: segment.at })
    segment = next
    return done
  }

  /** One frame of records, in this segment or, where it is full or fails, in the next. */
  async function commit(batch: readonly JournalRecord[]): Promise<Result<void, JournalFault>> {
    const body = encodeRecords(batch)
    let result: Result<void, JournalFault> = done
    for (let tries = 0; tries < 2; tries++) {
      if (segment.poisoned || bodyRoom(segment.size - segment.at) < body.length) {
        const turned = await turn()
        if (!turned.ok) return turned
      }
      result = await put(segment, 'records', body)
      if (result.ok) {
        records += batch.length
        prepare()
        return done
      }
    }
    refusedUntil = later(clock.mono(), RETRY_MS)
    return result
  }

  /** What was torn behind the record of its cut becomes zeros again; until then a crash finds it torn once more. */
  async function clear(from: number, until: number): Promise<void> {
    if (from >= until) return
    const name = segmentName(segment.number)
    counts.bytesWritten += until - from
    const written = await disk.write(name, from, new Uint8Array(until - from))
    const synced = written.ok ? await disk.sync(name) : written
    if (!synced.ok) segment.poisoned = true
  }

  function prepare(): void {
    trouble = undefined
    if (prepared !== undefined || segment.size - segment.at > segment.size * PREPARE_SHARE) return
    if (refusedUntil !== undefined && clock.mono() < refusedUntil) {
      trouble = { code: 'journal.nearly-full', hint: 'free some space; this segment is the last that fits' }
      return
    }
    const making = makeSegment()
    prepared = making
    void making.then(made => {
      if (made.ok || prepared !== making) return
      prepared = undefined
      refusedUntil = later(clock.mono(), RETRY_MS)
      trouble = { code: 'journal.nearly-full', hint: 'free some space; this segment is the last that fits' }
    })
  }

  if (open !== undefined) {
    // Makes durable what a killed process wrote and did not sync: from here on it is believed.
    const synced = await disk.sync(segmentName(open.number))
    if (!synced.ok) return fail({ code: 'journal.io', segment: segmentName(open.number), cause: synced.fault.code })
  }
  for (const { number, size, torn } of unopened) {
    if (prepared === undefined && torn === 0 && size === segmentBytes) prepared = Promise.resolve(ok(number))
    else await discard(number)
  }
  if (cuts.length > 0) {
    const noted = await commit(
      cuts.map(({ segment, offset, bytes }) => ({
        kind: CUT_KIND,
        bytes: encode([segment, offset, bytes, clock.now()]),
      })),
    )
    if (!noted.ok) return noted
    const torn = cuts.find(cut => cut.segment === segment.number)
    if (torn !== undefined) await clear(segment.at, torn.offset + torn.bytes)
  }

  const queue: Waiting[] = []
  let queuedBytes = 0
  let due = false
  let closed = false
  let cancelGroup: Cancel | undefined
  let committing: Promise<void> | undefined

  /** As many waiting records as one commit takes; at least one. */
  function takeBatch(): Waiting[] {
    let bytes = 0
    let count = 0
    for (; count < queue.length; count++) {
      bytes += recordBytes(queue[count]!.record)
      if (bytes > roomInSegment) break
    }
    return queue.splice(0, count)
  }

  async function commitQueue(): Promise<void> {
    // Records handed over in the same turn share the commit.
    await Promise.resolve()
    while (due && queue.length > 0) {
      cancelGroup?.()
      cancelGroup = undefined
      const batch = takeBatch()
      due = queue.length > 0
      const first = records
      const result = await commit(batch.map(waiting => waiting.record))
      if (!result.ok) trouble = result.fault
      for (const [i, { record, answer }] of batch.entries()) {
        queuedBytes -= recordBytes(record)
        answer(result.ok ? ok({ index: first + i }) : result)
      }
    }
    due = false
    committing = undefined
  }

  function commitSoon(): void {
    due = true
    committing ??= commitQueue()
  }

  return ok({
    append: async (kind, bytes, { urgent = false } = {}) => {
      if (!isRecordKind(kind)) throw new RangeError(`not a record kind: ${kind}`)
      // Copied at once: the caller may reuse its buffer before the commit.
      const record: JournalRecord = { kind, bytes: bytes.slice() }
      const size = recordBytes(record)
      if (closed) return fail({ code: 'journal.closed' })
      if (size > roomInSegment) return fail({ code: 'journal.record-too-long', bytes: size, limit: roomInSegment })
      if (queuedBytes + size > MAX_QUEUE) return fail({ code: 'journal.busy', queuedBytes })
      queuedBytes += size
      return new Promise(answer => {
        queue.push({ record, answer })
        if (urgent) commitSoon()
        else cancelGroup ??= timers.after(groupMs, commitSoon)
      })
    },

    flush: commitSoon,

    replay: async visit => {
      let index = 0
      return visitSegments(
        disk,
        [...sealed, { number: segment.number, endsAt: segment.at }].filter(one => one.number > 0),
        frame => {
          if (frame.kind === 'records') for (const record of readRecords(frame.body) ?? []) visit(record, index++)
        },
      )
    },

    head: () => head,
    cuts,
    health: () => trouble,
    stats: () => ({ records, segments: sealed.length + (segment.number > 0 ? 1 : 0), ...counts }),

    close: async () => {
      closed = true
      cancelGroup?.()
      commitSoon()
      await committing
      await prepared
    },
  })
}
