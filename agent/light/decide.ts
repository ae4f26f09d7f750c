/** What the light client's findings mean: its health, whom a fault is blamed on, and what is remembered. Pure. */
import { instantOf } from '../../protocol/chain/chain-time.ts'
import type { ChainTime } from '../../protocol/chain/light-block.ts'
import type { VerifiedBlock } from '../../protocol/light/verify.ts'
import type { Fault } from '../../protocol/result.ts'
import type { Instant, Mono } from '../../protocol/time.ts'

/**
 * - ok: the newest header is verified and at least one witness has the same
 * - no-witness: no witness answers; what was proven stands, nothing new is believed
 * - stale: no newer header for too long, or the newest is too old
 * - refused: a source sent something that does not verify
 * - diverged: validators signed two chains; nothing is believed until a person anchors trust anew
 */
export type LightState = 'ok' | 'no-witness' | 'stale' | 'refused' | 'diverged'

export interface LightHealth {
  readonly state: LightState
  readonly since: Mono
  readonly fault?: Fault
}

export interface Findings {
  readonly diverged: Fault | undefined
  /** The refusal after which no round has gone well yet. */
  readonly refusal: Fault | undefined
  /** A fault of our own standing, as an expired ground. */
  readonly blocked: Fault | undefined
  /** What is wrong with our wall clock, where that explains what else was found. */
  readonly ourClock: Fault | undefined
  readonly witnesses: number
  /** Whether some witness has what we have, or is merely a little behind. */
  readonly witnessed: boolean
  /** Since the head last rose, on the monotonic clock. */
  readonly idleMs: number
  /** How old the head's own time is; undefined where our wall clock is not to be relied on. */
  readonly lagMs: number | undefined
  readonly staleAfterMs: number
}

export function judge(findings: Findings): { readonly state: LightState; readonly fault?: Fault } {
  const { diverged, refusal, blocked, ourClock, idleMs, lagMs, staleAfterMs } = findings
  if (diverged !== undefined) return { state: 'diverged', fault: diverged }
  if (ourClock !== undefined) return { state: 'stale', fault: ourClock }
  if (refusal !== undefined) return { state: 'refused', fault: refusal }
  if (blocked !== undefined) return { state: 'stale', fault: blocked }
  const age = Math.max(idleMs, lagMs ?? 0)
  if (age > staleAfterMs) return { state: 'stale', fault: { code: 'light.stale', ageMs: age, limitMs: staleAfterMs } }
  if (!findings.witnessed) return { state: 'no-witness', fault: noWitness(findings.witnesses) }
  return { state: 'ok' }
}

/** What shows that our own wall clock is wrong. */
export interface ClockSigns {
  readonly blocked: Fault | undefined
  readonly idleMs: number
  readonly lagMs: number | undefined
  readonly staleAfterMs: number
  /** How far the wall clock was moved, against the monotonic one, since the head was last found good. */
  readonly stepMs: number
  /** By how much it is behind a time that two thirds of the validators have signed. */
  readonly behindMs: number | undefined
  /** Whether another node claims to be further: then a lag is the primary's. */
  readonly othersAhead: boolean
  readonly driftMs: number
}

export const SET_CLOCK = 'set the clock of this machine, best by NTP; until it fits the ledger nothing is believed'

export function clockFault(signs: ClockSigns): Fault | undefined {
  const { blocked, idleMs, lagMs, staleAfterMs, stepMs, behindMs, othersAhead, driftMs } = signs
  const lags = lagMs !== undefined && lagMs > staleAfterMs
  if (blocked?.code !== 'light.expired' && behindMs === undefined && !lags) return undefined
  if (Math.abs(stepMs) > driftMs) return { code: 'light.clock-stepped', stepMs, hint: SET_CLOCK }
  if (behindMs !== undefined) return { code: 'light.clock-behind', behindMs, hint: SET_CLOCK }
  // The head was that old already when it came, and nobody has more: the chain is not late, so we are early.
  return lags && lagMs - idleMs > staleAfterMs && !othersAhead
    ? { code: 'light.clock-ahead', aheadMs: lagMs, hint: SET_CLOCK }
    : undefined
}

/** The newest header is a block old, and its time is that of the block before. */
const HEADER_AGE_MS = 2_000

/**
 * Whoever is ahead of the ledger would commit to a window that for the ledger, which keeps the time of payments, lies too
 * far ahead. Independent of how good the wall clock says it is.
 */
export function aheadFault(now: Instant, head: ChainTime | undefined, driftMs: number): Fault | undefined {
  if (head === undefined) return { code: 'light.not-started' }
  const aheadMs = now - instantOf(head)
  const limitMs = driftMs + HEADER_AGE_MS
  return aheadMs > limitMs ? { code: 'light.clock-ahead', aheadMs, limitMs, hint: SET_CLOCK } : undefined
}

export const noWitness = (witnesses: number): Fault => ({
  code: 'light.no-witness',
  witnesses,
  hint: 'no second ledger node confirms the newest header: check the witnesses in the configuration and their connection',
})

/** For whoever asked for a proof meanwhile: no source is left whose word verifies, and why the last one's did not. */
export const refused = (fault: Fault): Fault => ({ ...fault, code: 'light.refused', because: fault.code })

/**
 * A fault that says as much of our clock as of the source: nobody is dropped for it, or one wrong clock would drop every
 * source in turn.
 */
export const maybeOurClock = (fault: Fault): boolean =>
  fault.code === 'light.expired' || fault.code === 'light.from-future'

/** Verified blocks kept since a witness last agreed: about four minutes of blocks, two kilobytes each. */
const TRACE_MAX = 256

/**
 * The trace within its limit: every second block between its ends is forgotten, so that the way back to the last agreed
 * block stays known, if more coarsely, however long the witnesses are away.
 */
export const thinned = (trace: readonly VerifiedBlock[]): readonly VerifiedBlock[] =>
  trace.length <= TRACE_MAX ? trace : trace.filter((_, i) => i % 2 === 0 || i === trace.length - 1)
