/**
 * The sealed receipt: how much of a contract was delivered, signed by both parties, with the hash of the meters' envelopes in
 * place of the envelopes.
 *
 *     {1: contract hash, 2: energy (Wh), 3: evidence}      COSE_Sign1 with external_aad `tieline/sealed/1`, one of each party
 *
 * Each side checks the other's envelopes before it signs, and both keep them: `evidence` says which they were.
 */

import { concat, equalBytes, utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import type { WattHours } from '../quantity.ts'
import { big, bytes, encodeAs, record } from '../record.ts'
import { fail, type Result } from '../result.ts'

/** external_aad of a sealed receipt's signatures. */
const CONTEXT = utf8('tieline/sealed/1')

export interface SealedReceipt {
  /** Hash of the contract. */
  readonly deal: Uint8Array
  readonly energy: WattHours
  /** `sealedEvidence` of the meters' envelopes. */
  readonly evidence: Uint8Array
}

const codec = record({ deal: [1, bytes(32)], energy: [2, big<WattHours>(0n, 2n ** 53n)], evidence: [3, bytes(32)] })

export type SealedFault = CoseFault | { readonly code: 'sealed.other-receipt' }

/** SHA-256 over the hashes of the signed readings: seller's begin and end, buyer's begin and end. */
export const sealedEvidence = (hashes: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]): Uint8Array =>
  sha256(concat(...hashes))

/** What one party's account key signs. */
export const sealedToSign = (receipt: SealedReceipt, publicKey: Uint8Array): Uint8Array =>
  toBeSigned(signerHeader(publicKey), encodeAs(codec, receipt), CONTEXT)

/** One party's half. */
export const assembleSealed = (receipt: SealedReceipt, publicKey: Uint8Array, signature: Uint8Array): Uint8Array =>
  assemble(signerHeader(publicKey), encodeAs(codec, receipt), signature)

/** Whether `sign1` is this key's signature over exactly this receipt. */
export function verifySealed(
  receipt: SealedReceipt,
  sign1: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<Uint8Array, SealedFault> {
  const envelope = parseSign1(sign1, 512)
  if (!envelope.ok) return envelope
  if (!equalBytes(envelope.value.payload, encodeAs(codec, receipt))) return fail({ code: 'sealed.other-receipt' })
  // The key alone says which algorithm it is for.
  if (envelope.value.alg !== algOfKey(publicKey)) return fail({ code: 'cose.alg', alg: envelope.value.alg })
  return verifySign1(envelope.value, publicKey, CONTEXT, verifier)
}
