/** Public keys as people hand them around: raw or DER, in hex or base64, or a PEM. */
import { concat, equalBytes, fromHex, hex, toHex } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import { admissionFault } from '../../../protocol/identity/key.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'

/** SubjectPublicKeyInfo up to the raw key: RFC 8410 section 4, and RFC 5480 section 2 for a plain P-256 point. */
const ED25519 = hex('302a 3005 0603 2b6570 0321 00')
const P256 = hex('3059 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0342 00')

/** A P-256 key of ours as stations' keys are written: its SubjectPublicKeyInfo in hex, with the plain point. */
export const stationKey = (raw: Uint8Array): string => toHex(concat(P256, p256.Point.fromBytes(raw).toBytes(false)))

/** The bytes that a text stands for, whatever the key. */
function keyBytes(text: string): Uint8Array | undefined {
  const body = text.replace(/-----[A-Z ]+-----/g, '').replace(/\s+/g, '')
  if (body === '') return undefined
  const digits = fromHex(body)
  if (digits !== undefined) return digits
  return /^[A-Za-z0-9+/]+=*$/.test(body) ? new Uint8Array(Buffer.from(body, 'base64')) : undefined
}

/** A key that signs for Tieline, as everywhere here: 32 bytes Ed25519, or a compressed P-256 point of 33. */
export function readSigningKey(text: string): Result<Uint8Array> {
  const bytes = keyBytes(text)
  if (bytes === undefined) return fail({ code: 'key.unreadable', hint: 'hex, base64 or PEM of a public key' })
  const raw = unwrap(bytes)
  const fault = admissionFault(raw)
  return fault === undefined ? ok(raw) : fail({ ...fault })
}

function unwrap(bytes: Uint8Array): Uint8Array {
  const behind = (head: Uint8Array) =>
    equalBytes(bytes.subarray(0, head.length), head) ? bytes.subarray(head.length) : undefined
  const raw = behind(ED25519) ?? behind(P256) ?? bytes
  return raw.length === 65 && raw[0] === 4 ? concat(Uint8Array.of(2 + (raw[64]! & 1)), raw.subarray(1, 33)) : raw
}
