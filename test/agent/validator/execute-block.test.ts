import { executeBlock } from '../../../agent/validator/execute-block.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { createVerifyPool } from '../../../drivers/crypto/verify-pool.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { type BlockInput, createApp } from '../../../protocol/ledger/app.ts'
import { micros } from '../../../protocol/quantity.ts'
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

const test = suite('a block on every core')

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
    const output = await executeBlock(app, block, createVerifyPool(createVerifier()))
    assert.equal(output.results, expected.results)
    assert.is(toHex(output.appHash), toHex(expected.appHash))
    plain.commit()
    app.commit()
    assert.is(toHex(app.appHash), toHex(plain.appHash))
  })
}

test('on the hopeful word alone a forged transaction would be taken', () => {
  const block = blockOf([forged(0n), pay(0n)])
  const { hopeful } = createVerifyPool(createVerifier()).begin()
  const { results } = createApp(genesis).finalizeBlock({ ...block, verifier: hopeful })
  assert.equal(results.map(nameOf), ['taken', 'ledger.sequence'])
  const judged = createApp(genesis).finalizeBlock({ ...block, verifier })
  assert.equal(judged.results.map(nameOf), ['ledger.signature', 'taken'])
})

test.run()
