/** What stands in the fields of OCMF: exact decimals, times with their quality, OBIS names in the ways that makers write. */
import { timeOfText } from '../chain/chain-time.ts'
import { type Instant, instant, type TimeQuality } from '../time.ts'
import { TIME_QUALITIES } from './payload.ts'

/** What moves a cursor, hides, or turns the direction of what follows: no serial has it, and a terminal obeys it. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

export const isPlain = (text: string): boolean => text.search(UNSEEN) < 0

/** Longest piece of a stranger's text that a fault repeats. */
const SHOWN = 60

/** A stranger's text as a fault may repeat it: cut, and with nothing in it but what is seen. */
export const shown = (text: string): string =>
  (text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text).replace(UNSEEN, '?')

/** value x 10^scaler, the digits as written: `0.10` is 10 x 10^-2. */
export interface Decimal {
  readonly value: bigint
  readonly scaler: number
}

/** Of a register's digits: the widest in use has 12. Bounds what a stranger makes us multiply. */
const MAX_DIGITS = 30

/** Decimal of a JSON number, or of a text with blanks and leading zeros as some meters send; undefined where it is none. */
export function readDecimal(text: string): Decimal | undefined {
  const match = /^ *(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,2}))? *$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole, fraction = '', exponent = '0'] = match
  const digits = whole! + fraction
  if (digits.length > MAX_DIGITS) return undefined
  const magnitude = BigInt(digits)
  return { value: sign === '-' ? -magnitude : magnitude, scaler: Number(exponent) - fraction.length }
}

/** Negative, zero or positive as a is less than, equal to or more than b; the difference a - b stands at the finer scaler. */
export function subtract(a: Decimal, b: Decimal): Decimal {
  const scaler = Math.min(a.scaler, b.scaler)
  const at = (decimal: Decimal) => decimal.value * 10n ** BigInt(decimal.scaler - scaler)
  return { value: at(a) - at(b), scaler }
}

/** A wall time as written. `offsetMinutes` is east of UTC. */
export interface WrittenTime {
  readonly at: Instant
  readonly offsetMinutes: number
  readonly quality: TimeQuality
  readonly text: string
}

/** Time of `2018-07-24T13:22:04,000+0200 S` (table 7, TM), or undefined: a 30th of February, no quality, another form. */
export function readTime(text: string): WrittenTime | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(\d{3})([+-])(\d\d)(\d\d) ([UISR])$/.exec(text)
  if (match === null) return undefined
  const [, clock, ms, sign, hours, minutes, letter] = match
  const local = timeOfText(`${clock}Z`)
  // No zone is further from UTC than 14 hours.
  const offset = Number(hours) * 60 + Number(minutes)
  if (local === undefined || Number(minutes) > 59 || offset > 14 * 60) return undefined
  const offsetMinutes = sign === '-' ? 0 - offset : offset
  return {
    at: instant((Number(local.seconds) - offsetMinutes * 60) * 1000 + Number(ms)),
    offsetMinutes,
    quality: TIME_QUALITIES[letter as keyof typeof TIME_QUALITIES],
    text,
  }
}

/** What an OBIS name says about a register. */
export interface RegisterName {
  /** As written. */
  readonly obis: string
  /** Of energy: into the vehicle or out of it. Absent where the name does not say, as with makers' own codes. */
  readonly direction?: 'import' | 'export'
  /** The register runs on from one transaction to the next and never falls. */
  readonly runsOn: boolean
  /** What the two registers of table 25 that measure one thing share: B0 in all and B2 within a transaction, and so on. */
  readonly measured?: string
}

/** Value group C of energy, and whether the register runs on (IEC 62056-6-1; OCMF 1.4: B0 to B3 and C0 to C3). */
const ENERGY: ReadonlyMap<number, readonly ['import' | 'export', boolean]> = new Map([
  [0x01, ['import', true]],
  [0x02, ['export', true]],
  [0xb0, ['import', true]],
  [0xb1, ['import', true]],
  [0xb2, ['import', false]],
  [0xb3, ['import', false]],
  [0xc0, ['export', true]],
  [0xc1, ['export', true]],
  [0xc2, ['export', false]],
  [0xc3, ['export', false]],
])

/**
 * `1-0:1.8.0`, `1-b:1.8.e`, `1-0:1.8.0*198`, `1-0:98.8.0.FF`, `01-00:B2.08.00*FF`: groups of two digits throughout, or
 * with a letter, are hexadecimal; b and e stand for any. A group F other than 255 is a register that starts anew.
 */
export function readRegisterName(obis: string): RegisterName | undefined {
  const match =
    /^\d{1,3}-(?:\d{1,3}|b):([0-9a-f]{1,3})\.([0-9a-f]{1,3})\.([0-9a-f]{1,3})(?:[*.]([0-9a-f]{1,3}))?$/i.exec(obis)
  if (match === null) return undefined
  const [, c, d, e, f = 'FF'] = match
  const isHex = /^\d\d-\d\d:/.test(obis)
  const group = (digits: string) => Number.parseInt(digits, isHex || /[a-f]/i.test(digits) ? 16 : 10)
  const energy = group(d!) === 8 ? ENERGY.get(group(c!)) : undefined
  if (energy === undefined) return { obis, runsOn: false }
  const [direction, isTotal] = energy
  // Not of a tariff: a total in all would be held against a part.
  const isPaired = group(c!) >= 0xb0 && group(e!) === 0 && group(f) === 255
  return {
    obis,
    direction,
    runsOn: isTotal && group(f) === 255,
    // B0 and B2 differ in one bit, as do B1 and B3.
    ...(isPaired ? { measured: `${group(c!) & ~2}` } : {}),
  }
}
