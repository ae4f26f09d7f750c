/**
 * What a gateway keeps about its releases, a few hundred bytes that are replaced whole: canonical CBOR, and its SHA-256 behind
 * it, so that a damaged one is known for damaged.
 */
import { concat, equalBytes } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { bytes, decodeAs, encodeAs, flag, integer, list, type RecordOf, record, text } from '../record.ts'
import { fail, type Result } from '../result.ts'
import { RELEASE_NAME, verifyManifest } from './manifest.ts'
import { KEYS_MAX, type Trust } from './trust.ts'

const name = text(RELEASE_NAME)
/** A release that is found good is started for the first, second or third time: power may go once while it starts. */
export const TRIES_MAX = 3

/** What worked before an update, and has to work after it. */
export const EXPECT = { meters: [1, list(text(/^[\s\S]{1,64}$/), 0, 256)], ledger: [2, flag] } as const
const expectCodec = record(EXPECT)
export type Expect = RecordOf<typeof EXPECT>

const CANDIDATE = { name: [1, name], tries: [2, integer(0, TRIES_MAX)] } as const
const candidateCodec = record(CANDIDATE, { expect: [3, expectCodec] })
export const WHY_MAX = 200
const failedCodec = record({ name: [1, name], why: [2, text(new RegExp(`^[\\s\\S]{1,${WHY_MAX}}$`))] })

/** A manifest that named new keys, by its envelopes. */
const rotation = list(bytes(80, 2048), 1, KEYS_MAX)
/** Each is an update that changed the keys. */
const ROTATIONS_MAX = 64

const OPTIONAL = {
  /** Found good last. */
  good: [1, name],
  /** Found good before that, and kept. */
  previous: [2, name],
  /** Installed, and not yet found good. */
  candidate: [3, candidateCodec],
  /** The highest release that was ever found good here. */
  highest: [4, name],
  /** What was given up last, and why. */
  failed: [5, failedCodec],
  /** SHA-256 of the text that names the first keys; another text begins anew. */
  root: [6, bytes(32)],
  /** In the order in which they were found good. */
  rotations: [7, list(rotation, 1, ROTATIONS_MAX)],
} as const
const codec = record({}, OPTIONAL)
export type ReleaseState = RecordOf<Record<never, never>, typeof OPTIONAL> & { readonly candidate?: Candidate }
export type Candidate = RecordOf<typeof CANDIDATE, { readonly expect: readonly [3, typeof expectCodec] }>

const HASH_BYTES = 32
export const STATE_MAX = 512 * 1024

export function encodeState(state: ReleaseState): Uint8Array {
  const body = encodeAs(codec, state)
  return concat(body, sha256(body))
}

export function decodeState(input: Uint8Array): Result<ReleaseState> {
  const body = input.subarray(0, Math.max(0, input.length - HASH_BYTES))
  if (!equalBytes(sha256(body), input.subarray(body.length))) return fail({ code: 'update.state-damaged' })
  return decodeAs(codec, body, 'state', STATE_MAX) as Result<ReleaseState>
}

/**
 * The sets of keys that were trusted one after the other, the newest last. Each rotation has to be signed by the set before;
 * one that is not ends the chain. Where a person has written another root, that alone counts.
 */
export function trustChain(
  root: Trust,
  rootHash: Uint8Array,
  state: ReleaseState,
  verifier: Verifier,
): readonly [Trust, ...Trust[]] {
  const chain: [Trust, ...Trust[]] = [root]
  if (state.root === undefined || !equalBytes(state.root, rootHash)) return chain
  for (const envelopes of state.rotations ?? []) {
    const verified = verifyManifest(envelopes, [chain.at(-1)!], verifier)
    const next = verified.ok ? verified.value.manifest.trust : undefined
    if (next === undefined) break
    chain.push(next)
  }
  return chain
}
