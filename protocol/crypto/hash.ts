/** SHA-256 (FIPS 180-4) and the names made from it. */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'

export const sha256 = (bytes: Uint8Array): Uint8Array => nobleSha256(bytes)

/** An account's or a validator's address: the first 20 bytes of SHA-256 of its raw public key (CometBFT's rule). */
export const addressOf = (publicKey: Uint8Array): Uint8Array => nobleSha256(publicKey).subarray(0, 20)
