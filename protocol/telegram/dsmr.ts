/**
 * DSMR P1, the customer port of Dutch, Belgian, Luxembourgish, Swedish and other meters (Dutch Smart Meter Requirements,
 * P1 Companion Standard v2.2 to v5.0.2), in the data lines of IEC 62056-21 mode D.
 *
 *     /XXX5 identification CR LF
 *     CR LF
 *     1-0:1.8.1(000004.426*kWh) CR LF      one data line for each object
 *     !6EEE CR LF                          CRC-16/ARC from "/" to "!", in hex; v2.2 and v3 send "!" CR LF alone
 *
 * The line runs at 9,600 baud 7E1 in v2.2 and v3, one telegram every ten seconds, and at 115,200 baud 8N1 from v4 on, every
 * ten seconds in v4 and every second in v5; the signal is inverted.
 *
 * A frame counts only when its CRC, where the meter sends one, and every line of it hold. A telegram without CRC comes out
 * marked `checked: false`: nothing but its form was checked, so a value in it is certain only when a second telegram agrees.
 */
import { fromHex } from '../bytes.ts'
import type { Pull } from '../result.ts'
import { crcArc } from './crc16.ts'
import { atScaler, findValue, type MeterValue, OBIS, obisBytes, obisName, type UnitName } from './obis.ts'

export interface DsmrReading {
  /** The identification line without its slash: maker, baud letter and model. */
  readonly model: string
  /** Serial number of the meter that sends, or else its logical device name, where it gives either (`EQUIPMENT`). */
  readonly equipmentId: string | undefined
  /** The meter's local time as it writes it, YYMMDDhhmmss and S or W for summer or winter (v4 and later). */
  readonly timestamp: string | undefined
  readonly values: readonly MeterValue[]
  /** Whether a CRC covered all of this. */
  readonly checked: boolean
}

export type DsmrFault =
  | { readonly code: 'dsmr.noise'; readonly bytes: number }
  | { readonly code: 'dsmr.cut'; readonly bytes: number }
  | { readonly code: 'dsmr.too-long'; readonly limit: number }
  | { readonly code: 'dsmr.crc'; readonly expected: number; readonly received: number }
  | { readonly code: 'dsmr.crc-missing'; readonly because: string }
  | { readonly code: 'dsmr.line'; readonly line: number; readonly what: string }

/** Beyond the longest telegram that v5 allows: 2,048 hex digits of text message, 13 months of peaks, some 40 short lines. */
export const DSMR_FRAME_MAX = 8192

const SLASH = 0x2f
const BANG = 0x21
const CR = 0x0d
const LF = 0x0a
/** "!", four hex digits at most, CR LF. */
const LONGEST_END = 7
/** Of the identification, between "/" and CR. */
const MODEL_LEAST = 3
const MODEL_MOST = 40

/** The version of DSMR that the meter claims, from v4 on; then the time is never missing. */
const VERSION = '1-3:0.2.8'
const TELEGRAM_TIME = '0-0:1.0.0'
/** Who sends, the first that is there: DSMR, meters of German make, Hungary, Luxembourg (logical device name). */
const EQUIPMENT = ['0-0:96.1.1', '0-0:96.1.255', '0-0:96.1.0', '0-0:42.0.0']
/** Objects that only meters with a CRC send: version (v4, v5), version (Belgium), time of the telegram (v4, v5). */
const CRC_ERA = [VERSION, '0-0:96.1.4', TELEGRAM_TIME]

const UNITS: ReadonlyMap<string, readonly [unit: UnitName, scaler: number]> = new Map([
  ['Wh', ['Wh', 0]],
  ['kWh', ['Wh', 3]],
  ['W', ['W', 0]],
  ['kW', ['W', 3]],
  ['VA', ['VA', 0]],
  ['kVA', ['VA', 3]],
  ['var', ['var', 0]],
  ['kvar', ['var', 3]],
  ['kVAr', ['var', 3]],
  ['varh', ['varh', 0]],
  ['kvarh', ['varh', 3]],
  ['kVArh', ['varh', 3]],
  ['V', ['V', 0]],
  ['A', ['A', 0]],
  ['Hz', ['Hz', 0]],
  ['m3', ['m3', 0]],
  ['MJ', ['J', 6]],
  ['GJ', ['J', 9]],
])

/** Decodes the telegram at the start of `bytes`. */
export function decodeDsmr(bytes: Uint8Array): Pull<DsmrReading, DsmrFault> {
  const start = findFrom(bytes, SLASH, 0)
  if (start > 0) return { kind: 'junk', skip: start, fault: { code: 'dsmr.noise', bytes: start } }

  const junk = (fault: DsmrFault): Pull<DsmrReading, DsmrFault> => ({
    kind: 'junk',
    skip: findFrom(bytes, SLASH, 1),
    fault,
  })
  const head = readHead(bytes)
  if ('code' in head) return junk(head)
  const bang = findEnd(bytes)
  // The head alone has a blank line: another one is that of the next telegram, and this one was cut short.
  const again = findBlank(bytes, head.end)
  if (again < bang) return junk({ code: 'dsmr.cut', bytes: again })
  if (bang + LONGEST_END > DSMR_FRAME_MAX) return junk({ code: 'dsmr.too-long', limit: DSMR_FRAME_MAX })
  if (bang === bytes.length) {
    // What is no text never becomes a telegram: damage, or the ciphertext of an encrypted meter.
    if (bytes.some(isForeign)) return junk({ code: 'dsmr.line', line: 0, what: 'not ASCII' })
    // After the "!" comes CR LF at the earliest.
    return { kind: 'need', bytes: 3 }
  }

  let at = bang + 1
  while (at < bytes.length && at <= bang + 4 && isHexDigit(bytes[at]!)) at++
  if (at + 2 > bytes.length) return { kind: 'need', bytes: at + 2 - bytes.length }
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return junk({ code: 'dsmr.line', line: 0, what: 'end' })

  const checked = at > bang + 1
  if (checked) {
    const received = Number.parseInt(ascii(bytes, bang + 1, at), 16)
    const expected = crcArc(bytes, 0, bang + 1)
    if (received !== expected) return junk({ code: 'dsmr.crc', expected, received })
  }
  const reading = readLines(ascii(bytes, 1, bang), checked)
  return 'code' in reading ? junk(reading) : { kind: 'frame', value: reading, used: at + 2 }
}

/** Where `byte` is from `from` on, or the end. */
function findFrom(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from)
  return at < 0 ? bytes.length : at
}

/** Where the "!" that begins a line is, or the end. */
function findEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(BANG, 1); at >= 0; at = bytes.indexOf(BANG, at + 1)) if (bytes[at - 1] === LF) return at
  return bytes.length
}

/** The identification and the blank line behind it, as far as they are there: noise that begins with "/" is not waited for. */
function readHead(bytes: Uint8Array): { readonly end: number } | DsmrFault {
  let at = 1
  while (at < bytes.length && at <= MODEL_MOST && bytes[at]! >= 0x20 && bytes[at]! <= 0x7e) at++
  const end = at + 4
  if (at < bytes.length && (at <= MODEL_LEAST || bytes[at] !== CR || (bytes[at + 1] ?? LF) !== LF))
    return { code: 'dsmr.line', line: 1, what: 'identification' }
  if ((bytes[at + 2] ?? CR) !== CR || (bytes[at + 3] ?? LF) !== LF)
    return { code: 'dsmr.line', line: 2, what: 'blank line' }
  return { end }
}

/** Where a line ends with an empty one behind it, from `from` on, or the end. */
function findBlank(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(CR, from); at >= 0; at = bytes.indexOf(CR, at + 1))
    if (bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) return at
  return bytes.length
}

const isForeign = (byte: number): boolean => byte > 0x7e

const isHexDigit = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)

const latin1 = new TextDecoder('latin1')
/** Text of bytes that are ASCII; others become characters that no rule below takes. */
const ascii = (bytes: Uint8Array, from: number, to: number): string => latin1.decode(bytes.subarray(from, to))

/** One object is A-B:C.D.E or A-B:C.D.E*F, then values in brackets. */
const NAME = /^\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}(?:\*\d{1,3})?$/
/** A name in which nothing could be written otherwise: no field of three digits, no leading zeros, no *F. */
const USUAL_NAME = /^[01]-\d:(?:0|[1-9]\d?)\.(?:0|[1-9]\d?)\.\d$/
const BRACKETS = /^(?:\([ -'*-~]*\))+$/
/** v2.2 and v3 write the value of a gas meter on a line of its own, behind its time, status, interval, count, name and unit. */
const CONTINUED = /^\([ -'*-~]*\)$/
const QUANTITY = /^(-?\d{1,15})(?:\.(\d{1,9}))?\*([A-Za-z]{1,5}\d?)$/
const TIMESTAMP = /^\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])(?:[0-5]\d){2}[SW]$/
/** A time, and the one value of that time. */
const DATED = /^([^()]*)\)\(([^()*]*\*[^()*]*)$/
const DATED_V3 = /^(\d{12})\)\(\d{1,2}\)\(\d{1,2}\)\(1\)\((0-\d:24\.2\.\d)\)\((\w{1,5})\)\((\d+\.\d+)$/
/** Meters behind the one that sends, on its M-Bus channels 1 to 9: gas, water, heat. */
const SUB_METER = /^0-[1-9]:24\./

/** The lines between "/" and "!". */
function readLines(text: string, checked: boolean): DsmrReading | DsmrFault {
  const lines = text.split('\r\n')
  const model = lines[0]!
  if (lines.length < 4) return { code: 'dsmr.line', line: 3, what: 'no object' }
  if (lines.at(-1) !== '') return { code: 'dsmr.line', line: lines.length, what: 'end of line' }

  const draft: Draft = { equipment: new Map(), timestamp: undefined, values: [], seen: new Map() }
  for (let i = 2; i < lines.length - 1; i++) {
    let line = lines[i]!
    if (CONTINUED.test(lines[i + 1]!)) line += lines[++i]!
    const bracket = line.indexOf('(')
    const obis = canonicalName(line.slice(0, bracket))
    const brackets = line.slice(bracket)
    if (obis === undefined || !BRACKETS.test(brackets)) return { code: 'dsmr.line', line: i + 1, what: 'object' }
    if (!checked && CRC_ERA.includes(obis)) return { code: 'dsmr.crc-missing', because: obis }
    if (!take(draft, obis, brackets)) return { code: 'dsmr.line', line: i + 1, what: obis }
  }
  const { equipment, timestamp, values, seen } = draft
  if (seen.has(VERSION) && timestamp === undefined)
    return { code: 'dsmr.line', line: lines.length, what: `${TELEGRAM_TIME} missing` }
  const equipmentId = EQUIPMENT.map(obis => equipment.get(obis)).find(id => id !== undefined)
  return { model, equipmentId, timestamp, values, checked }
}

/** The name as `obisName` writes it, or undefined where it is none. */
function canonicalName(text: string): string | undefined {
  if (USUAL_NAME.test(text)) return text
  const bytes = NAME.test(text) ? obisBytes(text) : undefined
  return bytes && obisName(bytes)
}

interface Draft {
  /** Who sends, by each of the names that it may stand under. */
  readonly equipment: Map<string, string>
  timestamp: string | undefined
  readonly values: MeterValue[]
  /** The brackets of every object so far. */
  readonly seen: Map<string, string>
}

/** Takes what an object says. False where it has not the form of its kind, or says two things in one telegram. */
function take(draft: Draft, obis: string, brackets: string): boolean {
  const before = draft.seen.get(obis)
  if (before !== undefined) return before === brackets
  draft.seen.set(obis, brackets)
  const inner = brackets.slice(1, -1)
  if (obis === TELEGRAM_TIME) {
    draft.timestamp = TIMESTAMP.test(inner) ? inner : undefined
    return draft.timestamp !== undefined
  }
  if (EQUIPMENT.includes(obis)) {
    const id = serialText(inner, obis === EQUIPMENT[0] && draft.seen.has(VERSION))
    if (id !== undefined) draft.equipment.set(obis, id)
    return inner === '' || id !== undefined
  }
  const value = readValue(obis, inner)
  if (typeof value === 'object') draft.values.push(value)
  return value !== 'malformed'
}

type Taken = MeterValue | 'no value' | 'malformed'

/** What stands in the brackets of one object, as far as it is a value with a unit of ours. */
function readValue(obis: string, inner: string): Taken {
  if (!inner.includes('*')) {
    const old = DATED_V3.exec(inner)
    return old === null ? 'no value' : datedAt(old[1]!, readQuantity(old[2]!, `${old[4]}*${old[3]}`))
  }
  // Without its own time a sub-meter's value may be of any hour.
  if (!inner.includes('(')) return SUB_METER.test(obis) ? 'no value' : readQuantity(obis, inner)
  const dated = DATED.exec(inner)
  return dated === null ? 'no value' : datedAt(dated[1]!, readQuantity(obis, dated[2]!))
}

/** Meters that never heard from a sub-meter send times that are none: then it has no value. */
function datedAt(at: string, value: Taken): Taken {
  if (typeof value !== 'object') return value
  return TIMESTAMP.test(at.length === 12 ? `${at}W` : at) ? { ...value, at } : 'no value'
}

/**
 * An exact decimal; no value where its unit is none of ours. A CRC of 16 bits lets one damaged telegram in 65,536 through,
 * so what does not look like a number of its kind makes no reading: meters write kilo-units with a point, always.
 */
function readQuantity(obis: string, inner: string): Taken {
  const match = QUANTITY.exec(inner)
  if (match === null) return 'malformed'
  const [, whole = '', fraction = '', unitText = ''] = match
  const unit = UNITS.get(unitText)
  if (unit === undefined) return 'no value'
  if (unit[1] === 3 && fraction === '') return 'malformed'
  const digits = whole + fraction
  // A double holds 15 digits exactly, and is read three times as fast.
  const value = {
    obis,
    value: BigInt(digits.length <= 15 ? Number(digits) : digits),
    scaler: unit[1] - fraction.length,
    unit: unit[0],
  }
  return unit[1] === 0 ? value : { ...value, written: unitText }
}

/**
 * The standard sends the serial number's ASCII codes in hex. Where they are not that the text stays as it was sent, unless
 * the meter claims a version of the standard: then it must at least be hex.
 */
function serialText(sent: string, strict: boolean): string | undefined {
  const bytes = fromHex(sent)
  if (sent === '' || (strict && bytes === undefined)) return undefined
  return bytes?.every(byte => byte > 0x20 && byte < 0x7f) ? ascii(bytes, 0, bytes.length) : sent
}

/** Objects of which DSMR meters send only the parts: total, part, part, sign of the second part. */
const SUMS = [
  [OBIS.energyImport, '1-0:1.8.1', '1-0:1.8.2', 1n],
  [OBIS.energyExport, '1-0:2.8.1', '1-0:2.8.2', 1n],
  [OBIS.power, OBIS.powerImport, OBIS.powerExport, -1n],
] as const

/** Whether a name is that of a tariff of the same register: equal but for group E, and of now. */
const isTariff = (obis: string, other: string): boolean =>
  obis.startsWith(other.slice(0, other.lastIndexOf('.') + 1)) && !obis.includes('*')

/**
 * The values with the exact totals that this meter leaves to its reader: energy of both tariffs, and power import less
 * export. A total of which a part is missing, or of more tariffs than two, stays absent; a total that the meter sends itself
 * is not touched.
 */
export function withTotals(values: readonly MeterValue[]): readonly MeterValue[] {
  const totals = SUMS.flatMap(([total, first, second, sign]): readonly MeterValue[] => {
    const [a, b] = [findValue(values, first), findValue(values, second)]
    if (findValue(values, total) !== undefined || a === undefined || b === undefined || a.unit !== b.unit) return []
    // Parts of other times than now make no total of now; and neither do two tariffs of three.
    if (a.at !== undefined || b.at !== undefined) return []
    if (values.some(({ obis }) => obis !== first && obis !== second && isTariff(obis, first))) return []
    const scaler = Math.min(a.scaler, b.scaler)
    const [x, y] = [atScaler(a, scaler), atScaler(b, scaler)]
    if (x === undefined || y === undefined) return []
    return [{ obis: total, value: x + sign * y, scaler, unit: a.unit, derived: true }]
  })
  return [...values, ...totals]
}
