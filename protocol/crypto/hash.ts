/** SHA-256 and SHA-384 (FIPS 180-4) and what is made from them. The one file that knows @noble/hashes. */
import { hkdf } from '@noble/hashes/hkdf.js'
import { _SHA256, sha256 as nobleSha256, sha384 as nobleSha384 } from '@noble/hashes/sha2.js'

/** Where in a block of 64 bytes the message's length in bits stands (FIPS 180-4 section 5.1.1). */
const LENGTH_AT = 56

/**
 * One hash after another on one set of buffers. noble makes an object with its buffers for each hash, which takes two
 * to four times as long as the one or two blocks that nearly all of our messages are; its audited compression is kept,
 * the padding is written here. Nothing outlasts a call: like noble, it wipes what it has read.
 */
class RepeatedSha256 extends _SHA256 {
  private readonly begun = this.get()

  hash(bytes: Uint8Array): Uint8Array {
    const { buffer, view, blockLen } = this
    const [a, b, c, d, e, f, g, h] = this.begun
    this.set(a, b, c, d, e, f, g, h)
    let at = 0
    if (bytes.length >= blockLen) {
      const whole = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      for (; at + blockLen <= bytes.length; at += blockLen) this.process(whole, at)
    }
    buffer.set(at === 0 ? bytes : bytes.subarray(at))
    let end = bytes.length - at
    buffer[end++] = 0x80
    buffer.fill(0, end)
    if (end > LENGTH_AT) {
      this.process(view, 0)
      buffer.fill(0)
    }
    view.setUint32(LENGTH_AT, Math.floor(bytes.length / 0x2000_0000))
    view.setUint32(LENGTH_AT + 4, (bytes.length << 3) >>> 0)
    this.process(view, 0)
    const words = this.get()
    for (let i = 0; i < 8; i++) view.setUint32(4 * i, words[i]!)
    const hash = buffer.slice(0, 32)
    buffer.fill(0)
    this.roundClean()
    return hash
  }
}

const repeated = new RepeatedSha256()

export const sha256 = (bytes: Uint8Array): Uint8Array => repeated.hash(bytes)

/** Of blind signatures alone (RFC 9474). */
export const sha384 = (bytes: Uint8Array): Uint8Array => nobleSha384(bytes)

/** An account's or a validator's address: the first 20 bytes of SHA-256 of its raw public key (CometBFT's rule). */
export const addressOf = (publicKey: Uint8Array): Uint8Array => sha256(publicKey).subarray(0, 20)

/** HKDF (RFC 5869) with SHA-256: `length` bytes of key from a secret, a salt and what the key is for. */
export const hkdfSha256 = (secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array =>
  hkdf(nobleSha256, secret, salt, info, length)
