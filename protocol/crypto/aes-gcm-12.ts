/**
 * Opens what meters seal with DLMS security suites 0 and 1 (IEC 62056-5-3, 5.3.4; both AES-128-GCM with a tag of 12 bytes,
 * NIST SP 800-38D): DLMS push telegrams, and the encrypted P1.
 *
 *     nonce = system title (8) || frame counter (4, most significant byte first)
 *     security control   bytes                 associated data
 *     10 authentication  plain text || tag     security control || authentication key || plain text
 *     20 encryption      ciphertext            none, and no tag
 *     30 both            ciphertext || tag     security control || authentication key
 */
import { concat } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import { ctr, gcm } from './ciphers.ts'

export interface SealedBySuite0 {
  /** The global unicast encryption key. */
  readonly key: Uint8Array
  /** The authentication key; without one a tag is cut off and NOT checked, with one there must be a tag. */
  readonly authKey: Uint8Array | undefined
  /** The sender's eight bytes. */
  readonly systemTitle: Uint8Array
  /** Bit 5 encryption, bit 4 authentication, bits 3..0 the suite; compression (bit 7) and broadcast keys (bit 6) are refused. */
  readonly securityControl: number
  /** Frame counter, 32 bits without sign. */
  readonly counter: number
  /** What follows the frame counter, the tag included. */
  readonly bytes: Uint8Array
}

export type Suite0Fault =
  | { readonly code: 'cipher.key'; readonly bytes: number }
  | { readonly code: 'cipher.control'; readonly securityControl: number }
  | { readonly code: 'cipher.untagged'; readonly securityControl: number; readonly hint: string }
  | { readonly code: 'cipher.short'; readonly bytes: number }
  | { readonly code: 'cipher.tag'; readonly counter: number }

const KEY_BYTES = 16
const TITLE_BYTES = 8
const TAG_BYTES = 12
const AUTHENTICATED = 0x10
const ENCRYPTED = 0x20
/** The counter block of the first block of text (SP 800-38D, 7.1: J0 + 1). */
const FIRST_BLOCK = Uint8Array.of(0, 0, 0, 2)

const UNTAGGED = 'a meter that sends no tags is read without the authentication key'

/** The plain text; authentic where `authKey` is given. */
export function openSuite0(sealed: SealedBySuite0): Result<Uint8Array, Suite0Fault> {
  const { key, authKey, systemTitle, securityControl, counter, bytes } = sealed
  const wrongKey = [key, authKey].find(one => one !== undefined && one.length !== KEY_BYTES)
  if (wrongKey !== undefined) return fail({ code: 'cipher.key', bytes: wrongKey.length })
  const protection = securityControl & 0xf0
  const tagged = (protection & AUTHENTICATED) !== 0
  const encrypted = (protection & ENCRYPTED) !== 0
  if (protection > (AUTHENTICATED | ENCRYPTED) || protection === 0 || (securityControl & 0x0f) > 1)
    return fail({ code: 'cipher.control', securityControl })
  // Whoever may change one bit on the line could otherwise switch the check off.
  if (!tagged && authKey !== undefined) return fail({ code: 'cipher.untagged', securityControl, hint: UNTAGGED })
  const end = bytes.length - (tagged ? TAG_BYTES : 0)
  if (end < 0 || systemTitle.length !== TITLE_BYTES) return fail({ code: 'cipher.short', bytes: bytes.length })

  const nonce = concat(systemTitle, Uint8Array.of(counter >>> 24, counter >>> 16, counter >>> 8, counter))
  const body = bytes.subarray(0, end)
  const text = encrypted ? ctr(key, concat(nonce, FIRST_BLOCK)).decrypt(body) : body.slice()
  if (tagged && authKey !== undefined) {
    const head = concat(Uint8Array.of(securityControl), authKey)
    // noble checks whole tags of 16 bytes only: the tag is made again, and its first 12 bytes are compared.
    const made = encrypted
      ? gcm(key, nonce, head).encrypt(text).subarray(end)
      : gcm(key, nonce, concat(head, body)).encrypt(new Uint8Array(0))
    if (!sameTag(made, bytes.subarray(end))) return fail({ code: 'cipher.tag', counter })
  }
  return ok(text)
}

/** Whether the first bytes of `made` are `sent`; takes as long wherever they differ. */
function sameTag(made: Uint8Array, sent: Uint8Array): boolean {
  let differ = 0
  for (let i = 0; i < TAG_BYTES; i++) differ |= made[i]! ^ sent[i]!
  return differ === 0
}
