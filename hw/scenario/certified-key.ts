/** A one-time key's certificate, asked for and signed blind as a site and a registrar do. */
import { type BlindIssuer, blindMessage } from '../../drivers/crypto/blind-rsa.ts'
import { type Certified, certificateMessage } from '../../protocol/privacy/certificate.ts'
import { must } from '../../protocol/result.ts'

export interface CertifiedKey {
  readonly certificate: Uint8Array
  /** All that the registrar sees of it. */
  readonly blinded: Uint8Array
}

export async function certified(issuer: BlindIssuer, key: Certified): Promise<CertifiedKey> {
  const asked = must(await blindMessage(issuer.modulus, certificateMessage(key)))
  const signed = must(await issuer.sign(asked.blinded))
  return { certificate: must(await asked.unblind(signed)), blinded: asked.blinded }
}
