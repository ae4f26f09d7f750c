/**
 * Commands around the endorsement key (TPM 2.0 Library Part 3; the clause stands at each): the key that the TPM's maker knows,
 * and his certificate of it.
 */
import { concat } from '../bytes.ts'
import { HIERARCHY } from './commands.ts'
import type { TpmCommand } from './frame.ts'
import { NO_BYTES, tpm2b, u16, u32 } from './marshal.ts'

const QUICK_MS = 5_000

/** 23.4 TPM2_PolicySecret of the endorsement hierarchy, whose password is empty: the policy of its keys is met. */
export const policySecret = (session: number): TpmCommand<true> => ({
  name: 'PolicySecret',
  code: 0x151,
  handles: [HIERARCHY.endorsement, session],
  auths: [NO_BYTES],
  // No nonce, no command, no reference, no expiry.
  parameters: concat(tpm2b(NO_BYTES), tpm2b(NO_BYTES), tpm2b(NO_BYTES), u32(0)),
  withinMs: QUICK_MS,
  read: reader => {
    reader.tpm2b()
    // A ticket that is empty, because nothing expires.
    reader.u16()
    reader.u32()
    reader.tpm2b()
    return true
  },
})

/** A secret that only a TPM can read which has both this endorsement key and a key of this Name. */
export interface TpmChallenge {
  /** TPMS_ID_OBJECT: HMAC and encrypted secret. */
  readonly credential: Uint8Array
  /** TPMS_ECC_POINT: the other half of the key agreement with the endorsement key. */
  readonly encryptedSeed: Uint8Array
}

/** 12.5 TPM2_ActivateCredential. */
export const activateCredential = (
  attestationKey: number,
  endorsementKey: number,
  session: number,
  challenge: TpmChallenge,
): TpmCommand<Uint8Array> => ({
  name: 'ActivateCredential',
  code: 0x147,
  handles: [attestationKey, endorsementKey],
  auths: [NO_BYTES, session],
  parameters: concat(tpm2b(challenge.credential), tpm2b(challenge.encryptedSeed)),
  withinMs: QUICK_MS,
  read: reader => reader.tpm2b(),
})

/** 31.6 TPM2_NV_ReadPublic: bytes that stand at an index of the non-volatile storage. */
export const nvSize = (index: number): TpmCommand<number> => ({
  name: 'NV_ReadPublic',
  code: 0x169,
  handles: [index],
  withinMs: QUICK_MS,
  read: reader => {
    reader.u16()
    reader.u32()
    reader.u16()
    reader.u32()
    reader.tpm2b()
    const size = reader.u16()
    reader.tpm2b()
    return size
  },
})

/** 31.13 TPM2_NV_Read with the index's own, empty password. */
export const nvRead = (index: number, from: number, count: number): TpmCommand<Uint8Array> => ({
  name: 'NV_Read',
  code: 0x14e,
  handles: [index, index],
  auths: [NO_BYTES],
  parameters: concat(u16(count), u16(from)),
  withinMs: QUICK_MS,
  read: reader => {
    const bytes = reader.tpm2b()
    return bytes.length === count ? bytes : undefined
  },
})
