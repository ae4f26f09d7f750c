/** What a key is known by besides its bytes: its algorithm, how well its private half is kept, and the device named by it. */
import { concat } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { type Alg, type KeyFault, keyFault } from '../crypto/verify.ts'

/**
 * Where the private half lives, least trusted first: in the process's memory, in a file sealed by a passphrase, behind
 * PKCS#11, in a TPM, in a secure element. Written as the place in this list: append, never reorder.
 */
export const KEY_TRUST = ['software', 'sealed-file', 'token', 'tpm', 'secure-element'] as const
export type KeyTrust = (typeof KEY_TRUST)[number]

/** The algorithm of a raw public key, told by its length alone so that nothing unsigned chooses it: Ed25519 or compressed P-256. */
export const algOfKey = (publicKey: Uint8Array): Alg | undefined =>
  publicKey.length === 32 ? 'EdDSA' : publicKey.length === 33 ? 'ES256' : undefined

/** Why a raw public key may not be registered: neither an admissible Ed25519 key nor a point on P-256. */
export function admissionFault(publicKey: Uint8Array): KeyFault | undefined {
  const alg = algOfKey(publicKey)
  return alg === undefined
    ? { code: 'key.not-admissible', reason: `${publicKey.length} bytes instead of 32 or 33` }
    : keyFault(alg, publicKey)
}

/** Type byte of a random UEID (RFC 9711, table 1). */
const UEID_RAND = 0x01

/** A device's UEID (RFC 9711 section 4.2.1) of type RAND, 128 bits: drawn from its key, which is random and never reused. */
export const ueidOf = (publicKey: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(UEID_RAND), sha256(publicKey).subarray(0, 16))
