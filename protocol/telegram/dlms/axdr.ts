/**
 * A-XDR (IEC 61334-6) of the DLMS data type (IEC 62056-6-2, clause 4.1.5): one tag byte, then what the tag says.
 *
 *     02 03                     structure of three
 *       09 06 01 00 01 08 00 ff octet string of six
 *       06 00 00 03 e8          double-long-unsigned 1000
 *       00                      null
 *
 * Reading stops at bounds of depth and number of elements; nothing here throws or reads beyond the bytes.
 */

/** A value. What Tieline has no use for (floating point, bit strings, dates) keeps its bytes as `other`. */
export type DlmsData =
  | { readonly kind: 'null' }
  | { readonly kind: 'list'; readonly items: readonly DlmsData[] }
  | { readonly kind: 'integer'; readonly tag: number; readonly value: bigint }
  | { readonly kind: 'enum'; readonly value: number }
  | { readonly kind: 'octets'; readonly bytes: Uint8Array }
  | { readonly kind: 'text'; readonly bytes: Uint8Array }
  | { readonly kind: 'other'; readonly tag: number; readonly bytes: Uint8Array }

/** Why reading stopped: bytes are missing, or they are no A-XDR within our bounds. */
export type AxdrStop = 'short' | 'malformed'

/** Lists within lists; pushes in the field have four. */
const DEPTH_MOST = 8
/** Elements in all; the longest push in the field has 140. */
const ELEMENTS_MOST = 2048

export const TAG = {
  null: 0x00,
  array: 0x01,
  structure: 0x02,
  int32: 0x05,
  uint32: 0x06,
  octets: 0x09,
  text: 0x0a,
  utf8: 0x0c,
  int8: 0x0f,
  int16: 0x10,
  uint8: 0x11,
  uint16: 0x12,
  compactArray: 0x13,
  int64: 0x14,
  uint64: 0x15,
  enum: 0x16,
} as const

/** Bytes of each integer type; negative where it is signed. */
const INTEGERS: ReadonlyMap<number, number> = new Map([
  [TAG.int32, -4],
  [TAG.uint32, 4],
  [TAG.int8, -1],
  [TAG.int16, -2],
  [TAG.uint8, 1],
  [TAG.uint16, 2],
  [TAG.int64, -8],
  [TAG.uint64, 8],
])

/**
 * Bytes of the types that are kept as they are: boolean, BCD, float32, float64, date-time, date, time, the six deltas,
 * don't-care.
 */
const OPAQUE: ReadonlyMap<number, number> = new Map([
  [0x03, 1],
  [0x0d, 1],
  [0x17, 4],
  [0x18, 8],
  [0x19, 12],
  [0x1a, 5],
  [0x1b, 4],
  [0x1c, 1],
  [0x1d, 2],
  [0x1e, 4],
  [0x1f, 1],
  [0x20, 2],
  [0x21, 4],
  [0xff, 0],
])
const BIT_STRING = 0x04
const NOTHING: DlmsData = { kind: 'null' }

/** What a compact array says once for all of its elements (IEC 62056-6-2, TypeDescription). */
type TypeDescription = number | { readonly count: number; readonly of: readonly TypeDescription[] }

/** Reads values one after another. After a stop, `stopped` says why and all later answers are undefined. */
export class AxdrReader {
  at: number
  stopped: AxdrStop | undefined
  /** Where the bytes would have to reach for what was asked last, after a stop for want of bytes. */
  wanted = 0
  private readonly bytes: Uint8Array
  private left = ELEMENTS_MOST

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  private stop(why: AxdrStop): undefined {
    this.stopped ??= why
    return undefined
  }

  private short(count: number): undefined {
    this.wanted = this.at + count
    return this.stop('short')
  }

  /** The next byte as a number. */
  byte(): number | undefined {
    if (this.stopped !== undefined) return undefined
    return this.at < this.bytes.length ? this.bytes[this.at++] : this.short(1)
  }

  /** The next `count` bytes, a view. */
  take(count: number): Uint8Array | undefined {
    if (this.stopped !== undefined) return undefined
    if (this.at + count > this.bytes.length) return this.short(count)
    this.at += count
    return this.bytes.subarray(this.at - count, this.at)
  }

  /** A length: one byte to 0x7f, else 81 and one byte or 82 and two. */
  length(): number | undefined {
    const first = this.byte()
    if (first === undefined || first < 0x80) return first
    if (first !== 0x81 && first !== 0x82) return this.stop('malformed')
    const rest = this.take(first - 0x80)
    return rest?.reduce((sum, byte) => sum * 256 + byte, 0)
  }

  /** One value with its tag. */
  value(depth = 0): DlmsData | undefined {
    const tag = this.byte()
    return tag === undefined ? undefined : this.tagged(tag, depth)
  }

  private tagged(tag: number, depth: number): DlmsData | undefined {
    if (--this.left < 0) return this.stop('malformed')
    if (tag === TAG.null) return NOTHING
    if (tag === TAG.array || tag === TAG.structure) {
      const count = this.length()
      return count === undefined ? undefined : this.list(count, depth, () => this.value(depth + 1))
    }
    const width = INTEGERS.get(tag)
    if (width !== undefined) return this.integer(tag, width)
    if (tag === TAG.octets || tag === TAG.text || tag === TAG.utf8) {
      const length = this.length()
      const bytes = length === undefined ? undefined : this.take(length)
      return bytes && { kind: tag === TAG.octets ? 'octets' : 'text', bytes }
    }
    if (tag === TAG.enum) {
      const value = this.byte()
      return value === undefined ? undefined : { kind: 'enum', value }
    }
    if (tag === TAG.compactArray) return this.compactArray(depth)
    const bits = tag === BIT_STRING ? this.length() : undefined
    const size = bits === undefined ? OPAQUE.get(tag) : Math.ceil(bits / 8)
    if (size === undefined) return this.stop('malformed')
    const bytes = this.take(size)
    return bytes && { kind: 'other', tag, bytes }
  }

  private integer(tag: number, width: number): DlmsData | undefined {
    const size = Math.abs(width)
    const from = this.at
    if (from + size > this.bytes.length) return this.short(size)
    this.at += size
    // Four bytes at a time are exact as a number, which is several times faster than as a bigint.
    let high = 0
    let low = 0
    for (let i = 0; i < size; i++) {
      if (i < size - 4) high = high * 256 + this.bytes[from + i]!
      else low = low * 256 + this.bytes[from + i]!
    }
    const value = size === 8 ? (BigInt(high) << 32n) | BigInt(low) : BigInt(low)
    return { kind: 'integer', tag, value: width < 0 ? BigInt.asIntN(8 * size, value) : value }
  }

  private list(count: number, depth: number, next: () => DlmsData | undefined): DlmsData | undefined {
    if (depth >= DEPTH_MOST || count > this.left) return this.stop('malformed')
    const items: DlmsData[] = []
    while (items.length < count) {
      const item = next()
      if (item === undefined) return undefined
      items.push(item)
    }
    return { kind: 'list', items }
  }

  private compactArray(depth: number): DlmsData | undefined {
    const type = this.typeDescription(depth)
    const length = this.length()
    if (type === undefined || length === undefined) return undefined
    if (this.at + length > this.bytes.length) return this.short(length)
    const end = this.at + length
    const items: DlmsData[] = []
    while (this.at < end) {
      const before = this.at
      const item = this.described(type, depth + 1)
      if (item === undefined) return undefined
      // An element of no bytes would come for ever, one that runs over the end belongs to somebody else.
      if (this.at === before || this.at > end) return this.stop('malformed')
      items.push(item)
    }
    return { kind: 'list', items }
  }

  private typeDescription(depth: number): TypeDescription | undefined {
    const tag = this.byte()
    if (tag === undefined) return undefined
    if (depth >= DEPTH_MOST || --this.left < 0 || tag === TAG.compactArray) return this.stop('malformed')
    if (tag === TAG.array) {
      const count = this.take(2)
      const of = this.typeDescription(depth + 1)
      return count === undefined || of === undefined ? undefined : { count: (count[0]! << 8) | count[1]!, of: [of] }
    }
    if (tag !== TAG.structure) return tag
    const count = this.length()
    if (count === undefined) return undefined
    const of: TypeDescription[] = []
    while (of.length < count) {
      const one = this.typeDescription(depth + 1)
      if (one === undefined) return undefined
      of.push(one)
    }
    return { count, of }
  }

  private described(type: TypeDescription, depth: number): DlmsData | undefined {
    if (typeof type === 'number') return this.tagged(type, depth)
    if (--this.left < 0) return this.stop('malformed')
    let next = 0
    return this.list(type.count, depth, () => this.described(type.of[next++ % type.of.length]!, depth + 1))
  }
}
