/** Damage to telegrams as lines do it, from a seed. */

/** Whole numbers below a bound from a seed (mulberry32). */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** One to three of: bits flipped, a byte replaced, lost, repeated or put in, two swapped, a stretch lost or overwritten. */
export function mutate(bytes: Uint8Array, roll: (below: number) => number): Uint8Array {
  let out = Uint8Array.from(bytes)
  for (let n = 1 + roll(3); n > 0; n--) {
    const at = roll(out.length)
    const kind = roll(8)
    if (kind <= 1) out[at]! ^= 1 << roll(8)
    else if (kind === 2) out[at] = roll(256)
    else if (kind === 3) out = splice(out, at, 1, [])
    else if (kind === 4) out = splice(out, at, 0, [roll(256)])
    else if (kind === 5) out = splice(out, at, 0, [out[at]!])
    else if (kind === 6) {
      const other = roll(out.length)
      const kept = out[at]!
      out[at] = out[other]!
      out[other] = kept
    } else
      out = splice(out, at, 1 + roll(12), roll(2) === 0 ? [] : Array.from({ length: 1 + roll(12) }, () => roll(256)))
  }
  return out
}

function splice(bytes: Uint8Array, at: number, remove: number, insert: readonly number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...bytes.subarray(0, at), ...insert, ...bytes.subarray(at + remove)])
}
