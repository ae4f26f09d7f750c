/** What a TPM says of a key that stands in it, for a stranger who asks. */
import { ok, type Result } from '../../../protocol/result.ts'
import { isTpmNonce, type TpmEvidence } from '../../../protocol/tpm/attest.ts'
import { certify, HIERARCHY } from '../../../protocol/tpm/commands.ts'
import { nameOf, TEMPLATE } from '../../../protocol/tpm/public-area.ts'
import { withPrimary } from './primary.ts'
import { keepSession } from './session.ts'
import { findKey, type TpmKeyPlace } from './signer.ts'
import type { Tpm } from './tpm.ts'

/** Evidence for `verifyTpmEvidence`. Throws on a nonce that is not 16 to 64 bytes: our own bug. */
export async function attestTpmKey(tpm: Tpm, place: TpmKeyPlace, nonce: Uint8Array): Promise<Result<TpmEvidence>> {
  if (!isTpmNonce(nonce)) throw new RangeError(`a nonce of ${nonce.length} bytes`)
  const found = await findKey(tpm, place.handle)
  if (!found.ok) return found
  const { bytes: key, area } = found.value
  const session = keepSession(tpm)
  const evidence = await withPrimary(
    tpm,
    HIERARCHY.endorsement,
    TEMPLATE.attestation,
    async (handle, attestationKey) => {
      const signer = { handle, name: nameOf(attestationKey) }
      const certified = await session.run(({ opens }) =>
        certify({ handle: place.handle, name: area.name, auth: opens(place.auth) }, signer, nonce),
      )
      return certified.ok ? ok({ ...certified.value, attestationKey, key }) : certified
    },
  )
  await session.end()
  return evidence
}
