/**
 * The type-length encoding inside SML messages (BSI TR-03109-1 LMN part b, 6.3), read in place.
 *
 *     TL byte: bit 7 another TL byte follows, bits 6..4 type, bits 3..0 length (TL bytes included; for a list, its elements)
 *
 * The first thing that is not as it must be is kept in `malformed`; from there on the cursor stands at the end and answers
 * with nothing, so that a reader asks once, when it is through.
 */

const OCTETS = 0
const BOOLEAN = 4
const INTEGER = 5
const UNSIGNED = 6
const LIST = 7

export interface SmlInteger {
  readonly value: bigint
  readonly signed: boolean
  /** Bytes of the number as sent. */
  readonly width: number
}

export class SmlCursor {
  at = 0
  malformed: { readonly at: number; readonly what: string } | undefined
  private readonly bytes: Uint8Array
  /** Of the element whose TL field was read last. */
  private type = 0
  /** Bytes after the TL field, or elements of a list. */
  private length = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  fail(at: number, what: string): void {
    this.malformed ??= { at, what }
    this.at = this.bytes.length
  }

  /** Enters a list of `count` elements, or of any number; returns the number. */
  list(count: number | undefined, what: string): number {
    const at = this.at
    this.header()
    if (this.type === LIST && this.length === (count ?? this.length)) return this.length
    this.fail(at, what)
    return 0
  }

  isList(): boolean {
    return ((this.bytes[this.at] ?? 0) & 0x70) === LIST << 4
  }

  /** Whether the next element is the empty octet string, which stands for one that is left out. */
  isAbsent(): boolean {
    return this.bytes[this.at] === 0x01
  }

  /** Passes an octet string, empty or not: ids, names and signatures that are of no use here but must be what they are. */
  skipOctets(what: string): void {
    const at = this.at
    this.header()
    if (this.type === OCTETS) this.at += this.length
    else this.fail(at, what)
  }

  /** An octet string in place (not a copy), or undefined where the element is absent (empty) or something else. */
  octets(): Uint8Array | undefined {
    const at = this.at
    this.header()
    if (this.type !== OCTETS) {
      this.at = at
      this.skip()
      return undefined
    }
    const octets = this.length === 0 ? undefined : this.bytes.subarray(this.at, this.at + this.length)
    this.at += this.length
    return octets
  }

  /** An integer of one to eight bytes, signed or not, or undefined where the element is absent or something else. */
  integer(): SmlInteger | undefined {
    if (!this.isInteger()) return undefined
    const width = this.length
    const signed = this.type === INTEGER
    if (width <= 6) return { value: BigInt(this.take(width, signed)), signed, width }
    const high = this.take(width - 4, signed)
    return { value: (BigInt(high) << 32n) + BigInt(this.take(4, false)), signed, width }
  }

  /** The same as a number; also undefined where it has more than six bytes, which a double may not hold. */
  number(): number | undefined {
    if (!this.isInteger()) return undefined
    if (this.length <= 6) return this.take(this.length, this.type === INTEGER)
    this.at += this.length
    return undefined
  }

  /** A number that must be there and unsigned, at most six bytes. */
  unsigned(what: string): number {
    const at = this.at
    const number = this.number()
    if (number !== undefined && this.type === UNSIGNED) return number
    this.fail(at, what)
    return 0
  }

  /** The byte 00 that ends a message. */
  endOfMessage(): void {
    if (this.bytes[this.at] === 0) this.at++
    else this.fail(this.at, 'end of message')
  }

  /** Passes one element with everything in it; without recursion, so that nesting costs nothing. */
  skip(): void {
    for (let pending = 1; pending > 0 && this.malformed === undefined; pending--) {
      this.header()
      if (this.type === LIST) pending += this.length
      else this.at += this.length
    }
  }

  /** Reads the TL field of an integer, or passes the whole element where it is none. */
  private isInteger(): boolean {
    const at = this.at
    this.header()
    if (this.type === INTEGER || this.type === UNSIGNED) return true
    this.at = at
    this.skip()
    return false
  }

  /** The next one to six bytes as a number, most significant first. */
  private take(width: number, signed: boolean): number {
    const first = this.bytes[this.at++]!
    let number = signed && first >= 0x80 ? first - 0x100 : first
    for (let i = 1; i < width; i++) number = number * 256 + this.bytes[this.at++]!
    return number
  }

  /** Reads a TL field; an empty octet string stands for one that is not well formed. */
  private header(): void {
    const start = this.at
    let byte = this.bytes[this.at++] ?? 0
    const type = (byte >> 4) & 7
    let length = byte & 0x0f
    let sound = true
    while (byte & 0x80) {
      byte = this.bytes[this.at++] ?? 0
      // Later TL bytes carry length only. A length beyond 16 bits fits no frame, and could overflow the sum below.
      sound &&= (byte & 0x70) === 0 && length <= 0x0fff
      length = (length << 4) | (byte & 0x0f)
    }
    if (type !== LIST) length -= this.at - start
    // Every element takes a byte or more: a list cannot have more elements than bytes are left.
    sound &&= length >= 0 && length <= this.bytes.length - this.at
    if (type === BOOLEAN) sound &&= length === 1
    else if (type === INTEGER || type === UNSIGNED) sound &&= length >= 1 && length <= 8
    else sound &&= type === OCTETS || type === LIST
    if (!sound) this.fail(start, 'length')
    this.type = sound ? type : OCTETS
    this.length = sound ? length : 0
  }
}
