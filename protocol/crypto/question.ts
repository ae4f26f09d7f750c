/** A question to a verifier under one name, for whoever remembers answers. */
import { toHex } from '../bytes.ts'
import { sha256 } from './hash.ts'
import type { Alg } from './verify.ts'

const KEY_BYTES: Readonly<Record<Alg, number>> = { EdDSA: 32, ES256: 33 }
const SIGNATURE_BYTES = 64

/**
 * The same name exactly for the same algorithm, key, message and signature; undefined where key or signature have not the
 * size that theirs have, so that the answer can only be no.
 */
export function questionName(
  alg: Alg,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): string | undefined {
  if (publicKey.length !== KEY_BYTES[alg] || signature.length !== SIGNATURE_BYTES) return undefined
  // All but the message have one size for each algorithm: no two questions join alike.
  const joined = new Uint8Array(1 + publicKey.length + signature.length + message.length)
  joined[0] = alg === 'EdDSA' ? 1 : 2
  joined.set(publicKey, 1)
  joined.set(signature, 1 + publicKey.length)
  joined.set(message, 1 + publicKey.length + signature.length)
  return toHex(sha256(joined))
}
