/** Damage on a wire, from a seeded generator. */

/** A number in [0, 1) from the run's seeded generator. */
export type Random = () => number

export interface Noise {
  /** Share of bits that arrive flipped. */
  readonly flippedBits: number
  /** Share of bytes that never arrive. */
  readonly lostBytes: number
  /** Share of bytes after which one arrives that nobody sent. */
  readonly extraBytes?: number
  /** Share of bytes with a parity error: a serial driver hands over 0 in their place (termios(3), neither IGNPAR nor PARMRK). */
  readonly parityErrors?: number
  /** The other side runs at another speed: every byte arrives as some other one. */
  readonly garbled?: boolean
}

/** The bytes as they arrive: the same array where nothing befell them. */
export function noise(bytes: Uint8Array, damage: Noise, random: Random): Uint8Array {
  const { flippedBits, lostBytes, extraBytes = 0, parityErrors = 0, garbled = false } = damage
  const hit = (share: number): boolean => share > 0 && random() < share
  const anyByte = (): number => Math.floor(random() * 256)
  const out: number[] = []
  for (const byte of bytes) {
    let arrived = garbled ? byte ^ (1 + Math.floor(random() * 255)) : byte
    if (flippedBits > 0) for (let bit = 0; bit < 8; bit++) if (random() < flippedBits) arrived ^= 1 << bit
    if (hit(parityErrors)) arrived = 0
    if (!hit(lostBytes)) out.push(arrived)
    if (hit(extraBytes)) out.push(anyByte())
  }
  return out.length === bytes.length && out.every((byte, i) => byte === bytes[i]) ? bytes : Uint8Array.from(out)
}
