/**
 * Signatures for the simulator's sweeps that cost a hash and protect nothing: whoever knows a public key can make one. The
 * key is a real Ed25519 key, because the ledger admits no other; one run in a hundred signs with the real thing.
 */
import { createSigner } from '../../drivers/crypto/signer.ts'
import type { Signer } from '../../drivers/ports.ts'
import { concat, equalBytes } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'

/** SHA-256 of key and message, twice, to the 64 bytes of a signature. */
function stubSignature(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = sha256(concat(publicKey, message))
  return concat(half, half)
}

export function createStubSigner(seed: Uint8Array): Signer {
  const { publicKey } = createSigner(seed)
  return { alg: 'EdDSA', publicKey, sign: async message => stubSignature(publicKey, message) }
}

export const stubVerifier: Verifier = {
  verify: (alg, publicKey, message, signature) =>
    alg === 'EdDSA' && publicKey.length === 32 && equalBytes(signature, stubSignature(publicKey, message)),
}
