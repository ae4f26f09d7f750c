/** The maker's certificate of a TPM's endorsement key: read from the TPM, and judged by the authorities that a person trusts. */
import { X509Certificate } from 'node:crypto'
import { concat } from '../../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import { nvRead, nvSize } from '../../../protocol/tpm/endorsement.ts'
import type { Tpm } from './tpm.ts'

/** Where the certificate of the P-256 key of template L-2 stands (TCG EK Credential Profile for TPM 2.0, "NV Indices"). */
const CERTIFICATE_INDEX = 0x01c0_000a
/** Makers' certificates take about 1 kB. */
const CERTIFICATE_MAX = 8192
/** Every TPM reads as much at a time (TPM_PT_NV_BUFFER_MAX is 512 or more). */
const CHUNK = 512
/** tcg-kp-EKCertificate. */
const ENDORSEMENT_USE = '2.23.133.8.1'
/** The endorsement key's, three of authorities, and the root: makers have two or three in all. */
const LONGEST_CHAIN = 5

/** DER, as the maker wrote it; `tpm.no-certificate` where he wrote none. */
export async function readEndorsementCertificate(tpm: Tpm): Promise<Result<Uint8Array>> {
  const size = await tpm.run(nvSize(CERTIFICATE_INDEX))
  if (!size.ok) {
    if (size.fault.code !== 'tpm.no-handle') return size
    const hint = 'the maker put no certificate of a P-256 key into this TPM: ask him for it, or go and see the board'
    return fail({ code: 'tpm.no-certificate', device: tpm.name, hint })
  }
  if (size.value > CERTIFICATE_MAX) return fail({ code: 'tpm.certificate', reason: `${size.value} bytes` })
  const parts: Uint8Array[] = []
  for (let at = 0; at < size.value; at += CHUNK) {
    const part = await tpm.run(nvRead(CERTIFICATE_INDEX, at, Math.min(CHUNK, size.value - at)))
    if (!part.ok) return part
    parts.push(part.value)
  }
  return ok(concat(...parts))
}

/**
 * The endorsement key, a compressed P-256 point, that a chain of certificates from one of `roots` is about. `between` are the
 * maker's further authorities, which nobody need trust. All are PEM. Dates are not looked at: a TPM does not cease to be one
 * when its certificate runs out.
 */
export function endorsementKeyOf(
  certificate: Uint8Array,
  roots: readonly string[],
  between: readonly string[] = [],
): Result<Uint8Array> {
  try {
    const own = new X509Certificate(certificate)
    const trusted = roots.map(pem => new X509Certificate(pem))
    const fault = chainFault(
      own,
      trusted,
      between.map(pem => new X509Certificate(pem)),
    )
    if (fault !== undefined) return fail(fault)
    const uses: readonly string[] | undefined = own.keyUsage
    if (own.ca || (uses !== undefined && !uses.includes(ENDORSEMENT_USE))) {
      return fail({ code: 'tpm.certificate', reason: 'not for an endorsement key' })
    }
    const { crv, x, y } = own.publicKey.export({ format: 'jwk' })
    if (crv !== 'P-256') return fail({ code: 'tpm.certificate', reason: 'not of a P-256 key' })
    const odd = Buffer.from(y!, 'base64url').at(-1)! & 1
    return ok(concat(Uint8Array.of(2 + odd), Buffer.from(x!, 'base64url')))
  } catch (error) {
    // OpenSSL says by throwing that the bytes are no certificate, or of no key that it knows.
    return fail({ code: 'tpm.certificate', reason: error instanceof Error ? error.message : String(error) })
  }
}

function chainFault(
  own: X509Certificate,
  trusted: readonly X509Certificate[],
  between: readonly X509Certificate[],
): Fault | undefined {
  let last = own
  for (let n = 1; n < LONGEST_CHAIN; n++) {
    const signed = (by: X509Certificate) => by.ca && last.checkIssued(by) && last.verify(by.publicKey)
    if (trusted.some(signed)) return undefined
    const next = between.find(signed)
    if (next === undefined) break
    last = next
  }
  const hint = "add the certificates of the TPM's maker to the authorities that you trust, if you do"
  return { code: 'tpm.untrusted-maker', issuer: last.issuer.replaceAll('\n', ', '), hint }
}
