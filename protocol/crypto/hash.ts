/** SHA-256 (FIPS 180-4) and what is made from it. The one file that knows @noble/hashes. */
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'

export const sha256 = (bytes: Uint8Array): Uint8Array => nobleSha256(bytes)

/** An account's or a validator's address: the first 20 bytes of SHA-256 of its raw public key (CometBFT's rule). */
export const addressOf = (publicKey: Uint8Array): Uint8Array => nobleSha256(publicKey).subarray(0, 20)

/** HKDF (RFC 5869) with SHA-256: `length` bytes of key from a secret, a salt and what the key is for. */
export const hkdfSha256 = (secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array =>
  hkdf(nobleSha256, secret, salt, info, length)
