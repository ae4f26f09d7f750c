/**
 * The encrypted P1 of Luxembourg ("Smarty"), Lithuania and parts of Austria: a DSMR telegram inside the general-glo-ciphering
 * APDU of DLMS (IEC 62056-5-3; Luxmetering "P1 port specification" 1.1.3; Sagemcom T210-D), 115,200 baud 8N1, one telegram
 * every ten seconds.
 *
 *     DB                        general-glo-ciphering
 *     08 title (8)              system title: who sends
 *     82 nn nn                  bytes that follow (81 nn or nn where they are few)
 *     30                        security control: 30 encrypted with a tag, 20 without
 *     counter (4)               frame counter, rises with every telegram
 *     ciphertext, tag (12)      inside is "/", data lines and "!" with its CRC
 *
 * With the authentication key the tag has to hold. These countries use a published one, 00112233445566778899AABBCCDDEEFF;
 * without it the text's own CRC has to hold, which keeps out damage but no forger.
 */
import { openSuite0, type Suite0Fault } from '../crypto/aes-gcm-12.ts'
import type { Pull } from '../result.ts'
import { DSMR_FRAME_MAX, type DsmrFault, type DsmrReading, decodeDsmr } from './dsmr.ts'
import type { TelegramKeys } from './telegram.ts'

export interface EncryptedP1Reading extends DsmrReading {
  /** The sender's eight bytes: the maker's three letters, then the maker's own numbers. */
  readonly systemTitle: Uint8Array
  readonly counter: number
}

export type EncryptedP1Fault =
  | { readonly code: 'p1.noise'; readonly bytes: number }
  | { readonly code: 'p1.cut'; readonly bytes: number }
  | { readonly code: 'p1.header'; readonly at: number }
  | { readonly code: 'p1.no-key'; readonly hint: string }
  | { readonly code: 'p1.key'; readonly counter: number; readonly hint: string }
  | { readonly code: 'p1.unchecked'; readonly counter: number; readonly hint: string }
  | Suite0Fault
  | DsmrFault

const TAG = 0xdb
const TITLE_LENGTH = 8
/** Of the security control. */
const AUTHENTICATED = 0x10
/** What every telegram begins with. */
const SLASH = 0x2f
/** DB, 08, title. */
const MARK_LENGTH = 2 + TITLE_LENGTH
/** Security control and counter. */
const SECURITY_LENGTH = 5
/** The longest telegram and its tag. */
const SEALED_MAX = SECURITY_LENGTH + DSMR_FRAME_MAX + 12

const NO_KEY = "this meter's telegrams are encrypted: ask the grid operator for its key"
const WRONG_KEY = 'damaged on the line, or the key is not the one that the grid operator gave for this meter'

/** Decodes the encrypted telegram at the start of `bytes`. */
export function decodeEncryptedP1(bytes: Uint8Array, keys: TelegramKeys): Pull<EncryptedP1Reading, EncryptedP1Fault> {
  const start = findMark(bytes, 0)
  if (start > 0) return { kind: 'junk', skip: start, fault: { code: 'p1.noise', bytes: start } }
  const junk = (fault: EncryptedP1Fault): Pull<EncryptedP1Reading, EncryptedP1Fault> => ({
    kind: 'junk',
    skip: findMark(bytes, 1),
    fault,
  })
  const need = (length: number) => ({ kind: 'need', bytes: length - bytes.length }) as const

  if (bytes.length <= MARK_LENGTH) return need(MARK_LENGTH + 1)
  const first = bytes[MARK_LENGTH]!
  if (first === 0x80 || first > 0x82) return junk({ code: 'p1.header', at: MARK_LENGTH })
  const at = MARK_LENGTH + 1 + (first < 0x80 ? 0 : first - 0x80)
  if (bytes.length < at + SECURITY_LENGTH) return need(at + SECURITY_LENGTH)
  const length = first < 0x80 ? first : bytes.subarray(MARK_LENGTH + 1, at).reduce((sum, byte) => 256 * sum + byte, 0)
  const securityControl = bytes[at]!
  // What is not encrypted at all is no telegram of this kind.
  if (length < SECURITY_LENGTH || length > SEALED_MAX || (securityControl & 0xe0) !== 0x20)
    return junk({ code: 'p1.header', at })

  const used = at + length
  // A telegram that was cut short would swallow those behind it.
  const again = findTitle(bytes)
  if (again < used && again < bytes.length)
    return { kind: 'junk', skip: again, fault: { code: 'p1.cut', bytes: again } }
  if (bytes.length < used) return need(used)
  if (keys.encryption === undefined) return { kind: 'junk', skip: used, fault: { code: 'p1.no-key', hint: NO_KEY } }
  const systemTitle = bytes.slice(2, MARK_LENGTH)
  const counter = new DataView(bytes.buffer, bytes.byteOffset + at + 1).getUint32(0)
  const sealed = { key: keys.encryption, systemTitle, counter, bytes: bytes.subarray(at + SECURITY_LENGTH, used) }
  // One block tells noise, whose marks may all promise thousands of bytes, from a telegram under this key.
  const begin = openSuite0({
    ...sealed,
    authKey: undefined,
    securityControl: securityControl & ~AUTHENTICATED,
    bytes: sealed.bytes.subarray(0, 1),
  })
  if (begin.ok && begin.value[0] !== SLASH) return junk({ code: 'p1.key', counter, hint: WRONG_KEY })
  const text = openSuite0({ ...sealed, authKey: keys.authentication, securityControl })
  if (!text.ok) return junk(text.fault)
  const inner = decodeDsmr(text.value)
  if (inner.kind === 'junk') return junk(inner.fault)
  // More than one telegram inside: the length was damaged, or the tag is read as text.
  if (inner.kind === 'need' || inner.used !== text.value.length)
    return junk({ code: 'dsmr.cut', bytes: text.value.length })
  if (keys.authentication === undefined && !inner.value.checked)
    return junk({ code: 'p1.unchecked', counter, hint: 'nothing vouches for it: give the authentication key' })
  return { kind: 'frame', value: { ...inner.value, checked: true, systemTitle, counter }, used }
}

/** Where the next DB 08 is from `from` on, or a DB at the end that may become one, or the end. */
function findMark(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(TAG, from); at >= 0; at = bytes.indexOf(TAG, at + 1))
    if (at + 1 === bytes.length || bytes[at + 1] === TITLE_LENGTH) return at
  return bytes.length
}

/** Where the telegram's own mark and title stand once more: no ciphertext repeats ten bytes. Or the end. */
function findTitle(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(TAG, 1); at >= 0; at = bytes.indexOf(TAG, at + 1)) {
    let same = 1
    while (same < MARK_LENGTH && bytes[at + same] === bytes[same]) same++
    if (same === MARK_LENGTH) return at
  }
  return bytes.length
}
