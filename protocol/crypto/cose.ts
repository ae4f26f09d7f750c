/**
 * COSE_Sign1 (RFC 9052 section 4.2) over canonical CBOR: the one signed envelope of Tieline.
 *
 *     d2                                      tag 18, COSE_Sign1
 *     84                                      array of 4
 *       4x {1: alg, 4: kid}                   protected header, a byte string; kid is 8 bytes
 *       a0                                    unprotected header, always empty
 *       4x payload                            a byte string
 *       58 40 signature                       64 bytes
 *
 * We write alg -8 (EdDSA) and -7 (ES256), and also read -19 (Ed25519) and -9 (ESP256) of RFC 9864; each names exactly one
 * curve. A signature is never an identifier: identify an envelope by `envelopeHash`, the hash of what was signed.
 */
import { concat, toHex } from '../bytes.ts'
import { type CborFault, decode, encode } from '../cbor.ts'
import { fail, ok, type Result } from '../result.ts'
import { sha256 } from './hash.ts'
import type { Alg, Verifier } from './verify.ts'

const TAG_SIGN1 = 0xd2
const ALG_WRITTEN: Record<Alg, number> = { EdDSA: -8, ES256: -7 }
const ALG_READ = new Map<unknown, Alg>([
  [-8, 'EdDSA'],
  [-19, 'EdDSA'],
  [-7, 'ES256'],
  [-9, 'ES256'],
])

export interface Sign1 {
  readonly alg: Alg
  /** First 8 bytes of SHA-256 of the deterministic COSE_Key. */
  readonly kid: Uint8Array
  readonly payload: Uint8Array
  readonly signature: Uint8Array
  readonly protectedBytes: Uint8Array
}

export type CoseFault =
  | CborFault
  | { readonly code: 'cose.shape'; readonly reason: string }
  | { readonly code: 'cose.alg'; readonly alg: string }
  | { readonly code: 'cose.signature'; readonly kid: string }

/** COSE_Key (RFC 9052 section 7) of a raw public key: OKP Ed25519, or EC2 P-256 from a compressed or plain point. */
export function coseKey(alg: Alg, publicKey: Uint8Array): Uint8Array {
  if (alg === 'EdDSA') {
    return encode(
      new Map<number, number | Uint8Array>([
        [1, 1],
        [-1, 6],
        [-2, publicKey],
      ]),
    )
  }
  // Compressed form: y is the sign bit (RFC 9053 section 7.1.1).
  return encode(
    new Map<number, number | Uint8Array | boolean>([
      [1, 2],
      [-1, 1],
      [-2, publicKey.subarray(1, 33)],
      [-3, publicKey[0] === 3],
    ]),
  )
}

/** The key identifier in every envelope. ES256 keys are compressed points of 33 bytes throughout Tieline. */
export const kidOf = (alg: Alg, publicKey: Uint8Array): Uint8Array => sha256(coseKey(alg, publicKey)).subarray(0, 8)

export const protectedHeader = (alg: Alg, kid: Uint8Array): Uint8Array =>
  encode(
    new Map<number, number | Uint8Array>([
      [1, ALG_WRITTEN[alg]],
      [4, kid],
    ]),
  )

/** Sig_structure: the bytes that are signed. `context` binds the envelope to its purpose (external_aad). */
export const toBeSigned = (protectedBytes: Uint8Array, payload: Uint8Array, context: Uint8Array): Uint8Array =>
  encode(['Signature1', protectedBytes, context, payload])

/** The identity of an envelope: SHA-256 of its Sig_structure. */
export const envelopeHash = (envelope: Sign1, context: Uint8Array): Uint8Array =>
  sha256(toBeSigned(envelope.protectedBytes, envelope.payload, context))

/** The envelope's bytes from its signed parts. */
export const assemble = (protectedBytes: Uint8Array, payload: Uint8Array, signature: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(TAG_SIGN1), encode([protectedBytes, new Map(), payload, signature]))

/** Take an envelope apart; nothing about its signature is known yet. */
export function parseSign1(bytes: Uint8Array, limit?: number): Result<Sign1, CoseFault> {
  if (bytes[0] !== TAG_SIGN1) return fail({ code: 'cose.shape', reason: 'does not begin with tag 18' })
  const item = decode(bytes.subarray(1), limit)
  if (!item.ok) return item
  const parts = item.value
  if (!Array.isArray(parts) || parts.length !== 4) return fail({ code: 'cose.shape', reason: 'not an array of four' })
  const [protectedBytes, unprotected, payload, signature] = parts
  if (!(protectedBytes instanceof Uint8Array && payload instanceof Uint8Array && signature instanceof Uint8Array)) {
    return fail({ code: 'cose.shape', reason: 'header, payload and signature must be byte strings' })
  }
  if (!(unprotected instanceof Map) || unprotected.size !== 0) {
    return fail({ code: 'cose.shape', reason: 'the unprotected header must be an empty map' })
  }
  if (signature.length !== 64) return fail({ code: 'cose.shape', reason: `a signature of ${signature.length} bytes` })
  const header = decode(protectedBytes)
  if (!header.ok) return header
  if (!(header.value instanceof Map) || header.value.size !== 2) {
    return fail({ code: 'cose.shape', reason: 'the protected header must hold alg and kid' })
  }
  const alg = ALG_READ.get(header.value.get(1))
  if (alg === undefined) return fail({ code: 'cose.alg', alg: String(header.value.get(1)) })
  const kid = header.value.get(4)
  if (!(kid instanceof Uint8Array) || kid.length !== 8)
    return fail({ code: 'cose.shape', reason: 'kid must be 8 bytes' })
  return ok({ alg, kid, payload, signature, protectedBytes })
}

/** Whether this key signed this envelope for this purpose. */
export function verifySign1(
  envelope: Sign1,
  publicKey: Uint8Array,
  context: Uint8Array,
  verifier: Verifier,
): Result<Uint8Array, CoseFault> {
  const message = toBeSigned(envelope.protectedBytes, envelope.payload, context)
  if (!verifier.verify(envelope.alg, publicKey, message, envelope.signature)) {
    return fail({
      code: 'cose.signature',
      kid: toHex(envelope.kid),
    })
  }
  return ok(envelope.payload)
}
