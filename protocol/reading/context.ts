/**
 * The context record: who measures with what, signed at each boot and at each change, so that a reading need only name it.
 *
 *     aa                         map of 10
 *       01 71 tieline/reading/1  profile and version
 *       02 51 ueid               the gateway (RFC 9711 section 4.2.1), 7 to 33 bytes
 *       03 6x meter              the meter's serial text: what a reading is about
 *       04 7x page               the register page that interpreted it
 *       05 58 20 software        SHA-256 of the measuring software
 *       06 58 20 key             raw public key that signs; 32 bytes Ed25519, 33 compressed P-256
 *       07 01 trust              where its private half lives (KEY_TRUST)
 *       08 6x source             where the time comes from
 *       09 00 clock sets         how often the wall clock was set since the journal began
 *       0a 01 boot               boots since the journal began, the first is 1
 *
 * As COSE_Sign1 with external_aad `tieline/context/1`. A reading refers to it by the first 8 bytes of its envelope hash.
 */
import { utf8 } from '../bytes.ts'
import { KEY_TRUST, type KeyTrust } from '../identity/key.ts'
import { bytes, decodeAs, encodeAs, integer, type RecordFault, record, text, word } from '../record.ts'
import type { Result } from '../result.ts'

/** external_aad of a context record's signature. */
export const CONTEXT_PURPOSE = utf8('tieline/context/1')
const PROFILE = 'tieline/reading/1'
/** Fixed fields take 170 bytes, texts at most 160. */
const MAX_BYTES = 400

/** How a context is referred to: the first bytes of its envelope hash. One device signs far fewer than 2^32 contexts. */
export const CONTEXT_REFERENCE_BYTES = 8

export interface Context {
  /** EAT UEID of the gateway. */
  readonly device: Uint8Array
  /** The meter's own serial number, as text. */
  readonly meterId: string
  readonly page: string
  /** SHA-256 of the software that measures. */
  readonly software: Uint8Array
  /** The raw public key that signs this context and its readings. */
  readonly key: Uint8Array
  readonly trust: KeyTrust
  /** Where the wall time comes from, as in `ntp`. */
  readonly timeSource: string
  readonly clockSets: number
  readonly boot: number
}

/** Counters of a board's lifetime: a boot a second for a century stays below. */
const MAX_COUNT = 2 ** 32 - 1

const codec = record({
  profile: [1, text(/^tieline\/reading\/1$/)],
  device: [2, bytes(7, 33)],
  meterId: [3, text(/^[\x20-\x7e]{1,64}$/)],
  page: [4, text(/^[a-z0-9][a-z0-9.-]{0,63}$/)],
  software: [5, bytes(32)],
  key: [6, bytes(32, 33)],
  trust: [7, word(...KEY_TRUST)],
  timeSource: [8, text(/^[a-z0-9][a-z0-9.-]{0,31}$/)],
  clockSets: [9, integer(0, MAX_COUNT)],
  boot: [10, integer(1, MAX_COUNT)],
})

export const encodeContext = (context: Context): Uint8Array => encodeAs(codec, { profile: PROFILE, ...context })

export function parseContext(payload: Uint8Array): Result<Context, RecordFault> {
  const read = decodeAs(codec, payload, 'context', MAX_BYTES)
  if (!read.ok) return read
  const { profile: _, ...context } = read.value
  return { ok: true, value: context }
}
