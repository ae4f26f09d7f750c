/** Validators and their stake: every refusal by name, and a set that CometBFT's own rules accept after each block. */
import { fromUtf8 } from '../../../protocol/bytes.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import type { RefusalCode } from '../../../protocol/ledger/fault.ts'
import type { Table } from '../../../protocol/ledger/table.ts'
import {
  BARRED,
  MAX_UNBONDING,
  RULES,
  type StakedValidator,
  UNBONDING,
  type Unbonding,
  VALIDATORS,
} from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros } from '../../../protocol/quantity.ts'
import { decodeAs, encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { Bench, buyer, FEE, nameOf, operator, type Party, partyOf, RICH, seller, signTx, stranger } from './parties.ts'
import { refused, unseen } from './refusals.ts'
import {
  evidence,
  keys,
  MOST,
  owners,
  StakedBench,
  smallOrderKey,
  stake,
  stakedGenesis,
  UNBONDING_MS,
  UNIT,
  unstake,
} from './validators.ts'

const test = suite('ledger stake')
const [first, second, third, , fifth, sixth, seventh] = keys as [Party, Party, Party, Party, Party, Party, Party]

/** A ledger where the second validator was barred. */
function begun(): StakedBench {
  const bench = new StakedBench()
  bench.block([], 1000, [second.address])
  bench.rest()
  return bench
}

type Row = readonly [what: string, expected: RefusalCode, sender: Party, content: TxContent]
const refusals: readonly Row[] = [
  ['no coins staked', 'ledger.amount', seller, stake(first, 0n)],
  ['stake behind a validator of somebody else', 'ledger.validator-owner', buyer, stake(first, UNIT)],
  ['joining without the role', 'ledger.role-only', stranger, stake(fifth, UNIT, stranger)],
  ['joining with less than a unit', 'ledger.stake-small', seller, stake(fifth, UNIT - 1n, seller)],
  ['joining with more than is there', 'ledger.funds', seller, stake(fifth, RICH, seller)],
  ['joining with a key that says nothing', 'ledger.validator-proof', seller, stake(fifth, UNIT)],
  ['joining with a key that names another owner', 'ledger.validator-proof', seller, stake(fifth, UNIT, buyer)],
  [
    'joining with a proof of another key',
    'ledger.validator-proof',
    seller,
    {
      kind: 'stake',
      body: { ...(stake(sixth, UNIT, seller) as TxContent & { kind: 'stake' }).body, publicKey: fifth.publicKey },
    },
  ],
  ['joining with a small-order key', 'ledger.key', seller, stake(smallOrderKey, UNIT)],
  ['joining with a key that misbehaved', 'ledger.validator-barred', buyer, stake(second, UNIT, buyer)],
  ['stake taken from nobody', 'ledger.no-validator', seller, unstake(fifth, UNIT)],
  ['stake taken from one who left', 'ledger.no-validator', buyer, unstake(second, UNIT)],
  ["somebody else's stake taken", 'ledger.validator-owner', buyer, unstake(first, UNIT)],
  ['no stake taken', 'ledger.amount', seller, unstake(first, 0n)],
  ['more stake taken than there is', 'ledger.funds', seller, unstake(first, 10n * UNIT + 1n)],
  ['less than a unit left behind', 'ledger.stake-small', seller, unstake(first, 9n * UNIT + 1n)],
  ['evidence against nobody', 'ledger.no-validator', seller, evidence(fifth)],
  ['evidence against one who was punished', 'ledger.validator-barred', seller, evidence(second)],
  ['evidence of one vote twice', 'ledger.evidence', seller, evidence(first, { blocks: ['a', 'a'] })],
  [
    'evidence of two votes for no block',
    'ledger.evidence',
    seller,
    evidence(first, { blocks: [undefined, undefined] }),
  ],
  ['evidence that another key signed', 'ledger.evidence-signature', seller, evidence(first, { by: third })],
  ['evidence from another chain', 'ledger.evidence-signature', seller, evidence(first, { chainId: 'tieline-test-2' })],
]
for (const [what, expected, sender, content] of refusals) {
  test(`${what} is refused`, () => refused(begun(), expected, sender, content))
}

test('where genesis stakes nobody, nobody can', () => {
  const bench = new Bench()
  assert.is(bench.record(RULES, '')!.staking, undefined)
  refused(bench, 'ledger.no-staking', seller, stake(fifth, UNIT, seller))
  refused(bench, 'ledger.no-staking', seller, unstake(first, UNIT))
  refused(bench, 'ledger.no-staking', seller, evidence(first))
  bench.block([], 1000, [first.address])
  assert.equal(bench.updates, [])
})

test('a validator joins with a unit, grows, lessens and leaves, and its power follows', () => {
  const bench = new StakedBench()
  assert.is(nameOf(bench.send(seller, stake(fifth, UNIT, seller))), 'taken')
  assert.equal(bench.updates, [{ publicKey: fifth.publicKey, power: 1n }])
  assert.is(bench.account(seller).balance, RICH - UNIT - FEE)
  assert.is(nameOf(bench.send(seller, stake(fifth, 2n * UNIT + 1n))), 'taken')
  assert.equal(bench.updates, [{ publicKey: fifth.publicKey, power: 3n }], 'a whole unit counts, a broken one does not')
  assert.is(nameOf(bench.send(seller, unstake(fifth, UNIT + 1n))), 'taken')
  assert.equal(bench.updates, [{ publicKey: fifth.publicKey, power: 2n }])
  assert.is(nameOf(bench.send(seller, unstake(fifth, 2n * UNIT))), 'taken')
  assert.equal(bench.updates, [{ publicKey: fifth.publicKey, power: 0n }])
  bench.block([])
  assert.equal(bench.updates, [])
})

test('whoever joins and leaves in one block takes no place', () => {
  const bench = new StakedBench()
  bench.block([signTx(seller, 0n, stake(fifth, UNIT, seller)), signTx(seller, 1n, unstake(fifth, UNIT))])
  assert.equal(bench.updates, [])
  assert.is(bench.record(VALIDATORS, '')!.all.length, 4)
})

test('stake that was taken back is free after the unbonding time, not before', () => {
  const bench = new StakedBench()
  bench.send(seller, unstake(first, UNIT))
  const { balance } = bench.account(seller)
  bench.block([], UNBONDING_MS - 1)
  assert.is(bench.account(seller).balance, balance, 'one millisecond before')
  bench.block([], 1)
  assert.is(bench.account(seller).balance, balance + UNIT)
  assert.is(bench.record(UNBONDING, first.id), undefined)
})

test('stake is taken back a few times at once, and again when some of it is free', () => {
  const bench = new StakedBench()
  const begin = bench.time
  for (let i = 0; i < MAX_UNBONDING; i++) {
    // A unit in all: it stays above one unit for long.
    assert.is(nameOf(bench.send(seller, unstake(first, UNIT / 2n))), 'taken')
  }
  refused(bench, 'ledger.unbonding-full', seller, unstake(first, 1n))
  bench.block([], begin + 1000 + UNBONDING_MS - bench.time)
  assert.is(nameOf(bench.send(seller, unstake(first, 1n))), 'taken')
})

test('a large change takes several blocks, none of which moves a third of the power', () => {
  const bench = new StakedBench()
  // 40 units of power in all: ten leave at once with 13, two validators of ten do not.
  bench.block([signTx(seller, 0n, unstake(first, 10n * UNIT)), signTx(buyer, 0n, unstake(second, 10n * UNIT))])
  assert.is(bench.followed.powerOf(first), 0n)
  assert.is(bench.followed.powerOf(second), 7n)
  bench.rest()
  assert.is(bench.followed.powerOf(second), 0n)
})

test('the last validator stays', () => {
  const bench = new StakedBench()
  for (const [i, owner] of owners.slice(0, 3).entries()) {
    assert.is(nameOf(bench.send(owner, unstake(keys[i]!, 10n * UNIT))), 'taken')
  }
  bench.rest()
  refused(bench, 'ledger.last-validator', operator, unstake(keys[3]!, 10n * UNIT))
  assert.is(nameOf(bench.send(operator, unstake(keys[3]!, 9n * UNIT))), 'taken', 'all but a unit is free to go')
  bench.rest()
  assert.equal(
    bench.followed.set.map(({ votingPower }) => votingPower),
    [1n],
  )
})

test('there are as many validators as the rule says, and a place is free when one is gone', () => {
  const bench = new StakedBench()
  for (const key of [fifth, sixth]) assert.is(nameOf(bench.send(seller, stake(key, UNIT, seller))), 'taken')
  assert.is(bench.followed.set.length, MOST)
  refused(bench, 'ledger.validators-full', seller, stake(seventh, UNIT, seller))
  bench.send(seller, unstake(fifth, UNIT))
  assert.is(nameOf(bench.send(seller, stake(seventh, UNIT, seller))), 'taken')
})

test('whoever has left and comes back before its power is gone needs its proof again', () => {
  const bench = new StakedBench()
  bench.block([signTx(buyer, 0n, unstake(second, 10n * UNIT)), signTx(seller, 0n, unstake(first, 10n * UNIT))])
  assert.ok(bench.record(VALIDATORS, '')!.all.some(({ stake, power }) => stake === 0n && power > 0n))
  refused(new StakedBench(), 'ledger.validator-owner', seller, stake(second, UNIT, seller))
  assert.is(nameOf(bench.send(seller, stake(second, UNIT))), 'ledger.validator-proof')
  assert.is(nameOf(bench.send(seller, stake(second, UNIT, seller))), 'taken')
  bench.rest()
  assert.is(bench.followed.powerOf(second), 1n)
})

const misdeeds = {
  'that CometBFT reports': (bench: StakedBench) => void bench.block([], 1000, [first.address]),
  'that a transaction proves': (bench: StakedBench) => void bench.send(buyer, evidence(first)),
  'of a vote for a block and one for none': (bench: StakedBench) =>
    void bench.send(buyer, evidence(first, { blocks: ['a', undefined] })),
}
for (const [what, report] of Object.entries(misdeeds)) {
  test(`misbehaviour ${what} costs a share of stake and of what unbonds, and the place`, () => {
    const bench = new StakedBench()
    bench.send(seller, unstake(first, UNIT))
    const before = bench.account(operator).balance
    report(bench)
    // 50 permille of 9,000,000 and of 1,000,000; the fee of the evidence goes to the operator too.
    const fee = what.includes('CometBFT') ? 0n : FEE
    assert.is(bench.account(operator).balance, before + 450_000n + 50_000n + fee)
    bench.rest()
    assert.is(bench.followed.powerOf(first), 0n)
    assert.ok(bench.record(BARRED, first.id))
    const { balance } = bench.account(seller)
    bench.block([], 2 * UNBONDING_MS)
    assert.is(bench.account(seller).balance, balance + 9_500_000n)
  })
}

test('a misdeed counts once, however often and by whomever it is reported', () => {
  const bench = new StakedBench()
  bench.block([signTx(buyer, 0n, evidence(first))], 1000, [first.address, first.address, partyOf('unknown').address])
  const after = bench.account(operator).balance
  assert.is(after, RICH + FEE + 500_000n)
  bench.block([], 1000, [first.address])
  assert.is(bench.account(operator).balance, after)
})

test('stake that unbonds answers still for a validator that has left', () => {
  const bench = new StakedBench()
  bench.send(seller, unstake(first, 10n * UNIT))
  bench.rest()
  assert.is(bench.followed.powerOf(first), 0n)
  assert.is(nameOf(bench.send(buyer, evidence(first))), 'taken')
  assert.is(bench.record(UNBONDING, first.id)!.parts[0]!.amount, 9_500_000n)
  bench.block([], UNBONDING_MS)
  const other = new StakedBench()
  other.send(seller, unstake(first, 10n * UNIT))
  other.block([], UNBONDING_MS)
  refused(other, 'ledger.no-validator', buyer, evidence(first))
})

test('when all misbehave somebody still validates, until another takes over', () => {
  const bench = new StakedBench()
  bench.block(
    [],
    1000,
    keys.map(({ address }) => address),
  )
  bench.rest()
  assert.equal(
    bench.followed.set.map(({ votingPower }) => votingPower),
    [1n],
  )
  assert.is(nameOf(bench.send(seller, stake(fifth, 3n * UNIT, seller))), 'taken')
  bench.rest()
  assert.is(bench.followed.set.length, 1)
  assert.is(bench.followed.powerOf(fifth), 3n)
})

test('slashing of everything and of nothing leaves the books whole', () => {
  for (const slashPermille of [0, 1000]) {
    const bench = new StakedBench({ ...stakedGenesis, staking: { ...stakedGenesis.staking!, slashPermille } })
    bench.send(seller, unstake(first, UNIT))
    bench.block([], 1000, [first.address])
    bench.block([], 2 * UNBONDING_MS)
    const left = slashPermille === 0 ? 10n * UNIT : 0n
    assert.is(bench.account(seller).balance, RICH - FEE + left)
  }
})

test('any sequence of stakes, leaves and misdeeds gives a set that CometBFT accepts, a third at a time', () => {
  const step = fc.record({
    kind: fc.constantFrom('stake', 'stake', 'unstake', 'unstake', 'all', 'evidence', 'misbehaved', 'wait'),
    key: fc.nat(keys.length - 1),
    owner: fc.nat(2),
    amount: fc.bigInt({ min: 0n, max: 4n * UNIT }),
    rare: fc.nat(5),
  })
  type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
  const taken = new Map<string, number>()
  const check = (blocks: readonly (readonly Step[])[]) => {
    const bench = new StakedBench()
    for (const steps of blocks) {
      const misbehaved: Uint8Array[] = []
      const sequences = new Map<Party, bigint>()
      const txs: Uint8Array[] = []
      let afterMs = 1000
      for (const { kind, key: k, owner: o, amount, rare } of steps) {
        const key = keys[k]!
        const known = bench.record(VALIDATORS, '')!.all.find(one => Buffer.compare(one.publicKey, key.publicKey) === 0)
        const owner =
          owners.find(({ address }) => known !== undefined && Buffer.compare(address, known.owner) === 0) ?? owners[o]!
        const content: TxContent | undefined =
          kind === 'stake'
            ? stake(key, amount, owner)
            : kind === 'unstake'
              ? unstake(key, amount)
              : kind === 'all'
                ? { kind: 'unstake', body: { validator: key.address, amount: micros(known?.stake ?? 1n) } }
                : kind === 'evidence' && rare === 0
                  ? evidence(key)
                  : undefined
        if (kind === 'misbehaved' && rare === 0) misbehaved.push(key.address)
        if (kind === 'wait') afterMs = 100_000 * (o + 1)
        if (content === undefined) continue
        const sequence = sequences.get(owner) ?? bench.sequence(owner)
        txs.push(signTx(owner, sequence, content))
        // Only a transaction that is taken uses its number up; another of the same block may then be out of order.
        sequences.set(owner, sequence + 1n)
      }
      for (const outcome of bench.block(txs, afterMs, misbehaved)) {
        const name = nameOf(outcome)
        taken.set(name, (taken.get(name) ?? 0) + 1)
      }
    }
    bench.rest()
    const wanted = bench.record(VALIDATORS, '')!.all.filter(({ stake }) => stake > 0n)
    for (const { publicKey, stake } of wanted) {
      assert.is(
        bench.followed.set.find(one => Buffer.compare(one.publicKey, publicKey) === 0)!.votingPower,
        stake / UNIT,
      )
    }
    bench.block([], 10 * UNBONDING_MS)
  }
  // Chance alone seldom fills the set.
  const by = { owner: 0, amount: UNIT, rare: 0 }
  check([
    [4, 5, 6].map(key => ({ ...by, kind: 'stake', key })),
    [{ ...by, kind: 'unstake', key: 0, amount: 10n * UNIT - 1n }],
    [{ ...by, kind: 'misbehaved', key: 1 }],
    [{ ...by, kind: 'stake', key: 1 }],
  ])
  for (const name of ['taken', 'ledger.validators-full', 'ledger.validator-barred', 'ledger.stake-small']) {
    assert.ok((taken.get(name) ?? 0) > 0, `${name} never came`)
  }
  assertProperty(fc.property(fc.array(fc.array(step, { maxLength: 4 }), { minLength: 5, maxLength: 30 }), check), 60)
}, 120_000)

/** What an audit says when the records of a ledger with one punished and one leaving validator are rewritten. */
function forged<T>(table: Table<T>, id: string, change: (record: T) => T): readonly (string | undefined)[] {
  const bench = new StakedBench()
  bench.send(seller, unstake(first, UNIT))
  bench.block([], 1000, [second.address])
  bench.rest()
  const key = `${table.prefix}${id}`
  const entries = [...bench.app.entries(bench.app.height)!].map(([name, value]) =>
    fromUtf8(name) === key
      ? ([name, encodeAs(table.codec, change(must(decodeAs(table.codec, value, key, value.length))))] as const)
      : ([name, value] as const),
  )
  return auditLedger(entries).problems.map(problem => (problem['what'] ?? problem.code) as string)
}

test('an audit finds stake that was made, lost, kept or taken for no power', () => {
  type All = { readonly all: readonly StakedValidator[] }
  const change = (i: number, by: Partial<StakedValidator>) => (record: All) => ({
    all: record.all.map((one, at) => (at === i ? { ...one, ...by } : one)),
  })
  assert.equal(
    forged(VALIDATORS, '', record => record),
    [],
  )
  assert.equal(forged(VALIDATORS, '', change(0, { stake: micros(9n * UNIT - 1n) })), ['audit.residue'])
  assert.equal(forged(VALIDATORS, '', change(0, { stake: micros(1n) })), [
    'audit.residue',
    'stake below a unit of power',
  ])
  assert.equal(forged(VALIDATORS, '', change(0, { publicKey: second.publicKey })), ['a barred validator with stake'])
  assert.equal(forged(VALIDATORS, '', change(0, { publicKey: third.publicKey })), ['a validator stands twice'])
  assert.equal(
    forged(VALIDATORS, '', ({ all }) => ({ all: all.map(one => ({ ...one, power: 0n })) })),
    ['nobody validates'],
  )
  assert.equal(
    forged(VALIDATORS, '', ({ all }) => ({
      all: [...all, { ...all[0]!, publicKey: fifth.publicKey, stake: micros(0n), power: 0n }],
    })),
    ['a validator without stake and power'],
  )
  const parts = (by: Partial<Unbonding['parts'][number]>) => (record: Unbonding) => ({
    ...record,
    parts: record.parts.map(part => ({ ...part, ...by })),
  })
  assert.equal(forged(UNBONDING, first.id, parts({ amount: micros(UNIT + 1n) })), ['audit.residue'])
  assert.equal(forged(UNBONDING, first.id, parts({ amount: micros(0n) })), ['audit.residue', 'nothing unbonds'])
  assert.equal(forged(UNBONDING, first.id, parts({ at: instant(1) })), ['stake kept after its time'])
  const { staking: _, ...without } = new StakedBench().record(RULES, '')!
  assert.equal(
    forged(RULES, '', () => without),
    ['stake on a ledger that has no rules for it'],
  )
  assert.equal(
    forged(RULES, '', rules => ({ ...rules, staking: { ...rules.staking!, most: 2 } })),
    ['too many validators'],
  )
})

test('every refusal of stake was seen here', () => {
  assert.equal(unseen(64, 79), [])
})

test.run()
