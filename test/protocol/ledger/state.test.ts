/** The state over the tree against a plain map, however little it remembers; and a ledger that goes on from what was saved. */
import { equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { createApp, resumeApp, type SavedState } from '../../../protocol/ledger/app.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { createFirstDraft, createState, type Draft } from '../../../protocol/ledger/state.ts'
import { ACCOUNTS, type Account, HEADERS } from '../../../protocol/ledger/tables.ts'
import { micros } from '../../../protocol/quantity.ts'
import { decodeAs, encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { BEGIN, buyer, genesis, seller, signTx, verifier } from './parties.ts'

const test = suite('state over the tree')

const account = (balance: number): Account => ({
  ...{ publicKey: new Uint8Array(32), sequence: 0n },
  balance: micros(BigInt(balance)),
})
const IDS = Array.from({ length: 8 }, (_, i) => `${i}`)

type Act = { readonly id: number; readonly balance: number | undefined; readonly merged: boolean }
const act: fc.Arbitrary<Act> = fc.record({
  id: fc.nat(IDS.length - 1),
  // Records of 49 and of 57 bytes with their keys: half of 104 holds one of the small ones and none of the large.
  balance: fc.option(fc.oneof(fc.nat(1000), fc.constant(10 ** 15)), { nil: undefined }),
  merged: fc.boolean(),
})

test('any blocks read as they were written, with room for all records, for some, or for none', () => {
  const blocks = fc.array(fc.tuple(fc.array(act, { maxLength: 8 }), fc.boolean()), { maxLength: 8 })
  assertProperty(
    fc.property(fc.constantFrom(0, 104, 300, 1_000_000), blocks, (limit, plan) => {
      const tree = createStateTree(2)
      tree.commit(0n, [])
      let height = 0n
      const state = createState(() => tree.at(height)!, limit)
      const model = new Map<string, bigint>()
      const agrees = (draft: Pick<Draft, 'get'>, expected: ReadonlyMap<string, bigint>) => {
        for (const id of IDS) assert.is(draft.get(ACCOUNTS, id)?.balance, expected.get(id))
      }
      for (const [acts, committed] of plan) {
        const draft = state.draft()
        const written = new Map(model)
        for (const { id, balance, merged } of acts) {
          const inner = draft.draft()
          if (balance === undefined) inner.remove(ACCOUNTS, IDS[id]!)
          else inner.put(ACCOUNTS, IDS[id]!, account(balance))
          if (!merged) continue
          inner.merge()
          if (balance === undefined) written.delete(IDS[id]!)
          else written.set(IDS[id]!, BigInt(balance))
        }
        agrees(draft, written)
        tree.commit(height + 1n, draft.changes())
        agrees(state, model)
        if (committed) {
          height++
          draft.merge()
          model.clear()
          for (const [id, balance] of written) model.set(id, balance)
        } else tree.revert()
        agrees(state, model)
      }
    }),
  )
})

test('a first draft has nowhere to go', () => {
  const draft = createFirstDraft()
  draft.put(ACCOUNTS, '1', account(1))
  assert.throws(() => draft.merge(), /account\/1 has no state/)
})

const HEIGHT = 5n
const header = (height: bigint) => sha256(utf8(`header ${height}`))

function begun() {
  const app = createApp(genesis)
  for (let height = 1n; height <= HEIGHT; height++) advance(app, height)
  return app
}
function advance(app: ReturnType<typeof createApp>, height: bigint) {
  const tx = signTx(seller, height - 1n, { kind: 'transfer', body: { to: buyer.address, amount: micros(1n) } })
  const block = {
    ...{ height, txs: [tx], verifier, hash: header(height), misbehaved: [] },
    time: instant(BEGIN + Number(height)),
  }
  const { results } = app.finalizeBlock(block)
  assert.is(results[0]!.code, 0)
  app.commit()
}
const app = begun()
const saved = (change: Partial<SavedState> = {}): SavedState => ({
  ...{ entries: app.entries(HEIGHT)!, headerHashes: app.headerHashes(HEIGHT)! },
  ...change,
})

test('what was saved goes on as if it had never stopped, accumulator and all', () => {
  const resumed = must(resumeApp(saved()))
  const other = begun()
  assert.ok(equalBytes(resumed.appHash, app.appHash))
  for (const one of [resumed, other]) advance(one, HEIGHT + 1n)
  assert.ok(equalBytes(resumed.appHash, other.appHash))
  assert.equal(resumed.headerProof(2n, HEIGHT + 1n), other.headerProof(2n, HEIGHT + 1n))
})

test('header hashes that are not those of the state are refused: other ones, fewer, more, or no hashes', () => {
  const hashes = [...app.headerHashes(HEIGHT)!]
  const other = [...hashes.slice(0, 2), header(9n), ...hashes.slice(3)]
  for (const headerHashes of [
    [],
    other,
    hashes.slice(1),
    [...hashes, header(6n)],
    [...hashes.slice(1), utf8('short')],
  ]) {
    const resumed = resumeApp(saved({ headerHashes }))
    assert.is(!resumed.ok && resumed.fault.code, 'ledger.header-hashes')
  }
  // A state that says of itself that it has fewer headers than blocks.
  const root = must(decodeAs(HEADERS.codec, app.query(utf8('headers'), HEIGHT)!.value!, 'headers', 64)).root
  const shrunk = encodeAs(HEADERS.codec, { size: HEIGHT - 1n, root })
  const odd = [...app.entries(HEIGHT)!].map(
    ([key, value]) => [key, equalBytes(key, utf8('headers')) ? shrunk : value] as const,
  )
  const refused = resumeApp(saved({ entries: odd }))
  assert.is(!refused.ok && refused.fault.code, 'ledger.header-hashes')
  function* endless() {
    for (;;) yield header(1n)
  }
  assert.is(resumeApp(saved({ headerHashes: endless() })).ok, false)
  const resumed = resumeApp(saved({ headerHashes: hashes.slice(1) }))
  const { code, height, size, received } = (resumed as { fault: Record<string, unknown> }).fault
  assert.equal({ code, height, size, received }, { code: 'ledger.header-hashes', height: 5n, size: 5n, received: 4n })
})

test('a saved state without one of its records, or with one that is none, is refused', () => {
  for (const [missing, present] of [
    ['chain', 'ledger.state-missing'],
    ['rules', 'ledger.state-missing'],
    ['headers', 'ledger.state-missing'],
  ] as const) {
    const entries = [...app.entries(HEIGHT)!].filter(([key]) => !equalBytes(key, utf8(missing)))
    const resumed = resumeApp(saved({ entries }))
    assert.is(!resumed.ok && resumed.fault.code, present)
    assert.is(!resumed.ok && 'key' in resumed.fault && resumed.fault.key, missing)
  }
  for (const [key, value] of [
    [utf8('headers'), utf8('no record')],
    [utf8('no table'), utf8('x')],
    [Uint8Array.of(0xff), utf8('x')],
  ] as const) {
    const resumed = resumeApp(saved({ entries: [...app.entries(HEIGHT)!, [key, value]] }))
    assert.is(!resumed.ok && resumed.fault.code, 'ledger.state-entry', toHex(key))
  }
})

test('an audit finds an accumulator of another height', () => {
  const entries = [...app.entries(HEIGHT)!]
  assert.equal(auditLedger(entries).problems, [])
  const record = encodeAs(HEADERS.codec, { size: HEIGHT - 1n, root: new Uint8Array(32) })
  const forged = entries.map(([key, value]) => [key, equalBytes(key, utf8('headers')) ? record : value] as const)
  assert.equal(auditLedger(forged).problems, [{ code: 'audit.headers', height: HEIGHT, headers: HEIGHT - 1n }])
})

test.run()
