import { onEveryCore } from '../../../agent/validator/on-every-core.ts'
import { verifyOnce } from '../../../agent/validator/verify-once.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { createVerifyPool } from '../../../drivers/crypto/verify-pool.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { createApp } from '../../../protocol/ledger/app.ts'
import type { BlockInput } from '../../../protocol/ledger/block.ts'
import { micros } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  buyer,
  commitOf,
  genesis,
  nameOf,
  seller,
  signTx,
  stranger,
  terms,
  verifier,
} from '../../protocol/ledger/parties.ts'
import { makeProducer, payment } from './street.ts'

const test = suite('on every core')

const cores = () => createVerifyPool(createVerifier())

const pay = (sequence: bigint, signedBy = seller) =>
  signTx(seller, sequence, { kind: 'transfer', body: { to: buyer.address, amount: micros(7n) } }, { signedBy })

const blockOf = (txs: readonly Uint8Array[]): Omit<BlockInput, 'verifier'> => ({
  height: 1n,
  time: instant(BEGIN + 1000),
  hash: sha256(utf8('header 1')),
  txs,
  misbehaved: [],
})

/** A transfer whose signature has one bit changed. */
const forged = (sequence: bigint): Uint8Array => {
  const tx = pay(sequence).slice()
  tx[tx.length - 1]! ^= 1
  return tx
}

const BLOCKS: Readonly<Record<string, readonly Uint8Array[]>> = {
  nothing: [],
  'good transactions': [pay(0n), pay(1n), signTx(buyer, 0n, commitOf(terms))],
  'a forged one among good ones': [pay(0n), forged(1n), pay(1n), signTx(buyer, 0n, commitOf(terms))],
  // Taken for valid, the forged one uses up the sequence of the good one behind it.
  'a forged one in front of the good one of its sequence': [forged(0n), pay(0n)],
  'a contract that the seller did not sign': [signTx(buyer, 0n, commitOf(terms, { seller: stranger })), pay(0n)],
  'another’s key and bytes that are none': [pay(0n, stranger), utf8('junk'), pay(0n)],
}

for (const [what, txs] of Object.entries(BLOCKS)) {
  test(`${what}: results and AppHash are those of the plain execution`, async () => {
    const block = blockOf(txs)
    const plain = createApp(genesis)
    const expected = plain.finalizeBlock({ ...block, verifier })
    const app = createApp(genesis)
    const output = await onEveryCore(cores(), verifyOnce(createVerifier()), each =>
      app.finalizeBlock({ ...block, verifier: each }),
    )
    assert.equal(output.results, expected.results)
    assert.is(toHex(output.appHash), toHex(expected.appHash))
    plain.commit()
    app.commit()
    assert.is(toHex(app.appHash), toHex(plain.appHash))
  })
}

test('a proposal with a forged transaction is refused as on one thread, an honest one accepted', async () => {
  for (const [what, txs] of Object.entries(BLOCKS)) {
    const block = blockOf(txs)
    const app = createApp(genesis)
    const expected = app.judgeTxs({ ...block, verifier })
    const judged = await onEveryCore(cores(), verifyOnce(createVerifier()), each =>
      app.judgeTxs({ ...block, verifier: each }),
    )
    assert.equal(judged, expected, what)
  }
})

test('what was checked on arrival is not checked again, nor what another core found valid', async () => {
  let checked = 0
  const inner = createVerifier()
  const pool = createVerifyPool({
    ...inner,
    verifyAside: (...all) => {
      checked++
      inner.verifyAside(...all)
    },
  })
  const once = verifyOnce(inner)
  const app = createApp(genesis)
  const arrived = pay(0n)
  app.checkTx(arrived, once)
  const block = blockOf([arrived, pay(1n)])
  const judge = () => onEveryCore(pool, once, each => app.judgeTxs({ ...block, verifier: each }))
  assert.ok((await judge()).ok)
  assert.is(checked, 1)
  assert.ok((await judge()).ok)
  assert.is(checked, 1)
})

test('a producer makes the same blocks with further cores as without', async () => {
  const hashes = await Promise.all(
    [undefined, cores()].map(async more => {
      const { producer } = makeProducer(more === undefined ? {} : { cores: more })
      for (const sequence of [0n, 1n]) {
        producer.submit(payment(sequence))
        must(await producer.produce())
      }
      must(await producer.produce())
      return [1n, 2n, 3n].map(height => toHex(producer.block(height)!.blockId.hash))
    }),
  )
  assert.equal(hashes[0], hashes[1])
})

test('on the hopeful word alone a forged transaction would be taken', () => {
  const block = blockOf([forged(0n), pay(0n)])
  const { hopeful } = createVerifyPool(createVerifier()).begin()
  const { results } = createApp(genesis).finalizeBlock({ ...block, verifier: hopeful })
  assert.equal(results.map(nameOf), ['taken', 'ledger.sequence'])
  const judged = createApp(genesis).finalizeBlock({ ...block, verifier })
  assert.equal(judged.results.map(nameOf), ['ledger.signature', 'taken'])
})

test.run()
