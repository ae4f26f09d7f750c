/**
 * Whether an attestation key lives in the TPM that an endorsement key belongs to (TPM 2.0 Library Part 1, "Credential
 * Protection"). Whoever asks encrypts a secret to the endorsement key, tied to the Name of the attestation key; the TPM decrypts
 * it only where it holds both. A secret that comes back makes that Name one to remember.
 */
import { createCipheriv, createECDH, createHash, createHmac } from 'node:crypto'
import { concat, utf8 } from '../../../protocol/bytes.ts'
import { type KeyFault, keyFault } from '../../../protocol/crypto/verify.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { flushContext, HIERARCHY } from '../../../protocol/tpm/commands.ts'
import {
  activateCredential,
  policySecret,
  startPolicySession,
  type TpmChallenge,
} from '../../../protocol/tpm/endorsement.ts'
import { NO_BYTES, tpm2b, u32 } from '../../../protocol/tpm/marshal.ts'
import { TEMPLATE } from '../../../protocol/tpm/public-area.ts'
import type { Entropy } from '../../ports.ts'
import { withPrimary } from './primary.ts'
import type { Tpm } from './tpm.ts'

const CURVE = 'prime256v1'
const ZERO = Uint8Array.of(0)

/** KDFa (Part 1, "KDFa()"): NIST SP 800-108 in counter mode with HMAC-SHA-256, for at most 256 bits. */
const kdfA = (key: Uint8Array, label: string, context: Uint8Array, bits: 128 | 256): Uint8Array =>
  new Uint8Array(
    createHmac('sha256', key)
      .update(concat(u32(1), utf8(label), ZERO, context, u32(bits)))
      .digest()
      .subarray(0, bits / 8),
  )

/** KDFe (Part 1, "KDFe()"): NIST SP 800-56A, one step with SHA-256, for 256 bits. */
const kdfE = (z: Uint8Array, label: string, partyU: Uint8Array, partyV: Uint8Array): Uint8Array =>
  new Uint8Array(
    createHash('sha256')
      .update(concat(u32(1), z, utf8(label), ZERO, partyU, partyV))
      .digest(),
  )

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
  const ephemeral = createECDH(CURVE)
  const own = new Uint8Array(ephemeral.generateKeys())
  const z = new Uint8Array(ephemeral.computeSecret(endorsementKey))
  const [x, y] = [own.subarray(1, 33), own.subarray(33)]
  const seed = kdfE(z, 'IDENTITY', x, endorsementKey.subarray(1))
  const cipher = createCipheriv('aes-128-cfb', kdfA(seed, 'STORAGE', attestationKeyName, 128), new Uint8Array(16))
  const encrypted = concat(cipher.update(tpm2b(secret)), cipher.final())
  const integrity = createHmac('sha256', kdfA(seed, 'INTEGRITY', NO_BYTES, 256))
    .update(concat(encrypted, attestationKeyName))
    .digest()
  return ok({ credential: concat(tpm2b(integrity), encrypted), encryptedSeed: concat(tpm2b(x), tpm2b(y)) })
}

/** The secret of a challenge; a refusal where it was made for another TPM or another attestation key. */
export function answerChallenge(tpm: Tpm, challenge: TpmChallenge, entropy: Entropy): Promise<Result<Uint8Array>> {
  const { endorsement } = HIERARCHY
  return withPrimary(tpm, endorsement, TEMPLATE.endorsement, endorsementKey =>
    withPrimary(tpm, endorsement, TEMPLATE.attestation, async attestationKey => {
      const session = await tpm.run(startPolicySession(entropy.bytes(16)))
      if (!session.ok) return session
      const met = await tpm.run(policySecret(session.value))
      const secret = met.ok
        ? await tpm.run(activateCredential(attestationKey, endorsementKey, session.value, challenge))
        : met
      // A session ends with the command that succeeds.
      if (!secret.ok) await tpm.run(flushContext(session.value))
      return secret
    }),
  )
}
