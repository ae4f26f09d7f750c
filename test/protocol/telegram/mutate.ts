/**
 * Damage to telegrams as lines and hands do it, from a seed: the same seed gives the same mutants on every machine.
 *
 *     for (const bytes of mutants([first, second], 100_000, 21)) ...
 */

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

type Roll = (below: number) => number
/** One damage to `bytes`, which are not empty; `other` is another telegram of the same kind, or the same. */
type Damage = (bytes: Uint8Array, roll: Roll, other: Uint8Array) => Uint8Array

/** Lines flip bits, lose and invent bytes far more often than they rearrange them: the first ones are drawn twice as often. */
const DAMAGES: Readonly<Record<string, Damage>> = {
  flipBit: (bytes, roll) => {
    const out = bytes.slice()
    out[roll(out.length)]! ^= 1 << roll(8)
    return out
  },
  setByte: (bytes, roll) => {
    const out = bytes.slice()
    out[roll(out.length)] = roll(256)
    return out
  },
  cut: (bytes, roll) => put(bytes, roll(bytes.length), stretch(roll), []),
  insert: (bytes, roll) => put(bytes, roll(bytes.length), 0, noise(roll)),
  duplicate: (bytes, roll) => {
    const at = roll(bytes.length)
    return put(bytes, at, 0, bytes.subarray(at, at + stretch(roll)))
  },
  overwrite: (bytes, roll) => put(bytes, roll(bytes.length), stretch(roll), noise(roll)),
  truncate: (bytes, roll) => (roll(2) === 0 ? bytes.slice(0, roll(bytes.length)) : bytes.slice(roll(bytes.length))),
  swapBytes: (bytes, roll) => {
    const out = bytes.slice()
    const [a, b] = [roll(out.length), roll(out.length)]
    ;[out[a], out[b]] = [bytes[b]!, bytes[a]!]
    return out
  },
  /** Two neighbouring stretches change places: no byte and no sum of bytes changes. */
  swapBlocks: (bytes, roll) => {
    const at = roll(bytes.length)
    const first = bytes.slice(at, at + stretch(roll))
    const second = bytes.slice(at + first.length, at + first.length + stretch(roll))
    const out = bytes.slice()
    out.set(second, at)
    out.set(first, at + second.length)
    return out
  },
  /** The head of one telegram and the tail of another, at the same place or at another. */
  splice: (bytes, roll, other) => {
    const at = roll(bytes.length)
    return put(
      other.subarray(roll(2) === 0 ? Math.min(at, other.length) : roll(other.length + 1)),
      0,
      0,
      bytes.subarray(0, at),
    )
  },
}
const EVEN = Object.values(DAMAGES)
const DRAWN: readonly Damage[] = [...EVEN.slice(0, 4), ...EVEN]

/** `count` damaged telegrams, each from one of `telegrams` by one to three damages. A few happen to be whole again. */
export function* mutants(telegrams: readonly Uint8Array[], count: number, seed: number): Generator<Uint8Array> {
  const roll = dice(seed)
  for (let n = 0; n < count; n++) {
    let bytes: Uint8Array = telegrams[roll(telegrams.length)]!
    for (let damages = 1 + roll(3); damages > 0 && bytes.length > 0; damages--)
      bytes = DRAWN[roll(DRAWN.length)]!(bytes, roll, telegrams[roll(telegrams.length)]!)
    yield bytes
  }
}

/** Damaged stretches: mostly short. */
const stretch = (roll: Roll): number => 1 + roll(roll(4) === 0 ? 64 : 8)

const noise = (roll: Roll): Uint8Array => Uint8Array.from({ length: stretch(roll) }, () => roll(256))

function put(bytes: Uint8Array, at: number, remove: number, insert: ArrayLike<number>): Uint8Array {
  const tail = bytes.subarray(at + remove)
  const out = new Uint8Array(at + insert.length + tail.length)
  out.set(bytes.subarray(0, at))
  out.set(insert, at)
  out.set(tail, at + insert.length)
  return out
}
