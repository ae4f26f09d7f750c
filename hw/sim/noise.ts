/** Damage on a wire, from a seeded generator. */

/** A number in [0, 1) from the run's seeded generator. */
export type Random = () => number

export interface Noise {
  /** Share of bits that arrive flipped. */
  readonly flippedBits: number
  /** Share of bytes that never arrive. */
  readonly lostBytes: number
}

/** The bytes as they arrive. */
export function noise(bytes: Uint8Array, { flippedBits, lostBytes }: Noise, random: Random): Uint8Array {
  if (flippedBits === 0 && lostBytes === 0) return bytes
  const out: number[] = []
  for (const byte of bytes) {
    let arrived = byte
    if (flippedBits > 0) for (let bit = 0; bit < 8; bit++) if (random() < flippedBits) arrived ^= 1 << bit
    if (lostBytes === 0 || random() >= lostBytes) out.push(arrived)
  }
  return Uint8Array.from(out)
}
