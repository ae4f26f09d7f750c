/** However fast stake changes hands, a light client that skips over the change finds enough of the power that it trusts. */
import { equalBytes } from '../../../protocol/bytes.ts'
import type { Validator } from '../../../protocol/chain/light-block.ts'
import { verify } from '../../../protocol/light/verify.ts'
import { assert, suite } from '../../harness.ts'
import { anchored, type Member, makeChain, OPTIONS, timeAt } from '../light/chain-maker.ts'
import { operator, signTx, verifier } from './parties.ts'
import { keys, owners, StakedBench, stake, stakedGenesis, UNIT, unstake } from './validators.ts'

const test = suite('skipping over stake')

const membersOf = (set: readonly Validator[]): readonly Member[] =>
  set.map(validator => {
    const { sign } = keys.find(({ publicKey }) => equalBytes(publicKey, validator.publicKey))!
    return { validator, sign }
  })

/** What a light client that trusts a header of one set says of a later one, of the other set. */
function skip(from: readonly Validator[], to: readonly Validator[]): string {
  // Its next block has the same set: else a light client takes that block first and has no skip to make.
  const chain = makeChain({ heights: 3, group: height => membersOf(height < 3 ? from : to) })
  const now = timeAt(4)
  return verify(anchored(chain[0]!, now, verifier), chain[2]!, OPTIONS, now, verifier).kind
}

/** The sets from genesis until they rest, as three validators give way to four others at once. */
function handover(): readonly (readonly Validator[])[] {
  const bench = new StakedBench({ ...stakedGenesis, staking: { ...stakedGenesis.staking!, most: 8 } })
  const sets = [bench.followed.set]
  const leaving = owners.slice(0, 3).map((owner, i) => signTx(owner, 0n, unstake(keys[i]!, 10n * UNIT)))
  const joining = keys.slice(4).map((key, i) => signTx(operator, BigInt(i), stake(key, 2n * UNIT, operator)))
  bench.block([...joining, ...leaving])
  sets.push(bench.followed.set)
  while (bench.updates.length > 0) {
    bench.block([])
    sets.push(bench.followed.set)
  }
  return sets
}

test('each block of a handover from three validators to four others is skipped to from the one before', () => {
  const sets = handover()
  assert.ok(sets.length > 3, `${sets.length} sets`)
  for (const [i, set] of sets.slice(1).entries()) assert.is(skip(sets[i]!, set), 'trusted', `block ${i + 1}`)
})

test('a set of newcomers alone could not be skipped to', () => {
  const sets = handover()
  const newcomers = sets.at(-1)!.filter(({ votingPower }) => votingPower < 10n)
  assert.is(skip(sets[0]!, newcomers), 'not-enough')
})

test.run()
