/**
 * Changes in the order in which the state lies on the disk: by the first 64 bits of SHA-256 of their keys (the order of the
 * state tree), then by the keys themselves, because somebody may search for two keys that agree in 64 bits.
 */
import { drainPromises } from '../../drivers/drain.ts'
import type { Change } from '../../protocol/chain/smt.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { compareKeys, encodeChanges, endOf, keyAt } from './change-bytes.ts'

export interface PlacedChanges {
  readonly count: number
  /** The place of each: its upper and lower 32 bits, ascending; beyond `count` nothing. */
  readonly high: Uint32Array
  readonly low: Uint32Array
  /** The bytes that each stands in, and where. */
  bytes(index: number): Uint8Array
  at(index: number): number
}

/** Changes hashed before others get a turn: about five milliseconds. */
const STEP = 4096

export const word = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/** The last change of each key in lists of changes (change-bytes.ts). Others get their turn meanwhile. */
export async function placeChanges(lists: readonly Uint8Array[]): Promise<PlacedChanges> {
  let total = 0
  let worked = 0
  const pauseAfter = async (work: number, most: number) => {
    worked += work
    if (worked < most) return
    worked = 0
    await drainPromises()
  }
  for (const bytes of lists) {
    const before = total
    for (let at = 0; at < bytes.length; at = endOf(bytes, at)) total++
    await pauseAfter(total - before, STEP * 16)
  }
  const list = new Uint32Array(total)
  const offset = new Uint32Array(total)
  const high = new Uint32Array(total)
  const low = new Uint32Array(total)
  const inBucket = new Uint32Array(256)
  let index = 0
  for (const [number, bytes] of lists.entries()) {
    for (let at = 0; at < bytes.length; at = endOf(bytes, at)) {
      const path = sha256(keyAt(bytes, at))
      list[index] = number
      offset[index] = at
      high[index] = word(path, 0)
      low[index] = word(path, 4)
      inBucket[path[0]!]!++
      if (++index % STEP === 0) await drainPromises()
    }
  }

  // By the first byte of their place, so that no sort is long; a number holds the next 24 bits and the index.
  const buckets = Array.from(inBucket, count => new Float64Array(count))
  inBucket.fill(0)
  for (let i = 0; i < total; i++) {
    const first = high[i]! >>> 24
    buckets[first]![inBucket[first]!++] = (high[i]! & 0xff_ffff) * INDEXES + i
    if ((i + 1) % (STEP * 16) === 0) await drainPromises()
  }
  const order = new Uint32Array(total)
  const sortedHigh = new Uint32Array(total)
  const sortedLow = new Uint32Array(total)
  let count = 0
  const keep = (one: number) => {
    order[count] = one
    sortedHigh[count] = high[one]!
    sortedLow[count++] = low[one]!
  }
  const later = (a: number, b: number) =>
    low[a]! - low[b]! || compareKeys(lists[list[a]!]!, offset[a]!, lists[list[b]!]!, offset[b]!) || a - b
  for (const bucket of buckets) {
    bucket.sort()
    for (let from = 0; from < bucket.length; ) {
      const place = Math.floor(bucket[from]! / INDEXES)
      let until = from + 1
      while (until < bucket.length && Math.floor(bucket[until]! / INDEXES) === place) until++
      const same = Array.from(bucket.subarray(from, until), one => one % INDEXES)
      if (same.length > 1) same.sort(later)
      for (const [i, one] of same.entries()) {
        const next = same[i + 1]
        const isLast = next === undefined || low[next] !== low[one] || differ(one, next)
        if (isLast) keep(one)
      }
      from = until
    }
    await pauseAfter(bucket.length, STEP * 4)
  }
  function differ(a: number, b: number): boolean {
    return compareKeys(lists[list[a]!]!, offset[a]!, lists[list[b]!]!, offset[b]!) !== 0
  }
  return {
    count,
    high: sortedHigh,
    low: sortedLow,
    bytes: i => lists[list[order[i]!]!]!,
    at: i => offset[order[i]!]!,
  }
}

/** More changes than fit into memory; with 24 bits of a place it stays a safe integer. */
const INDEXES = 2 ** 29

export const placeList = (changes: readonly Change[]): Promise<PlacedChanges> => placeChanges([encodeChanges(changes)])
