/**
 * Validator sets: their order, hash and total power, and whose turn it is to propose (CometBFT spec, proposer selection).
 * A set is a list in its canonical order; nothing here changes a set, it answers a new one.
 */
import { compareBytes, concat, equalBytes, toHex } from '../bytes.ts'
import { addressOf } from '../crypto/hash.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Validator } from './light-block.ts'
import { merkleRoot } from './merkle.ts'
import { bytesField, messageField, varintField } from './proto.ts'

const MAX_INT64 = 2n ** 63n - 1n

/** CometBFT's cap on a set's total power, so that its int64 arithmetic on priorities cannot overflow. */
const MAX_TOTAL_POWER = MAX_INT64 / 8n

/** CometBFT's MaxVotesCount: a larger set is no set but an attempt to keep us hashing. */
export const MAX_VALIDATORS = 10_000

/** Priorities of one set are kept within this many times the total power of each other. */
const PRIORITY_WINDOW = 2n

export type ValidatorsFault =
  | { readonly code: 'chain.no-validators' }
  | { readonly code: 'chain.too-many-validators'; readonly validators: number; readonly limit: number }
  | { readonly code: 'chain.validator-power'; readonly address: string; readonly power: bigint }
  | { readonly code: 'chain.validator-address'; readonly address: string; readonly expected: string }
  | { readonly code: 'chain.validator-twice'; readonly address: string }
  | { readonly code: 'chain.validator-unknown'; readonly address: string }
  | { readonly code: 'chain.total-power'; readonly total: bigint; readonly limit: bigint }

/** A validator of a public key; its address is derived. */
export const validatorOf = (publicKey: Uint8Array, votingPower: bigint, proposerPriority = 0n): Validator => ({
  address: addressOf(publicKey),
  publicKey,
  votingPower,
  proposerPriority,
})

/** The tree over SimpleValidator {public key, power}: addresses and priorities are not part of it. */
export const hashValidators = (validators: readonly Validator[]): Uint8Array =>
  merkleRoot(
    validators.map(({ publicKey, votingPower }) =>
      concat(messageField(1, bytesField(1, publicKey)), varintField(2, votingPower)),
    ),
  )

/** Same members with the same power in the same order: exactly then the two sets hash alike and look up alike. */
export const sameValidators = (a: readonly Validator[], b: readonly Validator[]): boolean =>
  a === b ||
  (a.length === b.length &&
    a.every((one, i) => {
      const other = b[i]!
      return (
        one.votingPower === other.votingPower &&
        equalBytes(one.publicKey, other.publicKey) &&
        equalBytes(one.address, other.address)
      )
    }))

export const totalPower = (validators: readonly Validator[]): bigint =>
  validators.reduce((sum, validator) => sum + validator.votingPower, 0n)

/**
 * Why a list of validators is no set. The addresses matter: they are not hashed, yet votes are looked up by them, so each must
 * be the one its key has.
 */
export function validatorsFault(validators: readonly Validator[]): ValidatorsFault | undefined {
  if (validators.length === 0) return { code: 'chain.no-validators' }
  if (validators.length > MAX_VALIDATORS)
    return { code: 'chain.too-many-validators', validators: validators.length, limit: MAX_VALIDATORS }
  // Power first, hashing last: what is cheap to refuse costs little.
  for (const { address, votingPower } of validators)
    if (votingPower <= 0n || votingPower > MAX_TOTAL_POWER)
      return { code: 'chain.validator-power', address: toHex(address), power: votingPower }
  const total = totalPower(validators)
  if (total > MAX_TOTAL_POWER) return { code: 'chain.total-power', total, limit: MAX_TOTAL_POWER }
  const seen = new Set<string>()
  for (const { address, publicKey } of validators) {
    const expected = addressOf(publicKey)
    if (!equalBytes(address, expected))
      return { code: 'chain.validator-address', address: toHex(address), expected: toHex(expected) }
    const text = toHex(address)
    if (seen.has(text)) return { code: 'chain.validator-twice', address: text }
    seen.add(text)
  }
  return undefined
}

/** The canonical order: power descending, address ascending. */
const inOrder = (a: Validator, b: Validator): number =>
  a.votingPower === b.votingPower ? compareBytes(a.address, b.address) : a.votingPower > b.votingPower ? -1 : 1

/** A set, and who proposes with it in round 0. The proposer has already paid for its turn in its priority. */
export interface Turn {
  readonly validators: readonly Validator[]
  readonly proposer: Validator
}

/** The set that genesis makes of these validators: priorities computed as for newcomers, then one turn. */
export function firstTurn(validators: readonly Validator[]): Result<Turn, ValidatorsFault> {
  const set = changeValidators([], validators)
  return set.ok ? ok(nextTurn(set.value)) : set
}

/** The set after `turns` more turns: each member's priority rises by its power, the highest proposes and pays the total. */
export function nextTurn(validators: readonly Validator[], turns = 1): Turn {
  if (turns < 1) throw new RangeError(`${turns} turns`)
  const total = totalPower(validators)
  let set = centred(rescaled(validators, total * PRIORITY_WINDOW))
  let proposer = set[0]
  for (let i = 0; i < turns; i++) {
    set = set.map(one => withPriority(one, one.proposerPriority + one.votingPower))
    const chosen = set.reduce((best, one) => (proposesBefore(one, best) ? one : best))
    proposer = withPriority(chosen, chosen.proposerPriority - total)
    set = set.map(one => (one === chosen ? proposer! : one))
  }
  if (proposer === undefined) throw new RangeError('nobody proposes in an empty set')
  return { validators: set, proposer }
}

/**
 * A set with changes applied: power 0 removes a member, another power changes or adds one. A newcomer starts at -1.125 times
 * the total power (before removals), so that leaving and joining again gains no turn.
 */
export function changeValidators(
  validators: readonly Validator[],
  changes: readonly Validator[],
): Result<readonly Validator[], ValidatorsFault> {
  const members = new Map(validators.map(one => [toHex(one.address), one]))
  const next = new Map(members)
  const changed = new Set<string>()
  for (const change of changes) {
    const address = toHex(change.address)
    if (changed.has(address)) return fail({ code: 'chain.validator-twice', address })
    changed.add(address)
    if (change.votingPower < 0n || change.votingPower > MAX_TOTAL_POWER)
      return fail({ code: 'chain.validator-power', address, power: change.votingPower })
    const member = members.get(address)
    if (change.votingPower > 0n) next.set(address, { ...change, proposerPriority: member?.proposerPriority ?? 0n })
    else if (member === undefined) return fail({ code: 'chain.validator-unknown', address })
  }
  const beforeRemovals = totalPower([...next.values()])
  const newcomer = -(beforeRemovals + (beforeRemovals >> 3n))
  for (const { address, votingPower } of changes) {
    const text = toHex(address)
    if (votingPower === 0n) next.delete(text)
    else if (!members.has(text)) next.set(text, withPriority(next.get(text)!, newcomer))
  }
  const set = [...next.values()].sort(inOrder)
  const fault = validatorsFault(set)
  return fault === undefined ? ok(centred(rescaled(set, totalPower(set) * PRIORITY_WINDOW))) : fail(fault)
}

/** Clipped to int64, as CometBFT's priorities are. */
const withPriority = (one: Validator, priority: bigint): Validator => ({
  ...one,
  proposerPriority: priority > MAX_INT64 ? MAX_INT64 : priority < -MAX_INT64 - 1n ? -MAX_INT64 - 1n : priority,
})

const proposesBefore = (a: Validator, b: Validator): boolean =>
  a.proposerPriority === b.proposerPriority
    ? compareBytes(a.address, b.address) < 0
    : a.proposerPriority > b.proposerPriority

/** Whose turn it was, as far as the priorities tell: the member of the lowest (Go's findPreviousProposer). None in an empty set. */
export const lastProposer = (validators: readonly Validator[]): Validator | undefined =>
  validators.reduce<Validator | undefined>(
    (last, one) => (last === undefined || proposesBefore(last, one) ? one : last),
    undefined,
  )

function rescaled(validators: readonly Validator[], window: bigint): readonly Validator[] {
  const priorities = validators.map(one => one.proposerPriority)
  const spread =
    priorities.reduce((a, b) => (a > b ? a : b), -MAX_INT64) - priorities.reduce((a, b) => (a < b ? a : b), MAX_INT64)
  if (spread <= window) return validators
  const ratio = (spread + window - 1n) / window
  // Division toward zero, as Go's.
  return validators.map(one => withPriority(one, one.proposerPriority / ratio))
}

function centred(validators: readonly Validator[]): readonly Validator[] {
  if (validators.length === 0) return validators
  const sum = validators.reduce((total, one) => total + one.proposerPriority, 0n)
  const count = BigInt(validators.length)
  // Euclidean division, as Go's big.Int.Div.
  const average = sum / count - (sum % count < 0n ? 1n : 0n)
  return validators.map(one => withPriority(one, one.proposerPriority - average))
}
