/**
 * A private key sealed by a passphrase: canonical CBOR, one file a key.
 *
 *     [ "tieline sealed key 2", kind, salt (16), nonce (12), AES-256-GCM of the secret and its tag (16), checksum (8) ]
 *
 * The kind says what the secret is a secret of, because 32 bytes do not: read as another kind they would be another key.
 * The wrapping key is scrypt of the passphrase (NFKC, UTF-8) with N 2^15, r 8, p 3, which is 32 MiB of memory and about
 * half a second on a board. The text, the kind and the salt are authenticated with the secret. The checksum, the first 8
 * bytes of SHA-256 of what stands before it, tells a damaged file from a wrong passphrase and says nothing about either.
 *
 * Files that are made together share a salt, and so one derivation opens them all (wrapping-keys.ts). Each has a nonce of its
 * own, drawn at random: one key may seal 2^32 messages under random nonces of 96 bits (NIST SP 800-38D, 8.3), and a site seals a
 * few. Nothing is lost by it: whoever guesses the passphrase of one file has guessed that of the others, whatever their salts.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { concat, equalBytes } from '../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../protocol/cbor.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Disk, Entropy } from '../ports.ts'
import { createWrappingKeys, SALT_BYTES, type WrappingKeys } from './wrapping-keys.ts'

/** Names the format, its parameters included: other costs are another number. */
const FORMAT = 'tieline sealed key 2'
/** Of another number; what such a file holds is not guessed. */
const ANY_FORMAT = /^tieline sealed key \d+$/
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CHECKSUM_BYTES = 8
/** Ed25519 and X25519 seeds, P-256 scalars. */
const SECRET_BYTES = 32

const SECRET_KINDS = ['ed25519', 'p256', 'x25519'] as const
/** A seed of Ed25519 (RFC 8032), a scalar of P-256 (SEC 1), a scalar of X25519 (RFC 7748). */
export type SecretKind = (typeof SECRET_KINDS)[number]

export interface Secret {
  readonly kind: SecretKind
  readonly bytes: Uint8Array
}

export type SealedFileFault =
  | { readonly code: 'keys.exists'; readonly file: string; readonly hint: string }
  | { readonly code: 'keys.disk'; readonly file: string; readonly cause: string }
  | { readonly code: 'keys.damaged'; readonly file: string; readonly hint: string }
  | { readonly code: 'keys.format'; readonly file: string; readonly expected: string; readonly received: string }
  | { readonly code: 'keys.wrong-passphrase'; readonly file: string; readonly hint: string }
  | { readonly code: 'keys.empty-passphrase'; readonly file: string }

/**
 * Writes the sealed secret, whole or not at all; a file that is there already is never replaced. `shared` are the wrapping keys
 * of files that are made or opened together; whoever made them wipes them.
 */
export async function sealKey(
  disk: Disk,
  file: string,
  { kind, bytes }: Secret,
  passphrase: string,
  entropy: Entropy,
  shared?: WrappingKeys,
): Promise<Result<void, SealedFileFault>> {
  if (bytes.length !== SECRET_BYTES) throw new RangeError(`a secret of ${bytes.length} bytes`)
  if (passphrase === '') return fail({ code: 'keys.empty-passphrase', file })
  const there = await disk.read(file)
  if (there.ok)
    return fail({ code: 'keys.exists', file, hint: 'a key that is lost cannot be made again; move it away first' })
  if (there.fault.code !== 'disk.missing') return fail({ code: 'keys.disk', file, cause: there.fault.code })
  const wrapping = shared ?? createWrappingKeys()
  const salt = wrapping.saltOfNew(entropy)
  const nonce = entropy.bytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', await wrapping.keyOf(passphrase, salt), nonce)
  cipher.setAAD(aadOf(kind, salt))
  const sealed = concat(cipher.update(bytes), cipher.final(), cipher.getAuthTag())
  if (shared === undefined) wrapping.wipe()
  const fields = [FORMAT, kind, salt, nonce, sealed]
  const written = await disk.replace(file, encode([...fields, checksumOf(fields)]))
  return written.ok ? done : fail({ code: 'keys.disk', file, cause: written.fault.code })
}

/**
 * What a file's bytes hold; `file` only names them in a fault. Whoever asks wipes the secret once it is inside a key object.
 * `shared` as for `sealKey`.
 */
export async function unsealKey(
  file: string,
  bytes: Uint8Array,
  passphrase: string,
  shared?: WrappingKeys,
): Promise<Result<Secret, SealedFileFault>> {
  const parts = partsOf(bytes)
  if (parts === undefined) return fail({ code: 'keys.damaged', file, hint: 'restore the file from a copy' })
  if ('format' in parts) return fail({ code: 'keys.format', file, expected: FORMAT, received: parts.format })
  const wrapping = shared ?? createWrappingKeys()
  const key = await wrapping.keyOf(passphrase, parts.salt)
  const end = parts.sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, parts.nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(aadOf(parts.kind, parts.salt))
  decipher.setAuthTag(parts.sealed.subarray(end))
  const secret = decipher.update(parts.sealed.subarray(0, end))
  try {
    decipher.final()
  } catch {
    // GCM says only that the tag does not match; the checksum has said that the file is whole.
    secret.fill(0)
    return fail({ code: 'keys.wrong-passphrase', file, hint: 'the file is whole: another passphrase opens it' })
  } finally {
    if (shared === undefined) wrapping.wipe()
  }
  wrapping.opened(parts.salt)
  const copy = new Uint8Array(secret)
  secret.fill(0)
  return ok({ kind: parts.kind, bytes: copy })
}

/** Whether these are the bytes of a sealed key of ours, whole; of whatever number of the format. */
export const isSealedKey = (bytes: Uint8Array): boolean => partsOf(bytes) !== undefined

/** Whether this program can open it: then it is of one length, and holds nothing that another program would take for its own. */
export function isKnownSealedKey(bytes: Uint8Array): boolean {
  const parts = partsOf(bytes)
  return parts !== undefined && 'kind' in parts
}

interface Parts {
  readonly kind: SecretKind
  readonly salt: Uint8Array
  readonly nonce: Uint8Array
  readonly sealed: Uint8Array
}

/** Undefined for anything that was not written whole by us; a whole file of another number answers with its format. */
function partsOf(bytes: Uint8Array): Parts | { readonly format: string } | undefined {
  const item = decode(bytes, 256)
  if (!item.ok || !Array.isArray(item.value)) return undefined
  const fields = item.value.slice(0, -1)
  const checksum = item.value.at(-1)
  if (!(checksum instanceof Uint8Array && equalBytes(checksum, checksumOf(fields)))) return undefined
  const [format, kind, salt, nonce, sealed] = fields
  if (format !== FORMAT) return typeof format === 'string' && ANY_FORMAT.test(format) ? { format } : undefined
  if (!(salt instanceof Uint8Array && nonce instanceof Uint8Array && sealed instanceof Uint8Array)) return undefined
  const known = SECRET_KINDS.find(one => one === kind)
  if (known === undefined || fields.length !== 5) return undefined
  if (salt.length !== SALT_BYTES || nonce.length !== NONCE_BYTES) return undefined
  return sealed.length === SECRET_BYTES + TAG_BYTES ? { kind: known, salt, nonce, sealed } : undefined
}

const aadOf = (kind: SecretKind, salt: Uint8Array): Uint8Array => encode([FORMAT, kind, salt])

const checksumOf = (fields: readonly Cbor[]): Uint8Array => sha256(encode(fields)).subarray(0, CHECKSUM_BYTES)
