/** What happens at the end of a block, after its transactions. */
import type { BlockInput, ValidatorUpdate } from './app.ts'
import type { Applying } from './kind.ts'
import { settleComplete, settleDue } from './rules/settle.ts'
import type { Draft } from './state.ts'
import { DEALS, tableOf } from './tables.ts'

/** A record whose time has come by block time, or that was replaced since it was put on the agenda. */
export function fallDue(draft: Draft, key: string, { time }: Applying): void {
  if (tableOf(key) === DEALS) settleDue(draft, key.slice(DEALS.prefix.length), time)
}

/** Completes what the block's transactions began. Answers the validators whose power changes. */
export function endBlock(draft: Draft, _block: BlockInput, { time }: Applying): readonly ValidatorUpdate[] {
  for (const { key, table } of draft.changed()) {
    if (table === DEALS) settleComplete(draft, key.slice(DEALS.prefix.length), time)
  }
  return []
}
