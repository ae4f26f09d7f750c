/** A question to a verifier under one name, for whoever remembers answers. */
import { toHex } from '../bytes.ts'
import { sha256 } from './hash.ts'
import type { Alg } from './verify.ts'

/** The same name exactly for the same algorithm, key, message and signature. The key is at most 255 bytes, the signature 64. */
export function questionName(alg: Alg, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): string {
  // Lengths first: the parts are joined, and no two sets of parts may join alike.
  const joined = new Uint8Array(2 + publicKey.length + signature.length + message.length)
  joined[0] = alg === 'EdDSA' ? 1 : 2
  joined[1] = publicKey.length
  joined.set(publicKey, 2)
  joined.set(signature, 2 + publicKey.length)
  joined.set(message, 2 + publicKey.length + signature.length)
  return toHex(sha256(joined))
}
