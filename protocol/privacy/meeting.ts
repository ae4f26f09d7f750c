/**
 * How the two of a matched pair find each other, who know of one another nothing but one-time keys.
 *
 * The seller writes to the bid's one-time key, for all to carry and the buyer alone to open: who it is, signed by the offer's
 * one-time key, and a token. The buyer's award, by letter from account to account, shows by the token that it is the bid's maker's.
 *
 *     32 bytes    X25519 key of this message alone
 *     24 bytes    nonce
 *     n + 16      XChaCha20-Poly1305 of the canonical CBOR map; associated data: the first 32 bytes
 */
import { concat, utf8 } from '../bytes.ts'
import { encode } from '../cbor.ts'
import { xchacha20poly1305 } from '../crypto/ciphers.ts'
import { sha256 } from '../crypto/hash.ts'
import { pairKeys, type SealingKey } from '../crypto/seal.ts'
import type { Verifier } from '../crypto/verify.ts'
import { bytes, decodeAs, encodeAs, record } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import { address } from '../trade/contract.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 24
const MAX_BYTES = 300

const codec = record({ pair: [1, bytes(16)], seller: [2, address], token: [3, bytes(16)], signature: [4, bytes(64)] })

export interface Meeting {
  /** The pair's name. */
  readonly pair: Uint8Array
  /** The seller's account. */
  readonly seller: Uint8Array
  /** 16 random bytes. */
  readonly token: Uint8Array
  /** Of the offer's one-time key over `meetingToSign`. */
  readonly signature: Uint8Array
}

export type MeetingFault = { readonly code: 'meeting.not-ours' } | { readonly code: 'meeting.signature' }

/** To the bid's key, so that nobody can take what was written to him for another. */
export const meetingToSign = (meeting: Omit<Meeting, 'signature'>, bidMeeting: Uint8Array): Uint8Array =>
  encode(['tieline/meeting/1', meeting.pair, meeting.seller, meeting.token, bidMeeting])

/** `fresh`: an X25519 key of this message alone, and 24 random bytes. */
export function sealMeeting(
  meeting: Meeting,
  bidMeeting: Uint8Array,
  fresh: { readonly key: SealingKey; readonly nonce: Uint8Array },
): Result<Uint8Array> {
  const keys = pairKeys(fresh.key, bidMeeting)
  if (!keys.ok) return keys
  const head = fresh.key.publicKey
  const sealed = xchacha20poly1305(keys.value.send.seal, fresh.nonce, head).encrypt(encodeAs(codec, meeting))
  return ok(concat(head, fresh.nonce, sealed))
}

/** A message for the holder of this key; whoever signed it is checked once the pair is known. */
export function openMeeting(sealed: Uint8Array, own: SealingKey): Result<Meeting, MeetingFault> {
  const notOurs = fail({ code: 'meeting.not-ours' } as const)
  const head = sealed.subarray(0, KEY_BYTES)
  const keys = pairKeys(own, head)
  if (!keys.ok || sealed.length > MAX_BYTES) return notOurs
  const nonce = sealed.subarray(KEY_BYTES, KEY_BYTES + NONCE_BYTES)
  try {
    const open = xchacha20poly1305(keys.value.receive.seal, nonce, head).decrypt(
      sealed.subarray(KEY_BYTES + NONCE_BYTES),
    )
    const read = decodeAs(codec, open, 'meeting', MAX_BYTES)
    return read.ok ? ok(read.value) : notOurs
  } catch {
    // The cipher says by throwing that it is not for this key.
    return notOurs
  }
}

/** Whether the offer's maker wrote it to this bid's key. */
export const isMeetingOf = (
  meeting: Meeting,
  offerPseudonym: Uint8Array,
  bidMeeting: Uint8Array,
  verifier: Verifier,
): boolean => verifier.verify('EdDSA', offerPseudonym, meetingToSign(meeting, bidMeeting), meeting.signature)

/** The award's id: only who could open the meeting can name it. */
export const awardIdOf = (pair: Uint8Array, token: Uint8Array): Uint8Array =>
  sha256(concat(utf8('tieline/award/1'), pair, token)).slice(0, 16)
