/**
 * The journal: what was acknowledged is there after any crash, in order, or opening it says what is wrong.
 *
 * One writer. Records are gathered and committed together, every `groupMs` or at once where one is urgent; journal-writer.ts
 * says what a commit is.
 */
import { encode } from '../../protocol/cbor.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Cancel, Clock, Disk, Timers } from '../ports.ts'
import { encodeRecords, isRecordKind, type JournalRecord, readRecords, recordBytes } from './journal-block.ts'
import { type Cut, type Head, type Layout, type SegmentFault, visitSegment } from './journal-recovery.ts'
import { openWriter, type WriterStats } from './journal-writer.ts'

export type JournalFault =
  | SegmentFault<'journal'>
  | { readonly code: 'journal.busy'; readonly queuedBytes: number }
  | { readonly code: 'journal.record-too-long'; readonly bytes: number; readonly limit: number }

export interface JournalOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly timers: Timers
  /** Whole blocks; a bench or test takes less. */
  readonly segmentBytes?: number
  readonly groupMs?: number
}

export interface JournalStats extends WriterStats {
  readonly records: number
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

const LAYOUT: Layout<'journal'> = { room: 'journal', name: 'journal', keeps: 'all' }
/** 16 MiB hold 4095 commits: an hour of one a second; made in a tenth of a second on a card. */
const SEGMENT_BYTES = 16 << 20
/** How long an unhurried reading may wait for others to share its block. */
const GROUP_MS = 1000
/** Queued bytes beyond which a disk that no longer keeps up is answered for at once. */
const MAX_QUEUE = 4 << 20

/** A record of the journal about itself: a map of segment, offset, bytes left out, Unix ms. */
const CUT_KIND = 'journal.cut'

interface Waiting {
  readonly record: JournalRecord
  readonly answer: (result: Result<{ readonly index: number }, JournalFault>) => void
}

export async function openJournal(options: JournalOptions): Promise<Result<Journal, JournalFault>> {
  const { disk, clock, timers, segmentBytes = SEGMENT_BYTES, groupMs = GROUP_MS } = options
  const noteCuts = (cuts: readonly Cut[]) =>
    encodeRecords(
      cuts.map(({ segment, offset, bytes }) => ({
        kind: CUT_KIND,
        bytes: encode([segment, offset, bytes, clock.now()]),
      })),
    )
  const opened = await openWriter({ disk, clock, layout: LAYOUT, segmentBytes, noteCuts })
  if (!opened.ok) return opened
  const writer = opened.value
  let records = writer.records + writer.cuts.length

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
      if (bytes > writer.room) break
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
      const body = encodeRecords(batch.map(waiting => waiting.record))
      const result = await writer.commit(body, BigInt(first) + 1n)
      if (result.ok) records += batch.length
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
      if (size > writer.room) return fail({ code: 'journal.record-too-long', bytes: size, limit: writer.room })
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
      for (const segment of writer.segments()) {
        const visited = await visitSegment(disk, LAYOUT, segment, frame => {
          if (frame.kind === 'records') for (const record of readRecords(frame.body) ?? []) visit(record, index++)
        })
        if (!visited.ok) return visited
      }
      return done
    },

    head: writer.head,
    cuts: writer.cuts,
    health: writer.health,
    stats: () => ({ records, ...writer.stats() }),

    close: async () => {
      closed = true
      cancelGroup?.()
      commitSoon()
      await committing
      await writer.close()
    },
  })
}
