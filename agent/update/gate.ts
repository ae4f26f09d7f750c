/**
 * The health gate: a release that is tried is found good once every meter that was read before has given a signed reading
 * without an error, and the ledger is followed where it was before; else, at the deadline, it is given up. Pure.
 */
import type { Fault } from '../../protocol/result.ts'
import type { Expect } from '../../protocol/update/state.ts'

export interface GateFacts {
  /** What worked before the update; undefined where no agent ran that could have said. */
  readonly expect: Expect | undefined
  /** Every meter of the configuration. */
  readonly configured: readonly string[]
  /** Those of which a signed reading without an error is on the disk since this start. */
  readonly signed: ReadonlySet<string>
  readonly ledgerFollowed: boolean
  /** Since the agent was up. */
  readonly upMs: number
  readonly deadlineMs: number
}

export type Verdict =
  | { readonly verdict: 'good' }
  | { readonly verdict: 'wait' }
  | { readonly verdict: 'bad'; readonly fault: Fault }

export function judgeHealth(facts: GateFacts): Verdict {
  const { expect, configured, signed, ledgerFollowed, upMs, deadlineMs } = facts
  // A meter that a person took out of the configuration meanwhile cannot be read.
  const missing = expect?.meters.filter(name => configured.includes(name) && !signed.has(name)) ?? []
  const anyMissing = expect === undefined && configured.length > 0 && signed.size === 0
  const ledger = expect?.ledger === true && !ledgerFollowed
  if (missing.length === 0 && !anyMissing && !ledger) return { verdict: 'good' }
  if (upMs < deadlineMs) return { verdict: 'wait' }
  return {
    verdict: 'bad',
    fault: {
      code: 'update.not-healthy',
      meters: anyMissing ? configured : missing,
      ledger: ledger ? 'not followed' : 'ok',
    },
  }
}
