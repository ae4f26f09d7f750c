/**
 * Changes of the state as bytes, one behind the other:
 *
 *     key length u16   value length u32, ffffffff where it was removed   key   value        little-endian
 *
 * A million of them are walked by offsets: an object each would cost more than everything else that is done with them.
 */
import type { Change } from '../../protocol/chain/smt.ts'

const HEAD_BYTES = 6
const REMOVED = 0xffff_ffff
const KEY_MAX = 0xffff

export function encodeChanges(changes: readonly Change[]): Uint8Array {
  const out = new Uint8Array(
    changes.reduce((sum, [key, value]) => sum + HEAD_BYTES + key.length + (value?.length ?? 0), 0),
  )
  let at = 0
  for (const change of changes) at = putChange(out, at, change)
  return out
}

/** Writes one change at `at` and answers where it ends. */
export function putChange(out: Uint8Array, at: number, [key, value]: Change): number {
  if (key.length > KEY_MAX) throw new RangeError(`a state key of ${key.length} bytes`)
  const valueBytes = value?.length ?? REMOVED
  out[at] = key.length & 255
  out[at + 1] = key.length >> 8
  for (let i = 0; i < 4; i++) out[at + 2 + i] = (valueBytes >>> (8 * i)) & 255
  out.set(key, at + HEAD_BYTES)
  const end = at + HEAD_BYTES + key.length
  if (value === undefined) return end
  out.set(value, end)
  return end + value.length
}

/** Bytes that a change takes. */
export const sizeOf = ([key, value]: Change): number => HEAD_BYTES + key.length + (value?.length ?? 0)

const keyBytes = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8)

const valueBytes = (bytes: Uint8Array, at: number): number =>
  (bytes[at + 2]! | (bytes[at + 3]! << 8) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 24)) >>> 0

export const isRemoved = (bytes: Uint8Array, at: number): boolean => valueBytes(bytes, at) === REMOVED

/** Where the change that begins at `at` ends; beyond the bytes where it is cut short. */
export function endOf(bytes: Uint8Array, at: number): number {
  if (at + HEAD_BYTES > bytes.length) return Number.POSITIVE_INFINITY
  const value = valueBytes(bytes, at)
  return at + HEAD_BYTES + keyBytes(bytes, at) + (value === REMOVED ? 0 : value)
}

/** Key and value of the change at `at`, as views. */
export const keyAt = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + keyBytes(bytes, at))

export const valueAt = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.subarray(at + HEAD_BYTES + keyBytes(bytes, at), endOf(bytes, at))

/** Order of the keys of two changes: negative, zero or positive. */
export function compareKeys(a: Uint8Array, atA: number, b: Uint8Array, atB: number): number {
  const [lengthA, lengthB] = [keyBytes(a, atA), keyBytes(b, atB)]
  const shorter = Math.min(lengthA, lengthB)
  for (let i = 0; i < shorter; i++) {
    const order = a[atA + HEAD_BYTES + i]! - b[atB + HEAD_BYTES + i]!
    if (order !== 0) return order
  }
  return lengthA - lengthB
}

/** Whether bytes are exactly a list of changes, each behind `ahead` bytes of something else. */
export function isChanges(bytes: Uint8Array, ahead = 0): boolean {
  let at = 0
  while (at < bytes.length) at = endOf(bytes, at + ahead)
  return at === bytes.length
}
