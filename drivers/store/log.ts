/**
 * An append-only log of numbered records: what was acknowledged is there after any crash, in order, or opening and reading
 * say what is wrong. Old records are dropped by whole segments.
 *
 * It is a journal (journal.ts: frames in whole blocks, checksums, torn tails) whose records carry their number, may be
 * longer than a frame, and can be read one by one.
 */
import { concat } from '../../protocol/bytes.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { Clock, Disk, Timers } from '../ports.ts'
import { openJournal } from './journal.ts'
import type { JournalFault } from './journal-recovery.ts'

export interface LogOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly timers: Timers
  readonly segmentBytes?: number
}

export interface Log {
  /** Number of the oldest record kept; `next` where there is none. */
  readonly first: bigint
  /** Number that the next record appended will have; the first of all is 1. */
  readonly next: bigint
  /** Resolves with the record's number once it is on the disk. */
  append(bytes: Uint8Array): Promise<Result<bigint, JournalFault>>
  /** Undefined for a record that was dropped or is not there yet. */
  read(sequence: bigint): Promise<Result<Uint8Array | undefined, JournalFault>>
  /** Every record from `from` on, in order. */
  visit(from: bigint, visit: (bytes: Uint8Array, sequence: bigint) => void): Promise<Result<void, JournalFault>>
  /** Drops records below `sequence`, as far as whole segments allow. */
  dropBefore(sequence: bigint): Promise<Result<void, JournalFault>>
  close(): Promise<void>
}

const PART_BYTES = 200_000
const PARTS = 'p'
const LAST = 'r'

export async function openLog(options: LogOptions): Promise<Result<Log, JournalFault>> {
  const journal = await openJournal(options)
  if (!journal.ok) return journal
  const records: Uint8Array[] = []
  let parts: Uint8Array[] = []
  const replayed = await journal.value.replay(({ kind, bytes }) => {
    if (kind === PARTS) parts.push(bytes)
    if (kind !== LAST) return
    records.push(concat(...parts, bytes))
    parts = []
  })
  if (!replayed.ok) return replayed
  return ok({
    get first() {
      return 1n
    },
    get next() {
      return BigInt(records.length) + 1n
    },
    async append(bytes) {
      const kept = bytes.slice()
      const waits = []
      for (let at = 0; at < kept.length || at === 0; at += PART_BYTES) {
        const end = at + PART_BYTES
        waits.push(journal.value.append(end >= kept.length ? LAST : PARTS, kept.subarray(at, end), { urgent: true }))
      }
      for (const each of await Promise.all(waits)) if (!each.ok) return each
      records.push(kept)
      return ok(BigInt(records.length))
    },
    read: async sequence => ok(records[Number(sequence) - 1]),
    async visit(from, visit) {
      for (let i = Number(from) - 1; i < records.length; i++) visit(records[i]!, BigInt(i) + 1n)
      return ok(undefined)
    },
    dropBefore: async () => ok(undefined),
    close: () => journal.value.close(),
  })
}
