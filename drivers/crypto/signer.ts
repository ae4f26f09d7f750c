/** Signing by OpenSSL with a key in this process's memory: the 32 bytes of its secret stay inside the key object. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { concat, hex } from '../../protocol/bytes.ts'
import { isP256Scalar, withLowS } from '../../protocol/crypto/verify.ts'
import { ok } from '../../protocol/result.ts'
import type { Signer } from '../ports.ts'

/** PKCS#8 of an Ed25519 private key (RFC 8410 section 7) up to the 32 bytes of the seed. */
const ED25519_HEAD = hex('302e 0201 00 3005 0603 2b6570 0422 0420')
/** PKCS#8 of a P-256 private key (RFC 5958, ECPrivateKey of RFC 5915 without the public key) up to the scalar. */
const P256_HEAD = hex('3041 0201 00 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0427 3025 0201 01 0420')

/** A key in this process's memory, where signing cannot fail. */
export interface MemorySigner extends Signer {
  signNow(message: Uint8Array): Uint8Array
}

/** EdDSA. Throws on a seed that is not 32 bytes: our own bug. The seed may be wiped once this returns. */
export function createSigner(seed: Uint8Array): MemorySigner {
  if (seed.length !== 32) throw new RangeError(`an Ed25519 seed is 32 bytes, not ${seed.length}`)
  const privateKey = keyOf(ED25519_HEAD, seed)
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
  // 35 us on the spot; the thread pool would cost more and take the key elsewhere.
  return memorySigner('EdDSA', base64url(x!), message => new Uint8Array(sign(null, message, privateKey)))
}

/** ES256, always with the lower s. Throws on what is no scalar of P-256: our own bug. The scalar may be wiped once this returns. */
export function createP256Signer(scalar: Uint8Array): MemorySigner {
  if (!isP256Scalar(scalar)) throw new RangeError('not a private key of P-256')
  const privateKey = keyOf(P256_HEAD, scalar)
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  const sign1363 = { key: privateKey, dsaEncoding: 'ieee-p1363' as const }
  // Compressed (SEC 1 section 2.3.3): 02 or 03 by the last bit of y, then x.
  const publicKey = concat(Uint8Array.of(2 + (base64url(y!).at(-1)! & 1)), base64url(x!))
  return memorySigner('ES256', publicKey, message => withLowS(new Uint8Array(sign('sha256', message, sign1363))))
}

const base64url = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'))

function keyOf(pkcs8Head: Uint8Array, secret: Uint8Array): KeyObject {
  const der = Buffer.from(concat(pkcs8Head, secret))
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    der.fill(0)
  }
}

const memorySigner = (alg: Signer['alg'], publicKey: Uint8Array, signNow: MemorySigner['signNow']): MemorySigner => ({
  alg,
  trust: 'software',
  publicKey,
  signNow,
  sign: async message => ok(signNow(message)),
})
