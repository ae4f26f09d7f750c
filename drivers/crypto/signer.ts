/** Ed25519 signing by OpenSSL, from a 32-byte seed that stays inside the key object. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { concat, hex } from '../../protocol/bytes.ts'
import { ok } from '../../protocol/result.ts'
import type { Signer } from '../ports.ts'

/** PKCS#8 of an Ed25519 private key (RFC 8410 section 7) up to the 32 bytes of the seed. */
const PKCS8_HEAD = hex('302e 0201 00 3005 0603 2b6570 0422 0420')
/** SubjectPublicKeyInfo up to the raw public key. */
const SPKI_HEAD_BYTES = 12

/** A key in this process's memory, where signing cannot fail. */
export interface MemorySigner extends Signer {
  signNow(message: Uint8Array): Uint8Array
}

/** Throws on a seed that is not 32 bytes: our own bug. The seed may be wiped once this returns. */
export function createSigner(seed: Uint8Array): MemorySigner {
  if (seed.length !== 32) throw new RangeError(`an Ed25519 seed is 32 bytes, not ${seed.length}`)
  const der = Buffer.from(concat(PKCS8_HEAD, seed))
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  // 35 us on the spot; the thread pool would cost more and take the key elsewhere.
  const signNow = (message: Uint8Array) => new Uint8Array(sign(null, message, privateKey))
  return {
    alg: 'EdDSA',
    trust: 'software',
    publicKey: new Uint8Array(spki.subarray(SPKI_HEAD_BYTES)),
    signNow,
    sign: async message => ok(signNow(message)),
  }
}
