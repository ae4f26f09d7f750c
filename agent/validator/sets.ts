/**
 * Which validators sign which height (CometBFT's state.Validators and state.NextValidators).
 *
 *     updates of block H   ->   NextValidatorsHash of H + 1   ->   they sign H + 2
 */
import type { Validator } from '../../protocol/chain/light-block.ts'
import {
  changeValidators,
  firstTurn,
  nextTurn,
  type Turn,
  type ValidatorsFault,
  validatorOf,
} from '../../protocol/chain/validators.ts'
import type { ValidatorUpdate } from '../../protocol/ledger/block.ts'
import { ok, type Result } from '../../protocol/result.ts'

/** The sets that are decided already: of the next block, and of the one after it. */
export interface Sets {
  readonly next: Turn
  readonly afterNext: Turn
}

/** Before the first block. */
export function firstSets(validators: readonly Validator[]): Result<Sets, ValidatorsFault> {
  const next = firstTurn(validators)
  return next.ok ? ok({ next: next.value, afterNext: nextTurn(next.value.validators) }) : next
}

/** After a block that gave these updates. */
export function setsAfter({ afterNext }: Sets, updates: readonly ValidatorUpdate[]): Result<Sets, ValidatorsFault> {
  const turn = turnAfter(afterNext.validators, updates)
  return turn.ok ? ok({ next: afterNext, afterNext: turn.value }) : turn
}

/** After a block, from the set that signed it, the updates of the block before it, and its own. */
export function setsFrom(
  signed: readonly Validator[],
  updatesBefore: readonly ValidatorUpdate[],
  updates: readonly ValidatorUpdate[],
): Result<Sets, ValidatorsFault> {
  const next = turnAfter(signed, updatesBefore)
  return next.ok ? setsAfter({ next: next.value, afterNext: next.value }, updates) : next
}

function turnAfter(
  validators: readonly Validator[],
  updates: readonly ValidatorUpdate[],
): Result<Turn, ValidatorsFault> {
  const changes = updates.map(({ publicKey, power }) => validatorOf(publicKey, power))
  const changed = changes.length === 0 ? ok(validators) : changeValidators(validators, changes)
  return changed.ok ? ok(nextTurn(changed.value)) : changed
}
