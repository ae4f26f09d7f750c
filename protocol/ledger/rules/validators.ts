/**
 * What the end of a block does to validators: their power follows their stake, misbehaviour is punished, stake that has
 * waited long enough is free.
 *
 *     power wanted  = whole units of stake
 *     power moved   < one third of the total in one block, falls before rises
 *
 * A light client that trusts the set of one block finds more than a third of it, which is what skipping needs, in the next;
 * a larger change takes several blocks. The set is never empty: the last unit of power stays until somebody takes over.
 */
import { equalBytes } from '../../bytes.ts'
import { addressOf } from '../../crypto/hash.ts'
import { type Money, micros } from '../../quantity.ts'
import { type Instant, later } from '../../time.ts'
import type { ValidatorUpdate } from '../block.ts'
import type { Applying } from '../kind.ts'
import { accountId, credit, type Draft, type State } from '../state.ts'
import { BARRED, type StakedValidator, UNBONDING, type Unbonding, VALIDATORS } from '../tables.ts'

/** Everyone with stake, or with power that has not come down yet. */
export const validatorsOf = (state: State): readonly StakedValidator[] => state.get(VALIDATORS, '')?.all ?? []

export const validatorBy = (state: State, address: Uint8Array): StakedValidator | undefined =>
  validatorsOf(state).find(({ publicKey }) => equalBytes(addressOf(publicKey), address))

/** Puts a validator in the place of the one with its key, or at the end. */
export function putValidator(draft: Draft, validator: StakedValidator): void {
  const all = validatorsOf(draft)
  const at = all.findIndex(({ publicKey }) => equalBytes(publicKey, validator.publicKey))
  draft.put(VALIDATORS, '', { all: at < 0 ? [...all, validator] : all.with(at, validator) })
}

/** Stake that is on its way back to whoever put it there; until then it answers for what the validator did. */
export function unbond(
  draft: Draft,
  { publicKey, owner }: StakedValidator,
  amount: Money,
  { rules, time }: Applying,
): void {
  const id = accountId(addressOf(publicKey))
  const before = draft.get(UNBONDING, id)?.parts ?? []
  const at = later(time, rules.staking!.unbondingMs)
  draft.put(UNBONDING, id, { publicKey, parts: [...before, { owner, amount, at }] })
}

/** Gives stake back whose unbonding time is over. */
export function releaseStake(draft: Draft, id: string, time: Instant): void {
  const unbonding = draft.get(UNBONDING, id)
  if (unbonding === undefined) return
  for (const { owner, amount } of unbonding.parts.filter(({ at }) => at <= time)) {
    credit(draft, accountId(owner), amount)
  }
  putUnbonding(draft, id, { ...unbonding, parts: unbonding.parts.filter(({ at }) => at > time) })
}

function putUnbonding(draft: Draft, id: string, unbonding: Unbonding): void {
  if (unbonding.parts.length === 0) draft.remove(UNBONDING, id)
  else draft.put(UNBONDING, id, unbonding)
}

/**
 * A validator that misbehaved loses a share of its stake and of what is unbonding, leaves, and its key never comes back;
 * the rest of its stake unbonds. An address without either, or punished before, is left alone.
 */
export function punish(draft: Draft, address: Uint8Array, applying: Applying): void {
  const { rules, time } = applying
  const id = accountId(address)
  const validator = validatorBy(draft, address)
  const unbonding = draft.get(UNBONDING, id)
  if (rules.staking === undefined || draft.get(BARRED, id) !== undefined) return
  if (validator === undefined && unbonding === undefined) return
  const permille = BigInt(rules.staking.slashPermille)
  let slashed = 0n
  const slash = (amount: Money): Money => {
    const lost = (amount * permille + 999n) / 1000n
    slashed += lost
    return micros(amount - lost)
  }
  if (unbonding !== undefined) {
    const parts = unbonding.parts.map(part => ({ ...part, amount: slash(part.amount) }))
    putUnbonding(draft, id, { ...unbonding, parts: parts.filter(({ amount }) => amount > 0n) })
  }
  if (validator !== undefined) {
    const rest = slash(validator.stake)
    if (rest > 0n) unbond(draft, validator, rest, applying)
    putValidator(draft, { ...validator, stake: micros(0n) })
  }
  credit(draft, accountId(rules.feeAccount), micros(slashed))
  draft.put(BARRED, id, { at: time })
}

/** Moves every validator's power towards its stake, as far as one block may. Answers whose power changed. */
export function moveValidators(draft: Draft, { rules }: Applying): readonly ValidatorUpdate[] {
  const all = validatorsOf(draft)
  const wanted = ({ stake }: StakedValidator): bigint => stake / rules.staking!.unit
  const gone = ({ stake, power }: StakedValidator): boolean => stake === 0n && power === 0n
  // One that joined and left in this very block has moved no power, and yet has to go.
  if (all.every(validator => validator.power === wanted(validator) && !gone(validator))) return []
  let total = all.reduce((sum, { power }) => sum + power, 0n)
  // A set of three units or fewer moves by one: less could not change at all.
  let budget = total > 3n ? (total - 1n) / 3n : 1n
  const powers = all.map(({ power }) => power)
  const move = (at: number, by: bigint) => {
    powers[at]! += by
    total += by
    budget -= by < 0n ? -by : by
  }
  for (const [at, validator] of all.entries()) {
    const fall = validator.power - wanted(validator)
    if (fall > 0n) move(at, -least(fall, budget, total - 1n))
  }
  for (const [at, validator] of all.entries()) {
    const rise = wanted(validator) - validator.power
    if (rise > 0n) move(at, least(rise, budget))
  }
  const moved = all.map((validator, at) => ({ ...validator, power: powers[at]! }))
  draft.put(VALIDATORS, '', { all: moved.filter(validator => !gone(validator)) })
  return moved.filter(({ power }, at) => power !== all[at]!.power).map(({ publicKey, power }) => ({ publicKey, power }))
}

const least = (...amounts: readonly bigint[]): bigint => amounts.reduce((a, b) => (b < a ? b : a))
