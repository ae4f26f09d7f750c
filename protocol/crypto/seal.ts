/**
 * End-to-end sealing between two agents that know each other's keys: the broker sees who writes to whom, when and how
 * much, and nothing else; it can drop, delay and repeat, and cannot make or change a message.
 *
 * X25519 static-static (RFC 7748) -> HKDF-SHA256 (RFC 5869), one key a direction -> XChaCha20-Poly1305
 * (draft-irtf-cfrg-xchacha) around a COSE_Sign1. The sealed bytes:
 *
 *     01                  version
 *     20 bytes            sender's address
 *     24 bytes            nonce, random: 2^80 messages before two are expected to collide
 *     n + 16 bytes        ciphertext and tag; associated data = recipient's topic || the 21 bytes above
 *
 * The key pair is static, so a key that leaks opens what was recorded before: there is no forward secrecy.
 */

import { concat, toHex, utf8 } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Mono } from '../time.ts'
import { type Bucket, type BucketSize, takeTokens } from './bucket.ts'
import { xchacha20poly1305 } from './ciphers.ts'
import { type CoseFault, parseSign1, verifySign1 } from './cose.ts'
import { x25519 } from './curves.ts'
import { hkdfSha256 } from './hash.ts'
import type { Verifier } from './verify.ts'

const VERSION = 1
const HEADER_BYTES = 21
const NONCE_BYTES = 24
const TAG_BYTES = 16
/** One message never needs more: a contract and a half are 400 bytes, two readings with their contexts 1,400. */
export const MAX_SEALED_BYTES = 4096
/** external_aad of a message's signature. */
export const MESSAGE_CONTEXT = utf8('tieline/message/1')
/** In tokens of one AEAD opening: a signature check takes about ten times as long. */
const SIGNATURE_TOKENS = 10
/**
 * What one claimed sender may cost. An agent sends under ten messages a second; a stranger who writes in a peer's name
 * must outrun 1,000 a second to have that peer's own messages refused, and costs 1 % of a core doing so.
 */
export const PEER_BUCKET: BucketSize = { burst: 2000, perSecond: 1000 }

export interface SealingKey {
  readonly secretKey: Uint8Array
  readonly publicKey: Uint8Array
}

/** The two keys of one pair of agents, computed once. */
export interface PairKeys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
}

export type SealFault =
  | CoseFault
  | { readonly code: 'seal.key'; readonly reason: string }
  | { readonly code: 'seal.length'; readonly bytes: number; readonly limit: number }
  | { readonly code: 'seal.version'; readonly version: number }
  | { readonly code: 'seal.stranger'; readonly from: string }
  | { readonly code: 'seal.rate'; readonly from: string }
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
  const direction = (from: Uint8Array, to: Uint8Array) =>
    hkdfSha256(shared, utf8('tieline/seal/1'), concat(from, to), 32)
  return ok({ send: direction(own.publicKey, peerPublicKey), receive: direction(peerPublicKey, own.publicKey) })
}

/** Seal a signed envelope to the agent that listens on `topic`. `nonce` is 24 fresh random bytes. */
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

/** What is known of a sender before anything was opened. */
export interface KnownPeer {
  readonly publicKey: Uint8Array
  readonly receiveKey: Uint8Array
  readonly bucket: Bucket
}

export interface Receiver {
  /** The topic that we listen on, part of what is authenticated. */
  readonly topic: string
  readonly verifier: Verifier
  /** By address in hex. */
  peerOf(from: string): KnownPeer | undefined
}

/** The verdict, and the sender's bucket after it wherever a token was taken. */
export interface Unsealed {
  readonly result: Result<{ readonly from: string; readonly payload: Uint8Array }, SealFault>
  readonly charged?: { readonly from: string; readonly bucket: Bucket }
}

/**
 * Open sealed bytes to the payload that a known peer signed. Refusals come in the order of their cost: length and
 * version (nothing), sender known (a lookup), bucket (a subtraction), AEAD (microseconds), bucket again and signature
 * (a hundred microseconds). Only signed bytes are decoded further, and that by the caller.
 */
export function unseal(sealed: Uint8Array, receiver: Receiver, now: Mono): Unsealed {
  const least = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
  if (sealed.length > MAX_SEALED_BYTES || sealed.length < least) {
    return { result: fail({ code: 'seal.length', bytes: sealed.length, limit: MAX_SEALED_BYTES }) }
  }
  if (sealed[0] !== VERSION) return { result: fail({ code: 'seal.version', version: sealed[0]! }) }
  const from = toHex(sealed.subarray(1, HEADER_BYTES))
  const peer = receiver.peerOf(from)
  if (peer === undefined) return { result: fail({ code: 'seal.stranger', from }) }
  const opened = takeTokens(peer.bucket, PEER_BUCKET, 1, now)
  if (opened === undefined) return { result: fail({ code: 'seal.rate', from }) }
  const nonce = sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
  const data = concat(utf8(receiver.topic), sealed.subarray(0, HEADER_BYTES))
  let sign1: Uint8Array
  try {
    sign1 = xchacha20poly1305(peer.receiveKey, nonce, data).decrypt(sealed.subarray(HEADER_BYTES + NONCE_BYTES))
  } catch {
    // noble's only complaint here is a tag that does not match.
    return { result: fail({ code: 'seal.forged', from }), charged: { from, bucket: opened } }
  }
  const judged = takeTokens(opened, PEER_BUCKET, SIGNATURE_TOKENS, now)
  if (judged === undefined) return { result: fail({ code: 'seal.rate', from }), charged: { from, bucket: opened } }
  const charged = { from, bucket: judged }
  const envelope = parseSign1(sign1, MAX_SEALED_BYTES)
  if (!envelope.ok) return { result: envelope, charged }
  const payload = verifySign1(envelope.value, peer.publicKey, MESSAGE_CONTEXT, receiver.verifier)
  return { result: payload.ok ? ok({ from, payload: payload.value }) : payload, charged }
}
