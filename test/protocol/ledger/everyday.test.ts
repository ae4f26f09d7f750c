/** Any everyday life on the ledger, block by block: the books are audited, and what a proposer picks is what executes. */
import { equalBytes } from '../../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../../protocol/cbor.ts'
import { parseSign1 } from '../../../protocol/crypto/cose.ts'
import { type Audit, auditLedger } from '../../../protocol/ledger/audit.ts'
import { TX_CONTEXT } from '../../../protocol/ledger/tx.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { dealStates, Everyday } from './everyday.ts'
import { sign1 } from './parties.ts'

const test = suite('everyday ledger')

const audit = ({ app }: Everyday): Audit => auditLedger(app.entries(app.height)!)
const seeds = fc.tuple(fc.integer(), fc.integer({ min: 1, max: 60 }))

test('after each block every coin is somewhere, and nothing is wrong with deals, meters and stakes', () => {
  const met = { settled: 0, refunded: 0, staked: 0n, unbonding: 0n, minted: 0n }
  assertCovering(
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
  assertCovering(
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

/** Values at the edges of what the fields of transactions hold. */
const edges: readonly Cbor[] = [
  ...[0, 1, -1, 8, 1000, 2 ** 31, Number.MAX_SAFE_INTEGER, 2n ** 62n, 2n ** 63n - 1n],
  ...[0, 8, 16, 20, 32, 33, 64, 4096].map(length => new Uint8Array(length)),
  ...['', 'L1', 'x'.repeat(50), true, null, [], new Map<number, Cbor>()],
]

/** A copy with one value somewhere inside replaced. */
function disturbed(item: Cbor, draw: (n: number) => number): Cbor {
  const inside = item instanceof Map ? [...item.keys()] : Array.isArray(item) ? [...item.keys()] : []
  if (inside.length === 0 || draw(3) === 0) return edges[draw(edges.length)]!
  const at = inside[draw(inside.length)]!
  if (item instanceof Map) return new Map([...item, [at, disturbed(item.get(at)!, draw)]])
  return (item as readonly Cbor[]).map((part, i) => (i === at ? disturbed(part, draw) : part))
}

test('whatever a rightful sender signs is taken or refused by name, and the books stay whole', () => {
  const met = new Set<number>()
  assertCovering(
    fc.property(seeds, ([seed, blocks]) => {
      const street = new Everyday(seed)
      for (let i = 0; i < blocks; i++) {
        const block = street.next()
        const txs = block.txs.flatMap(tx => {
          const { payload } = must(parseSign1(tx))
          const frame = must(decode(payload)) as ReadonlyMap<number, Cbor>
          const by = street.holders.find(({ party }) => equalBytes(party.address, frame.get(3) as Uint8Array))!
          const other = encode(new Map([...frame, [7, disturbed(frame.get(7)!, street.draw)]]) as Cbor)
          return [sign1(other, TX_CONTEXT, by.key), tx]
        })
        for (const { code } of street.run({ ...block, txs }).results) met.add(code)
        assert.equal(audit(street).problems, [])
      }
    }),
    30,
  )
  assert.ok(met.size > 10, `${met.size} codes`)
}, 120_000)

test.run()
