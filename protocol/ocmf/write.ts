/**
 * Our readings as OCMF 1.4 (Open Charge Metering Format, S.A.F.E. e.V.): `OCMF|payload|signature`, where the payload's bytes
 * exactly as sent are what is signed, by ECDSA on P-256 with SHA-256.
 *
 *     FV GI GS GV   1.4, the gateway's make, its UEID and the SHA-256 of its software, both in hexadecimal
 *     PG            T and a number within a transaction, F and a number outside; each of the two counts alone, without gaps
 *     MV MM MS MF   the meter's maker where known, the register page that interpreted it, its serial, its firmware where known
 *     IS IL IF IT ID  within a transaction only; without a user false, NONE, [], NONE and nothing (table 11)
 *     TT            the contract's hash, within a transaction that has one
 *     CT CI         the charge point, where it has a name
 *     RD            one entry a register and reading; every field is written out, none is left to the entry before
 *     XE or XR      for us: the signed envelopes themselves (base64, the context first), or the readings' hashes alone
 *
 * What a reading says beyond that travels in XE only: sequence, operating seconds, boot count, how often the clock was set,
 * time source, key and trust, the hash of the reading before, nonce, status flags, line and direction of the session, and
 * registers that are not Wh, for which OCMF has no unit (table 20). LC and CL are not written: no reading of ours is
 * compensated for a cable.
 */
import { concat, equalBytes, toHex } from '../bytes.ts'
import { toBase64 } from '../chain/base64.ts'
import { decimalText, type Json, JsonNumber, writeJson } from '../json-write.ts'
import type { Context } from '../reading/context.ts'
import type { Reading, Session } from '../reading/reading.ts'
import { fail, ok, type Result } from '../result.ts'
import { findValue, type MeterValue, OBIS, type Obis, obisBytes, towardZeroAt } from '../telegram/obis.ts'
import { type Instant, isoTime, type TimeQuality } from '../time.ts'
import { readJson } from './json.ts'
import type { IdLevel, MeterState, Reason } from './payload.ts'

/** A reading with what it was made in. */
export interface ReadingInContext {
  readonly reading: Reading
  readonly context: Context
  /** The reading's identity. */
  readonly hash: Uint8Array
}

/** What no reading says. */
export interface OcmfStation {
  /** Make and model of the gateway. */
  readonly gateway: string
  readonly meterMaker?: string
  readonly meterFirmware?: string
  readonly current?: 'AC' | 'DC'
  readonly chargePoint?: { readonly type: 'EVSEID' | 'CBIDC'; readonly id: string }
}

/** Who a transaction is for, in the words of OCMF's tables 11 to 17. */
export interface OcmfUser {
  readonly level: IdLevel
  readonly flags: readonly string[]
  readonly type: string
  readonly id: string
}

/**
 * What a reading does not say of the end of its transaction: `aborted`, by an error of the station; or that the end could not
 * be read at all, and the reading is the last one known, for nobody to settle on.
 */
export type OcmfEnding = 'aborted' | { readonly lost: LostMeter; readonly session: Session }

/** Table 10: the meter did not answer in time, another one answers, or what it says cannot be. */
export type LostMeter = Extract<MeterState, 'T' | 'X' | 'E'>

export interface OcmfRecord {
  readonly series: OcmfSeries
  /** From 1. */
  readonly number: number
  /** In the order of their chain: of one reading or more, all made in one context. */
  readonly readings: readonly ReadingInContext[]
  readonly station: OcmfStation
  readonly user?: OcmfUser
  /** Of a transaction whose end is the last of the readings. */
  readonly ending?: OcmfEnding
  /** Signed envelopes that travel along, the context first. */
  readonly attached?: readonly Uint8Array[]
}

/** Transactions, and fiscal readings outside of any. */
export type OcmfSeries = 'T' | 'F'

export type OcmfWriteFault =
  | { readonly code: 'ocmf.readings'; readonly reason: string }
  | { readonly code: 'ocmf.no-energy'; readonly sequence: number }
  | { readonly code: 'ocmf.counter-fell'; readonly obis: Obis; readonly from: string; readonly to: string }

const TIME_LETTER: Readonly<Record<TimeQuality, string>> = {
  unknown: 'U',
  informative: 'I',
  synchronised: 'S',
  relative: 'R',
}

/** Table 7. Who ended a transaction, and how, no reading says: E is the code for that. */
const TX: Readonly<Record<Reading['reason'], Reason | undefined>> = {
  begin: 'B',
  periodic: 'C',
  exception: 'X',
  end: 'E',
  'power-fail': 'P',
  // What could not be read belongs to no step of a transaction.
  gap: undefined,
}

/** Table 25, value group C: totals of the meter itself (mains), and what a transaction has moved so far. */
const TABLE_25: Readonly<Record<Obis, { readonly total: number; readonly transaction: number }>> = {
  [OBIS.energyImport]: { total: 0xb0, transaction: 0xb2 },
  [OBIS.energyExport]: { total: 0xc0, transaction: 0xc2 },
}

/** kWh: the one unit that every reader of OCMF takes. */
const KILO = 3

/** The payload section: sign these bytes, all ASCII, and send them unchanged. */
export function writeOcmfPayload(record: OcmfRecord): Result<string, OcmfWriteFault> {
  const { series, number, readings, station, attached } = record
  const unfit = unfitReason(record)
  const first = readings[0]
  if (unfit !== undefined || first === undefined)
    return fail({ code: 'ocmf.readings', reason: unfit ?? 'there are none' })
  const { context, reading } = first
  const entries: Json[] = []
  for (const { reading } of readings) {
    const added = readingEntries(reading, record)
    if (!added.ok) return added
    entries.push(...added.value)
  }
  const session = typeof record.ending === 'object' ? record.ending.session : reading.session
  return ok(
    writeJson({
      FV: '1.4',
      GI: station.gateway,
      GS: toHex(context.device),
      GV: toHex(context.software),
      PG: `${series}${number}`,
      MV: station.meterMaker,
      MM: context.page,
      MS: context.meterId,
      MF: station.meterFirmware,
      ...(series === 'T' ? identification(record.user) : {}),
      TT: series === 'T' && session !== undefined ? toHex(session.contract) : undefined,
      CT: station.chargePoint?.type,
      CI: station.chargePoint?.id,
      RD: entries,
      XE: attached?.map(toBase64),
      XR: attached === undefined ? readings.map(({ hash }) => toHex(hash)) : undefined,
    }),
  )
}

/** The whole text, from a payload and its ES256 signature r || s. */
export const ocmfText = (payload: string, signature: Uint8Array): string =>
  // The algorithm is the default (table 22), written out for readers that have another one.
  `OCMF|${payload}|${writeJson({ SA: 'ECDSA-secp256r1-SHA256', SD: toHex(derSignature(signature)).toUpperCase() })}`

/** Ecdsa-Sig-Value (RFC 3279 section 2.2.3) of r || s: 68 to 72 bytes, so that every length is one byte. */
function derSignature(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2
  const r = derInteger(signature.subarray(0, half))
  const s = derInteger(signature.subarray(half))
  return concat(Uint8Array.of(0x30, r.length + s.length), r, s)
}

/** Without leading zeros, but one before a first bit that would make it negative. */
function derInteger(bytes: Uint8Array): Uint8Array {
  const from = bytes.findIndex(byte => byte !== 0)
  const digits = bytes.subarray(from)
  const sign = digits[0]! >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0)
  return concat(Uint8Array.of(0x02, sign.length + digits.length), sign, digits)
}

/**
 * A session's begin and end by the records that they make: one of both, or one each where the gateway began a new context
 * between them.
 */
export function ocmfSession(
  begin: ReadingInContext,
  end: ReadingInContext,
): Result<readonly (readonly ReadingInContext[])[], OcmfWriteFault> {
  const unfit = (reason: string) => fail({ code: 'ocmf.readings', reason } as const)
  if (begin.reading.reason !== 'begin') return unfit('the first is no begin')
  if (!['end', 'power-fail'].includes(end.reading.reason)) return unfit('the last is no end')
  if (begin.context.meterId !== end.context.meterId) return unfit('they are of different meters')
  if (!equalBytes(begin.context.device, end.context.device)) return unfit('they are of different gateways')
  const reason = orderReason(begin.reading, end.reading) ?? dealReason(begin.reading, end.reading)
  if (reason !== undefined) return unfit(reason)
  return ok(equalBytes(begin.reading.context, end.reading.context) ? [[begin, end]] : [[begin], [end]])
}

/** The page of a record of ours, undefined for what is none. */
export function ocmfPage(
  text: string,
): { readonly series: OcmfSeries; readonly number: number; readonly meterId: string } | undefined {
  const [head, payload = ''] = text.split('|')
  const read = readJson(payload)
  const members = head === 'OCMF' && read.ok && read.value.kind === 'object' ? read.value.members : undefined
  const [page, serial] = [members?.get('PG'), members?.get('MS')]
  const found = page?.kind === 'text' ? /^([TF])([1-9]\d{0,15})$/.exec(page.text) : null
  if (found === null || serial?.kind !== 'text') return undefined
  return { series: found[1] as OcmfSeries, number: Number(found[2]), meterId: serial.text }
}

/** Why these readings do not make one record. */
function unfitReason({ series, number, readings }: OcmfRecord): string | undefined {
  if (!Number.isSafeInteger(number) || number < 1) throw new RangeError(`not a page number: ${number}`)
  for (const [i, { reading }] of readings.entries()) {
    const before = readings[i - 1]?.reading
    if (series === 'T' && reading.reason === 'gap') return 'a gap is not part of a transaction'
    if (before === undefined) continue
    if (!equalBytes(reading.context, before.context)) return 'they were made in different contexts'
    const reason = orderReason(before, reading) ?? (series === 'T' ? dealReason(before, reading) : undefined)
    if (reason !== undefined) return reason
  }
  return undefined
}

const orderReason = (before: Reading, { sequence }: Reading): string | undefined =>
  sequence > before.sequence ? undefined : 'they are not in the order of their chain'

function dealReason({ session: before }: Reading, { session }: Reading): string | undefined {
  const same =
    before === undefined || session === undefined
      ? before === session
      : equalBytes(before.contract, session.contract) && before.direction === session.direction
  return same ? undefined : 'they are of different deals'
}

const identification = (user: OcmfUser | undefined) => ({
  IS: user !== undefined,
  IL: user?.level ?? 'NONE',
  IF: user?.flags ?? [],
  IT: user?.type ?? 'NONE',
  ID: user?.id,
})

function readingEntries(reading: Reading, record: OcmfRecord): Result<Json[], OcmfWriteFault> {
  const energy = reading.registers.filter(({ unit }) => unit === 'Wh')
  const ending = reading === record.readings.at(-1)!.reading ? record.ending : undefined
  const lost = typeof ending === 'object' ? ending.lost : undefined
  const when = {
    TM: ocmfTime(reading.time, reading.quality),
    TX: record.series === 'T' ? reasonOf(reading, ending) : undefined,
  }
  // A gap: the entry has no value, and says that the meter did not answer in time.
  if (reading.reason === 'gap') return ok([{ ...when, ...state(reading, 'T') }])
  if (energy.length === 0) return fail({ code: 'ocmf.no-energy', sequence: reading.sequence })
  const moved = lost === undefined ? movedSinceBegin(reading, record) : ok([])
  if (!moved.ok) return moved
  const values = energy.map(value => [registerName(value.obis, reading.registers), value] as const)
  return ok(
    [...values, ...moved.value].map(([RI, { value, scaler }]) => ({
      ...when,
      RV: new JsonNumber(decimalText(value, scaler - KILO)),
      RI,
      RU: 'kWh',
      RT: record.station.current,
      ...state(lost === undefined ? reading : { errors: ['energy', ...reading.errors] }, lost ?? goodState(reading)),
    })),
  )
}

function reasonOf({ reason }: Reading, ending: OcmfEnding | undefined): Reason | undefined {
  if (typeof ending === 'object') return 'X'
  return ending === 'aborted' && reason === 'end' ? 'A' : TX[reason]
}

/** Refused or lost by the meter while other registers were believed: which of them it was is not said. */
const goodState = ({ errors }: Reading): MeterState => (errors.includes('energy') ? 'F' : 'G')

const state = ({ errors }: Pick<Reading, 'errors'>, ST: MeterState) => ({
  EF: (errors.includes('energy') ? 'E' : '') + (errors.includes('time') ? 't' : ''),
  ST,
})

type NamedValue = readonly [name: string, value: Pick<MeterValue, 'value' | 'scaler'>]

/** Where a record holds a session from its begin on: the exact difference of the register that counts, nothing at first. */
function movedSinceBegin(reading: Reading, { series, readings }: OcmfRecord): Result<NamedValue[], OcmfWriteFault> {
  const begin = readings[0]!.reading
  const { session } = begin
  if (series !== 'T' || readings.length < 2 || begin.reason !== 'begin' || session === undefined) return ok([])
  const obis = session.direction === 'import' ? OBIS.energyImport : OBIS.energyExport
  const [from, to] = [findValue(begin.registers, obis), findValue(reading.registers, obis)]
  if (from?.unit !== 'Wh' || to?.unit !== 'Wh') return ok([])
  const scaler = Math.min(from.scaler, to.scaler)
  const value = towardZeroAt(to, scaler) - towardZeroAt(from, scaler)
  if (value < 0n) {
    const [a, b] = [from, to].map(one => decimalText(one.value, one.scaler))
    return fail({ code: 'ocmf.counter-fell', obis, from: a!, to: b! })
  }
  return ok([[hexName([1, 0, TABLE_25[obis]!.transaction, 8, 0, 255]), { value, scaler }]])
}

/** As table 25 writes it. A meter that has the table's own register beside the usual one keeps both names. */
function registerName(obis: Obis, registers: readonly MeterValue[]): string {
  const total = TABLE_25[obis]?.total
  if (total === undefined || findValue(registers, `1-0:${total}.8.0`) !== undefined) return hexName(obisBytes(obis)!)
  return hexName([1, 0, total, 8, 0, 255])
}

/** `01-00:B0.08.00*FF`: two hexadecimal digits for each of the six. */
function hexName(bytes: Iterable<number>): string {
  const [a, b, c, d, e, f] = Array.from(bytes, byte => byte.toString(16).toUpperCase().padStart(2, '0'))
  return `${a}-${b}:${c}.${d}.${e}*${f}`
}

/** `2018-07-24T13:22:04,000+0000 S`, always in UTC. */
const ocmfTime = (time: Instant, quality: TimeQuality): string =>
  `${isoTime(time).replace('.', ',').replace('Z', '+0000')} ${TIME_LETTER[quality]}`
