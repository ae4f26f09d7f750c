/**
 * Signatures for the simulator's sweeps that cost a hash and protect nothing: whoever knows a public key can make one. The
 * key is a real Ed25519 key, because the ledger admits no other; one run in a hundred signs with the real thing.
 */
import { createSigner, type MemorySigner } from '../../drivers/crypto/signer.ts'
import { concat, equalBytes } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { ok } from '../../protocol/result.ts'

/** SHA-256 of key and message, twice, to the 64 bytes of a signature. */
function stubSignature(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = sha256(concat(publicKey, message))
  return concat(half, half)
}

export function createStubSigner(seed: Uint8Array): MemorySigner {
  const { publicKey } = createSigner(seed)
  const signNow = (message: Uint8Array) => stubSignature(publicKey, message)
  return { alg: 'EdDSA', publicKey, trust: 'software', signNow, sign: async message => ok(signNow(message)) }
}

export const stubVerifier: Verifier = {
  verify: (alg, publicKey, message, signature) =>
    alg === 'EdDSA' && publicKey.length === 32 && equalBytes(signature, stubSignature(publicKey, message)),
}
