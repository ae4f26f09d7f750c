/**
 * A validator key's word for its owner: a COSE_Sign1 over {1: chain id, 2: owner's address}. Without it anyone could join
 * with somebody else's key, and keep that key's real owner out.
 */
import { equalBytes, utf8 } from '../bytes.ts'
import { assemble, kidOf, parseSign1, protectedHeader, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import { encodeAs, record } from '../record.ts'
import { address, name } from './fields.ts'

const CONTEXT = utf8('tieline/validator/1')
const MAX_BYTES = 256

const codec = record({ chainId: [1, name], owner: [2, address] })

/** The proof but for the signature of the validator's Ed25519 key. */
export function buildValidatorProof(chainId: string, owner: Uint8Array, publicKey: Uint8Array) {
  const payload = encodeAs(codec, { chainId, owner })
  const header = protectedHeader('EdDSA', kidOf('EdDSA', publicKey))
  return {
    toSign: toBeSigned(header, payload, CONTEXT),
    withSignature: (signature: Uint8Array): Uint8Array => assemble(header, payload, signature),
  }
}

/** Whether a validator's key names this owner on this chain. */
export function isValidatorProof(
  proof: Uint8Array,
  chainId: string,
  owner: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): boolean {
  const envelope = parseSign1(proof, MAX_BYTES)
  return (
    envelope.ok &&
    envelope.value.alg === 'EdDSA' &&
    equalBytes(envelope.value.payload, encodeAs(codec, { chainId, owner })) &&
    verifySign1(envelope.value, publicKey, CONTEXT, verifier).ok
  )
}
