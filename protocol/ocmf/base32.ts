/** Base32 with padding (RFC 4648 section 6), one text for one byte string. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Bytes of canonical base32 (capitals, padded to eights, unused bits zero), or undefined. */
export function fromBase32(text: string): Uint8Array | undefined {
  const digits = /^([A-Z2-7]*)=*$/.exec(text)?.[1]
  if (digits === undefined || text.length % 8 !== 0 || text.length - digits.length > 6) return undefined
  const out = new Uint8Array(Math.floor((digits.length * 5) / 8))
  let bits = 0
  let held = 0
  let at = 0
  for (const digit of digits) {
    held = ((held << 5) | ALPHABET.indexOf(digit)) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    out[at++] = (held >> bits) & 0xff
  }
  // Five digits or more left over would be a whole byte; so many bits that no byte ends in them are another length's text.
  return bits < 5 && (held & ((1 << bits) - 1)) === 0 ? out : undefined
}
