/** The commands in use (TPM 2.0 Library Part 3; the clause stands at each). */
import { concat } from '../bytes.ts'
import { withLowS } from '../crypto/verify.ts'
import type { TpmAuth, TpmCommand } from './frame.ts'
import { NO_BYTES, type TpmReader, tpm2b, u16, u32 } from './marshal.ts'
import { ALG, coordinate } from './public-area.ts'

/** TPM_RH (Part 2, 7.4). */
export const HIERARCHY = { owner: 0x4000_0001, endorsement: 0x4000_000b } as const
const RH_NULL = 0x4000_0007
/** TPM_ST_HASHCHECK. */
const ST_HASHCHECK = 0x8024
const STARTUP_CLEAR = 0
/** TPM_SE. */
const SESSION_HMAC = 0
const SESSION_POLICY = 1
const CAP_ALGORITHMS = 0
const CAP_HANDLES = 1
const CAP_PROPERTIES = 6
const CAP_CURVES = 8

/** A discrete TPM on a slow bus signs in some 100 ms; its self-test after power-up takes a second or two. */
const QUICK_MS = 5_000
/** Making a key may wait for entropy; the kernel gives these commands minutes. */
const MAKING_MS = 60_000

/** The keys that a person may put at a persistent handle of the owner's (Part 2, 7.5): MSO 81, the upper half is the platform's. */
export const isOwnerHandle = (handle: number): boolean =>
  Number.isInteger(handle) && handle >= 0x8100_0000 && handle <= 0x817f_ffff

/** 9.3 TPM2_Startup. */
export const startup = (): TpmCommand<true> => ({
  name: 'Startup',
  code: 0x144,
  parameters: u16(STARTUP_CLEAR),
  withinMs: QUICK_MS,
  read: () => true,
})

/** 16.1 TPM2_GetRandom; at most 32 bytes, which every TPM gives at once. */
export const getRandom = (count: number): TpmCommand<Uint8Array> => ({
  name: 'GetRandom',
  code: 0x17b,
  parameters: u16(count),
  withinMs: QUICK_MS,
  read: reader => {
    const bytes = reader.tpm2b()
    return bytes.length === count ? bytes : undefined
  },
})

/** 30.2 TPM2_GetCapability: a list of `item`s, of which at most `count` from `first` on. */
function getCapability<T>(
  capability: number,
  first: number,
  count: number,
  item: (reader: TpmReader) => T,
): TpmCommand<readonly T[]> {
  return {
    name: 'GetCapability',
    code: 0x17a,
    parameters: concat(u32(capability), u32(first), u32(count)),
    withinMs: QUICK_MS,
    read: reader => {
      reader.u8()
      const given = reader.u32()
      const length = reader.u32()
      if (given !== capability || length > count) return undefined
      return Array.from({ length }, () => item(reader))
    },
  }
}

/** TPM_PT values from `first` on. */
export const getProperties = (first: number, count: number) =>
  getCapability(CAP_PROPERTIES, first, count, reader => [reader.u32(), reader.u32()] as const)

/** TPM_ALG_ID of what this TPM can do. */
export const getAlgorithms = () =>
  getCapability(CAP_ALGORITHMS, 0, 0xff, reader => {
    const algorithm = reader.u16()
    reader.u32()
    return algorithm
  })

/** TPM_ECC_CURVE of what this TPM can do. */
export const getCurves = () => getCapability(CAP_CURVES, 0, 0xff, reader => reader.u16())

/** Whether something stands at a handle; the list goes on from there, so what is not equal is later. */
export const getHandles = (first: number, count: number) =>
  getCapability(CAP_HANDLES, first, count, reader => reader.u32())

export interface MadeKey {
  readonly handle: number
  /** TPMT_PUBLIC. */
  readonly area: Uint8Array
}

const sensitive = (auth: Uint8Array) => tpm2b(concat(tpm2b(auth), tpm2b(NO_BYTES)))

/** outsideInfo and creationPCR, both empty. */
const NOTHING_ELSE = concat(tpm2b(NO_BYTES), u32(0))

/** creationData, creationHash, creationTicket. */
function skipCreation(reader: TpmReader): void {
  reader.tpm2b()
  reader.tpm2b()
  reader.u16()
  reader.u32()
  reader.tpm2b()
}

export interface StartedSession {
  readonly handle: number
  readonly nonce: Uint8Array
}

const NOT_ENCRYPTED = u16(ALG.none)
const AES_128_CFB = concat(u16(ALG.aes), u16(128), u16(ALG.cfb))

/**
 * 11.1 TPM2_StartAuthSession, bound to nothing; a nonce of 16 to 32 bytes. With a salt that is encrypted to a loaded key it is an
 * HMAC session that can encrypt parameters, else a policy session.
 */
export const startSession = (
  nonce: Uint8Array,
  salt?: { readonly key: number; readonly encrypted: Uint8Array },
): TpmCommand<StartedSession> => ({
  name: 'StartAuthSession',
  code: 0x176,
  handles: [salt?.key ?? RH_NULL, RH_NULL],
  parameters: concat(
    tpm2b(nonce),
    tpm2b(salt?.encrypted ?? NO_BYTES),
    Uint8Array.of(salt === undefined ? SESSION_POLICY : SESSION_HMAC),
    salt === undefined ? NOT_ENCRYPTED : AES_128_CFB,
    u16(ALG.sha256),
  ),
  makesHandle: true,
  withinMs: QUICK_MS,
  read: (reader, handle) => ({ handle, nonce: reader.tpm2b() }),
})

/** 24.1 TPM2_CreatePrimary: the same key each time for one template, until the hierarchy's seed is changed. */
export const createPrimary = (hierarchy: number, template: Uint8Array): TpmCommand<MadeKey> => ({
  name: 'CreatePrimary',
  code: 0x131,
  handles: [hierarchy],
  auths: [NO_BYTES],
  parameters: concat(sensitive(NO_BYTES), tpm2b(template), NOTHING_ELSE),
  makesHandle: true,
  withinMs: MAKING_MS,
  read: (reader, handle) => {
    const area = reader.tpm2b()
    skipCreation(reader)
    reader.tpm2b()
    return { handle, area }
  },
})

/** A key at a handle with what opens it. */
export interface OpenedKey {
  readonly handle: number
  readonly name: Uint8Array
  readonly auth: TpmAuth
}

export interface CreatedKey {
  /** Encrypted by the parent: only this TPM can load it. */
  readonly encrypted: Uint8Array
  readonly area: Uint8Array
}

/** 12.1 TPM2_Create: a new key, from the TPM's own random numbers. */
export const create = (parent: OpenedKey, template: Uint8Array, auth: Uint8Array): TpmCommand<CreatedKey> => ({
  name: 'Create',
  code: 0x153,
  handles: [parent.handle],
  names: [parent.name],
  auths: [parent.auth],
  parameters: concat(sensitive(auth), tpm2b(template), NOTHING_ELSE),
  withinMs: MAKING_MS,
  read: reader => {
    const encrypted = reader.tpm2b()
    const area = reader.tpm2b()
    skipCreation(reader)
    return { encrypted, area }
  },
})

/** 12.2 TPM2_Load. */
export const load = (parent: number, key: CreatedKey): TpmCommand<number> => ({
  name: 'Load',
  code: 0x157,
  handles: [parent],
  auths: [NO_BYTES],
  parameters: concat(tpm2b(key.encrypted), tpm2b(key.area)),
  makesHandle: true,
  withinMs: QUICK_MS,
  read: (reader, handle) => {
    reader.tpm2b()
    return handle
  },
})

/** 12.4 TPM2_ReadPublic: TPMT_PUBLIC. */
export const readPublic = (handle: number): TpmCommand<Uint8Array> => ({
  name: 'ReadPublic',
  code: 0x173,
  handles: [handle],
  withinMs: QUICK_MS,
  read: reader => {
    const area = reader.tpm2b()
    reader.tpm2b()
    reader.tpm2b()
    return area
  },
})

/** 28.5 TPM2_EvictControl of a loaded key: it stays at `persistent`. A handle that is taken is refused by the TPM. */
export const makePersistent = (loaded: number, persistent: number): TpmCommand<true> => ({
  name: 'EvictControl',
  code: 0x120,
  handles: [HIERARCHY.owner, loaded],
  auths: [NO_BYTES],
  parameters: u32(persistent),
  withinMs: QUICK_MS,
  read: () => true,
})

/** 28.4 TPM2_FlushContext: its handle is a parameter. */
export const flushContext = (handle: number): TpmCommand<true> => ({
  name: 'FlushContext',
  code: 0x165,
  parameters: u32(handle),
  withinMs: QUICK_MS,
  read: () => true,
})

/** TPMT_SIGNATURE by ECDSA with SHA-256, as r || s with the lower s. */
function readSignature(reader: TpmReader): Uint8Array | undefined {
  const scheme = reader.u16()
  const hash = reader.u16()
  const r = coordinate(reader.tpm2b())
  const s = coordinate(reader.tpm2b())
  if (scheme !== ALG.ecdsa || hash !== ALG.sha256 || r === undefined || s === undefined) return undefined
  return withLowS(concat(r, s))
}

/** 20.2 TPM2_Sign of a SHA-256 hash, by the scheme that is part of the key. */
export const sign = ({ handle, name, auth }: OpenedKey, digest: Uint8Array): TpmCommand<Uint8Array> => ({
  name: 'Sign',
  code: 0x15d,
  handles: [handle],
  names: [name],
  auths: [auth],
  // An empty ticket: the key is not restricted, so the TPM need not have made the hash itself.
  parameters: concat(tpm2b(digest), u16(ALG.none), u16(ST_HASHCHECK), u32(RH_NULL), tpm2b(NO_BYTES)),
  withinMs: QUICK_MS,
  read: readSignature,
})

export interface Certified {
  /** TPMS_ATTEST, whose SHA-256 is what is signed. */
  readonly attest: Uint8Array
  readonly signature: Uint8Array
}

/** 18.2 TPM2_Certify: the attestation key says that `key` is loaded in the same TPM, and by what Name. */
export const certify = (
  key: OpenedKey,
  attestationKey: Omit<OpenedKey, 'auth'>,
  nonce: Uint8Array,
): TpmCommand<Certified> => ({
  name: 'Certify',
  code: 0x148,
  handles: [key.handle, attestationKey.handle],
  names: [key.name, attestationKey.name],
  auths: [key.auth, NO_BYTES],
  parameters: concat(tpm2b(nonce), u16(ALG.none)),
  withinMs: QUICK_MS,
  read: reader => {
    const attest = reader.tpm2b()
    const signature = readSignature(reader)
    return signature === undefined ? undefined : { attest, signature }
  },
})
