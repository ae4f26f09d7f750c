/**
 * A journal as tools and indexes read it: nothing is locked and nothing changed, so that a copy of its folder does as well.
 * Read beside the agent that writes it, it shows what was there when it was opened; a commit under way then looks torn. What
 * looks broken only because the agent went on meanwhile looks otherwise the next time; so a fault is one that comes twice.
 */
import { fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import {
  type Cut,
  type Head,
  listSegments,
  type ReadableDisk,
  recoverJournal,
  type Segment,
  segmentName,
} from './journal-recovery.ts'
import { frameHash, type JournalFault, LAYOUT, restoreState, type Visitor, visitRecords } from './journal-state.ts'

export interface JournalHead extends Head {
  /** All records up to there, carried ones and the journal's own included. */
  readonly records: number
}

export interface JournalReader {
  /** 16 bytes that tell this journal from every other. */
  readonly id: Uint8Array
  /** UEID of the device that wrote it. */
  readonly owner: Uint8Array
  readonly head: JournalHead
  /** The frame before the oldest that is kept: sequence 0 where none was dropped. */
  readonly first: Head
  /** In order; of the last, `bytes` is how far it is written. */
  readonly segments: readonly Segment[]
  /** What power cuts left half written and no writer has cleared yet. */
  readonly cuts: readonly Cut[]
  /** Every record in the frames from `from` on, in order; `journal.dropped-meanwhile` where the writer dropped them since. */
  visit(visitor: Visitor, from?: bigint): Promise<Result<void, JournalFault>>
  /** The hash of the frame of that sequence, to hold against a head; undefined where it was dropped or is not there yet. */
  frameHash(sequence: bigint): Promise<Result<Uint8Array | undefined, JournalFault>>
}

/**
 * `journal.missing` where nothing is there, `journal.not-a-journal` where something else is. Verified at opening are the
 * openings of all segments and everything from the newest checkpoint on; the rest is when it is visited.
 */
export function openJournalReader(disk: ReadableDisk): Promise<Result<JournalReader, JournalFault>> {
  return readUntilSettled(
    () => openOnce(disk),
    read => (read.ok ? undefined : faultLine(read.fault)),
  )
}

/** An agent that drops or rotates makes nothing look broken so many times in a row, each time elsewhere. */
const READS = 5

/** Reads until nothing is wrong, or the same as the time before. */
export async function readUntilSettled<T>(
  read: () => Promise<T>,
  wrongIn: (found: T) => string | undefined,
): Promise<T> {
  let found = await read()
  for (let reads = 1; reads < READS; reads++) {
    const wrong = wrongIn(found)
    if (wrong === undefined) return found
    found = await read()
    if (wrongIn(found) === wrong) return found
  }
  return found
}

async function openOnce(disk: ReadableDisk): Promise<Result<JournalReader, JournalFault>> {
  const there = await openJournalFolder(disk)
  if (!there.ok) return there
  const found = await recoverJournal(disk, LAYOUT)
  if (!found.ok) return found
  const { segments, head, cuts } = found.value
  const restored = await restoreState(disk, found.value, () => undefined)
  if (!restored.ok) return restored
  const { state, records } = restored.value
  const { origin } = state
  if (origin === undefined) return fail({ code: 'journal.missing', hint: 'it was made, and nothing written into it' })
  return ok({
    id: origin.id,
    owner: origin.owner,
    head: { ...head, records },
    first: segments[0]!.before,
    segments,
    cuts,
    visit: async (visitor, from) => {
      const visited = await visitRecords(disk, segments, visitor, from)
      return visited.ok ? visited : fail(await blame(disk, visited.fault))
    },
    frameHash: async sequence => {
      const hash = await frameHash(disk, segments, sequence)
      if (hash.ok) return hash
      const fault = await blame(disk, hash.fault)
      return fault.code === 'journal.dropped-meanwhile' ? ok(undefined) : fail(fault)
    },
  })
}

/** A segment that is gone together with all older ones was dropped while it was waited for. */
async function blame(disk: ReadableDisk, fault: JournalFault): Promise<JournalFault> {
  if (fault.code !== 'journal.segment-missing') return fault
  const numbers = await listSegments(disk, LAYOUT)
  const [oldest] = numbers.ok ? numbers.value : []
  return oldest !== undefined && fault.segment < segmentName(LAYOUT, oldest)
    ? {
        code: 'journal.dropped-meanwhile',
        segment: fault.segment,
        hint: 'its time of keeping was over: read once more',
      }
    : fault
}

/** The numbers of a journal's segments, one at least. */
export async function openJournalFolder(disk: ReadableDisk): Promise<Result<readonly number[], JournalFault>> {
  const listed = await disk.list()
  if (!listed.ok) {
    return listed.fault.code === 'disk.missing'
      ? fail({ code: 'journal.missing', hint: 'there is no such folder' })
      : fail({ code: 'journal.io', segment: '', cause: listed.fault.code })
  }
  const numbers = await listSegments(disk, LAYOUT)
  if (!numbers.ok) return numbers
  if (numbers.value.length > 0) return numbers
  const [found] = listed.value
  return found === undefined
    ? fail({ code: 'journal.missing', hint: 'the folder is empty' })
    : fail({
        code: 'journal.not-a-journal',
        files: listed.value.length,
        found,
        hint: `the files of a journal are named as ${segmentName(LAYOUT, 1)}`,
      })
}
