/**
 * Changes of the state as bytes, one behind the other:
 *
 *     key length u16   value length u32, ffffffff where it was removed   key   value        little-endian
 */
import type { Change } from '../../protocol/chain/smt.ts'

const HEAD_BYTES = 6
const REMOVED = 0xffff_ffff
const KEY_MAX = 0xffff

export const changeBytes = ([key, value]: Change): number => HEAD_BYTES + key.length + (value?.length ?? 0)

export function encodeChanges(changes: readonly Change[]): Uint8Array {
  const out = new Uint8Array(changes.reduce((sum, change) => sum + changeBytes(change), 0))
  const view = new DataView(out.buffer)
  let at = 0
  for (const [key, value] of changes) {
    if (key.length > KEY_MAX) throw new RangeError(`a state key of ${key.length} bytes`)
    view.setUint16(at, key.length, true)
    view.setUint32(at + 2, value?.length ?? REMOVED, true)
    out.set(key, at + HEAD_BYTES)
    at += HEAD_BYTES + key.length
    if (value === undefined) continue
    out.set(value, at)
    at += value.length
  }
  return out
}

/** Views into `bytes`, or undefined where they are not exactly a list of changes. */
export function decodeChanges(bytes: Uint8Array): Change[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const changes: Change[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + HEAD_BYTES > bytes.length) return undefined
    const valueBytes = view.getUint32(at + 2, true)
    const valueAt = at + HEAD_BYTES + view.getUint16(at, true)
    const end = valueBytes === REMOVED ? valueAt : valueAt + valueBytes
    if (end > bytes.length) return undefined
    const value = valueBytes === REMOVED ? undefined : bytes.subarray(valueAt, end)
    changes.push([bytes.subarray(at + HEAD_BYTES, valueAt), value])
    at = end
  }
  return changes
}
