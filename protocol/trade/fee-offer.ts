/**
 * What a distributor asks for one contract's way, negotiated in place of the path's tariffs.
 *
 *     {1: contract hash, 2: price per kWh, 3: until}      COSE_Sign1 with external_aad `tieline/fee-offer/1`
 *
 * Signed by the distributor's account key. The distribution ledger takes it with a reservation before `until` (block time).
 */

import { utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import type { Price } from '../quantity.ts'
import { bytes, decodeAs, encodeAs, type RecordFault, record } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { contractPrice, unixMs } from './contract.ts'

/** external_aad of a fee offer's signature. */
const CONTEXT = utf8('tieline/fee-offer/1')
const MAX_BYTES = 512

export interface FeeOffer {
  /** Hash of the contract that it is for. */
  readonly contract: Uint8Array
  /** Per kWh over the whole path. */
  readonly price: Price
  readonly until: Instant
}

const codec = record({ contract: [1, bytes(32)], price: [2, contractPrice], until: [3, unixMs] })

/** What the distributor's account key signs. */
export const feeOfferToSign = (offer: FeeOffer, publicKey: Uint8Array): Uint8Array =>
  toBeSigned(signerHeader(publicKey), encodeAs(codec, offer), CONTEXT)

export const assembleFeeOffer = (offer: FeeOffer, publicKey: Uint8Array, signature: Uint8Array): Uint8Array =>
  assemble(signerHeader(publicKey), encodeAs(codec, offer), signature)

/** What an offer says, if this key signed it. */
export function verifyFeeOffer(
  sign1: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<FeeOffer, CoseFault | RecordFault> {
  const envelope = parseSign1(sign1, MAX_BYTES)
  if (!envelope.ok) return envelope
  // The key alone says which algorithm it is for.
  if (envelope.value.alg !== algOfKey(publicKey)) return fail({ code: 'cose.alg', alg: envelope.value.alg })
  const offer = decodeAs(codec, envelope.value.payload, 'fee offer', MAX_BYTES)
  if (!offer.ok) return offer
  const verified = verifySign1(envelope.value, publicKey, CONTEXT, verifier)
  return verified.ok ? ok(offer.value) : verified
}
