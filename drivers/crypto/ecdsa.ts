/** ECDSA on the seven curves that charging stations sign on, by OpenSSL: P-192 and the brainpool curves are in no library of ours. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { toHex } from '../../protocol/bytes.ts'
import type { EcdsaVerifier, EcPublicKey } from '../../protocol/ocmf/key.ts'

/** Importing a key costs as much as a verification; the records of a file share one, those of a site a handful. */
const KEYS_KEPT = 16

export function createEcdsaVerifier(): EcdsaVerifier {
  // A Map walks in order of insertion: the first key is the one unused for longest.
  const keys = new Map<string, KeyObject | undefined>()

  function keyOf({ spki }: EcPublicKey): KeyObject | undefined {
    const name = toHex(spki)
    let key = keys.get(name)
    if (keys.has(name)) keys.delete(name)
    else {
      try {
        key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
      } catch {
        // OpenSSL refuses by throwing: the point is not on the curve. That is remembered like a key.
      }
      if (keys.size >= KEYS_KEPT) keys.delete(keys.keys().next().value!)
    }
    keys.set(name, key)
    return key
  }

  return {
    verify(publicKey, hash, message, signature) {
      const key = keyOf(publicKey)
      if (key === undefined) return false
      try {
        return verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature)
      } catch {
        // The same: a refusal, not a bug.
        return false
      }
    },
  }
}
