/** How a ledger may begin, and that CometBFT begins with the same validators. */

import {
  checkGenesis,
  DEFAULT_STAKING,
  type Genesis,
  genesisValidatorsFault,
} from '../../../protocol/ledger/genesis.ts'
import { VALIDATORS } from '../../../protocol/ledger/tables.ts'
import { micros } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'
import { genesis, partyOf, RICH, seller } from './parties.ts'
import { keys, StakedBench, stakedGenesis, UNIT } from './validators.ts'

const test = suite('ledger genesis')

const account = genesis.accounts[0]!
const meter = genesis.meters[0]!
const validator = stakedGenesis.validators![0]!
const staking = stakedGenesis.staking!
const rich = partyOf('rich').publicKey
const nobody = new Uint8Array(20)

const refusals: readonly (readonly [what: string, expected: string, change: Partial<Genesis>])[] = [
  ['an account twice', 'genesis.account', { accounts: [...genesis.accounts, account] }],
  ['an account of a small-order key', 'genesis.account', { accounts: [{ ...account, publicKey: new Uint8Array(32) }] }],
  ['an operator without an account', 'genesis.role', { operator: nobody }],
  ['a fee account that is none', 'genesis.role', { feeAccount: nobody }],
  ['a role of nobody', 'genesis.role', { roles: [{ role: 'regulator', holder: nobody }] }],
  ['a meter twice', 'genesis.meter', { meters: [meter, meter] }],
  ['a meter without a name', 'genesis.meter', { meters: [{ ...meter, meterId: '' }] }],
  ['a meter at no line', 'genesis.meter', { meters: [{ ...meter, line: 'a line' }] }],
  ['a meter on no feeder', 'genesis.meter', { meters: [{ ...meter, feeder: 'a feeder' }] }],
  ['a meter of nobody', 'genesis.meter', { meters: [{ ...meter, owner: nobody }] }],
  ['a meter with half a key', 'genesis.meter', { meters: [{ ...meter, publicKey: new Uint8Array(31) }] }],
  ['a chain id of 51 characters', 'genesis.chain-id', { chainId: 'x'.repeat(51) }],
  [
    'more coins than the ledger counts',
    'genesis.money',
    { accounts: [...genesis.accounts, { publicKey: rich, balance: micros(2n ** 62n) }] },
  ],
  ['a debt', 'genesis.money', { accounts: [...genesis.accounts, { publicKey: rich, balance: micros(-1n) }] }],
  ['more stake than the ledger counts', 'genesis.money', { validators: [{ ...validator, stake: micros(2n ** 62n) }] }],
  ['a validator twice', 'genesis.validator', { validators: [validator, validator] }],
  ['a validator of nobody', 'genesis.validator', { validators: [{ ...validator, owner: nobody }] }],
  [
    'a validator with half a key',
    'genesis.validator',
    { validators: [{ ...validator, publicKey: new Uint8Array(31) }] },
  ],
  [
    'a validator with a small-order key',
    'genesis.validator',
    { validators: [{ ...validator, publicKey: new Uint8Array(32) }] },
  ],
  [
    'a validator without a unit of power',
    'genesis.validator',
    { validators: [{ ...validator, stake: micros(UNIT - 1n) }] },
  ],
  ['more validators than the rule says', 'genesis.staking', { staking: { ...staking, most: 3 } }],
  // All coins in units of seven could give more power than CometBFT's arithmetic holds.
  ['a unit of power of seven micro-coins', 'genesis.staking', { staking: { ...staking, unit: micros(7n) } }],
  ['a slash of more than everything', 'genesis.staking', { staking: { ...staking, slashPermille: 1001 } }],
  ['an unbonding time that ends before it begins', 'genesis.staking', { staking: { ...staking, unbondingMs: -1 } }],
  ['stake that is free before it can be punished', 'genesis.staking', { staking: { ...staking, unbondingMs: 0 } }],
]
for (const [what, expected, change] of refusals) {
  test(`${what} is refused`, () => {
    const checked = checkGenesis({ ...stakedGenesis, ...change })
    assert.is(!checked.ok && checked.fault.code, expected)
  })
}

test('a genesis with validators and one without are taken', () => {
  for (const one of [
    genesis,
    stakedGenesis,
    { ...genesis, roles: [{ role: 'storage', holder: seller.address } as const] },
  ]) {
    assert.ok(checkGenesis(one).ok)
  }
})

test('stake of genesis is minted beside the balances, and is power at once', () => {
  const bench = new StakedBench()
  bench.block([])
  assert.equal(bench.updates, [])
  assert.equal(
    bench.record(VALIDATORS, '')!.all.map(({ power }) => power),
    [10n, 10n, 10n, 10n],
  )
  assert.is(bench.account(seller).balance, RICH)
})

test('the default waits longer with stake than light clients trust a header by default', () => {
  assert.ok(DEFAULT_STAKING.unbondingMs > 14 * 86_400_000)
  assert.ok(checkGenesis({ ...genesis, staking: DEFAULT_STAKING }).ok)
})

test('CometBFT begins with the validators of the ledger, or not at all', () => {
  const named = keys.slice(0, 4).map(({ publicKey }) => ({ publicKey, power: 10n }))
  const code = (validators: typeof named, from = stakedGenesis) => genesisValidatorsFault(from, validators)?.code
  assert.is(code(named), undefined)
  assert.is(code([...named].reverse()), undefined, 'in any order')
  assert.is(code(named.slice(1)), 'genesis.validator')
  assert.is(code([...named, { publicKey: keys[4]!.publicKey, power: 1n }]), 'genesis.validator')
  assert.is(code(named.map((one, i) => (i === 2 ? { ...one, power: 11n } : one))), 'genesis.validator')
  assert.is(code([]), 'genesis.validator')
  assert.is(code([], genesis), undefined, 'a ledger that stakes nobody leaves it to CometBFT')
  assert.is(code(named, genesis), undefined)
})

test.run()
