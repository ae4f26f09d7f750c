/**
 * How a TPM writes structures (TPM 2.0 Library Part 2): big-endian integers, and byte strings behind a 16-bit length (TPM2B).
 *
 *     00 02 | ab cd    TPM2B of two bytes
 */
import { concat } from '../bytes.ts'

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff)
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
}

export const tpm2b = (bytes: Uint8Array): Uint8Array => concat(u16(bytes.length), bytes)

export const NO_BYTES: Uint8Array = new Uint8Array(0)

/**
 * Reads what a stranger wrote and never throws: past the end it answers zeros and empty strings, and `ended` is false from
 * then on. Whoever reads asks `ended` once, after the last field and before believing any.
 */
export class TpmReader {
  private readonly bytes: Uint8Array
  private at = 0
  private short = false

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Everything was there, and nothing is left over. */
  get ended(): boolean {
    return !this.short && this.at === this.bytes.length
  }

  u8(): number {
    return this.take(1)[0] ?? 0
  }

  u16(): number {
    return this.u8() * 0x100 + this.u8()
  }

  u32(): number {
    return this.u16() * 0x1_0000 + this.u16()
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32())
  }

  tpm2b(): Uint8Array {
    return this.take(this.u16())
  }

  /** A view; empty where fewer bytes are left. */
  take(count: number): Uint8Array {
    if (this.short || count > this.bytes.length - this.at) {
      this.short = true
      return NO_BYTES
    }
    this.at += count
    return this.bytes.subarray(this.at - count, this.at)
  }
}
