/** Trust in a header must end before the stake behind it is free (Tendermint light client specification). */
import { unbondingFault } from '../../../agent/light/unbonding.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { createApp } from '../../../protocol/ledger/app.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { micros } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'
import { genesis, operator, partyOf } from '../../protocol/ledger/parties.ts'

const test = suite('trusting period and unbonding')

const rulesOf = (from: Genesis) => createApp(from).query(utf8('rules'), 0n)!.value!
const staked: Genesis = {
  ...genesis,
  validators: [{ publicKey: partyOf('validator').publicKey, owner: operator.address, stake: micros(1_000_000n) }],
  staking: { unit: micros(1_000_000n), unbondingMs: 1_000, slashPermille: 50, most: 4 },
}

test('a trusting period as long as the unbonding time, or longer, is named with both', () => {
  const rules = rulesOf(staked)
  assert.is(unbondingFault(rules, 999), undefined)
  const fault = unbondingFault(rules, 1_000)
  assert.is(fault?.code, 'light.trusting-period')
  assert.is(fault?.['unbondingMs'], 1_000)
  assert.is(unbondingFault(rules, 1_001)?.['trustingPeriodMs'], 1_001)
})

test('a ledger that does not decide who validates has nothing to compare with', () => {
  assert.is(unbondingFault(rulesOf(genesis), 365 * 86_400_000), undefined)
  assert.is(unbondingFault(undefined, 1), undefined)
})

test('rules that cannot be read are named, not passed over', () => {
  assert.is(unbondingFault(utf8('garbage'), 1)?.code, 'light.rules')
})

test.run()
