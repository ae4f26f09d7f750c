/** A verifier that remembers what it found true, so that a transaction checked on arrival costs nothing more in its block. */
import { toHex } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'

/** A full mempool of receipts, five signatures each; an entry is about 100 bytes. */
const REMEMBERED = 25_000

/** Only what was true is remembered: what was false is a stranger's, and would push out the rest. */
export function verifyOnce(inner: Verifier, remembered: number = REMEMBERED): Verifier {
  const known = new Set<string>()
  return {
    verify(alg, publicKey, message, signature) {
      if (publicKey.length > 33 || signature.length !== 64) return false
      // Lengths first: the parts are joined, and no two sets of parts may join alike.
      const joined = new Uint8Array(2 + publicKey.length + signature.length + message.length)
      joined[0] = alg === 'EdDSA' ? 1 : 2
      joined[1] = publicKey.length
      joined.set(publicKey, 2)
      joined.set(signature, 2 + publicKey.length)
      joined.set(message, 2 + publicKey.length + signature.length)
      const name = toHex(sha256(joined))
      if (known.has(name)) return true
      if (!inner.verify(alg, publicKey, message, signature)) return false
      if (known.size >= remembered) known.delete(known.values().next().value!)
      known.add(name)
      return true
    },
  }
}
