/** Whether our trust in a header outlasts the stake that stands behind it. */

import { RULES } from '../../protocol/ledger/tables.ts'
import { decodeAs } from '../../protocol/record.ts'
import type { Fault } from '../../protocol/result.ts'

/**
 * A validator whose stake is free again can sign another history and lose nothing, so a header must be too old to start from by
 * then (Tendermint light client specification: the trusting period is below the unbonding period).
 *
 * `rules` is the ledger's record of that name, as proven; undefined where the ledger does not decide who validates.
 */
export function unbondingFault(rules: Uint8Array | undefined, trustingPeriodMs: number): Fault | undefined {
  const read = rules === undefined ? undefined : decodeAs(RULES.codec, rules, RULES.prefix, rules.length)
  if (read === undefined) return undefined
  if (!read.ok) return { code: 'light.rules', reason: read.fault.code }
  const { staking } = read.value
  if (staking === undefined || trustingPeriodMs < staking.unbondingMs) return undefined
  return {
    code: 'light.trusting-period',
    trustingPeriodMs,
    unbondingMs: staking.unbondingMs,
    hint: 'set ledger.trusting_period in the configuration below the time after which validators have their stake back',
  }
}
