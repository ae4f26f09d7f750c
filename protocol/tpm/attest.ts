/**
 * Evidence that a signing key lives in a TPM: what TPM2_Certify says of it, signed by an attestation key of the same TPM.
 *
 * What is signed is a TPMS_ATTEST (TPM 2.0 Library Part 2, "TPMS_ATTEST"):
 *
 *     ff544347 8017 | qualified Name of the signer TPM2B | nonce TPM2B
 *     clock 8, resets 4, restarts 4, safe 1 | firmware 8 | Name of the key TPM2B | its qualified Name TPM2B
 *
 * A Name is a hash of a public area, its attributes included. A restricted key signs nothing from outside that begins with
 * ff544347, so whoever believes the attestation key believes the attributes of the other.
 */
import { concat, equalBytes, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import type { Attestation } from '../identity/attestation.ts'
import { bytes, decodeAs, encodeAs, type RecordFault, type RecordOf, record } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import { HIERARCHY } from './commands.ts'
import { TpmReader, u16, u32 } from './marshal.ts'
import { ALG, type AttributeFault, attributeFault, readPublicArea } from './public-area.ts'

/** TPM_GENERATED_VALUE and TPM_ST_ATTEST_CERTIFY. */
const GENERATED = 0xff54_4347
const ATTEST_CERTIFY = 0x8017

/** What TPM2B_DATA takes beside SHA-512 is 66; less than 16 could be guessed or used up. */
const NONCE_BYTES = [16, 64] as const

export const isTpmNonce = (nonce: Uint8Array): boolean =>
  nonce.length >= NONCE_BYTES[0] && nonce.length <= NONCE_BYTES[1]

const FIELDS = {
  /** TPMS_ATTEST; with the longest nonce 243 bytes. */
  attest: [1, bytes(64, 256)],
  /** ES256 of it, r || s. */
  signature: [2, bytes(64)],
  /** TPMT_PUBLIC of the attestation key. */
  attestationKey: [3, bytes(32, 256)],
  /** TPMT_PUBLIC of the key that it is about. */
  key: [4, bytes(32, 256)],
} as const
export type TpmEvidence = RecordOf<typeof FIELDS>
const evidenceRecord = record(FIELDS)
/** Each field at its longest, and what frames it. */
const EVIDENCE_MAX = 1024

/** Canonical CBOR, as it travels. */
export const encodeTpmEvidence = (evidence: TpmEvidence): Uint8Array => encodeAs(evidenceRecord, evidence)

export const decodeTpmEvidence = (input: Uint8Array): Result<TpmEvidence, RecordFault> =>
  decodeAs(evidenceRecord, input, 'evidence', EVIDENCE_MAX)

export type TpmEvidenceFault =
  | AttributeFault
  | { readonly code: 'tpm.evidence-shape'; readonly part: string }
  | { readonly code: 'tpm.evidence-nonce'; readonly expected: string; readonly received: string }
  | { readonly code: 'tpm.evidence-key'; readonly part: string; readonly expected: string; readonly received: string }
  | { readonly code: 'tpm.evidence-signature' }

export interface TpmAttested {
  /** Name of the attestation key, 34 bytes: what to remember of a board once its TPM has been seen to be one. */
  readonly attestationKeyName: Uint8Array
  /** As the TPM's maker numbers it. */
  readonly firmwareVersion: bigint
  /** Since the TPM was last cleared: times the board was started, and milliseconds that the TPM was powered. */
  readonly resets: number
  readonly poweredMs: bigint
  /** What has to be believed besides, because nothing in the evidence shows it. */
  readonly unproven: readonly string[]
}

export interface TpmExpectation {
  /** Drawn by whoever asks, for this question alone. */
  readonly nonce: Uint8Array
  /** The raw key that signs the readings, compressed P-256. */
  readonly publicKey: Uint8Array
  /** Names of attestation keys that were seen to live in a TPM. */
  readonly knownAttestationKeys?: readonly Uint8Array[]
}

/** Software could have made all of it, and would say the same. */
const UNKNOWN_ATTESTATION_KEY =
  "that a TPM says so: its maker's certificate and a challenge, or having seen this board, would show it"

/** Pure; the order of the checks is that of their cost. */
export function verifyTpmEvidence(
  evidence: TpmEvidence,
  { nonce, publicKey, knownAttestationKeys = [] }: TpmExpectation,
  verifier: Verifier,
): Result<TpmAttested, TpmEvidenceFault> {
  const attest = readAttest(evidence.attest)
  if (attest === undefined) return fail({ code: 'tpm.evidence-shape', part: 'attest' })
  if (!equalBytes(attest.nonce, nonce)) {
    return fail({ code: 'tpm.evidence-nonce', expected: toHex(nonce), received: toHex(attest.nonce) })
  }
  const key = readPublicArea(evidence.key)
  if (key === undefined) return fail({ code: 'tpm.evidence-shape', part: 'key' })
  const attestationKey = readPublicArea(evidence.attestationKey)
  if (attestationKey === undefined) return fail({ code: 'tpm.evidence-shape', part: 'attestation key' })
  const signer = qualifiedNameOf(attestationKey.name)
  for (const [part, expected, received] of [
    ['public key', publicKey, key.publicKey],
    ['name of the key', key.name, attest.name],
    ['name of the attestation key', signer, attest.signer],
  ] as const) {
    if (equalBytes(expected, received)) continue
    return fail({ code: 'tpm.evidence-key', part, expected: toHex(expected), received: toHex(received) })
  }
  const attributes = attributeFault(key, 'metering') ?? attributeFault(attestationKey, 'attestation')
  if (attributes !== undefined) return fail(attributes)
  if (!verifier.verify('ES256', attestationKey.publicKey, evidence.attest, evidence.signature)) {
    return fail({ code: 'tpm.evidence-signature' })
  }
  const { firmwareVersion, resets, poweredMs } = attest
  const known = knownAttestationKeys.some(name => equalBytes(name, attestationKey.name))
  const unproven = known ? [] : [UNKNOWN_ATTESTATION_KEY]
  return ok({ attestationKeyName: attestationKey.name, firmwareVersion, resets, poweredMs, unproven })
}

/** Evidence that `verifyTpmEvidence` accepted, as the store's word for its trust. */
export const tpmAttestation = (evidence: TpmEvidence, { unproven }: TpmAttested): Attestation => ({
  trust: 'tpm',
  kind: 'tpm2-certify',
  evidence: encodeTpmEvidence(evidence),
  verified: unproven.length === 0,
  rule: `certified by the TPM to be made inside and never to leave it${unproven.map(what => `; unproven: ${what}`).join('')}`,
})

/** Of a primary key in the endorsement hierarchy (Part 1, "Qualified Name"). */
const qualifiedNameOf = (name: Uint8Array): Uint8Array =>
  concat(u16(ALG.sha256), sha256(concat(u32(HIERARCHY.endorsement), name)))

function readAttest(attest: Uint8Array) {
  const reader = new TpmReader(attest)
  const magic = reader.u32()
  const type = reader.u16()
  const signer = reader.tpm2b()
  const nonce = reader.tpm2b()
  const poweredMs = reader.u64()
  const resets = reader.u32()
  // Restarts since the last reset, and whether the clock may have run ahead of what is said here: neither is used.
  reader.take(5)
  const firmwareVersion = reader.u64()
  const name = reader.tpm2b()
  reader.tpm2b()
  if (!reader.ended || magic !== GENERATED || type !== ATTEST_CERTIFY) return undefined
  return { signer, nonce, poweredMs, resets, firmwareVersion, name }
}
