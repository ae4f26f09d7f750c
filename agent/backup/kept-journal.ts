/** A journal as a backup takes it and as a restore goes on from it. */

import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import { type JournalReader, openJournalReader } from '../../drivers/store/journal-reader.ts'
import { type ReadableDisk, recoverJournal, segmentName } from '../../drivers/store/journal-recovery.ts'
import { LAYOUT, restoreState } from '../../drivers/store/journal-state.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import { ok, type Result } from '../../protocol/result.ts'
import { BOOT, keepForRestart } from '../keeping.ts'

/** Segments up to a commit: nothing that is written behind it meanwhile is in them. */
export interface JournalCut {
  readonly reader: JournalReader
  /** What a restart needs, in the order in which it changed. */
  readonly kept: readonly JournalRecord[]
  readonly boot: number
  readonly segments: readonly { readonly name: string; readonly bytes: number }[]
}

/**
 * Beside an agent that writes. Segments grow at their end only, and each commit is whole by its own hash, so what stands before
 * the end that was found once is the journal of that moment, whenever it is read.
 */
export async function cutJournal(disk: ReadableDisk): Promise<Result<JournalCut>> {
  const reader = await openJournalReader(disk)
  if (!reader.ok) return reader
  const segments = reader.value.segments.map(({ number, endsAt }) => ({
    name: segmentName(LAYOUT, number),
    bytes: endsAt,
  }))
  const upTo: ReadableDisk = {
    list: async () => ok(segments.map(({ name }) => name)),
    read: (name, from = 0, bytes) => {
      const end = segments.find(one => one.name === name)?.bytes ?? 0
      return disk.read(name, from, Math.max(0, Math.min(bytes ?? end, end - from)))
    },
  }
  const found = await recoverJournal(upTo, LAYOUT)
  if (!found.ok) return found
  const restored = await restoreState(upTo, found.value, keepForRestart)
  if (!restored.ok) return restored
  const kept = restored.value.state.records()
  const booted = kept.findLast(({ kind }) => kind === BOOT)
  return ok({ reader: reader.value, kept, boot: Number(booted === undefined ? 0 : fromUtf8(booted.bytes)), segments })
}
