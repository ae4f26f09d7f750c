/**
 * The records of an M-Bus answer with variable data structure (EN 13757-3:2013, clause 6): each a data information block
 * (which storage, tariff, unit, kind of value, how many bytes), a value information block (see mbus-vif.ts) and data, least
 * significant byte first.
 */
import { type Measured, measuredBy } from './mbus-vif.ts'

export interface MbusRecord {
  /** 0 is now; others are due dates and the like. */
  readonly storage: number
  readonly tariff: number
  readonly subunit: number
  readonly kind: 'instantaneous' | 'maximum' | 'minimum' | 'error'
  /** Value information, for what no table here knows. */
  readonly vib: Uint8Array
  readonly measured: Measured | undefined
  /** The number in its unit: value x 10^scaler; undefined for none, an invalid one, and data that is no number. */
  readonly number: { readonly value: bigint; readonly scaler: number } | undefined
}

export interface MbusRecords {
  readonly records: readonly MbusRecord[]
  /** The rest stands in the next telegram (DIF 1F). */
  readonly more: boolean
  /** Bytes at the end in a form that no reader can be sure of; what came before them stands. */
  readonly unread: number
}

const KINDS = ['instantaneous', 'maximum', 'minimum', 'error'] as const
const MORE = 0x80
const DIF_MANUFACTURER = 0x0f
const DIF_MORE_FOLLOWS = 0x1f
const DIF_FILLER = 0x2f
const SPECIAL = 0x0f
const VIF_PLAIN_TEXT = 0x7c
/** Clauses 6.3.5 and 6.4.1: at most ten bytes follow a DIF or VIF. */
const EXTENSIONS_MOST = 10
/** Data field of a DIF: bytes of data, by its code; the one of variable length says so itself. */
const LENGTHS = [0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, undefined, 6, undefined] as const
const REAL = 5
const FIRST_BCD = 9
const VARIABLE = 13
/** Scalers that MeterValue can hold. */
const SCALER_MOST = 9

/** Reads the records behind the header; undefined where a record is longer than what there is. */
export function readMbusRecords(data: Uint8Array): MbusRecords | undefined {
  const records: MbusRecord[] = []
  let at = 0
  while (at < data.length) {
    const dif = data[at]!
    if (dif === DIF_MANUFACTURER || dif === DIF_MORE_FOLLOWS)
      return { records, more: dif === DIF_MORE_FOLLOWS, unread: 0 }
    if (dif === DIF_FILLER) {
      at++
      continue
    }
    // Other special functions belong to requests.
    if ((dif & 0x0f) === SPECIAL) return undefined
    const vibAt = chainEnd(data, at)
    const vibEnd = vibAt === undefined ? undefined : chainEnd(data, vibAt)
    if (vibAt === undefined || vibEnd === undefined) return undefined
    let dataAt = vibEnd
    if ((data[vibAt]! & ~MORE) === VIF_PLAIN_TEXT) {
      // Where more VIFEs follow, makers put the text before them or behind them: what comes next is anybody's guess.
      if (data[vibAt]! & MORE) return { records, more: false, unread: data.length - at }
      const length = data[vibEnd]
      if (length === undefined) return undefined
      dataAt = vibEnd + 1 + length
    }
    const field = dif & 0x0f
    const found = field === VARIABLE ? variableData(data, dataAt) : fixedData(field, data, dataAt)
    if (found === 'unknown') return { records, more: false, unread: data.length - at }
    if (found === undefined || found.end > data.length) return undefined
    const vib = data.slice(vibAt, vibEnd)
    const measured = measuredBy(vib)
    records.push({
      ...block(data.subarray(at, vibAt)),
      vib,
      measured,
      number: measured === undefined || found.number === undefined ? undefined : inUnit(found.number, measured),
    })
    at = found.end
  }
  return { records, more: false, unread: 0 }
}

/** Where a chain of bytes ends that each say in bit 7 whether one more follows. */
function chainEnd(data: Uint8Array, from: number): number | undefined {
  for (let at = from; at <= from + EXTENSIONS_MOST && at < data.length; at++)
    if ((data[at]! & MORE) === 0) return at + 1
  return undefined
}

/** DIF and DIFEs: storage grows by four bits a DIFE, tariff by two, subunit by one (clause 6.3.5). */
function block(dib: Uint8Array): Pick<MbusRecord, 'storage' | 'tariff' | 'subunit' | 'kind'> {
  const dif = dib[0]!
  let storage = (dif >> 6) & 1
  let tariff = 0
  let subunit = 0
  for (let i = 1; i < dib.length; i++) {
    const dife = dib[i]!
    storage += (dife & 0x0f) * 2 ** (4 * i - 3)
    tariff += ((dife >> 4) & 3) * 4 ** (i - 1)
    subunit += ((dife >> 6) & 1) * 2 ** (i - 1)
  }
  return { storage, tariff, subunit, kind: KINDS[(dif >> 4) & 3]! }
}

interface Found {
  readonly end: number
  readonly number: Decimal | undefined
}
interface Decimal {
  readonly value: bigint
  readonly scaler: number
}

const whole = (value: bigint | undefined): Decimal | undefined =>
  value === undefined ? undefined : { value, scaler: 0 }

function fixedData(field: number, data: Uint8Array, at: number): Found | undefined {
  const length = LENGTHS[field]
  if (length === undefined || at + length > data.length) return undefined
  const bytes = data.subarray(at, at + length)
  const end = at + length
  if (length === 0) return { end, number: undefined }
  if (field === REAL) return { end, number: real(bytes) }
  return { end, number: whole(field >= FIRST_BCD ? bcd(bytes) : integer(bytes)) }
}

/** A byte says how many follow, and of what kind (clause 6.3.3, LVAR). Texts and long binaries are no numbers. */
function variableData(data: Uint8Array, at: number): Found | undefined | 'unknown' {
  const lvar = data[at]
  if (lvar === undefined) return undefined
  const body = (length: number): Uint8Array => data.subarray(at + 1, at + 1 + length)
  if (lvar < 0xc0) return { end: at + 1 + lvar, number: undefined }
  const length = lvar & 0x0f
  const end = at + 1 + length
  if (lvar <= 0xc9) return { end, number: whole(bcd(body(length), true)) }
  if (lvar >= 0xd0 && lvar <= 0xd9) {
    const value = bcd(body(length), true)
    return { end, number: whole(value === undefined ? undefined : -value) }
  }
  if (lvar >= 0xe0 && lvar <= 0xef) return { end, number: whole(length > 0 ? integer(body(length)) : undefined) }
  return 'unknown'
}

/** Two's complement; the lowest number, 80 00 ..., stands for none (annex A, type B). */
function integer(bytes: Uint8Array): bigint | undefined {
  const value = BigInt.asIntN(8 * bytes.length, unsigned(bytes))
  return value === -(1n << BigInt(8 * bytes.length - 1)) ? undefined : value
}

function unsigned(bytes: Uint8Array): bigint {
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!)
  return value
}

/** Two digits a byte; F in front is a minus, and any other nibble above 9 says that there is no number (annex A, type A). */
function bcd(bytes: Uint8Array, unsignedOnly = false): bigint | undefined {
  let digits = ''
  for (let i = bytes.length - 1; i >= 0; i--) digits += (bytes[i]! >> 4).toString(16) + (bytes[i]! & 0x0f).toString(16)
  const negative = !unsignedOnly && digits.startsWith('f')
  const text = negative ? digits.slice(1) : digits
  if (!/^\d+$/.test(text)) return undefined
  return negative ? -BigInt(text) : BigInt(text)
}

/** A 32-bit float as the exact decimal that it is: mantissa x 2^exponent, and 2^-n is 5^n / 10^n. */
function real(bytes: Uint8Array): Decimal | undefined {
  const bits = Number(unsigned(bytes))
  const biased = (bits >>> 23) & 0xff
  if (biased === 0xff) return undefined
  const fraction = bits & 0x7f_ffff
  const mantissa = BigInt(biased === 0 ? fraction : fraction | 0x80_0000) * (bits >>> 31 ? -1n : 1n)
  const exponent = (biased === 0 ? 1 : biased) - 150
  return exponent >= 0
    ? { value: mantissa << BigInt(exponent), scaler: 0 }
    : trimmed(mantissa * 5n ** BigInt(-exponent), exponent)
}

/** Without the zeros at its end. */
function trimmed(value: bigint, scaler: number): Decimal {
  if (value === 0n) return { value, scaler: 0 }
  let [digits, power] = [value, scaler]
  while (power < 0 && digits % 10n === 0n) {
    digits /= 10n
    power++
  }
  return { value: digits, scaler: power }
}

/** In the unit itself, digits beyond a billionth cut off toward zero: floats have them, meters do not measure them. */
function inUnit({ value, scaler }: Decimal, measured: Measured): Decimal | undefined {
  const power = scaler + measured.scaler
  const product = value * measured.times
  if (power > SCALER_MOST) return { value: product * 10n ** BigInt(power - SCALER_MOST), scaler: SCALER_MOST }
  return power >= -SCALER_MOST
    ? { value: product, scaler: power }
    : { value: product / 10n ** BigInt(-SCALER_MOST - power), scaler: -SCALER_MOST }
}
