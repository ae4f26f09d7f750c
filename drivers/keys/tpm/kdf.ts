/** Secrets agreed with a TPM (TPM 2.0 Library Part 1, "KDFa()", "KDFe()" and "ECDH"). */
import { createECDH, createHash, createHmac } from 'node:crypto'
import { concat, utf8 } from '../../../protocol/bytes.ts'
import { tpm2b, u32 } from '../../../protocol/tpm/marshal.ts'

const ZERO = Uint8Array.of(0)

export const hmacSha256 = (key: Uint8Array, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac('sha256', key).update(bytes).digest())

/** NIST SP 800-108 in counter mode with HMAC-SHA-256, for at most 256 bits. */
export const kdfA = (key: Uint8Array, label: string, context: Uint8Array, bits: 128 | 256): Uint8Array =>
  hmacSha256(key, concat(u32(1), utf8(label), ZERO, context, u32(bits))).subarray(0, bits / 8)

export interface SharedSecret {
  readonly secret: Uint8Array
  /** TPMS_ECC_POINT: our half of the agreement, for the TPM. */
  readonly point: Uint8Array
}

/**
 * A secret of 256 bits shared with whoever holds a P-256 key: our half is drawn here (NIST SP 800-56A, one step with SHA-256).
 * Throws on a key that is no point of the curve: to be checked before.
 */
export function shareSecret(publicKey: Uint8Array, label: 'IDENTITY' | 'SECRET'): SharedSecret {
  const ephemeral = createECDH('prime256v1')
  const own = new Uint8Array(ephemeral.generateKeys())
  const z = new Uint8Array(ephemeral.computeSecret(publicKey))
  const [x, y] = [own.subarray(1, 33), own.subarray(33)]
  const hashed = concat(u32(1), z, utf8(label), ZERO, x, publicKey.subarray(1))
  return { secret: new Uint8Array(createHash('sha256').update(hashed).digest()), point: concat(tpm2b(x), tpm2b(y)) }
}
