/** Signed charging records of a file, whatever is in it: where its records begin and end, and the verdict over them. */
import { toHex, utf8 } from '../bytes.ts'
import { done, fail, ok, type Result } from '../result.ts'
import { isoTime } from '../time.ts'
import { readAlfenKey, verifyAlfen } from './alfen.ts'
import { fromBase32 } from './base32.ts'
import { type EcdsaVerifier, readPublicKey } from './key.ts'
import type { BrokenRule, ChargingVerdict } from './verdict.ts'
import { verifyOcmf } from './verify.ts'

/** One signed record as it stood in a file. */
export interface SignedText {
  /** `OCMF`, `ALFEN`, or what else the container named. */
  readonly format: string
  readonly text: string
  /** Public key that stood beside the record, as text. */
  readonly key?: string
  /** What the container calls the transaction: not signed, used only to part a file into runs. */
  readonly transaction?: string
}

export interface ChargingRun extends ChargingVerdict {
  readonly format: string
  /** As the container calls it. */
  readonly transaction?: string
  /** Places of the run's records in the file, from 1: `record: n` of a broken rule is the n-th of them. */
  readonly records: readonly number[]
  /**
   * Where the key came from: `given` by who asks, or out of the `file` itself, which proves that the records belong
   * together and not who made them.
   */
  readonly keyFrom?: 'given' | 'file'
}

export interface ChargingReport {
  /** There are records, every one is signed by the key, and no rule is broken. */
  readonly ok: boolean
  /** `ok`, and each run says the energy of whole transactions: what a bill needs. */
  readonly complete: boolean
  readonly runs: readonly ChargingRun[]
}

/** Records that a file may have, one a minute for a week, and its length in UTF-16 units with those of usual size. */
const MAX_RECORDS = 10_000
const MAX_LENGTH = 8_388_608

type SplitFault =
  | { readonly code: 'charging.nothing'; readonly hint: string }
  | { readonly code: 'charging.too-many'; readonly limit: number }
  | { readonly code: 'charging.too-long'; readonly length: number; readonly limit: number }

/**
 * The records of a plain text: each begins at the start of a line with `OCMF|` or `AP;` and reaches to the next. An OCMF
 * payload may have line ends, which are signed with it; no JSON has such a line within.
 */
export function splitSignedTexts(text: string): Result<readonly SignedText[], SplitFault> {
  if (text.length > MAX_LENGTH) return fail({ code: 'charging.too-long', length: text.length, limit: MAX_LENGTH })
  // A byte order mark counts as a blank here.
  const records = text.trimStart().split(/(?<=\n)(?=OCMF\||AP;)/)
  if (!/^(?:OCMF\||AP;)/.test(records[0]!)) {
    const hint = 'a record begins with OCMF| or AP; at the start of a line'
    return fail({ code: 'charging.nothing', hint })
  }
  if (records.length > MAX_RECORDS) return fail({ code: 'charging.too-many', limit: MAX_RECORDS })
  return ok(records.map(record => ({ format: record.startsWith('AP;') ? 'ALFEN' : 'OCMF', text: record })))
}

/**
 * The verdict over the records of a file, in the file's order: those of one format and one named transaction are one run,
 * and those without a name are one run together. `keys` are public keys that are known from elsewhere (hex, base64, PEM),
 * of which each run has one; without any the key in the file is used and the run says so. Cannot throw.
 *
 *     const entries = text.trimStart().startsWith('<') ? readTransparencyXml(text) : splitSignedTexts(text)
 *     if (entries.ok) report = judgeCharging(entries.value, keys, createEcdsaVerifier())
 */
export function judgeCharging(
  entries: readonly SignedText[],
  keys: readonly string[],
  verifier: EcdsaVerifier,
): ChargingReport {
  const places = new Map<string, number>()
  const repeated = new Map<number, number>()
  for (const [i, entry] of entries.entries()) {
    const part = signedPart(entry)
    if (part === undefined) continue
    const before = places.get(part)
    if (before === undefined) places.set(part, i + 1)
    else repeated.set(i + 1, before)
  }
  const groups = new Map<string, { readonly entry: SignedText; readonly place: number }[]>()
  for (const [i, entry] of entries.entries()) {
    const name = JSON.stringify([entry.format, entry.transaction])
    const group = groups.get(name) ?? []
    groups.set(name, group)
    group.push({ entry, place: i + 1 })
  }
  const runs = [...groups.values()].map(group =>
    judgeGroup(
      group.map(({ entry }) => entry),
      group.map(({ place }) => place),
      keys,
      verifier,
      repeated,
    ),
  )
  for (const [i, further] of overlapping(runs)) runs[i] = withBroken(runs[i]!, further)
  return {
    ok: runs.length > 0 && runs.every(run => run.ok),
    complete: runs.length > 0 && runs.every(run => run.complete),
    runs,
  }
}

/** What a record signs, as text: the same in two places, it would be billed twice under two names. */
const signedPart = ({ format, text }: SignedText): string | undefined =>
  format === 'ALFEN' ? text.split(';')[4] : text.split('|')[1]

function judgeGroup(
  entries: readonly SignedText[],
  records: readonly number[],
  given: readonly string[],
  verifier: EcdsaVerifier,
  repeated: ReadonlyMap<number, number>,
): ChargingRun {
  const { format, transaction } = entries[0]!
  const about = { format, ...(transaction === undefined ? {} : { transaction }), records }
  const verify = VERIFIERS.get(format)
  if (verify === undefined) {
    const hint = `read are ${[...VERIFIERS.keys()].join(' and ')}`
    return { ...NOTHING, ...about, broken: [{ code: 'charging.format', found: format, hint }] }
  }
  const inFile = entries.flatMap(entry => (entry.key === undefined || entry.key.trim() === '' ? [] : [entry.key]))
  const texts = entries.map(({ text }) => text)
  const verdicts = given.map(key => verify(texts, key, verifier))
  const verdict = verdicts.find(({ authentic }) => authentic) ?? verdicts[0] ?? verify(texts, inFile[0], verifier)
  const further: BrokenRule[] = records.flatMap((place, i) => {
    const before = repeated.get(place)
    return before === undefined ? [] : [{ code: 'charging.repeated', record: i + 1, before }]
  })
  if (new Set(inFile.map(plainKey)).size > 1)
    further.push({ code: 'charging.keys-differ', hint: 'the file names more than one key for one run of records' })
  const keyFrom = given.length === 0 ? 'file' : 'given'
  return withBroken({ ...verdict, ...about, ...(verdict.who === undefined ? {} : { keyFrom }) }, further)
}

/** A run with rules that it breaks beyond its own: a doubtful number is none. */
function withBroken(run: ChargingRun, further: readonly BrokenRule[]): ChargingRun {
  if (further.length === 0) return run
  return {
    ...run,
    ok: false,
    complete: false,
    transactions: run.transactions.map(each => ({ ...each, energies: [] })),
    broken: [...run.broken, ...further],
  }
}

/**
 * Rules broken by runs together, by their places: a meter measures one transaction at a time, so of two that lie over each
 * other under different names one would be billed twice. Within a run their registers and times tell.
 */
function overlapping(runs: readonly ChargingRun[]): ReadonlyMap<number, readonly BrokenRule[]> {
  const spans = runs.flatMap(({ who, transactions, transaction }, run) =>
    transactions.flatMap(({ begin, end }) =>
      begin === undefined || end === undefined || who?.meterSerial === undefined
        ? []
        : [{ run, transaction, meter: `${who.fingerprint} ${who.meterSerial}`, from: begin.at, to: end.at }],
    ),
  )
  const found = new Map<number, BrokenRule[]>()
  const latest = new Map<string, (typeof spans)[number]>()
  for (const span of spans.sort((a, b) => a.from - b.from || a.run - b.run)) {
    const before = latest.get(span.meter)
    if (before !== undefined && before.run !== span.run && span.from < before.to && runs[span.run]!.ok) {
      const rule = { code: 'charging.overlaps', before: before.transaction ?? '', until: isoTime(before.to) }
      found.set(span.run, [...(found.get(span.run) ?? []), rule])
    }
    if (before === undefined || span.to > before.to) latest.set(span.meter, span)
  }
  return found
}

/** One text for a key, however it was written. */
function plainKey(text: string): string {
  const key = readPublicKey(text)
  if (!key.ok) return toHex(fromBase32(text.trim()) ?? utf8(text))
  return toHex(key.value.kind === 'spki' ? key.value.spki : key.value.point)
}

/** Whether a text is a public key in some form that a station's may have. */
export function checkStationKey(text: string): Result<void> {
  const key = readPublicKey(text)
  return key.ok || readAlfenKey(text).ok ? done : key
}

const VERIFIERS: ReadonlyMap<string, typeof verifyOcmf> = new Map([
  ['OCMF', verifyOcmf],
  ['ALFEN', verifyAlfen],
])

const NOTHING: ChargingVerdict = {
  authentic: false,
  ok: false,
  complete: false,
  transactions: [],
  broken: [],
  notes: [],
}
