/**
 * Whether an attestation key lives in the TPM that an endorsement key belongs to (TPM 2.0 Library Part 1, "Credential
 * Protection"). Whoever asks encrypts a secret to the endorsement key, tied to the Name of the attestation key; the TPM decrypts
 * it only where it holds both. A secret that comes back makes that Name one to remember.
 */
import { createCipheriv } from 'node:crypto'
import { concat } from '../../../protocol/bytes.ts'
import { type KeyFault, keyFault } from '../../../protocol/crypto/verify.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { flushContext, HIERARCHY, startSession } from '../../../protocol/tpm/commands.ts'
import { activateCredential, policySecret, type TpmChallenge } from '../../../protocol/tpm/endorsement.ts'
import { NO_BYTES, tpm2b } from '../../../protocol/tpm/marshal.ts'
import { TEMPLATE } from '../../../protocol/tpm/public-area.ts'
import { systemEntropy } from '../../crypto/entropy.ts'
import { hmacSha256, kdfA, shareSecret } from './kdf.ts'
import { withPrimary } from './primary.ts'
import type { Tpm } from './tpm.ts'

/**
 * The question to a board. `endorsementKey` is a compressed P-256 point that the maker's certificate, or whoever has seen the
 * board, vouches for; the secret is at most 32 bytes, drawn for this question.
 */
export function challengeTpm(
  endorsementKey: Uint8Array,
  attestationKeyName: Uint8Array,
  secret: Uint8Array,
): Result<TpmChallenge, KeyFault> {
  const inadmissible = keyFault('ES256', endorsementKey)
  if (inadmissible !== undefined) return fail(inadmissible)
  const { secret: seed, point } = shareSecret(endorsementKey, 'IDENTITY')
  const cipher = createCipheriv('aes-128-cfb', kdfA(seed, 'STORAGE', attestationKeyName, 128), new Uint8Array(16))
  const encrypted = concat(cipher.update(tpm2b(secret)), cipher.final())
  const integrity = hmacSha256(kdfA(seed, 'INTEGRITY', NO_BYTES, 256), concat(encrypted, attestationKeyName))
  return ok({ credential: concat(tpm2b(integrity), encrypted), encryptedSeed: point })
}

/** The secret of a challenge; a refusal where it was made for another TPM or another attestation key. */
export function answerChallenge(tpm: Tpm, challenge: TpmChallenge): Promise<Result<Uint8Array>> {
  const { endorsement } = HIERARCHY
  return withPrimary(tpm, endorsement, TEMPLATE.endorsement, endorsementKey =>
    withPrimary(tpm, endorsement, TEMPLATE.attestation, async attestationKey => {
      const session = await tpm.run(startSession(systemEntropy.bytes(16)))
      if (!session.ok) return session
      const met = await tpm.run(policySecret(session.value.handle))
      const secret = met.ok
        ? await tpm.run(activateCredential(attestationKey, endorsementKey, session.value.handle, challenge))
        : met
      // A session ends with the command that succeeds.
      if (!secret.ok) await tpm.run(flushContext(session.value.handle))
      return secret
    }),
  )
}
