/**
 * Register bytes to exact decimals: `value x 10^scaler`, never a float. Not-a-number, infinities and the maker's sentinels
 * are absent (undefined), never 0.
 */

export type NumberType = 'u16' | 'i16' | 'u32' | 'i32' | 'u64' | 'i64' | 'f32' | 'f64'

/** Which 16-bit word of a longer number stands at the lower address. Bytes inside a word are always high first. */
export type WordOrder = 'high-first' | 'low-first'

export interface NumberFormat {
  readonly type: NumberType
  readonly order: WordOrder
  /** Power of ten of one step: what an integer register counts, or the decimal resolution that a float is rounded to. */
  readonly scaler: number
  /** Raw register contents (as unsigned numbers) that mean "not available". */
  readonly sentinels?: readonly bigint[]
  /** A signed number this large or larger, in either direction, says that the meter's range was exceeded. */
  readonly overflow?: bigint
}

export const registerCount = (type: NumberType): number =>
  ({ u16: 1, i16: 1, u32: 2, i32: 2, f32: 2, u64: 4, i64: 4, f64: 4 })[type]

/** Beyond this a number fits no signed record; a float can claim it, a meter cannot mean it. */
const LARGEST = 2n ** 63n - 1n

/** The registers' content as one unsigned number. */
function rawOf(bytes: Uint8Array, order: WordOrder): bigint {
  let raw = 0n
  const count = bytes.length >> 1
  for (let i = 0; i < count; i++) {
    const at = 2 * (order === 'high-first' ? i : count - 1 - i)
    raw = (raw << 16n) | BigInt((bytes[at]! << 8) | bytes[at + 1]!)
  }
  return raw
}

/** `numerator / denominator` to the nearest whole number, halves away from zero. */
function nearest(numerator: bigint, denominator: bigint): bigint {
  const twice = 2n * (numerator < 0n ? -numerator : numerator) + denominator
  const magnitude = twice / (2n * denominator)
  return numerator < 0n ? -magnitude : magnitude
}

/** IEEE 754 binary32 and binary64: bits of the mantissa and of the exponent. */
const FLOAT = { f32: { mantissa: 23n, exponent: 8n }, f64: { mantissa: 52n, exponent: 11n } } as const

/**
 * An IEEE 754 float as a decimal with `scaler`, from its exact binary value. The meter itself rounded a decimal of its
 * resolution to the nearest float; rounding back to that resolution gives the very same decimal as long as floats lie
 * closer together than it (a single in kWh with 1 Wh up to 8,191 kWh), and beyond is at most half a float off.
 */
function decimalOfFloat(raw: bigint, kind: keyof typeof FLOAT, scaler: number): bigint | undefined {
  const { mantissa: mantissaBits, exponent: exponentBits } = FLOAT[kind]
  const special = (1n << exponentBits) - 1n
  const exponent = (raw >> mantissaBits) & special
  if (exponent === special) return undefined
  const implied = exponent === 0n ? 0n : 1n << mantissaBits
  const mantissa = (raw & ((1n << mantissaBits) - 1n)) | implied
  const power = (exponent === 0n ? 1n : exponent) - (special >> 1n) - mantissaBits
  const signed = raw >> (mantissaBits + exponentBits) === 1n ? -mantissa : mantissa
  const up = (power > 0n ? 2n ** power : 1n) * (scaler < 0 ? 10n ** BigInt(-scaler) : 1n)
  const down = (power < 0n ? 2n ** -power : 1n) * (scaler > 0 ? 10n ** BigInt(scaler) : 1n)
  return nearest(signed * up, down)
}

/** The number in `bytes` (exactly its registers) in steps of 10^scaler, or undefined where the meter says that it has none. */
export function decodeNumber(bytes: Uint8Array, format: NumberFormat): bigint | undefined {
  const { type, order, scaler } = format
  if (bytes.length !== 2 * registerCount(type)) throw new RangeError(`${bytes.length} bytes are no ${type}`)
  const raw = rawOf(bytes, order)
  if (format.sentinels?.includes(raw)) return undefined
  const value =
    type === 'f32' || type === 'f64'
      ? decimalOfFloat(raw, type, scaler)
      : type.startsWith('i')
        ? BigInt.asIntN(8 * bytes.length, raw)
        : raw
  const most = format.overflow === undefined ? LARGEST : format.overflow - 1n
  return value === undefined || value > most || value < -most ? undefined : value
}

/** Register bytes that hold `value x 10^scaler`, as a meter fills them: a float to the nearest single. */
export function encodeNumber(value: bigint, format: NumberFormat): Uint8Array {
  const count = registerCount(format.type)
  let raw = BigInt.asUintN(16 * count, value)
  if (format.type === 'f32') {
    const view = new DataView(new ArrayBuffer(4))
    view.setFloat32(0, Number(`${value}e${format.scaler}`))
    raw = BigInt(view.getUint32(0))
  } else if (format.type === 'f64') {
    const view = new DataView(new ArrayBuffer(8))
    view.setFloat64(0, Number(`${value}e${format.scaler}`))
    raw = view.getBigUint64(0)
  }
  const bytes = new Uint8Array(2 * count)
  for (let i = 0; i < count; i++) {
    const at = 2 * (format.order === 'high-first' ? count - 1 - i : i)
    bytes[at] = Number((raw >> 8n) & 0xffn)
    bytes[at + 1] = Number(raw & 0xffn)
    raw >>= 16n
  }
  return bytes
}
