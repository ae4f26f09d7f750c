/**
 * Every broken place of a journal, where opening it names only the first: for whoever has to judge what is left. Nothing is
 * changed. What stands behind a broken place is looked for at every block.
 */
import { equalBytes } from '../../protocol/bytes.ts'
import { faultLine, ok, type Result } from '../../protocol/result.ts'
import {
  BLOCK,
  MAX_COMMIT,
  NO_HASH,
  type Opening,
  type ReadFrame,
  readFrame,
  readOpening,
  readRecords,
} from './journal-block.ts'
import { type Origin, readCheckpoint, readNote, readOrigin, unwrap } from './journal-own.ts'
import { type JournalHead, openJournalFolder, readUntilSettled } from './journal-reader.ts'
import { type Cut, type ReadableDisk, readSegment, segmentName } from './journal-recovery.ts'
import { type JournalFault, LAYOUT } from './journal-state.ts'

/** A place that is not as it was written. */
export interface Broken {
  readonly segment: string
  readonly offset: number
  /** Up to the next frame that is sound; 0 where no byte is wrong, but what stands there does not belong there. */
  readonly bytes: number
  readonly reason: string
}

export interface SurveyedSegment {
  readonly number: number
  /** Of the file, and of what is written in it. */
  readonly bytes: number
  readonly endsAt: number
  readonly frames: number
  readonly records: number
}

export interface Survey {
  /** Undefined where no sound frame says it. */
  readonly origin: Origin | undefined
  /** Those that belong to the journal, in order; files made and never begun, or given up, are none. */
  readonly segments: readonly SurveyedSegment[]
  readonly broken: readonly Broken[]
  /** A commit that the power cut short, at the very end; no damage. */
  readonly cuts: readonly Cut[]
  /** The last sound frame; undefined where there is none. */
  readonly head: JournalHead | undefined
}

interface Found {
  readonly at: number
  readonly end: number
  readonly frame: ReadFrame
}

export function surveyJournal(disk: ReadableDisk): Promise<Result<Survey, JournalFault>> {
  return readUntilSettled(
    () => surveyOnce(disk),
    survey =>
      !survey.ok
        ? faultLine(survey.fault)
        : survey.value.broken.length === 0
          ? undefined
          : JSON.stringify(survey.value.broken),
  )
}

/** One segment after the other, so that a long journal takes no more memory than a short one. */
async function surveyOnce(disk: ReadableDisk): Promise<Result<Survey, JournalFault>> {
  const numbers = await openJournalFolder(disk)
  if (!numbers.ok) return numbers
  const unopened: number[] = []
  // From the newest down, so that what is written meanwhile stands behind what was read.
  for (const number of numbers.value.toReversed()) {
    const bytes = await readSegment(disk, LAYOUT, number)
    if (!bytes.ok) return bytes
    if (walk(bytes.value).length > 0) break
    unopened.unshift(number)
  }
  const begun = numbers.value.slice(0, numbers.value.length - unopened.length)
  const links = await chainOf(disk, begun)
  return links.ok ? judge(disk, links.value, unopened) : links
}

/** Every sound frame of a file. */
function walk(bytes: Uint8Array): Found[] {
  const found: Found[] = []
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const read = readFrame(bytes.subarray(at))
    const sound = read.kind === 'frame'
    if (sound) found.push({ at, end: at + read.used, frame: read.value })
    at += sound ? read.used : BLOCK
  }
  return found
}

interface Link {
  readonly number: number
  /** Whether the file is there. */
  readonly isThere: boolean
  readonly opening: Opening | undefined
  /** Where the segment behind says that it ends, and that one's first frame. */
  readonly sealedAt: number | undefined
  readonly behind: ReadFrame | undefined
}

/** From the newest that was begun back, as each opening names the one before; where an opening is gone, the file before. */
async function chainOf(disk: ReadableDisk, numbers: readonly number[]): Promise<Result<readonly Link[], JournalFault>> {
  const links: Link[] = []
  let number = numbers.at(-1) ?? 0
  let behind: { readonly opening: Opening; readonly frame: ReadFrame } | undefined
  while (number > 0 && number >= numbers[0]!) {
    const isThere = numbers.includes(number)
    const bytes = isThere ? await readSegment(disk, LAYOUT, number, 0, BLOCK) : ok(new Uint8Array())
    if (!bytes.ok) return bytes
    const first = readFrame(bytes.value)
    const frame = first.kind === 'frame' ? first.value : undefined
    const opening = frame && readOpening(frame)
    links.unshift({ number, isThere, opening, sealedAt: behind?.opening.endsAt, behind: behind?.frame })
    behind = opening && { opening, frame: frame! }
    const named = opening?.after
    number = named !== undefined && named < number ? named : (numbers.findLast(each => each < number) ?? 0)
  }
  return ok(links)
}

async function judge(
  disk: ReadableDisk,
  links: readonly Link[],
  unopened: readonly number[],
): Promise<Result<Survey, JournalFault>> {
  const broken: Broken[] = []
  const cuts: Cut[] = []
  const segments: SurveyedSegment[] = []
  let origin: Origin | undefined
  let dropped = 0
  let head: JournalHead | undefined
  let records = 0
  const [oldest] = links
  let first: ReadFrame | undefined
  for (const link of links) {
    const { number, isThere, opening, sealedAt, behind } = link
    const say = (offset: number, bytes: number, reason: string) =>
      broken.push({ segment: segmentName(LAYOUT, number), offset, bytes, reason })
    if (!isThere) {
      say(0, 0, 'it is not there')
      continue
    }
    const read = await readSegment(disk, LAYOUT, number)
    if (!read.ok) return read
    const bytes = read.value
    const walked = walk(bytes)
    const until = sealedAt ?? walked.at(-1)?.end ?? 0
    const found = walked.filter(({ end }) => end <= until)
    if (link === oldest) first = walked[0]?.frame
    if (opening !== undefined) records = Number(opening.next) - 1
    let last: ReadFrame | undefined
    let at = 0
    let own = 0
    for (const { at: begins, end, frame } of found) {
      if (begins > at) say(at, begins - at, reasonAt(bytes, at))
      const reason = misplaced(frame, begins, last, begins === at)
      if (reason !== undefined) say(begins, 0, reason)
      for (const each of frame.kind === 'records' ? (readRecords(frame.body) ?? []) : []) {
        own++
        const { record } = unwrap(each)
        origin ??= readOrigin(record)
        const note = readNote(record)
        dropped = Math.max(dropped, readCheckpoint(record)?.dropped ?? 0, note?.kind === 'dropped' ? note.segment : 0)
      }
      last = frame
      at = end
    }
    records += own
    if (at < until) say(at, until - at, reasonAt(bytes, at))
    else if (behind !== undefined && last !== undefined && !follows(behind, last))
      say(at, 0, 'the segment behind it does not continue it')
    if (link === links.at(-1)) {
      const torn = tornBytes(bytes, at)
      if (torn > MAX_COMMIT) say(at, torn, reasonAt(bytes, at))
      else if (torn > 0) cuts.push({ segment: number, offset: at, bytes: torn })
    }
    segments.push({ number, bytes: bytes.length, endsAt: until, frames: found.length, records: own })
    if (last !== undefined) head = { sequence: last.sequence, hash: last.hash, records }
  }
  // Made and never begun; the power may have gone while its opening was written, which is one block.
  for (const number of unopened) {
    const read = await readSegment(disk, LAYOUT, number)
    if (!read.ok) return read
    // It may have been begun meanwhile.
    const torn = readFrame(read.value).kind === 'frame' ? 0 : tornBytes(read.value, 0)
    if (torn > BLOCK)
      broken.push({ segment: segmentName(LAYOUT, number), offset: 0, bytes: torn, reason: 'no opening' })
    else if (torn > 0) cuts.push({ segment: number, offset: 0, bytes: torn })
  }
  const before = oldest?.opening?.after ?? 0
  if (before > dropped) {
    broken.unshift({ segment: segmentName(LAYOUT, before), offset: 0, bytes: 0, reason: 'it is not there' })
  }
  if (oldest?.opening?.after === 0 && (first?.sequence !== 1n || !equalBytes(first.previous, NO_HASH))) {
    broken.unshift({ segment: segmentName(LAYOUT, oldest.number), offset: 0, bytes: 0, reason: 'not a beginning' })
  }
  return ok({ origin, segments, broken, cuts, head })
}

const follows = (frame: ReadFrame, last: ReadFrame): boolean =>
  frame.sequence === last.sequence + 1n && equalBytes(frame.previous, last.hash)

/** Why a sound frame cannot stand where it does; directly behind `last`, or behind a broken place. */
function misplaced(frame: ReadFrame, at: number, last: ReadFrame | undefined, directly: boolean): string | undefined {
  if ((readOpening(frame) !== undefined) !== (at === 0)) return 'an opening out of place'
  if (frame.kind === 'records' && readRecords(frame.body) === undefined) return 'a body that is no list of records'
  if (last === undefined) return undefined
  if (directly) return follows(frame, last) ? undefined : `frame ${frame.sequence} does not follow ${last.sequence}`
  return frame.sequence > last.sequence ? undefined : `frame ${frame.sequence} stands behind ${last.sequence}`
}

/** What is wrong with the block at `at`, which is no sound frame. */
function reasonAt(bytes: Uint8Array, at: number): string {
  const read = readFrame(bytes.subarray(at))
  if (read.kind === 'junk') return read.fault.reason
  return bytes.length - at < BLOCK ? 'the file ends here' : 'a frame beyond the end'
}

/** Bytes from `at` to the last block that is not zero. */
function tornBytes(bytes: Uint8Array, at: number): number {
  let end = bytes.length
  while (end > at && bytes[end - 1] === 0) end--
  return Math.min(bytes.length - at, Math.ceil((end - at) / BLOCK) * BLOCK)
}
