/**
 * A private key sealed by a passphrase: canonical CBOR, one file a key.
 *
 *     [ "tieline sealed key 1", salt (16), nonce (12), AES-256-GCM of the secret and its tag (16), checksum (8) ]
 *
 * The wrapping key is scrypt of the passphrase (NFKC, UTF-8) with N 2^15, r 8, p 3, which is 32 MiB of memory and about
 * half a second on a board. The text and the salt are authenticated with the secret. The checksum, the first 8 bytes of
 * SHA-256 of what stands before it, tells a damaged file from a wrong passphrase and says nothing about either.
 */
import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto'
import { concat, equalBytes, utf8 } from '../../protocol/bytes.ts'
import { decode, encode } from '../../protocol/cbor.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Disk, Entropy } from '../ports.ts'

/** Names the format, its parameters included: other costs are another number. */
const FORMAT = 'tieline sealed key 1'
/** OWASP's scrypt setting for 32 MiB: what fits beside the agent on a board of 512 MB. */
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 << 20 } as const
const SALT_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CHECKSUM_BYTES = 8
/** Seeds and scalars are 32 bytes; nothing longer is a key of ours. */
const MAX_SECRET = 64

export type SealedFileFault =
  | { readonly code: 'keys.missing'; readonly file: string; readonly hint: string }
  | { readonly code: 'keys.exists'; readonly file: string; readonly hint: string }
  | { readonly code: 'keys.disk'; readonly file: string; readonly cause: string }
  | { readonly code: 'keys.damaged'; readonly file: string; readonly hint: string }
  | { readonly code: 'keys.wrong-passphrase'; readonly file: string }
  | { readonly code: 'keys.empty-passphrase'; readonly file: string }

/** Writes the sealed secret, whole or not at all; a file that is there already is never replaced. */
export async function sealKey(
  disk: Disk,
  file: string,
  secret: Uint8Array,
  passphrase: string,
  entropy: Entropy,
): Promise<Result<void, SealedFileFault>> {
  if (secret.length === 0 || secret.length > MAX_SECRET) throw new RangeError(`a secret of ${secret.length} bytes`)
  if (passphrase === '') return fail({ code: 'keys.empty-passphrase', file })
  const there = await disk.read(file)
  if (there.ok)
    return fail({ code: 'keys.exists', file, hint: 'a key that is lost cannot be made again; move it away first' })
  if (there.fault.code !== 'disk.missing') return fail({ code: 'keys.disk', file, cause: there.fault.code })
  const salt = entropy.bytes(SALT_BYTES)
  const nonce = entropy.bytes(NONCE_BYTES)
  const key = await wrappingKey(passphrase, salt)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(aadOf(salt))
  const sealed = concat(cipher.update(secret), cipher.final(), cipher.getAuthTag())
  key.fill(0)
  const fields = [FORMAT, salt, nonce, sealed]
  const written = await disk.replace(file, encode([...fields, checksumOf(fields)]))
  return written.ok ? done : fail({ code: 'keys.disk', file, cause: written.fault.code })
}

/** The secret. Whoever asks wipes it as soon as it is inside a key object. */
export async function openSealedKey(
  disk: Disk,
  file: string,
  passphrase: string,
): Promise<Result<Uint8Array, SealedFileFault>> {
  const read = await disk.read(file)
  if (!read.ok) {
    return read.fault.code === 'disk.missing'
      ? fail({ code: 'keys.missing', file, hint: 'make the keys of this site first' })
      : fail({ code: 'keys.disk', file, cause: read.fault.code })
  }
  const parts = partsOf(read.value)
  if (parts === undefined) return fail({ code: 'keys.damaged', file, hint: 'restore the file from a copy' })
  const key = await wrappingKey(passphrase, parts.salt)
  const end = parts.sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, parts.nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(aadOf(parts.salt))
  decipher.setAuthTag(parts.sealed.subarray(end))
  const secret = decipher.update(parts.sealed.subarray(0, end))
  try {
    decipher.final()
  } catch {
    // GCM says only that the tag does not match; the checksum has said that the file is whole.
    secret.fill(0)
    return fail({ code: 'keys.wrong-passphrase', file })
  } finally {
    key.fill(0)
  }
  const copy = new Uint8Array(secret)
  secret.fill(0)
  return ok(copy)
}

function partsOf(bytes: Uint8Array): { salt: Uint8Array; nonce: Uint8Array; sealed: Uint8Array } | undefined {
  const item = decode(bytes, 256)
  if (!item.ok || !Array.isArray(item.value) || item.value.length !== 5) return undefined
  const [format, salt, nonce, sealed, checksum] = item.value
  if (format !== FORMAT || !(salt instanceof Uint8Array && nonce instanceof Uint8Array)) return undefined
  if (!(sealed instanceof Uint8Array && checksum instanceof Uint8Array)) return undefined
  if (salt.length !== SALT_BYTES || nonce.length !== NONCE_BYTES || sealed.length <= TAG_BYTES) return undefined
  return equalBytes(checksum, checksumOf([format, salt, nonce, sealed])) ? { salt, nonce, sealed } : undefined
}

const aadOf = (salt: Uint8Array): Uint8Array => concat(utf8(FORMAT), salt)

const checksumOf = (fields: readonly (string | Uint8Array)[]): Uint8Array =>
  sha256(encode(fields)).subarray(0, CHECKSUM_BYTES)

/** In the thread pool: it would stop the control loop for half a second. */
const wrappingKey = (passphrase: string, salt: Uint8Array): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), salt, 32, COST, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
