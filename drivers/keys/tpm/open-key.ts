/** A key in a TPM by its place in the configuration: opened, and attested as far as the TPM itself can. */

import type { Attestation } from '../../../protocol/identity/attestation.ts'
import { faultLine, ok, type Result } from '../../../protocol/result.ts'
import { tpmAttestation, verifyTpmEvidence } from '../../../protocol/tpm/attest.ts'
import { createVerifier } from '../../crypto/verifier.ts'
import type { Entropy } from '../../ports.ts'
import type { StoredKey } from '../stored-key.ts'
import { attestTpmKey } from './attest-key.ts'
import { readTpmAuth } from './auth-file.ts'
import { openTpmSigner, type TpmKeyPlace } from './signer.ts'
import { openTpm, type Tpm, type TpmTime } from './tpm.ts'

export interface TpmKeySource {
  /** /dev/tpmrm0, unix:/path or tcp:host:port. */
  readonly device: string
  /** Persistent handle of the owner's, as in 0x81020001. */
  readonly handle: number
  readonly authFile: string
  /** The raw key that is expected there, where it is known. */
  readonly publicKey?: Uint8Array
}

export async function openTpmKey(source: TpmKeySource, time: TpmTime, entropy: Entropy): Promise<Result<StoredKey>> {
  const auth = await readTpmAuth(source.authFile)
  if (!auth.ok) return auth
  const tpm = openTpm(source.device, time)
  if (!tpm.ok) return tpm
  const place = { handle: source.handle, auth: auth.value }
  const signer = await openTpmSigner(tpm.value, place, source.publicKey)
  if (!signer.ok) {
    await tpm.value.close()
    return signer
  }
  const attestation = await attest(tpm.value, place, signer.value.publicKey, entropy)
  const close = async () => {
    await signer.value.end()
    await tpm.value.close()
  }
  return ok({ signer: signer.value, attestation, close })
}

/** Its own question and answer: a stranger draws a nonce of his own. */
async function attest(tpm: Tpm, place: TpmKeyPlace, publicKey: Uint8Array, entropy: Entropy): Promise<Attestation> {
  const nonce = entropy.bytes(32)
  const evidence = await attestTpmKey(tpm, place, nonce)
  const verdict = evidence.ok ? verifyTpmEvidence(evidence.value, { nonce, publicKey }, createVerifier()) : evidence
  if (evidence.ok && verdict.ok) return tpmAttestation(evidence.value, verdict.value)
  // A hierarchy that its owner closed: the key is as good, though nobody else can be shown so.
  const why = verdict.ok ? '' : faultLine(verdict.fault)
  const rule = `the TPM's own word that the key was made inside and never leaves it; it certifies nothing: ${why}`
  return { trust: 'tpm', kind: 'none', evidence: new Uint8Array(0), verified: false, rule }
}
