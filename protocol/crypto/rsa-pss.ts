/**
 * RSASSA-PSS with SHA-384 and a salt of 48 bytes (RFC 8017 section 8.1.2), which is what a blind RSA signature of RFC 9474 is once
 * it is unblinded. Only verification: blinding and signing need randomness and a private key, and live in drivers/crypto.
 *
 * A key is its modulus, big endian; the exponent is 65537 everywhere. This one is pure, and the reference for the faster one
 * in drivers/crypto, which is an argument wherever many are checked.
 */
import { concat, equalBytes } from '../bytes.ts'
import { sha384 } from './hash.ts'

/** Whether a signature over a message is valid. Never throws: a key or signature of the wrong shape is simply not valid. */
export type PssVerify = (modulus: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

const EXPONENT = 65_537n
const HASH_BYTES = 48
const SALT_BYTES = 48

/** 2,048 bits for keys of a slot, which nobody has to trust for longer; 3,072 and 4,096 for those that last. */
const MODULUS_BYTES = [256, 384, 512]

/** A modulus of a length that is taken, without leading zeros, and odd. */
export const isModulus = (modulus: Uint8Array): boolean =>
  MODULUS_BYTES.includes(modulus.length) && modulus[0]! >= 0x80 && (modulus.at(-1)! & 1) === 1

export const verifyPss: PssVerify = (modulus, message, signature) => {
  if (!isModulus(modulus) || signature.length !== modulus.length) return false
  const n = numberOf(modulus)
  const s = numberOf(signature)
  if (s >= n) return false
  // A modulus with its top bit set: emBits = 8 k - 1, so the encoded message has k bytes and its first bit is 0.
  return isPssEncoding(message, bytesOf(power(s, n), modulus.length))
}

/**
 * Whether a number is the blind signature of a blinded message under this key: RSAVP1 of RFC 8017 section 5.2.2, which RFC 9474
 * section 4.3 has the signer check as well. Both are of the modulus's length, big endian.
 */
export function isBlindSignature(modulus: Uint8Array, blinded: Uint8Array, signature: Uint8Array): boolean {
  if (!isModulus(modulus) || blinded.length !== modulus.length || signature.length !== modulus.length) return false
  const n = numberOf(modulus)
  const s = numberOf(signature)
  return s < n && power(s, n) === numberOf(blinded)
}

/** EMSA-PSS-VERIFY (RFC 8017 section 9.1.2), with emBits = 8 * length - 1. */
function isPssEncoding(message: Uint8Array, encoded: Uint8Array): boolean {
  if (encoded.at(-1) !== 0xbc || encoded[0]! >= 0x80) return false
  const dbBytes = encoded.length - HASH_BYTES - 1
  const hash = encoded.subarray(dbBytes, dbBytes + HASH_BYTES)
  const mask = stretch(hash, dbBytes)
  const db = encoded.subarray(0, dbBytes).map((byte, at) => byte ^ mask[at]!)
  db[0] = db[0]! & 0x7f
  const padding = dbBytes - SALT_BYTES - 1
  if (db.subarray(0, padding).some(byte => byte !== 0) || db[padding] !== 1) return false
  const salted = concat(new Uint8Array(8), sha384(message), db.subarray(padding + 1))
  return equalBytes(hash, sha384(salted))
}

/** MGF1 with SHA-384 (RFC 8017 appendix B.2.1). */
function stretch(seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = []
  for (let at = 0; at * HASH_BYTES < length; at++) blocks.push(sha384(concat(seed, Uint8Array.of(0, 0, 0, at))))
  return concat(...blocks).subarray(0, length)
}

/** s^65537 mod n: sixteen squarings and one multiplication. */
function power(s: bigint, n: bigint): bigint {
  let squared = s
  for (let bit = 1n; bit < EXPONENT >> 1n; bit <<= 1n) squared = (squared * squared) % n
  return (((squared * squared) % n) * s) % n
}

const numberOf = (bytes: Uint8Array): bigint => {
  let text = '0x'
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return BigInt(text)
}

function bytesOf(value: bigint, length: number): Uint8Array {
  const text = value.toString(16).padStart(2 * length, '0')
  return Uint8Array.from({ length }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))
}
