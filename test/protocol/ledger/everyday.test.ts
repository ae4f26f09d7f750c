/** Any everyday life on the ledger, block by block: the books are audited, and what a proposer picks is what executes. */
import { type Audit, auditLedger } from '../../../protocol/ledger/audit.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { dealStates, Everyday } from './everyday.ts'

const test = suite('everyday ledger')

const audit = ({ app }: Everyday): Audit => auditLedger(app.entries(app.height)!)
const seeds = fc.tuple(fc.integer(), fc.integer({ min: 1, max: 60 }))

test('after each block every coin is somewhere, and nothing is wrong with deals, meters and stakes', () => {
  const met = { settled: 0, refunded: 0, staked: 0n, unbonding: 0n, minted: 0n }
  assertProperty(
    fc.property(seeds, ([seed, blocks]) => {
      const street = new Everyday(seed)
      const begun = audit(street).money.minted
      for (let i = 0; i < blocks; i++) {
        street.run(street.next())
        const { problems, money } = audit(street)
        assert.equal(problems, [])
        const { minted, balances, escrowed, staked, unbonding } = money
        // Whatever else holds coins on a ledger, nothing of it is on this one.
        assert.is(minted, balances + escrowed + staked + unbonding)
        met.staked += staked
        met.unbonding += unbonding
        if (minted !== begun) met.minted++
      }
      for (const state of dealStates(street)) if (state === 'settled' || state === 'refunded') met[state]++
    }),
    30,
  )
  assert.ok(
    Object.values(met).every(count => count > 0),
    JSON.stringify(met, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  )
}, 120_000)

test('what a proposer picks is judged good and executes to the last; what fails is judged bad', () => {
  const met = { allGood: 0, someBad: 0, leftOut: 0 }
  assertProperty(
    fc.property(seeds, ([seed, blocks]) => {
      const street = new Everyday(seed)
      const { app } = street
      for (let i = 0; i < blocks; i++) {
        const block = street.next()
        const before = app.appHash
        const all = app.finalizeBlock(block).results.every(({ code }) => code === 0)
        assert.is(app.judgeTxs(block).ok, all)
        const room = street.draw(3) === 0 ? 500 : 100_000
        const txs = app.selectTxs(block, room)
        assert.ok(txs.reduce((bytes, tx) => bytes + tx.length, 0) <= room)
        assert.is(app.appHash, before)
        assert.ok(app.judgeTxs({ ...block, txs }).ok)
        const { results } = street.run({ ...block, txs })
        assert.ok(results.every(({ code }) => code === 0))
        if (room > 500 && all) assert.is(txs.length, block.txs.length)
        met[all ? 'allGood' : 'someBad']++
        if (txs.length < block.txs.length) met.leftOut++
      }
    }),
    20,
  )
  assert.ok(
    Object.values(met).every(count => count > 0),
    JSON.stringify(met),
  )
}, 120_000)

test.run()
