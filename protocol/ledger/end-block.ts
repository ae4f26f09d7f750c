/** What happens at the end of a block, after its transactions. */
import type { BlockInput, ValidatorUpdate } from './block.ts'
import type { Applying } from './kind.ts'
import { RESERVATIONS, SLOTS } from './network-tables.ts'
import { coinDue } from './rules/coins.ts'
import { forgetIssuerKey } from './rules/issuer-keys.ts'
import { forgetSlot } from './rules/lines.ts'
import { expireReservation } from './rules/reservation.ts'
import { serviceDue } from './rules/services.ts'
import { settleComplete, settleDue } from './rules/settle.ts'
import { moveValidators, punish, releaseStake } from './rules/validators.ts'
import type { Draft } from './state.ts'
import { DEALS, ISSUER_KEYS, tableOf, UNBONDING } from './tables.ts'

/** A record whose time has come by block time. */
export function fallDue(draft: Draft, key: string, { rules, time }: Applying): void {
  const table = tableOf(key)
  if (table === DEALS) settleDue(draft, key.slice(DEALS.prefix.length), rules, time)
  if (table === RESERVATIONS) expireReservation(draft, key.slice(RESERVATIONS.prefix.length), time)
  if (table === SLOTS) forgetSlot(draft, key.slice(SLOTS.prefix.length), time)
  if (table === ISSUER_KEYS) forgetIssuerKey(draft, key.slice(ISSUER_KEYS.prefix.length), time)
  coinDue(draft, table, key.slice(table?.prefix.length), time)
  serviceDue(draft, table, key.slice(table?.prefix.length), time)
  if (table === UNBONDING) releaseStake(draft, key.slice(UNBONDING.prefix.length), time)
}

/** Completes what the block's transactions began. Answers the validators whose power changes. */
export function endBlock(draft: Draft, block: BlockInput, applying: Applying): readonly ValidatorUpdate[] {
  for (const { key, table } of draft.changed()) {
    if (table === DEALS) settleComplete(draft, key.slice(DEALS.prefix.length), applying.time)
  }
  for (const address of block.misbehaved) punish(draft, address, applying)
  return moveValidators(draft, applying)
}
