/** Encrypted P1 telegrams as meters send them, made by OpenSSL. */
import { createCipheriv } from 'node:crypto'
import { concat, hex } from '../../../protocol/bytes.ts'

export const P1_KEYS = {
  encryption: hex('056f9b0cfedf150e889bead52fa7a174'),
  // The one that Luxembourg publishes.
  authentication: hex('00112233445566778899aabbccddeeff'),
}
export const P1_TITLE = hex('5341473000000001')

/** `text` sealed under the frame counter; `control` 30 with a tag, 20 without. */
export function sealP1(text: Uint8Array, counter: number, control = 0x30): Uint8Array {
  const count = Uint8Array.of(counter >>> 24, counter >>> 16, counter >>> 8, counter)
  const cipher = createCipheriv('aes-128-gcm', P1_KEYS.encryption, concat(P1_TITLE, count), { authTagLength: 12 })
  const tagged = (control & 0x10) !== 0
  if (tagged) cipher.setAAD(concat(Uint8Array.of(control), P1_KEYS.authentication))
  const body = cipher.update(text)
  cipher.final()
  const sealed = concat(Uint8Array.of(control), count, body, tagged ? cipher.getAuthTag() : new Uint8Array(0))
  const n = sealed.length
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff]
  return concat(hex('db 08'), P1_TITLE, Uint8Array.from(length), sealed)
}
