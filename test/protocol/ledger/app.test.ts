/** The ledger as a state machine: its mempool, its order, its proofs and where it begins. */
import { equalBytes, utf8 } from '../../../protocol/bytes.ts'
import { SMT_SPEC, verifyMembership, verifyNonMembership } from '../../../protocol/chain/ics23.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { createApp, resumeApp } from '../../../protocol/ledger/app.ts'
import { dealKey } from '../../../protocol/ledger/deal-record.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  genesis,
  nameOf,
  type Party,
  seller,
  signTx,
  terms,
  verifier,
} from './parties.ts'

const test = suite('ledger application')

const pay = (to: Party, amount: bigint): TxContent => ({
  kind: 'transfer',
  body: { to: to.address, amount: micros(amount) },
})

const blockAt = (height: bigint, time: number, txs: readonly Uint8Array[] = []) => ({
  ...{ height, time: instant(time), txs, verifier },
  ...{ hash: sha256(utf8(`header ${height}`)), misbehaved: [] },
})

test('the mempool takes what the next block would, in order, and forgets at each block', () => {
  const { app } = new Bench()
  const first = signTx(seller, 0n, pay(buyer, 1n))
  const second = signTx(seller, 1n, pay(buyer, 1n))
  assert.is(nameOf(app.checkTx(second, verifier)), 'ledger.sequence')
  assert.is(nameOf(app.checkTx(first, verifier)), 'taken')
  assert.is(nameOf(app.checkTx(first, verifier)), 'ledger.sequence')
  assert.is(nameOf(app.checkTx(second, verifier)), 'taken')
  app.finalizeBlock(blockAt(1n, BEGIN + 1))
  app.commit()
  assert.is(nameOf(app.checkTx(second, verifier)), 'ledger.sequence')
  assert.is(nameOf(app.checkTx(first, verifier)), 'taken')
})

test('the same genesis and blocks give the same AppHash, another order of accounts too', () => {
  const benches = [new Bench(), new Bench(), new Bench({ ...genesis, accounts: [...genesis.accounts].reverse() })]
  for (const bench of benches) {
    bench.send(seller, pay(buyer, 1n))
    bench.send(buyer, commitOf(terms))
  }
  const [one, two, three] = benches.map(bench => bench.app.appHash)
  assert.ok(equalBytes(one!, two!) && equalBytes(one!, three!))
})

test('a locked payment, and the absence of one, is proven against the AppHash', () => {
  const bench = new Bench()
  const commit = commitOf(terms)
  const key = utf8(dealKey(contractHash(commit.body.contract)))
  const absent = bench.app.query(key, 0n)!
  assert.is(absent.value, undefined)
  assert.ok(verifyNonMembership(SMT_SPEC, bench.app.appHash, absent.proof, key).ok)
  bench.send(buyer, commit)
  const present = bench.app.query(key, 1n)!
  assert.ok(verifyMembership(SMT_SPEC, bench.app.appHash, present.proof, key, present.value!).ok)
  assert.is(bench.app.query(key, 0n)!.value, undefined, 'the height before still answers')
  assert.is(bench.app.query(key, 2n), undefined, 'a height that is not there yet does not')
})

test('a block that was executed and not committed may come again, or another in its place', () => {
  const { app } = new Bench()
  const genesisHash = app.appHash
  const one = signTx(seller, 0n, pay(buyer, 1n))
  const first = app.finalizeBlock(blockAt(1n, BEGIN + 1, [one]))
  assert.ok(equalBytes(app.appHash, genesisHash), 'nothing is state before commit')
  assert.is(app.query(utf8('chain'), 1n), undefined)
  app.finalizeBlock(blockAt(1n, BEGIN + 1, []))
  const again = app.finalizeBlock(blockAt(1n, BEGIN + 1, [one]))
  assert.equal(again, first)
  app.commit()
  assert.ok(equalBytes(app.appHash, first.appHash))
  assert.throws(() => app.commit(), /no block was executed/)
})

test('a saved state goes on as the one that was saved', () => {
  const [bench, other] = [new Bench(), new Bench()]
  for (const { app } of [bench, other]) {
    app.finalizeBlock(blockAt(1n, BEGIN + 1, [signTx(buyer, 0n, commitOf(terms))]))
    app.commit()
  }
  const resumed = must(resumeApp({ entries: bench.app.entries(1n)!, headerHashes: bench.app.headerHashes(1n)! }))
  assert.ok(equalBytes(resumed.appHash, bench.app.appHash))
  // The deal that nobody delivers is refunded in both: what falls due is found again in the records.
  for (const app of [resumed, other.app]) {
    app.finalizeBlock(blockAt(2n, terms.end + 1_000_000))
    app.commit()
  }
  assert.ok(equalBytes(resumed.appHash, other.app.appHash))
  const torn = resumeApp({ entries: [[utf8('deal/00'), utf8('garbage')]], headerHashes: [] })
  assert.is(!torn.ok && torn.fault.code, 'ledger.state-entry')
})

test('blocks come in order and time goes forward: anything else is our own bug', () => {
  const app = createApp(genesis)
  const block = (height: bigint, time: number) => () => {
    app.finalizeBlock(blockAt(height, time))
    app.commit()
  }
  assert.throws(block(2n, BEGIN + 1), /block 2 after block 0/)
  assert.throws(block(1n, BEGIN - 1), /block time/)
  block(1n, BEGIN)()
  assert.throws(block(2n, BEGIN), /block time/)
  assert.throws(block(1n, BEGIN + 2), /block 1 after block 1/)
})

test.run()
