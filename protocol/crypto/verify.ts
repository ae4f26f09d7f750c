/**
 * One Ed25519 rule everywhere: ZIP-215. Headers, transactions, readings and messages are judged alike, because two nodes
 * that differ on one crafted signature fork, and two peers that differ have a dispute.
 *
 * A `Verifier` is an argument wherever a signature is checked: `nobleVerifier` here is the pure one, drivers/crypto has a
 * ten times faster one with the same verdicts, and the simulator brings a stub.
 */
import { concat, toHex } from '../bytes.ts'
import { ed25519, p256 } from './curves.ts'
import { sha256 } from './hash.ts'

/** JOSE/COSE names of the two signature algorithms. ES256 is ECDSA on P-256 with SHA-256, signature r || s. */
export type Alg = 'EdDSA' | 'ES256'

export interface Verifier {
  /** Never throws: a key or signature of the wrong shape is simply not valid. */
  verify(alg: Alg, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
}

export const nobleVerifier: Verifier = {
  verify(alg, publicKey, message, signature) {
    if (signature.length !== 64) return false
    try {
      return alg === 'EdDSA'
        ? publicKey.length === 32 && ed25519.verify(signature, message, publicKey, { zip215: true })
        : publicKey.length === 33 && p256.verify(signature, sha256(message), publicKey, { prehash: false, lowS: false })
    } catch {
      // noble throws on bytes that are no point or scalar; for a verifier that is a plain no.
      return false
    }
  },
}

/**
 * Whether the second half of an ECDSA signature is the lower of its two equivalents (s <= n/2). Both are valid, so a stranger
 * can turn one into the other: where a signature's own bytes count, only this one is taken.
 */
export const hasLowS = (signature: Uint8Array): boolean => sOf(signature) <= p256.Point.Fn.ORDER >> 1n

/** The same signature, r || s, by its lower s: what a store that knows nothing of the rule has signed. */
export const withLowS = (signature: Uint8Array): Uint8Array =>
  hasLowS(signature)
    ? signature
    : concat(signature.subarray(0, 32), p256.Point.Fn.toBytes(p256.Point.Fn.ORDER - sOf(signature)))

const sOf = (signature: Uint8Array): bigint => BigInt(`0x${toHex(signature.subarray(32))}`)

/** Whether 32 bytes are a private key of P-256: a number from 1 to the curve's order less one (SEC 1 section 3.2.1). */
export const isP256Scalar = (scalar: Uint8Array): boolean => p256.utils.isValidSecretKey(scalar)

/** Why a public key may not be registered. */
export type KeyFault = { readonly code: 'key.not-admissible'; readonly reason: string }

/**
 * Key admission at registration: an Ed25519 key that is not canonically encoded, not on the curve or of small order is
 * refused, so that the tolerance of ZIP-215 never meets a key made to exploit it.
 */
export function keyFault(alg: Alg, publicKey: Uint8Array): KeyFault | undefined {
  const bad = (reason: string): KeyFault => ({ code: 'key.not-admissible', reason })
  try {
    if (alg === 'ES256') {
      // One key, one byte string: an uncompressed point would be a second name of the same key.
      if (publicKey.length !== 33) return bad(`${publicKey.length} bytes instead of 33`)
      p256.Point.fromBytes(publicKey).assertValidity()
      return undefined
    }
    if (publicKey.length !== 32) return bad(`${publicKey.length} bytes instead of 32`)
    // Strict decoding (zip215 = false) refuses y >= p.
    const point = ed25519.Point.fromBytes(publicKey, false)
    return point.isSmallOrder() ? bad('a point of small order') : undefined
  } catch (error) {
    // noble says by throwing that the bytes are no canonical point.
    return bad((error as Error).message)
  }
}
