/** `tieline journal export`: what was signed, given out for others to verify. */
import { writeTransparencyXml } from '../../../drivers/ocmf/transparency-xml.ts'
import type { JournalReader } from '../../../drivers/store/journal-reader.ts'
import { parseSign1 } from '../../../protocol/crypto/cose.ts'
import { parseContext } from '../../../protocol/reading/context.ts'
import { parseEvent } from '../../../protocol/reading/event.ts'
import { type EnvelopedReading, writeSenml } from '../../../protocol/reading/senml.ts'
import { faultLine, ok, type Result } from '../../../protocol/result.ts'
import type { Instant } from '../../../protocol/time.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { misused, unknownName } from '../usage.ts'
import { envelopeJson } from './envelope-json.ts'
import { openToRead, refuseJournal } from './journal.ts'
import { asSignedTexts, type GivenOut, readGivenOut } from './journal-ocmf.ts'
import { createContextShelf, readingIn, visitSigned } from './journal-records.ts'
import { parseMoment } from './moment.ts'

const FORMATS = ['jsonl', 'senml', 'ocmf'] as const
type Format = (typeof FORMATS)[number]

export interface ExportOptions {
  readonly since?: string
  readonly until?: string
  readonly meter?: string
  readonly format: string
}

const isFormat = (text: string): text is Format => FORMATS.some(one => one === text)

/** `tieline journal export`. */
export async function exportJournal(
  folder: string,
  { since, until, meter, format }: ExportOptions,
  now: Instant,
  terminal: Terminal,
): Promise<ExitCode> {
  if (!isFormat(format)) return misused('journal export', unknownName('format', format, FORMATS), terminal)
  const [from, to] = [since, until].map(text => (text === undefined ? ok(undefined) : parseMoment(text, now)))
  if (!from!.ok) return misused('journal export', `--since: ${faultLine(from!.fault)}`, terminal)
  if (!to!.ok) return misused('journal export', `--until: ${faultLine(to!.fault)}`, terminal)
  const reader = await openToRead(folder)
  if (!reader.ok) return refuseJournal('export', folder, reader.fault, false, terminal)
  const within = (time: number) => time >= (from!.value ?? 0) && time < (to!.value ?? Number.POSITIVE_INFINITY)
  const written = await EXPORTERS[format](reader.value, { within, meter, out: terminal.out })
  if (!written.ok) return refuseJournal('export', folder, written.fault, false, terminal)
  if (written.value === 0) terminal.err(`tieline journal export: ${folder}: nothing in it matches\n`)
  return written.value === 0 ? EXIT.no : EXIT.ok
}

interface Wanted {
  readonly within: (time: number) => boolean
  readonly meter: string | undefined
  readonly out: (text: string) => void
}

/** Each answers with how many records it gave out. */
const EXPORTERS: Readonly<Record<Format, (reader: JournalReader, wanted: Wanted) => Promise<Result<number>>>> = {
  jsonl: exportLines,
  senml: exportSenml,
  ocmf: exportOcmf,
}

const meterOf = (contextEnvelope: Uint8Array): string | undefined => {
  const signed = parseSign1(contextEnvelope)
  const context = signed.ok ? parseContext(signed.value.payload) : signed
  return context.ok ? context.value.meterId : undefined
}

async function exportLines(reader: JournalReader, { within, meter, out }: Wanted): Promise<Result<number>> {
  const shelf = createContextShelf()
  let count = 0
  const line = (envelope: Uint8Array) => {
    const said = envelopeJson(envelope)
    if (said !== undefined) out(jsonLine(said))
  }
  const visited = await visitSigned(reader, ({ kind, bytes, carried }) => {
    if (kind === 'context') return shelf.put(bytes)
    // Which key signed when concerns every reading, of whatever meter and time.
    if (kind === 'key') return line(bytes)
    if (carried || kind === 'ocmf') return
    if (kind === 'event') {
      const signed = parseSign1(bytes)
      const event = signed.ok ? parseEvent(signed.value.payload) : signed
      if (meter === undefined && event.ok && within(event.value.time)) {
        line(bytes)
        count++
      }
      return
    }
    const reading = readingIn(bytes)
    if (reading === undefined || !within(reading.time)) return
    const context = shelf.find(reading)
    if (meter !== undefined && (context === undefined || meterOf(context) !== meter)) return
    const first = shelf.firstUse(reading)
    if (first !== undefined) line(first)
    line(bytes)
    count++
  })
  return visited.ok ? ok(count) : visited
}

/** Readings in one pack: a file of them, not a stream. */
async function exportSenml(reader: JournalReader, { within, meter, out }: Wanted): Promise<Result<number>> {
  const shelf = createContextShelf()
  const readings: EnvelopedReading[] = []
  const visited = await visitSigned(reader, ({ kind, bytes, carried }) => {
    if (kind === 'context') return shelf.put(bytes)
    if (carried || kind !== 'reading') return
    const reading = readingIn(bytes)
    const contextEnvelope = reading === undefined ? undefined : shelf.find(reading)
    if (reading === undefined || contextEnvelope === undefined || !within(reading.time)) return
    const signed = parseSign1(contextEnvelope)
    const context = signed.ok ? parseContext(signed.value.payload) : signed
    if (!context.ok || (meter !== undefined && context.value.meterId !== meter)) return
    readings.push({ reading, context: context.value, envelope: bytes, contextEnvelope })
  })
  if (!visited.ok) return visited
  const text = writeSenml(readings)
  if (!text.ok) return text
  if (readings.length > 0) out(`${text.value}\n`)
  return ok(readings.length)
}

/** The OCMF records that were given out, as they were, in the transparency software's container. */
async function exportOcmf(reader: JournalReader, { within, meter, out }: Wanted): Promise<Result<number>> {
  const records: GivenOut[] = []
  const visited = await visitSigned(reader, ({ kind, bytes, carried }) => {
    const record = kind === 'ocmf' && !carried ? readGivenOut(bytes) : undefined
    if (record === undefined || !within(record.at) || (meter !== undefined && record.meter !== meter)) return
    records.push(record)
  })
  if (!visited.ok) return visited
  if (records.length > 0) out(writeTransparencyXml(asSignedTexts(records)))
  return ok(records.length)
}
