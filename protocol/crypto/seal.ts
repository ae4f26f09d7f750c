/**
 * End-to-end sealing between two agents that know each other's keys: the broker sees who writes to whom, when and how
 * much, and nothing else; it can drop, delay and repeat, and cannot make or change a message.
 *
 * X25519 static-static (RFC 7748) -> HKDF-SHA256 (RFC 5869), one key a direction -> XChaCha20-Poly1305
 * (draft-irtf-cfrg-xchacha) around a COSE_Sign1. The sealed bytes:
 *
 *     01                  version
 *     20 bytes            sender's address
 *     24 bytes            nonce: a stamp that only the pair can make (stamp.ts)
 *     n + 16 bytes        ciphertext and tag; associated data = recipient's topic || the 21 bytes above
 *
 * Whoever can write to a topic can flood it in a neighbour's name. What a flood costs is bounded, and none of it comes out of what
 * the neighbour's own messages may cost: that is charged for what opened, and a flood is told from them by its stamps.
 *
 * The key pair is static, so a key that leaks opens what was recorded before: there is no forward secrecy.
 */

import { concat, toHex, utf8 } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Mono } from '../time.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from './bucket.ts'
import { xchacha20poly1305 } from './ciphers.ts'
import { type CoseFault, parseSign1, verifySign1 } from './cose.ts'
import { x25519 } from './curves.ts'
import { hkdfSha256 } from './hash.ts'
import { NONCE_BYTES, readStamp } from './stamp.ts'
import type { Verifier } from './verify.ts'
import { placeOf, reach, type SeenWindow, see } from './window.ts'

const VERSION = 1
const HEADER_BYTES = 21
const TAG_BYTES = 16
/** One message never needs more: a contract and a half are 400 bytes, two readings with their contexts 1,400. */
export const MAX_SEALED_BYTES = 4096
/** external_aad of a message's signature. */
export const MESSAGE_CONTEXT = utf8('tieline/message/1')
/** In tokens of one AEAD opening: a signature check takes about ten times as long. */
const SIGNATURE_TOKENS = 10
/** What a peer's own messages may cost: an agent sends under ten a second. A peer that floods costs 1 % of a core. */
export const OWN_BUCKET: BucketSize = { burst: 2000, perSecond: 1000 }
/**
 * Transmissions behind the newest that still count as the peer's own. If all of them came at once, as whoever kept them back would
 * have them come, they would take 704 tokens, less than `LATE_LEFT` leaves them.
 */
export const LATE = 64
/** Of the own bucket, in tokens: kept for what is newer than anything before it. */
const LATE_LEFT = 1000
/** What may be opened without a stamp that counts: of an older version, of an older boot, or far too late. Starves under a flood. */
const STRAY_BUCKET: BucketSize = { burst: 2000, perSecond: 1000 }
/**
 * Openings that fail although the stamp is good and unused: copies spoilt by somebody who saw a message before it came here. For each
 * broker that they come through: whoever sits at one, or overtakes in its queue, leaves what another brings alone. A twentieth
 * of a core, and of 20,000 such copies a second one in four is opened, so that with one broker not every message is lost among them.
 */
const SPOILT_BUCKET: BucketSize = { burst: 5000, perSecond: 5000 }

export interface SealingKey {
  readonly secretKey: Uint8Array
  readonly publicKey: Uint8Array
}

/** Of one direction of a pair. */
export interface DirectionKeys {
  readonly seal: Uint8Array
  readonly stamp: Uint8Array
}

/** The keys of one pair of agents, computed once. */
export interface PairKeys {
  readonly send: DirectionKeys
  readonly receive: DirectionKeys
}

export type SealFault =
  | CoseFault
  | { readonly code: 'seal.key'; readonly reason: string }
  | { readonly code: 'seal.length'; readonly bytes: number; readonly limit: number }
  | { readonly code: 'seal.version'; readonly version: number }
  | { readonly code: 'seal.stranger'; readonly from: string }
  | { readonly code: 'seal.rate'; readonly from: string }
  | { readonly code: 'seal.repeated'; readonly from: string; readonly epoch: number; readonly number: number }
  | { readonly code: 'seal.forged'; readonly from: string }

/** An X25519 key pair from a secret seed of 32 bytes; the seed is hashed with a purpose, so it may serve others too. */
export function sealingKey(seed: Uint8Array): SealingKey {
  const secretKey = hkdfSha256(seed, utf8('tieline/seal/1'), utf8('x25519'), 32)
  return { secretKey, publicKey: x25519.getPublicKey(secretKey) }
}

/** The keys towards a peer; a peer key of small order, which would make the secret public, is refused. */
export function pairKeys(own: SealingKey, peerPublicKey: Uint8Array): Result<PairKeys, SealFault> {
  let shared: Uint8Array
  try {
    shared = x25519.getSharedSecret(own.secretKey, peerPublicKey)
  } catch (error) {
    // noble says by throwing that the peer's key has a wrong length or a shared secret of zero.
    return fail({ code: 'seal.key', reason: (error as Error).message })
  }
  const direction = (from: Uint8Array, to: Uint8Array) => ({
    seal: hkdfSha256(shared, utf8('tieline/seal/1'), concat(from, to), 32),
    stamp: hkdfSha256(shared, utf8('tieline/stamp/1'), concat(from, to), 32),
  })
  return ok({ send: direction(own.publicKey, peerPublicKey), receive: direction(peerPublicKey, own.publicKey) })
}

/** The length of a signed envelope once it is sealed. */
export const sealedLength = (sign1: Uint8Array): number => HEADER_BYTES + NONCE_BYTES + sign1.length + TAG_BYTES

/** Seal a signed envelope to the agent that listens on `topic`. `nonce` is a stamp that was never used. */
export function seal(
  sendKey: Uint8Array,
  from: Uint8Array,
  topic: string,
  nonce: Uint8Array,
  sign1: Uint8Array,
): Uint8Array {
  const header = concat(Uint8Array.of(VERSION), from)
  return concat(header, nonce, xchacha20poly1305(sendKey, nonce, concat(utf8(topic), header)).encrypt(sign1))
}

/** What is remembered of a peer's messages, 350 bytes and 60 a broker: the stamps that were used, and what it may still cost. */
export interface Reception {
  readonly window: SeenWindow | undefined
  readonly own: Bucket
  readonly stray: Bucket
  /** By the broker that they came through. */
  readonly spoilt: readonly Bucket[]
}

export const newReception = (now: Mono, brokers = 1): Reception => ({
  window: undefined,
  own: fullBucket(OWN_BUCKET, now),
  stray: fullBucket(STRAY_BUCKET, now),
  spoilt: Array.from({ length: brokers }, () => fullBucket(SPOILT_BUCKET, now)),
})

/** What is known of a sender before anything was opened. */
export interface KnownPeer {
  readonly publicKey: Uint8Array
  readonly keys: DirectionKeys
  readonly reception: Reception
}

export interface Receiver {
  /** The topic that we listen on, part of what is authenticated. */
  readonly topic: string
  readonly verifier: Verifier
  /** By address in hex. */
  peerOf(from: string): KnownPeer | undefined
}

/** The verdict, and what is to be remembered of the sender wherever that changed. */
export interface Unsealed {
  readonly result: Result<{ readonly from: string; readonly payload: Uint8Array }, SealFault>
  readonly after?: { readonly from: string; readonly reception: Reception }
}

/**
 * Open sealed bytes to the payload that a known peer signed. Refusals come in the order of their cost: length and
 * version (nothing), sender known (a lookup), stamp (two hashes), buckets (a subtraction), AEAD (ten times the hashes) and signature
 * (a hundred). Only signed bytes are decoded further, and that by the caller. `broker` is the one that they came through.
 */
export function unseal(sealed: Uint8Array, receiver: Receiver, now: Mono, broker = 0): Unsealed {
  const least = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
  if (sealed.length > MAX_SEALED_BYTES || sealed.length < least) {
    return { result: fail({ code: 'seal.length', bytes: sealed.length, limit: MAX_SEALED_BYTES }) }
  }
  if (sealed[0] !== VERSION) return { result: fail({ code: 'seal.version', version: sealed[0]! }) }
  const from = toHex(sealed.subarray(1, HEADER_BYTES))
  const peer = receiver.peerOf(from)
  if (peer === undefined) return { result: fail({ code: 'seal.stranger', from }) }
  const entry = admit(sealed, from, peer, now, broker)
  if (!entry.ok) return { result: entry, ...(entry.known && { after: { from, reception: entry.known } }) }
  const sign1 = open(sealed, receiver.topic, peer.keys.seal)
  const spoilt = { from, reception: entry.spoilt }
  if (sign1 === undefined) return { result: fail({ code: 'seal.forged', from }), after: spoilt }
  if (entry.opened === undefined) return { result: fail({ code: 'seal.rate', from }), after: spoilt }
  const after = { from, reception: entry.opened }
  const envelope = parseSign1(sign1, MAX_SEALED_BYTES)
  if (!envelope.ok) return { result: envelope, after }
  const payload = verifySign1(envelope.value, peer.publicKey, MESSAGE_CONTEXT, receiver.verifier)
  return { result: payload.ok ? ok({ from, payload: payload.value }) : payload, after }
}

type Entry =
  | { readonly ok: true; readonly opened: Reception | undefined; readonly spoilt: Reception }
  | { readonly ok: false; readonly fault: SealFault; readonly known?: Reception }

/** Whether a message may be opened at all, and what is remembered when it opens, if its signature may be checked then, and when it does not. */
function admit(sealed: Uint8Array, from: string, { keys, reception }: KnownPeer, now: Mono, broker: number): Entry {
  const rate = { ok: false, fault: { code: 'seal.rate', from } } as const
  const stamp = readStamp(keys.stamp, sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES))
  const place = stamp && placeOf(reception.window, LATE, stamp.epoch, stamp.number)
  // The peer uses no number twice, so what opens under it opened before.
  if (place === 'seen') return { ok: false, fault: { code: 'seal.repeated', from, ...stamp! } }
  if (place !== 'ahead' && place !== 'unseen') {
    const stray = takeTokens(reception.stray, STRAY_BUCKET, 1, now)
    if (stray === undefined) return rate
    const judged = takeTokens(stray, STRAY_BUCKET, SIGNATURE_TOKENS, now)
    return {
      ok: true,
      opened: judged && { ...reception, stray: judged },
      spoilt: { ...reception, stray },
    }
  }
  const { epoch, number } = stamp!
  // That the peer has come so far is known from the stamp, whatever becomes of this message. So it takes one message of the peer's
  // for all that somebody kept back to count as late.
  const known: Reception = { ...reception, window: reach(reception.window, LATE, epoch, number) }
  const own = takeTokens(reception.own, OWN_BUCKET, 1 + SIGNATURE_TOKENS, now, place === 'ahead' ? 0 : LATE_LEFT)
  const spoilt = takeTokens(reception.spoilt[broker]!, SPOILT_BUCKET, 1, now)
  if (own === undefined || spoilt === undefined) return { ...rate, known }
  // Neither is charged for the other's: who has not the pair's key cannot touch the own bucket.
  return {
    ok: true,
    opened: { ...known, own, window: see(known.window, LATE, epoch, number) },
    spoilt: { ...known, spoilt: reception.spoilt.with(broker, spoilt) },
  }
}

/** The signed envelope, or undefined where the AEAD's tag does not match. */
function open(sealed: Uint8Array, topic: string, key: Uint8Array): Uint8Array | undefined {
  const nonce = sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
  const data = concat(utf8(topic), sealed.subarray(0, HEADER_BYTES))
  try {
    return xchacha20poly1305(key, nonce, data).decrypt(sealed.subarray(HEADER_BYTES + NONCE_BYTES))
  } catch {
    // noble's only complaint here is a tag that does not match.
    return undefined
  }
}
