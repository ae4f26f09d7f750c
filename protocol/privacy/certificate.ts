/**
 * The certificate of a one-time key: that some enrolled meter may trade under this pseudonym, on this side, in this slot; not which.
 *
 * The registrar signs it blind (RFC 9474), so that it cannot tell later which meter's certificate it meets. What it signs
 * says nothing that it could check, so the key says it: each slot and side has an issuer key of its own, published on the
 * ledger before anybody asks, the same for all. A registrar that gave each meter a key of its own would know them again; a
 * meter that is given another key than the published one has no use for what it signs.
 */
import { toHex } from '../bytes.ts'
import { encode } from '../cbor.ts'
import type { PssVerify } from '../crypto/rsa-pss.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'

export type CertifiedSide = 'bid' | 'offer'

/** What a certificate is for. */
export interface Certified {
  /** When the slot starts. */
  readonly slot: Instant
  readonly side: CertifiedSide
  /** The one-time public key. */
  readonly pseudonym: Uint8Array
}

/** The published issuer key of a slot and side: its modulus; undefined where none is published. */
export type IssuerKeys = (slot: Instant, side: CertifiedSide) => Uint8Array | undefined

export type CertificateFault =
  | { readonly code: 'certificate.none'; readonly pseudonym: string }
  | { readonly code: 'certificate.no-key'; readonly slot: number; readonly side: CertifiedSide }
  | { readonly code: 'certificate.signature'; readonly slot: number; readonly side: CertifiedSide }

/** What is signed blind: it fixes slot and side as well, so that no certificate can be taken for another one's. */
export const certificateMessage = ({ slot, side, pseudonym }: Certified): Uint8Array =>
  encode(['tieline/certificate/1', slot, side, pseudonym])

/** Whether this certificate, a signature of 256 bytes, is for exactly this. */
export function checkCertificate(
  certified: Certified,
  certificate: Uint8Array | undefined,
  keys: IssuerKeys,
  verifyPss: PssVerify,
): Result<Certified, CertificateFault> {
  const { slot, side, pseudonym } = certified
  if (certificate === undefined) return fail({ code: 'certificate.none', pseudonym: toHex(pseudonym) })
  const key = keys(slot, side)
  if (key === undefined) return fail({ code: 'certificate.no-key', slot, side })
  return verifyPss(key, certificateMessage(certified), certificate)
    ? ok(certified)
    : fail({ code: 'certificate.signature', slot, side })
}
