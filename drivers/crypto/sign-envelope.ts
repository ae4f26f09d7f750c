/** A COSE_Sign1 by whatever holds the key. */
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../protocol/crypto/cose.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { Signer } from '../ports.ts'

/** A key's header never changes; naming the key costs a tenth of a signature. */
const headers = new WeakMap<Uint8Array, Uint8Array>()

function headerOf({ alg, publicKey }: Signer): Uint8Array {
  const known = headers.get(publicKey)
  if (known !== undefined) return known
  const header = protectedHeader(alg, kidOf(alg, publicKey))
  headers.set(publicKey, header)
  return header
}

/**
 * `purpose` is the external_aad that binds the envelope to what it is for; `hash` is the envelope's identity, the hash of
 * what was signed.
 */
export async function signEnvelope(
  signer: Signer,
  payload: Uint8Array,
  purpose: Uint8Array,
): Promise<Result<{ readonly envelope: Uint8Array; readonly hash: Uint8Array }>> {
  const header = headerOf(signer)
  const message = toBeSigned(header, payload, purpose)
  const signature = await signer.sign(message)
  return signature.ok ? ok({ envelope: assemble(header, payload, signature.value), hash: sha256(message) }) : signature
}
