/**
 * The data lines of IEC 62056-21:2002 (clause 6.5): data sets `address(value*unit)`,
 * one or several a line, a set with one or several pairs of brackets, an address in full or reduced form.
 *
 * What gives a value: an address that is an OBIS name of three groups or more, one number with a unit that fits it. What is
 * absent: a number without unit (except a power factor), a unit that contradicts the name, a set with several numbers, a
 * name said twice with different numbers, lines without address.
 */
import { type MeterValue, type Obis, obisName, type UnitName } from './obis.ts'

/** What the data lines of one readout say. */
export interface Readout {
  /** Serial number of the meter (C.1.0, else 0.0.0), where it gives one. */
  readonly equipmentId: string | undefined
  /** Current registers by their name; stored ones (`1.8.0*01`) under a name that ends in their number, `1-0:1.8.0*1`. */
  readonly values: readonly MeterValue[]
  /** The error register F.F, where it is there and not zero. */
  readonly error: string | undefined
}

interface DataSet {
  readonly address: string
  readonly brackets: readonly string[]
}

/** Power of ten and unit of each unit text that meters write. */
const UNITS: ReadonlyMap<string, readonly [unit: UnitName, scaler: number]> = new Map([
  ...(['Wh', 'W', 'VA', 'VAh', 'var', 'varh', 'V', 'A', 'J'] as const).flatMap(
    (unit): (readonly [string, readonly [UnitName, number]])[] => [
      [unit, [unit, 0]],
      [`k${unit}`, [unit, 3]],
      [`M${unit}`, [unit, 6]],
    ],
  ),
  ['VAr', ['var', 0]],
  ['kVAr', ['var', 3]],
  ['VArh', ['varh', 0]],
  ['kVArh', ['varh', 3]],
  ['GJ', ['J', 9]],
  ['Hz', ['Hz', 0]],
  ['m3', ['m3', 0]],
  ['m3/h', ['m3/h', 0]],
])

const ADDRESS = /^(?:(\d{1,3})-(\d{1,3}):)?(\d{1,3}|[CFLP])\.(\d{1,3}|F)(?:\.(\d{1,3}))?(?:[*&](\d{1,3}))?$/
/** Some meters write a blank where a minus would be. */
const NUMBER = String.raw`([+\- ]?)(\d{1,15})(?:\.(\d{1,9}))?`
const QUANTITY = new RegExp(String.raw`^${NUMBER}\*([A-Za-z][A-Za-z0-9/]{0,15})$`)
const BARE_NUMBER = new RegExp(`^${NUMBER}$`)
/** The letters of value groups C and D (IEC 62056-61, EDIS): general, error, list and load profile. */
const LETTERS: Readonly<Record<string, number>> = { C: 96, F: 97, L: 98, P: 99 }
const CURRENT = 255
const ELECTRICITY = 1

const ERROR_REGISTER = /^\d+-\d+:97\.97\.0$/
/** Serial number of the maker, then the number that the owner gave it (value group C 0 of electricity). */
const IDENTITIES = [/^\d-\d+:96\.1\.0$/, /^1-\d+:0\.0\.0$/] as const
const SERIAL = /^[!-~]{1,48}$/

/** Reads data lines, which the caller has made sure to be printable ASCII; undefined where brackets are out of order. */
export function readDataLines(lines: readonly string[]): Readout | undefined {
  const values = new Map<Obis, MeterValue | undefined>()
  const ids = new Map<Obis, string>()
  let error: string | undefined
  for (const line of lines) {
    const sets = dataSets(line)
    if (sets === undefined) return undefined
    for (const { address, brackets } of sets) {
      const first = brackets[0]!.trim()
      const name = obisOf(address)
      if (name === undefined) continue
      if (ERROR_REGISTER.test(name) && /[^0]/.test(first)) error = first
      if (SERIAL.test(first) && /[^0]/.test(first)) ids.set(name, first)
      const value = quantityOf(name, brackets)
      if (value === undefined) continue
      const before = values.get(name)
      values.set(name, values.has(name) && (before === undefined || !same(before, value)) ? undefined : value)
    }
  }
  const identity = IDENTITIES.flatMap(pattern => [...ids].filter(([name]) => pattern.test(name)))[0]
  return { equipmentId: identity?.[1], values: [...values.values()].filter(value => value !== undefined), error }
}

const same = (a: MeterValue, b: MeterValue): boolean =>
  a.value === b.value && a.scaler === b.scaler && a.unit === b.unit

/** The sets of one line: each an address, which may be empty, and what is in its brackets. */
function dataSets(line: string): readonly DataSet[] | undefined {
  const sets: { address: string; brackets: string[] }[] = []
  let at = 0
  while (at < line.length) {
    const opens = line.indexOf('(', at)
    const closes = line.indexOf(')', at)
    if (opens < 0 || closes < opens) return undefined
    const inner = line.slice(opens + 1, closes)
    if (inner.includes('(')) return undefined
    if (opens === at && sets.length > 0) sets.at(-1)!.brackets.push(inner)
    else sets.push({ address: line.slice(at, opens), brackets: [inner] })
    at = closes + 1
  }
  return sets
}

/** Groups A and B that are left out are those of the electricity meter: that the unit fits is checked with the value. */
function obisOf(address: string): Obis | undefined {
  const match = ADDRESS.exec(address)
  if (match === null) return undefined
  const [, a, b = '0', c = '', d = '', e = '0', f] = match
  // Only the general registers are written in two groups: "F.F", "C.1". A heat meter's "6.8" is another language.
  if (match[5] === undefined && LETTERS[c] === undefined) return undefined
  const quantity = LETTERS[c] ?? Number(c)
  const general = quantity >= 96 && quantity <= 99
  const groups = [
    a === undefined ? (general ? 0 : ELECTRICITY) : Number(a),
    Number(b),
    quantity,
    LETTERS[d] ?? Number(d),
    Number(e),
    f === undefined ? CURRENT : Number(f),
  ]
  return groups.every(group => group <= 255) ? obisName(Uint8Array.from(groups)) : undefined
}

function quantityOf(name: Obis, brackets: readonly string[]): MeterValue | undefined {
  const [first = '', ...rest] = brackets
  // A maximum's second pair of brackets says when it was; a second quantity would leave open which of them is meant.
  if (rest.some(inner => inner.includes('*'))) return undefined
  const bare = BARE_NUMBER.exec(first)
  if (bare !== null) return unitOf(name) === '1' ? valueFrom(name, bare, '1', 0) : undefined
  const match = QUANTITY.exec(first)
  const unit = match === null ? undefined : UNITS.get(match[4]!)
  return match === null || unit === undefined || !fits(name, unit[0])
    ? undefined
    : { ...valueFrom(name, match, ...unit), ...(unit[1] === 0 ? {} : { written: match[4]! }) }
}

function valueFrom(
  obis: Obis,
  [, sign, whole = '', fraction = '']: RegExpExecArray,
  unit: UnitName,
  power: number,
): MeterValue {
  const value = BigInt(whole + fraction)
  return { obis, value: sign === '-' ? -value : value, scaler: power - fraction.length, unit }
}

/** Whether a quantity of electricity is one of this unit; other media are named in full by their meters. */
function fits(name: Obis, unit: UnitName): boolean {
  const wanted = unitOf(name)
  if (wanted === undefined) return !name.startsWith(`${ELECTRICITY}-`)
  return unit === wanted
}

/**
 * The unit of a quantity of electricity (IEC 62056-61, value groups C and D): C counts 20 for the sum and for each phase; D
 * 8 and 9 are integrals over time, 2 to 7 momentary values, averages and maxima. Undefined where the table knows none.
 */
function unitOf(name: Obis): UnitName | undefined {
  const [, a, c, d] = /^(\d+)-\d+:(\d+)\.(\d+)\./.exec(name)?.map(Number) ?? []
  if (a !== ELECTRICITY || c === undefined || d === undefined || c < 1 || c > 80) return undefined
  const kind = c % 20
  const integral = d === 8 || d === 9
  if (!integral && (d < 2 || d > 7)) return undefined
  if (kind <= 2 && kind >= 1) return integral ? 'Wh' : 'W'
  if (kind >= 15 || kind === 0) return integral ? 'Wh' : 'W'
  if (kind <= 8) return integral ? 'varh' : 'var'
  if (kind <= 10) return integral ? 'VAh' : 'VA'
  if (integral) return undefined
  return kind === 11 ? 'A' : kind === 12 ? 'V' : kind === 13 ? '1' : kind === 14 ? 'Hz' : undefined
}
