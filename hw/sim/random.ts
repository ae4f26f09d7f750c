/** Chance from a seed: the same seed gives the same run. Never used for keys or nonces outside the simulator. */

/** Numbers in [0, 1) after mulberry32: 32 bits of state, good enough to choose faults by. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
