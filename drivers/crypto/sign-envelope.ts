/** A COSE_Sign1 by whatever holds the key. */
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../protocol/crypto/cose.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { Signer } from '../ports.ts'

/**
 * `purpose` is the external_aad that binds the envelope to what it is for; `hash` is the envelope's identity, the hash of
 * what was signed.
 */
export async function signEnvelope(
  signer: Signer,
  payload: Uint8Array,
  purpose: Uint8Array,
): Promise<Result<{ readonly envelope: Uint8Array; readonly hash: Uint8Array }>> {
  const header = protectedHeader(signer.alg, kidOf(signer.alg, signer.publicKey))
  const message = toBeSigned(header, payload, purpose)
  const signature = await signer.sign(message)
  return signature.ok ? ok({ envelope: assemble(header, payload, signature.value), hash: sha256(message) }) : signature
}
