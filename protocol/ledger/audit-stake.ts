/** The audit of validators and their stake, in its own words. */
import { toHex } from '../bytes.ts'
import { addressOf } from '../crypto/hash.ts'
import type { Fault } from '../result.ts'
import type { Rules, StakedValidator, Unbonding } from './tables.ts'

export interface StakeBooks {
  readonly validators: StakedValidator[]
  /** Under the validator's address. */
  readonly unbonding: Map<string, Unbonding['parts']>
  /** Addresses. */
  readonly barred: Set<string>
}

export const createStakeBooks = (): StakeBooks => ({ validators: [], unbonding: new Map(), barred: new Set() })

export const stakedIn = (books: StakeBooks): bigint => total(books.validators.map(({ stake }) => stake))

export const unbondingIn = (books: StakeBooks): bigint =>
  total([...books.unbonding.values()].flatMap(parts => parts.map(({ amount }) => amount)))

const total = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, amount) => sum + amount, 0n)

/** What is wrong with them at a block time. */
export function stakeProblems(books: StakeBooks, rules: Rules | undefined, now: number): Fault[] {
  const found: Fault[] = []
  const expect = (holds: boolean, what: string, compared: Record<string, bigint | number | string> = {}) => {
    if (!holds) found.push({ code: 'audit.stake', what, ...compared })
  }
  const { validators, unbonding, barred } = books
  const staking = rules?.staking
  if (staking === undefined) {
    expect(validators.length + unbonding.size + barred.size === 0, 'stake on a ledger that has no rules for it')
    return found
  }
  expect(
    validators.some(({ power }) => power > 0n),
    'nobody validates',
  )
  expect(validators.length <= staking.most, 'too many validators', { most: staking.most, found: validators.length })
  const seen = new Set<string>()
  for (const { publicKey, stake, power } of validators) {
    const validator = toHex(addressOf(publicKey))
    expect(!seen.has(validator), 'a validator stands twice', { validator })
    seen.add(validator)
    expect(stake === 0n || stake >= staking.unit, 'stake below a unit of power', { validator, stake })
    expect(stake > 0n || power > 0n, 'a validator without stake and power', { validator })
    expect(stake === 0n || !barred.has(validator), 'a barred validator with stake', { validator, stake })
  }
  for (const [validator, parts] of unbonding) {
    for (const [i, { amount, at }] of parts.entries()) {
      expect(at > now, 'stake kept after its time', { validator, at, now })
      expect(amount > 0n, 'nothing unbonds', { validator })
      expect(i === 0 || parts[i - 1]!.at <= at, 'unbonding out of order', { validator })
    }
  }
  return found
}
