/** `tieline journal`: what a journal folder holds, checked, or saved from damage. The folder itself is never changed. */
import { openFolder } from '../../../drivers/store/disk.ts'
import { type JournalReader, openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { segmentName } from '../../../drivers/store/journal-recovery.ts'
import { LAYOUT } from '../../../drivers/store/journal-state.ts'
import { type Survey, surveyJournal } from '../../../drivers/store/journal-survey.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { type Fault, faultLine, type Result } from '../../../protocol/result.ts'
import { instant, isoTime } from '../../../protocol/time.ts'
import { oneLine } from '../../log.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'

export function refuseJournal(
  command: string,
  folder: string,
  fault: Fault,
  json: boolean,
  terminal: Terminal,
): ExitCode {
  if (json) terminal.out(jsonLine({ ok: false, folder, fault }))
  terminal.err(`${oneLine(`tieline journal ${command}: ${folder}: ${faultLine(fault)}`)}\n`)
  return /\.(corrupt|segment-missing|not-a-journal|no-origin)$/.test(fault.code) ? EXIT.no : exitOf(fault)
}

export async function openToRead(folder: string): Promise<Result<JournalReader>> {
  const disk = await openFolder(folder)
  return disk.ok ? openJournalReader(disk.value) : disk
}

/** `tieline journal check`: the frames, not the signatures in them. */
export async function checkJournal(folder: string, json: boolean, terminal: Terminal): Promise<ExitCode> {
  const disk = await openFolder(folder)
  const survey = disk.ok ? await surveyJournal(disk.value) : disk
  if (!survey.ok) return refuseJournal('check', folder, survey.fault, json, terminal)
  const reader = await openToRead(folder)
  const { origin, segments, broken, cuts, head } = survey.value
  const opens = reader.ok ? null : reader.fault
  const isSound = broken.length === 0 && reader.ok
  if (json) {
    terminal.out(
      jsonLine({
        ok: isSound,
        folder,
        id: origin === undefined ? null : toHex(origin.id),
        owner: origin === undefined ? null : toHex(origin.owner),
        segments,
        head: head === undefined ? null : { ...head, hash: toHex(head.hash) },
        cuts,
        broken,
        fault: opens,
      }),
    )
    return isSound ? EXIT.ok : EXIT.no
  }
  terminal.out(surveyText(folder, survey.value))
  if (opens !== null) terminal.out(`an agent does not open it: ${faultLine(opens)}\n`)
  if (isSound) terminal.out('it is whole\n')
  else if (broken.length > 0)
    terminal.out(`${broken.length} places are broken; tieline journal repair --dry-run says what can be saved\n`)
  return isSound ? EXIT.ok : EXIT.no
}

function surveyText(folder: string, { origin, segments, broken, cuts, head }: Survey): string {
  const used = segments.reduce((sum, { endsAt }) => sum + endsAt, 0)
  const lines = [
    `${folder}: journal ${origin === undefined ? 'without an origin' : toHex(origin.id)}, gateway ${origin === undefined ? 'unknown' : toHex(origin.owner)}`,
    ...(origin === undefined ? [] : [`  begun ${isoTime(instant(origin.begun))}`]),
    `  ${segments.length} segments, ${used} bytes written, ${segments.reduce((sum, { frames }) => sum + frames, 0)} commits, ${head?.records ?? 0} records`,
    ...(head === undefined ? [] : [`  last frame ${head.sequence}, ${toHex(head.hash)}`]),
    ...cuts.map(
      ({ segment, offset, bytes }) =>
        `  cut short by a loss of power at ${segmentName(LAYOUT, segment)} byte ${offset}, ${bytes} bytes: never acknowledged, the next start leaves it out and signs that`,
    ),
    ...broken.map(
      ({ segment, offset, bytes, reason }) => `  broken  ${segment} byte ${offset}, ${bytes} bytes: ${reason}`,
    ),
  ]
  return lines.map(line => `${line}\n`).join('')
}
