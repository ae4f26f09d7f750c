/**
 * The ZIP-215 verdict at OpenSSL's speed. OpenSSL accepts a strict subset of ZIP-215, so its yes is final and its no is
 * asked again of the pure verifier. A rejected signature therefore costs about eleven times a good one: whoever listens to
 * strangers keeps a bucket of rejects per peer in front of this.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { concat, hex, toHex } from '../../protocol/bytes.ts'
import { type Alg, nobleVerifier, type Verifier } from '../../protocol/crypto/verify.ts'

/** SubjectPublicKeyInfo heads (RFC 8410 section 4; RFC 5480 section 2, compressed P-256 point). */
const SPKI_HEAD: Readonly<Record<Alg, Uint8Array>> = {
  EdDSA: hex('302a 3005 0603 2b6570 0321 00'),
  ES256: hex('3039 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0322 00'),
}
const KEY_BYTES: Readonly<Record<Alg, number>> = { EdDSA: 32, ES256: 33 }
/** Ed25519 hashes for itself. */
const DIGEST: Readonly<Record<Alg, string | null>> = { EdDSA: null, ES256: 'sha256' }
const inputOf = (alg: Alg, key: KeyObject) => (alg === 'EdDSA' ? key : { key, dsaEncoding: 'ieee-p1363' as const })

/**
 * Importing a raw key costs three quarters of a verification, so imported keys are kept. A street and its validators
 * are some hundred keys; a thousand key objects are about a megabyte.
 */
const KEYS_KEPT = 1024

export interface CachingVerifier extends Verifier {
  /**
   * The same verdict without waiting for it: OpenSSL is asked on Node's pool of threads, so that other cores take part. The
   * bytes are copied at once. `answer` may be called before this returns.
   */
  verifyAside(
    alg: Alg,
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
    answer: (valid: boolean) => void,
  ): void
  /** Keys imported and kept at present. */
  readonly keysKept: () => number
}

/** `strict` is asked again where OpenSSL refuses; a test replaces it to see how often. */
export function createVerifier(strict: Verifier = nobleVerifier, keysKept: number = KEYS_KEPT): CachingVerifier {
  // A Map walks in order of insertion: the first key is the one unused for longest.
  const keys = new Map<string, KeyObject>()

  function keyOf(alg: Alg, publicKey: Uint8Array): KeyObject | undefined {
    if (publicKey.length !== KEY_BYTES[alg]) return undefined
    const name = alg + toHex(publicKey)
    let key = keys.get(name)
    if (key !== undefined) {
      keys.delete(name)
    } else {
      try {
        key = createPublicKey({ key: Buffer.from(concat(SPKI_HEAD[alg], publicKey)), format: 'der', type: 'spki' })
      } catch {
        // OpenSSL refuses by throwing, as with a point that is not on P-256; the pure verifier has the last word.
        return undefined
      }
      if (keys.size >= keysKept) keys.delete(keys.keys().next().value!)
    }
    keys.set(name, key)
    return key
  }

  function opensslAccepts(alg: Alg, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const key = keyOf(alg, publicKey)
    if (key === undefined) return false
    try {
      return verify(DIGEST[alg], message, inputOf(alg, key), signature)
    } catch {
      // The same: a refusal, not a bug.
      return false
    }
  }

  // Neither verifier could say anything but no; a stranger gets no work out of it.
  const isShapeless = (alg: Alg, publicKey: Uint8Array, signature: Uint8Array): boolean =>
    signature.length !== 64 || publicKey.length !== KEY_BYTES[alg]

  return {
    keysKept: () => keys.size,
    verify: (alg, publicKey, message, signature) => {
      if (isShapeless(alg, publicKey, signature)) return false
      return opensslAccepts(alg, publicKey, message, signature) || strict.verify(alg, publicKey, message, signature)
    },
    verifyAside(alg, publicKey, message, signature, answer) {
      if (isShapeless(alg, publicKey, signature)) return answer(false)
      const refused = () => answer(strict.verify(alg, publicKey, message, signature))
      const key = keyOf(alg, publicKey)
      if (key === undefined) return refused()
      try {
        verify(DIGEST[alg], message, inputOf(alg, key), signature, (error, accepted) =>
          error === null && accepted ? answer(true) : refused(),
        )
      } catch {
        // The same: a refusal, not a bug.
        refused()
      }
    },
  }
}
