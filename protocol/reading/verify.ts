/**
 * Whether a reading may be believed: both envelopes signed by the one expected key, each for its own purpose, and the
 * reading made in this context. A reading handed to a stranger always travels with its context.
 *
 * Order of the checks: everything that costs nothing before the two signatures; the context's signature first, because one
 * context serves many readings and is verified once.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { type CoseFault, envelopeHash, kidOf, parseSign1, type Sign1, verifySign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { fail, ok, type Result } from '../result.ts'
import { CONTEXT_PURPOSE, CONTEXT_REFERENCE_BYTES, type Context, parseContext } from './context.ts'
import { parseReading, READING_PURPOSE, type Reading, type ReadingFault } from './reading.ts'

/** The largest payload of both kinds and the 85 bytes of the frame. */
const MAX_ENVELOPE = 1024

declare const verified: unique symbol

/** A context whose signature was checked; only `verifyContext` makes one. */
export interface VerifiedContext {
  readonly context: Context
  /** Hash of its envelope; readings carry the first 8 bytes. */
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
  return equalBytes(kid, envelope.value.kid)
    ? envelope
    : fail({ code: 'reading.kid', expected: toHex(kid), received: toHex(envelope.value.kid) })
}

/** A context signed by `publicKey` and naming it as its own key. */
export function verifyContext(
  contextEnvelope: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<VerifiedContext, VerifyReadingFault> {
  const envelope = openedBy(publicKey, contextEnvelope)
  if (!envelope.ok) return envelope
  const context = parseContext(envelope.value.payload)
  if (!context.ok) return context
  if (!equalBytes(context.value.key, publicKey)) {
    return fail({ code: 'reading.key', expected: toHex(publicKey), received: toHex(context.value.key) })
  }
  const signed = verifySign1(envelope.value, publicKey, CONTEXT_PURPOSE, verifier)
  if (!signed.ok) return signed
  const hash = envelopeHash(envelope.value, CONTEXT_PURPOSE)
  return ok({ context: context.value, hash } as VerifiedContext)
}

/** A reading made in a context that was verified before: one signature to check. */
export function verifyReadingIn(
  { context, hash }: VerifiedContext,
  readingEnvelope: Uint8Array,
  verifier: Verifier,
): Result<VerifiedReading, VerifyReadingFault> {
  const envelope = openedBy(context.key, readingEnvelope)
  if (!envelope.ok) return envelope
  const reading = parseReading(envelope.value.payload)
  if (!reading.ok) return reading
  const reference = hash.subarray(0, CONTEXT_REFERENCE_BYTES)
  if (!equalBytes(reading.value.context, reference)) {
    return fail({ code: 'reading.context', expected: toHex(reference), received: toHex(reading.value.context) })
  }
  const signed = verifySign1(envelope.value, context.key, READING_PURPOSE, verifier)
  if (!signed.ok) return signed
  return ok({
    reading: reading.value,
    context,
    hash: envelopeHash(envelope.value, READING_PURPOSE),
  } as VerifiedReading)
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
