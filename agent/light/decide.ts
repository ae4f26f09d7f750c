/** What the light client's findings mean: its health, whom a fault is blamed on, and what is remembered. Pure. */
import type { VerifiedBlock } from '../../protocol/light/verify.ts'
import type { Fault } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'

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
  const { diverged, refusal, blocked, idleMs, lagMs, staleAfterMs } = findings
  if (diverged !== undefined) return { state: 'diverged', fault: diverged }
  if (refusal !== undefined) return { state: 'refused', fault: refusal }
  if (blocked !== undefined) return { state: 'stale', fault: blocked }
  const age = Math.max(idleMs, lagMs ?? 0)
  if (age > staleAfterMs) return { state: 'stale', fault: { code: 'light.stale', ageMs: age, limitMs: staleAfterMs } }
  if (!findings.witnessed) return { state: 'no-witness', fault: noWitness(findings.witnesses) }
  return { state: 'ok' }
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
