/** A program that writes a journal until it is killed. */
import { writeSync } from 'node:fs'
import { createSystemTime } from '../../../drivers/clock.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { must } from '../../../protocol/result.ts'
import { OWNED } from './owned.ts'
import { keeping, kindOf, recordOf } from './trial-record.ts'

export const SEGMENT_BYTES = 8 * 4096
/** The oldest of more are dropped. */
export const SEGMENTS_KEPT = 10
const GROUP_MS = 5

/** Every eighth may be longer than a block. */
export const sizeOf = (number: number): number => (number * 7919) % (number % 8 === 0 ? 12_000 : 300)

/** Says `open`, then the number of every record that was acknowledged, each in a line as soon as it is so. */
export async function writeUntilKilled(folder: string, first: number): Promise<void> {
  const disk = must(await openDisk(folder))
  const journal = must(
    await openJournal({
      disk,
      ...createSystemTime(),
      ...OWNED,
      segmentBytes: SEGMENT_BYTES,
      groupMs: GROUP_MS,
      keeping,
      retention: { ms: Number.MAX_SAFE_INTEGER, bytes: SEGMENTS_KEPT * SEGMENT_BYTES },
    }),
  )
  // Past Node's streams: what was said must not die with the process.
  const say = (line: string) => writeSync(1, `${line}\n`)
  say('open')
  for (let number = first; ; number++) {
    const answer = journal
      .append(kindOf(number), recordOf(number, sizeOf(number)), { urgent: number % 3 === 0 })
      .then(appended => {
        must(appended)
        say(String(number))
      })
    if (number % 5 === 0) await answer
  }
}
