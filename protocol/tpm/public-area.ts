/**
 * The public half of a TPM's key (TPM 2.0 Library Part 2, TPMT_PUBLIC), for keys on P-256 named by SHA-256:
 *
 *     0023 000b | attributes 4 | policy TPM2B | symmetric | scheme | 0003 | kdf | x TPM2B | y TPM2B
 *
 * The TPM vouches for its attributes, and the key's Name is a hash of all of it.
 */
import { concat, hex } from '../bytes.ts'
import { p256 } from '../crypto/curves.ts'
import { sha256 } from '../crypto/hash.ts'
import { NO_BYTES, TpmReader, tpm2b, u16, u32 } from './marshal.ts'

/** TPM_ALG_ID (Part 2, 6.3). */
export const ALG = { aes: 0x0006, sha256: 0x000b, none: 0x0010, ecdsa: 0x0018, ecc: 0x0023, cfb: 0x0043 } as const
/** TPM_ECC_NIST_P256 (Part 2, 6.4). */
export const CURVE_P256 = 0x0003
const COORDINATE_BYTES = 32

/** TPMA_OBJECT (Part 2, 8.3): the bits that keys here have or must not have. */
const ATTRIBUTE = {
  fixedTPM: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDA: 1 << 10,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
} as const
export type TpmAttribute = keyof typeof ATTRIBUTE
const ATTRIBUTES = Object.keys(ATTRIBUTE) as TpmAttribute[]

/** Made inside this TPM, and never to leave it in any form that another one could load. */
const BORN_AND_STAYS = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const

export interface TpmPublic {
  readonly attributes: ReadonlySet<TpmAttribute>
  /** Signs by ECDSA with SHA-256 and in no other way. */
  readonly ecdsaSha256: boolean
  /** Compressed P-256 point of 33 bytes. */
  readonly publicKey: Uint8Array
  /** 000b and SHA-256 of the whole area: 34 bytes. */
  readonly name: Uint8Array
}

/** What makes a key worth `trust: 'tpm'`, or an attestation key worth believing; empty lists where it is. */
export type AttributeFault = {
  readonly code: 'tpm.key-attributes'
  readonly role: 'metering' | 'attestation'
  readonly missing: readonly string[]
  readonly unwanted: readonly string[]
  readonly hint: string
}

/**
 * A metering key must be free to sign what it is given; an attestation key must be restricted, so that the TPM itself only
 * has it sign what the TPM says, and nothing from outside that looks the same.
 */
export function attributeFault(area: TpmPublic, role: AttributeFault['role']): AttributeFault | undefined {
  const wanted: TpmAttribute[] = [...BORN_AND_STAYS, 'sign', ...(role === 'attestation' ? ['restricted' as const] : [])]
  const refused: TpmAttribute[] = ['decrypt', ...(role === 'attestation' ? [] : ['restricted' as const])]
  const missing: string[] = wanted.filter(name => !area.attributes.has(name))
  if (!area.ecdsaSha256) missing.push('ecdsaSha256')
  const unwanted = refused.filter(name => area.attributes.has(name))
  if (missing.length + unwanted.length === 0) return undefined
  const hint = 'this TPM does not vouch for the key: have it make one (tieline key init), at another handle'
  return { code: 'tpm.key-attributes', role, missing, unwanted, hint }
}

export const nameOf = (area: Uint8Array): Uint8Array => concat(u16(ALG.sha256), sha256(area))

/** Undefined for any other kind of key, and for bytes that are none. */
export function readPublicArea(bytes: Uint8Array): TpmPublic | undefined {
  const reader = new TpmReader(bytes)
  const kind = reader.u16()
  const nameAlg = reader.u16()
  const bits = reader.u32()
  reader.tpm2b()
  const symmetric = reader.u16()
  if (symmetric === ALG.aes) reader.take(4)
  else if (symmetric !== ALG.none) return undefined
  const scheme = reader.u16()
  const hash = scheme === ALG.none ? ALG.none : reader.u16()
  const curve = reader.u16()
  const kdf = reader.u16()
  const x = coordinate(reader.tpm2b())
  const y = coordinate(reader.tpm2b())
  if (!reader.ended || kind !== ALG.ecc || nameAlg !== ALG.sha256 || curve !== CURVE_P256 || kdf !== ALG.none)
    return undefined
  const publicKey = x === undefined || y === undefined ? undefined : compressed(x, y)
  if (publicKey === undefined) return undefined
  return {
    attributes: new Set(ATTRIBUTES.filter(name => (bits & ATTRIBUTE[name]) !== 0)),
    ecdsaSha256: scheme === ALG.ecdsa && hash === ALG.sha256,
    publicKey,
    name: nameOf(bytes),
  }
}

/** 33 bytes; undefined where the coordinates are no point of P-256. */
function compressed(x: Uint8Array, y: Uint8Array): Uint8Array | undefined {
  try {
    return p256.Point.fromBytes(concat(Uint8Array.of(4), x, y)).toBytes(true)
  } catch {
    // noble says by throwing that the point is not on the curve.
    return undefined
  }
}

/** A number of at most 32 bytes in exactly 32: some TPMs leave leading zeros out. */
export function coordinate(number: Uint8Array): Uint8Array | undefined {
  if (number.length > COORDINATE_BYTES) return undefined
  return concat(new Uint8Array(COORDINATE_BYTES - number.length), number)
}

function template(
  attributes: readonly TpmAttribute[],
  symmetric: Uint8Array,
  scheme: Uint8Array,
  policy = NO_BYTES,
  coordinates = NO_BYTES,
): Uint8Array {
  const bits = attributes.reduce((sum, name) => sum | ATTRIBUTE[name], 0)
  return concat(
    u16(ALG.ecc),
    u16(ALG.sha256),
    u32(bits),
    tpm2b(policy),
    symmetric,
    scheme,
    u16(CURVE_P256),
    u16(ALG.none),
    tpm2b(coordinates),
    tpm2b(coordinates),
  )
}

const NONE = u16(ALG.none)
const ECDSA_SHA256 = concat(u16(ALG.ecdsa), u16(ALG.sha256))
const AES_128_CFB = concat(u16(ALG.aes), u16(128), u16(ALG.cfb))
const STAYS: readonly TpmAttribute[] = [...BORN_AND_STAYS, 'userWithAuth', 'noDA']

/**
 * What is asked of the TPM to make a key. `noDA`: a wrong authorization anywhere must not stop this meter from signing; the
 * authorization values are random and of 128 bits, so that nobody guesses them however often.
 */
export const TEMPLATE = {
  /** The storage key of TCG's provisioning guidance: the parent of our key, the same whenever this TPM is asked. */
  storage: template([...STAYS, 'restricted', 'decrypt'], AES_128_CFB, NONE),
  metering: template([...STAYS, 'sign'], NONE, ECDSA_SHA256),
  attestation: template([...STAYS, 'sign', 'restricted'], NONE, ECDSA_SHA256),
  /**
   * Template L-2 of the TCG EK Credential Profile for TPM 2.0: the key that the maker's certificate is about. Used under the
   * policy PolicySecret(TPM_RH_ENDORSEMENT), whose hash this is.
   */
  endorsement: template(
    [...BORN_AND_STAYS, 'adminWithPolicy', 'restricted', 'decrypt'],
    AES_128_CFB,
    NONE,
    hex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa'),
    new Uint8Array(COORDINATE_BYTES),
  ),
} as const
