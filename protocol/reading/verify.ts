/**
 * Whether a reading may be believed: both envelopes signed by the one expected key, each for its own purpose, and the
 * reading made in this context. A reading handed to a stranger always travels with its context. Events and heads of a
 * journal are judged likewise, and need none.
 *
 * Order of the checks: everything that costs nothing before the two signatures; the context's signature first, because one
 * context serves many readings and is verified once.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { type CoseFault, envelopeHash, kidOf, parseSign1, type Sign1, verifySign1 } from '../crypto/cose.ts'
import { hasLowS, type Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { fail, ok, type Result } from '../result.ts'
import { CONTEXT_PURPOSE, CONTEXT_REFERENCE_BYTES, type Context, parseContext } from './context.ts'
import { EVENT_PURPOSE, type Event, parseEvent } from './event.ts'
import { HEAD_PURPOSE, type JournalHead, parseHead } from './head.ts'
import { parseReading, READING_PURPOSE, type Reading, type ReadingFault } from './reading.ts'

/** The largest payload of all kinds and the 85 bytes of the frame. */
const MAX_ENVELOPE = 1024

declare const verified: unique symbol

/** A context whose signature was checked; only `verifyContext` makes one. */
export interface VerifiedContext {
  readonly context: Context
  /** Hash of its envelope; readings carry the first 8 bytes. */
  readonly hash: Uint8Array
  readonly [verified]: true
}

/** An event whose signature was checked; only `verifyEvent` makes one. */
export interface VerifiedEvent {
  readonly event: Event
  /** The event's identity; the next event carries it. */
  readonly hash: Uint8Array
  readonly [verified]: true
}

/** A head whose signature was checked; only `verifyHead` makes one. */
export interface VerifiedHead {
  readonly head: JournalHead
  readonly hash: Uint8Array
  readonly [verified]: true
}

/** A reading whose signature and context were checked; only this file makes one. */
export interface VerifiedReading {
  readonly reading: Reading
  readonly context: Context
  /** The reading's identity: hash of what was signed. The next reading carries it. */
  readonly hash: Uint8Array
  readonly [verified]: true
}

export type VerifyReadingFault =
  | ReadingFault
  | CoseFault
  | { readonly code: 'reading.key'; readonly expected: string; readonly received: string }
  | { readonly code: 'reading.kid'; readonly expected: string; readonly received: string }
  | { readonly code: 'reading.context'; readonly expected: string; readonly received: string }

/** An envelope whose header names this key and the one algorithm of that key. */
function openedBy(publicKey: Uint8Array, bytes: Uint8Array): Result<Sign1, VerifyReadingFault> {
  const envelope = parseSign1(bytes, MAX_ENVELOPE)
  if (!envelope.ok) return envelope
  const alg = algOfKey(publicKey)
  if (alg === undefined || envelope.value.alg !== alg) return fail({ code: 'cose.alg', alg: envelope.value.alg })
  const kid = kidOf(alg, publicKey)
  if (!equalBytes(kid, envelope.value.kid)) {
    return fail({ code: 'reading.kid', expected: toHex(kid), received: toHex(envelope.value.kid) })
  }
  // Every Signer writes the lower s: the higher is somebody's second text of the same signature.
  if (alg === 'ES256' && !hasLowS(envelope.value.signature)) {
    return fail({ code: 'cose.shape', reason: 'the higher s of two equal signatures' })
  }
  return envelope
}

/** What an envelope says and its hash, once `judge` has found no fault in the payload and the signature is right. */
function opened<T>(
  publicKey: Uint8Array,
  bytes: Uint8Array,
  purpose: Uint8Array,
  judge: (payload: Uint8Array) => Result<T, VerifyReadingFault>,
  verifier: Verifier,
): Result<{ readonly said: T; readonly hash: Uint8Array }, VerifyReadingFault> {
  const envelope = openedBy(publicKey, bytes)
  if (!envelope.ok) return envelope
  const said = judge(envelope.value.payload)
  if (!said.ok) return said
  const signed = verifySign1(envelope.value, publicKey, purpose, verifier)
  return signed.ok ? ok({ said: said.value, hash: envelopeHash(envelope.value, purpose) }) : signed
}

/** A record that names the key it was signed by, as contexts and events do. */
const namingKey =
  <T extends { readonly key: Uint8Array }>(
    publicKey: Uint8Array,
    parse: (payload: Uint8Array) => Result<T, VerifyReadingFault>,
  ) =>
  (payload: Uint8Array): Result<T, VerifyReadingFault> => {
    const parsed = parse(payload)
    if (!parsed.ok || equalBytes(parsed.value.key, publicKey)) return parsed
    return fail({ code: 'reading.key', expected: toHex(publicKey), received: toHex(parsed.value.key) })
  }

/** A context signed by `publicKey` and naming it as its own key. */
export function verifyContext(
  contextEnvelope: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<VerifiedContext, VerifyReadingFault> {
  const found = opened(publicKey, contextEnvelope, CONTEXT_PURPOSE, namingKey(publicKey, parseContext), verifier)
  return found.ok ? ok({ context: found.value.said, hash: found.value.hash } as VerifiedContext) : found
}

/** A reading made in a context that was verified before: one signature to check. */
export function verifyReadingIn(
  { context, hash }: VerifiedContext,
  readingEnvelope: Uint8Array,
  verifier: Verifier,
): Result<VerifiedReading, VerifyReadingFault> {
  const judge = (payload: Uint8Array): Result<Reading, VerifyReadingFault> => {
    const reading = parseReading(payload)
    const reference = hash.subarray(0, CONTEXT_REFERENCE_BYTES)
    if (!reading.ok || equalBytes(reading.value.context, reference)) return reading
    return fail({ code: 'reading.context', expected: toHex(reference), received: toHex(reading.value.context) })
  }
  const found = opened(context.key, readingEnvelope, READING_PURPOSE, judge, verifier)
  return found.ok ? ok({ reading: found.value.said, context, hash: found.value.hash } as VerifiedReading) : found
}

/** An event signed by `publicKey` and naming it as its own key. */
export function verifyEvent(
  envelope: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<VerifiedEvent, VerifyReadingFault> {
  const found = opened(publicKey, envelope, EVENT_PURPOSE, namingKey(publicKey, parseEvent), verifier)
  return found.ok ? ok({ event: found.value.said, hash: found.value.hash } as VerifiedEvent) : found
}

/** A head signed by `publicKey`. Whether this key speaks for the gateway that the head names is for the caller to know. */
export function verifyHead(
  envelope: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<VerifiedHead, VerifyReadingFault> {
  const found = opened(publicKey, envelope, HEAD_PURPOSE, parseHead, verifier)
  return found.ok ? ok({ head: found.value.said, hash: found.value.hash } as VerifiedHead) : found
}

/** A reading with the context it travels with, both by `publicKey`. */
export function verifyReading(
  readingEnvelope: Uint8Array,
  contextEnvelope: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<VerifiedReading, VerifyReadingFault> {
  const context = verifyContext(contextEnvelope, publicKey, verifier)
  return context.ok ? verifyReadingIn(context.value, readingEnvelope, verifier) : context
}
