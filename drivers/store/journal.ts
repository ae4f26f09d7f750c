/**
 * The journal: what was acknowledged is there after any crash, in order, or opening it says what is wrong.
 *
 * One writer. Records are gathered and committed together, every `groupMs` or at once where one is urgent; journal-writer.ts
 * says what a commit is. Each segment begins with what is in force (journal-own.ts), so that the oldest can be dropped.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { JOURNAL_ID_BYTES } from '../../protocol/reading/head.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import type { Cancel, Clock, Disk, Entropy, Timers } from '../ports.ts'
import {
  BLOCK,
  bodyRoom,
  encodeRecords,
  framedBytes,
  isRecordKind,
  type JournalRecord,
  MAX_COMMIT,
  recordBytes,
} from './journal-block.ts'
import {
  carriedBytes,
  carriedRecord,
  checkpointRecord,
  type Note,
  noteRecord,
  type Origin,
  originRecord,
} from './journal-own.ts'
import type { JournalHead } from './journal-reader.ts'
import { type Cut, type Place, recoverJournal, type Segment } from './journal-recovery.ts'
import { lastToDrop, type Retention } from './journal-retention.ts'
import {
  type JournalFault,
  type Keeping,
  LAYOUT,
  recordsAt,
  restoreState,
  type Visitor,
  visitRecords,
} from './journal-state.ts'
import { openWriter, type Prologue, type WriterStats } from './journal-writer.ts'

export interface JournalOptions {
  readonly disk: Disk
  /** What `holdJournal` answered for this disk; without it, opening holds it. */
  readonly held?: () => Promise<void>
  readonly clock: Clock
  readonly timers: Timers
  readonly entropy: Entropy
  /** UEID of the device that writes: `journal.foreign` where another one's journal stands there. */
  readonly owner: Uint8Array
  /** Which records a restart needs; without it none. */
  readonly keeping?: Keeping
  /** What may be dropped; without it nothing is. */
  readonly retention?: Retention
  /** Whole blocks, four or more; a bench or test takes less. */
  readonly segmentBytes?: number
  readonly groupMs?: number
  /** Hears every change of `health`. */
  readonly onHealth?: (fault: JournalFault | undefined) => void
}

export interface JournalStats extends WriterStats {
  readonly records: number
}

/** Nothing could be written: the oldest record refused was handed over at `from`, the first one kept again came at `to`. */
export interface Outage {
  readonly from: Instant
  readonly to: Instant
}

/** Where a record was put: `index` counts records from 0. */
export interface Appended extends Place {
  readonly index: number
}

export interface Journal {
  /** 16 bytes that tell this journal from every other. */
  readonly id: Uint8Array
  /** Resolves once the record is on the disk. Throws on a kind that is no short name. */
  append(
    kind: string,
    bytes: Uint8Array,
    options?: { readonly urgent?: boolean },
  ): Promise<Result<Appended, JournalFault>>
  /** Commits what is queued now, for whoever has to wait for a record of its own that is queued. */
  flush(): void
  /** What is in force by `keeping`, the one that changed last at the end: all that a restart needs. */
  kept(): readonly JournalRecord[]
  /** Every acknowledged record that is kept, in order, from the frame `from` on. */
  visit(visitor: Visitor, from?: bigint): Promise<Result<void, JournalFault>>
  /** The records that were committed together at a place; undefined where they were dropped. */
  recordsAt(place: Place): Promise<Result<readonly JournalRecord[] | undefined, JournalFault>>
  head(): JournalHead
  /** What opening found half written and left out; each is also a record of kind `journal.cut`. */
  readonly cuts: readonly Cut[]
  /** Hears of each segment that is finished and of each drop, once the journal's own record of it is on the disk. */
  onNote(listener: (note: Note) => void): void
  /** Hears of each time in which appends were refused, once one goes well again. */
  onOutage(listener: (outage: Outage) => void): void
  /** Raised while appends are refused or soon will be, cleared by the next one that goes well. */
  health(): JournalFault | undefined
  stats(): JournalStats
  /** Commits what is queued, then refuses and lets go of the folder. */
  close(): Promise<void>
}

/** 16 MiB hold 4095 commits: an hour of one a second; made in a tenth of a second on a card. */
const SEGMENT_BYTES = 16 << 20
/** How long an unhurried reading may wait for others to share its block. */
const GROUP_MS = 1000
/** Queued bytes beyond which a disk that no longer keeps up is answered for at once. */
const MAX_QUEUE = 4 << 20
/** Of a segment, what its checkpoint may take: the rest is for what is new. */
const CHECKPOINT_SHARE = 1 / 4

interface Waiting {
  readonly record: JournalRecord
  readonly since: Instant
  readonly answer: (result: Result<Appended, JournalFault>) => void
}

/** Keeps every other process from writing a journal there, until what it answers is called; `disk.held` where one does. */
export async function holdJournal(disk: Pick<Disk, 'hold'>): Promise<Result<() => Promise<void>, JournalFault>> {
  const held = await disk.hold(LAYOUT.name)
  if (held.ok) return held
  const { code, hint = '' } = held.fault
  return code === 'disk.held'
    ? fail({ code, name: LAYOUT.name, hint })
    : fail({ code: 'journal.io', segment: '', cause: code })
}

/** As `holdJournal` says. Nothing is changed unless all that is needed is there and our own. */
export async function openJournal(options: JournalOptions): Promise<Result<Journal, JournalFault>> {
  const held = options.held === undefined ? await holdJournal(options.disk) : ok(options.held)
  if (!held.ok) return held
  const journal = await openHeld(options, held.value)
  if (!journal.ok) await held.value()
  return journal
}

async function openHeld(options: JournalOptions, release: () => Promise<void>): Promise<Result<Journal, JournalFault>> {
  const { disk, clock, timers, entropy, owner, keeping = () => undefined, retention, onHealth } = options
  const { segmentBytes = SEGMENT_BYTES, groupMs = GROUP_MS } = options
  if (segmentBytes < 4 * BLOCK) throw new RangeError('a segment holds an opening, a checkpoint and a record')
  const found = await recoverJournal(disk, LAYOUT)
  if (!found.ok) return found
  const restored = await restoreState(disk, found.value, keeping)
  if (!restored.ok) return restored
  const { state } = restored.value
  const origin: Origin = state.origin ?? { id: entropy.bytes(JOURNAL_ID_BYTES), owner, begun: clock.now() }
  if (!equalBytes(origin.owner, owner)) {
    const [theirs, ours] = [toHex(origin.owner), toHex(owner)]
    return fail({ code: 'journal.foreign', owner: theirs, expected: ours, hint: "give this device's own data folder" })
  }

  let { records, checkpoint } = restored.value
  let originWritten = state.origin !== undefined
  let checkpointFault: JournalFault | undefined
  const noteListeners: ((note: Note) => void)[] = []
  const outageListeners: ((outage: Outage) => void)[] = []
  const checkpointRoom = Math.max(BLOCK, Math.floor((segmentBytes * CHECKPOINT_SHARE) / BLOCK) * BLOCK)
  const room = bodyRoom(segmentBytes - BLOCK - checkpointRoom)

  /** A note is in force like any record; who hears it may append at once. */
  function take(note: Note, record: JournalRecord): void {
    state.take(record)
    for (const listener of noteListeners) listener(note)
  }

  function begin(segments: readonly Segment[]): readonly Prologue[] {
    const notes = sealNotes(segments, state.sealed).map(note => ({ note, record: noteRecord(note, clock.now()) }))
    const first = originRecord(origin)
    const carried = originWritten ? [first, ...state.records()].map(carriedRecord) : []
    const head = originWritten
      ? [...carried, checkpointRecord({ count: carried.length, dropped: state.dropped, sealed: state.sealed })]
      : [first]
    const frames = packFrames([...head, ...notes.map(({ record }) => record)])
    const bytes = frames.reduce((sum, { body }) => sum + framedBytes(body.length), 0)
    const fits = bytes <= checkpointRoom
    // Without one, a restart reads from the checkpoint before, and nothing from there on is dropped.
    if (fits !== (checkpointFault === undefined)) {
      checkpointFault = fits ? undefined : { code: 'journal.checkpoint-too-long', bytes, limit: checkpointRoom }
      onHealth?.(checkpointFault)
    }
    const written = fits ? frames : packFrames(notes.map(({ record }) => record))
    return written.map(({ body, count }, i) => ({
      body,
      landed: segment => {
        records += count
        if (i < written.length - 1) return
        originWritten = true
        if (fits) checkpoint = segment
        for (const { note, record } of notes) take(note, record)
      },
    }))
  }

  const noted = found.value.cuts.map(cut => noteRecord({ kind: 'cut', ...cut }, clock.now()))
  const opened = await openWriter({
    disk,
    clock,
    layout: LAYOUT,
    segmentBytes,
    found: found.value,
    next: () => BigInt(records) + 1n,
    noteCuts: () => encodeRecords(noted),
    begin,
    beginDue: restored.value.checkpointDue,
    onHealth: fault => onHealth?.(fault ?? checkpointFault),
  })
  if (!opened.ok) return opened
  const writer = opened.value
  records += noted.length
  for (const record of noted) state.take(record)
  // The power went between the record of a drop and the drop.
  if (state.dropped > 0) await writer.dropBelow(state.dropped + 1)
  let retainedAt = 0
  let visiting = 0
  /** While segments are taken away nobody begins to read. */
  let dropping: Promise<unknown> = Promise.resolve()

  const queue: Waiting[] = []
  let queuedBytes = 0
  let due = false
  let closed = false
  let cancelGroup: Cancel | undefined
  let committing: Promise<void> | undefined
  /** When the oldest record was handed over that was refused since the last that was kept. */
  let refusedSince: Instant | undefined

  function health(): JournalFault | undefined {
    return writer.health() ?? checkpointFault
  }

  /** As many waiting records as one commit takes; at least one. */
  function takeBatch(): Waiting[] {
    let bytes = 0
    let count = 0
    for (; count < queue.length; count++) {
      bytes += recordBytes(queue[count]!.record)
      if (bytes > room) break
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
      const result = await writer.commit(encodeRecords(batch.map(waiting => waiting.record)))
      const first = records
      if (result.ok) {
        records += batch.length
        for (const { record } of batch) state.take(record)
      } else refusedSince ??= batch[0]!.since
      for (const [i, { record, answer }] of batch.entries()) {
        queuedBytes -= recordBytes(record)
        answer(result.ok ? ok({ index: first + i, ...result.value }) : result)
      }
      if (!result.ok) continue
      if (refusedSince !== undefined) tellOutage({ from: refusedSince, to: clock.now() })
      await retain(result.value.segment)
    }
    due = false
    committing = undefined
  }

  function tellOutage(outage: Outage): void {
    refusedSince = undefined
    for (const listener of outageListeners) listener(outage)
  }

  /** Once in each segment: says on record what is dropped, then drops it. */
  async function retain(open: number): Promise<void> {
    // Nobody's segment is taken away while it is read.
    if (retention === undefined || open === retainedAt || visiting > 0) return
    retainedAt = open
    const now = clock.quality() === 'synchronised' ? clock.now() : undefined
    const last = lastToDrop(writer.segments(), { retention, segmentBytes, checkpoint, now })
    if (last === undefined) return
    dropping = drop({ kind: 'dropped', segment: last.number, ...last.seal! })
    await dropping
  }

  async function reading<T>(read: () => Promise<T>): Promise<T> {
    visiting++
    try {
      await dropping
      return await read()
    } finally {
      visiting--
    }
  }

  async function drop(note: Note): Promise<void> {
    const record = noteRecord(note, clock.now())
    const committed = await writer.commit(encodeRecords([record]))
    if (!committed.ok) return
    records++
    await writer.dropBelow(note.segment + 1)
    take(note, record)
  }

  function commitSoon(): void {
    due = true
    committing ??= commitQueue()
  }

  return ok({
    id: origin.id,

    append: async (kind, bytes, { urgent = false } = {}) => {
      if (!isRecordKind(kind)) throw new RangeError(`not a record kind: ${kind}`)
      // Copied at once: the caller may reuse its buffer before the commit.
      const record: JournalRecord = { kind, bytes: bytes.slice() }
      const size = recordBytes(record)
      if (closed) return fail({ code: 'journal.closed' })
      // What is carried into the next segment is a little longer.
      if (carriedBytes(record) > room) return fail({ code: 'journal.record-too-long', bytes: size, limit: room })
      if (queuedBytes + size > MAX_QUEUE) {
        refusedSince ??= clock.now()
        return fail({ code: 'journal.busy', queuedBytes })
      }
      queuedBytes += size
      return new Promise(answer => {
        queue.push({ record, since: clock.now(), answer })
        if (urgent) commitSoon()
        else cancelGroup ??= timers.after(groupMs, commitSoon)
      })
    },

    flush: commitSoon,
    kept: state.records,
    visit: (visitor, from) => reading(() => visitRecords(disk, writer.segments(), visitor, from)),
    recordsAt: place => reading(() => recordsAt(disk, writer.segments(), place)),
    head: () => ({ ...writer.head(), records }),
    cuts: writer.cuts,
    onNote: listener => void noteListeners.push(listener),
    onOutage: listener => void outageListeners.push(listener),
    health,
    stats: () => ({ records, ...writer.stats() }),

    close: async () => {
      closed = true
      cancelGroup?.()
      commitSoon()
      await committing
      await writer.close()
      await release()
    },
  })
}

/** The ends of segments that are not on record yet. */
function sealNotes(segments: readonly Segment[], noted: number): (Note & { readonly kind: 'sealed' })[] {
  return segments.flatMap(({ number, seal }, i) =>
    seal === undefined || number <= noted
      ? []
      : [{ kind: 'sealed', segment: number, ...seal, records: Number(segments[i + 1]!.next) - 1 }],
  )
}

/** Records in as few frames as they take. */
function packFrames(records: readonly JournalRecord[]): { readonly body: Uint8Array; readonly count: number }[] {
  const frames: JournalRecord[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const record of records) {
    const size = recordBytes(record)
    if (bytes + size > bodyRoom(MAX_COMMIT)) {
      frames.push([])
      bytes = 0
    }
    frames.at(-1)!.push(record)
    bytes += size
  }
  return frames.map(each => ({ body: encodeRecords(each), count: each.length }))
}
