/**
 * `tieline journal repair`: what can be saved of a damaged journal is everything before the first broken place, because
 * behind it no frame is vouched for by the one before. It is written into a new folder; the damaged one stays as it is.
 */
import { openDisk, openFolder } from '../../../drivers/store/disk.ts'
import { makeFolder } from '../../../drivers/store/folder.ts'
import { BLOCK } from '../../../drivers/store/journal-block.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { type ReadableDisk, segmentName } from '../../../drivers/store/journal-recovery.ts'
import { LAYOUT } from '../../../drivers/store/journal-state.ts'
import { type Survey, surveyJournal } from '../../../drivers/store/journal-survey.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { done, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'
import { refuseJournal } from './journal.ts'

export interface RepairOptions {
  readonly dryRun?: true
  readonly into?: string
  readonly json?: true
}

interface Saved {
  /** The journal as it would be. */
  readonly disk: ReadableDisk
  readonly segments: readonly string[]
  readonly records: number
  readonly head: { readonly sequence: number; readonly hash: string }
}

export async function repairJournal(folder: string, options: RepairOptions, terminal: Terminal): Promise<ExitCode> {
  const { dryRun, into, json = false } = options
  if ((dryRun === undefined) === (into === undefined))
    return misused('journal repair', 'either --dry-run, which changes nothing, or --into with a new folder', terminal)
  const disk = await openFolder(folder)
  if (!disk.ok) return refuseJournal('repair', folder, disk.fault, json, terminal)
  const survey = await surveyJournal(disk.value)
  if (!survey.ok) return refuseJournal('repair', folder, survey.fault, json, terminal)
  const { broken, head } = survey.value
  if (broken.length === 0) {
    if (json) terminal.out(jsonLine({ ok: true, folder, broken: 0 }))
    else
      terminal.out(
        `${folder}: nothing is broken${survey.value.cuts.length > 0 ? '; the next start leaves out what a power cut left half written, and signs that' : ''}\n`,
      )
    return EXIT.ok
  }
  const saved = await salvage(disk.value, survey.value)
  if (!saved.ok) return refuseJournal('repair', folder, saved.fault, json, terminal)
  if (into !== undefined) {
    const copied = await copyInto(into, saved.value)
    if (!copied.ok) return refuseJournal('repair', into, copied.fault, json, terminal)
  }
  const { records, segments } = saved.value
  const lost = (head?.records ?? 0) - records
  if (json) {
    terminal.out(
      jsonLine({
        ok: true,
        folder,
        broken: broken.length,
        into: into ?? null,
        segments,
        records,
        lost,
        head: saved.value.head,
      }),
    )
    return EXIT.ok
  }
  const [first] = broken
  terminal.out(
    [
      `${folder}: ${broken.length} places are broken, the first at ${first!.segment} byte ${first!.offset}: ${first!.reason}`,
      `  ${records} records before it ${into === undefined ? 'can be saved' : `were saved into ${into}`}, up to frame ${saved.value.head.sequence}`,
      `  ${lost > 0 ? `at least ${lost} records` : 'what stood'} behind it cannot be continued; the damaged folder keeps them`,
      '  heads that neighbours or the ledger hold of later frames will say that records are missing: they are',
      into === undefined ? 'nothing was changed' : `put ${into} in the place of ${folder}, and keep that`,
      '',
    ].join('\n'),
  )
  return EXIT.ok
}

/** A view of the damaged journal that ends before its first broken place. */
async function salvage(disk: ReadableDisk, { segments, broken }: Survey): Promise<Result<Saved>> {
  const [first] = broken
  if (first === undefined) return fail({ code: 'journal.whole' })
  const before = segments.map(({ number }) => segmentName(LAYOUT, number)).filter(name => name < first.segment)
  const names = first.offset > 0 ? [...before, first.segment] : before
  const view: ReadableDisk = {
    list: async () => ok(names),
    async read(name, from = 0, bytes) {
      const read = await disk.read(name)
      if (!read.ok) return read
      const whole = name === first.segment ? endedAt(read.value, first.offset, first.bytes) : read.value
      return ok(whole.subarray(from, bytes === undefined ? undefined : from + bytes))
    },
  }
  const reader = names.length === 0 ? undefined : await openJournalReader(view)
  if (reader === undefined || !reader.ok) {
    return fail({
      code: 'journal.nothing-to-save',
      segment: first.segment,
      offset: first.offset,
      reason: reader === undefined ? first.reason : faultLine(reader.fault),
      hint: 'its beginning is broken: restore the folder from a copy',
    })
  }
  const { head } = reader.value
  return ok({
    disk: view,
    segments: names,
    records: head.records,
    head: { sequence: Number(head.sequence), hash: toHex(head.hash) },
  })
}

/**
 * A segment with zeros from `offset` on, but for the one damaged block that stands there: to the agent that opens it next
 * that is a commit cut short, which it reports in a signed event, so that the repair is on record.
 */
function endedAt(bytes: Uint8Array, offset: number, damaged: number): Uint8Array {
  const out = new Uint8Array(bytes.length)
  out.set(bytes.subarray(0, damaged > 0 ? offset + BLOCK : offset))
  return out
}

async function copyInto(into: string, { disk, segments }: Saved): Promise<Result<void>> {
  const made = await makeFolder(into)
  if (!made.ok) return made
  const target = await openDisk(into)
  if (!target.ok) return target
  try {
    const there = await target.value.list()
    if (!there.ok) return there
    if (there.value.length > 0)
      return fail({
        code: 'folder.not-empty',
        files: there.value.length,
        hint: 'nothing is overwritten: name a new folder',
      })
    for (const name of segments) {
      const bytes = await disk.read(name)
      const written = bytes.ok ? await target.value.replace(name, bytes.value) : bytes
      if (!written.ok) return written
    }
    return done
  } finally {
    await target.value.close()
  }
}
