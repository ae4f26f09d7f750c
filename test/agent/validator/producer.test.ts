/** The produced chain is recomputed from its parts, byte by byte, by code that did not produce it. */
import { createMempool } from '../../../agent/validator/mempool.ts'
import type { ProducedBlock, Producer } from '../../../agent/validator/producer.ts'
import { verifyOnce } from '../../../agent/validator/verify-once.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import {
  hashData,
  hashResults,
  makeBlockId,
  proveResult,
  proveTx,
  verifyResult,
  verifyTx,
} from '../../../protocol/chain/block.ts'
import { instantOf, nanosOf } from '../../../protocol/chain/chain-time.ts'
import { commitFault, hashCommit, medianTime, sameBlockId, voteSignBytes } from '../../../protocol/chain/commit.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { SMT_SPEC, verifyMembership } from '../../../protocol/chain/ics23.ts'
import { hashValidators } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, nameOf, seller, verifier } from '../../protocol/ledger/parties.ts'
import { makeProducer, payment, signers } from './street.ts'

const test = suite('block producer')

const blocksOf = (producer: Producer): ProducedBlock[] => {
  const { height } = producer.status()
  return Array.from({ length: Number(height) }, (_, i) => producer.block(BigInt(i + 1))!)
}

async function tradingChain(): Promise<Producer> {
  const { producer, time } = makeProducer()
  producer.start()
  for (let i = 0; i < 6; i++) {
    if (i % 2 === 1) for (const n of [0n, 1n, 2n]) producer.submit(payment(BigInt((i - 1) / 2) * 3n + n))
    await time.advance(1000)
  }
  await producer.stop()
  return producer
}

test('every hash in every header is that of its part', async () => {
  const blocks = blocksOf(await tradingChain())
  assert.is(blocks.length, 6)
  for (const [i, block] of blocks.entries()) {
    const { header, commit, blockId } = block
    const before = blocks[i - 1]
    assert.is(header.height, BigInt(i + 1))
    assert.ok(equalBytes(hashHeader(header), blockId.hash))
    assert.ok(sameBlockId(makeBlockId(block), blockId))
    assert.ok(equalBytes(header.validatorsHash, hashValidators(block.validators)))
    assert.ok(equalBytes(header.nextValidatorsHash, header.validatorsHash))
    assert.ok(equalBytes(header.dataHash, hashData(block.txs)))
    assert.ok(equalBytes(header.lastResultsHash, hashResults(before?.results ?? [])))
    assert.ok(equalBytes(header.lastCommitHash, hashCommit(block.lastCommit)))
    assert.is(commitFault(commit), undefined)
    assert.ok(sameBlockId(commit.blockId, blockId))
    if (before === undefined) continue
    assert.ok(equalBytes(header.appHash, before.appHash), 'AppHash of H stands in H+1')
    assert.ok(sameBlockId(header.lastBlockId, before.blockId))
    assert.is(block.lastCommit, before.commit)
  }
  assert.equal(
    blocks.map(block => block.txs.length),
    [0, 3, 0, 3, 0, 3],
  )
})

test('all four validators sign each block, and take turns to propose', async () => {
  const blocks = blocksOf(await tradingChain())
  for (const { header, commit, validators } of blocks) {
    assert.is(commit.signatures.length, 4)
    for (const [i, sig] of commit.signatures.entries()) {
      assert.ok(equalBytes(sig.validatorAddress, validators[i]!.address))
      const message = voteSignBytes(header.chainId, commit, sig)
      assert.ok(verifier.verify('EdDSA', validators[i]!.publicKey, message, sig.signature))
    }
  }
  const proposers = blocks.slice(0, 4).map(({ header }) => toHex(header.proposerAddress))
  assert.is(new Set(proposers).size, 4)
  assert.is(toHex(blocks[4]!.header.proposerAddress), proposers[0])
})

test('time is the median of the votes before, begins with genesis and always rises', async () => {
  const { producer, time } = makeProducer()
  for (const step of [0, 1000, -100_000, 0, 500]) {
    time.stepWall(step)
    await producer.produce()
  }
  const blocks = blocksOf(producer)
  assert.is(instantOf(blocks[0]!.header.time), BEGIN)
  for (const [i, { header }] of blocks.entries()) {
    if (i === 0) continue
    assert.ok(nanosOf(header.time) > nanosOf(blocks[i - 1]!.header.time), `block ${i + 1}`)
    assert.equal(
      header.time,
      medianTime(blocks[i - 1]!.commit, () => 1n),
    )
  }
})

test('a transaction and its result are proven from headers', async () => {
  const producer = await tradingChain()
  const tx = payment(4n)
  const { block, index } = producer.tx(sha256(tx))!
  assert.is(block.header.height, 4n)
  assert.is(index, 1)
  assert.ok(verifyTx(block.header.dataHash, tx, proveTx(block.txs, index)))
  const next = producer.block(5n)!
  assert.ok(verifyResult(next.header.lastResultsHash, block.results[index]!, proveResult(block.results, index)))
})

test('state is proven against the header after the block that wrote it', async () => {
  const producer = await tradingChain()
  const key = utf8(`account/${buyer.id}`)
  const { value, proof } = producer.query(key, 4n)!
  assert.ok(verifyMembership(SMT_SPEC, producer.block(5n)!.header.appHash, proof, key, value!).ok)
  assert.not.ok(verifyMembership(SMT_SPEC, producer.block(4n)!.header.appHash, proof, key, value!).ok)
})

test('asked for a block while one is being made, it makes one', async () => {
  const slow = signers.map(signer => ({
    ...signer,
    sign: async (message: Uint8Array) => {
      await drainPromises()
      return signer.sign(message)
    },
  }))
  const { producer } = makeProducer({ signers: slow })
  await Promise.all([producer.produce(), producer.produce(), producer.produce()])
  assert.is(producer.status().height, 1n)
  await producer.produce()
  assert.is(producer.status().height, 2n)
})

test('a stopped producer makes no further block', async () => {
  const { producer, time } = makeProducer({ intervalMs: 200 })
  producer.start()
  producer.start()
  await time.advance(1000)
  assert.is(producer.status().height, 5n)
  await producer.stop()
  await time.advance(1000)
  assert.is(producer.status().height, 5n)
})

test('a transaction that arrives while votes are collected waits for the next block', async () => {
  let late: Uint8Array | undefined = payment(1n)
  const { producer } = makeProducer({
    signers: signers.map(signer => ({
      ...signer,
      sign: message => {
        if (late !== undefined) assert.is(producer.submit(late).kind, 'checked')
        late = undefined
        return signer.sign(message)
      },
    })),
  })
  producer.submit(payment(0n))
  await producer.produce()
  assert.is(producer.block(1n)!.txs.length, 1)
  await producer.produce()
  assert.equal(producer.block(2n)!.txs, [payment(1n)])
  assert.is(producer.block(2n)!.results[0]!.code, 0)
})

test('the same transaction again is known, before and after its block', async () => {
  const { producer } = makeProducer()
  const tx = payment(0n)
  assert.is(producer.submit(tx).kind, 'checked')
  assert.is(producer.submit(tx).kind, 'known')
  await producer.produce()
  assert.is(producer.submit(tx).kind, 'known')
  await producer.produce()
  assert.is(producer.block(2n)!.txs.length, 0)
})

test('what was refused is not kept, so it can come again when its time has come', async () => {
  const { producer } = makeProducer()
  const second = payment(1n)
  const early = producer.submit(second)
  assert.ok(early.kind === 'checked' && nameOf(early.outcome) === 'ledger.sequence')
  producer.submit(payment(0n))
  const now = producer.submit(second)
  assert.ok(now.kind === 'checked' && now.outcome.code === 0)
  await producer.produce()
  assert.is(producer.block(1n)!.txs.length, 2)
})

test('old blocks are forgotten with their transactions, the newest kept', async () => {
  const { producer } = makeProducer({ keep: 3 })
  const tx = payment(0n)
  producer.submit(tx)
  for (let i = 0; i < 5; i++) await producer.produce()
  assert.is(producer.status().oldest, 3n)
  assert.is(producer.lightBlock(2n), undefined)
  assert.is(producer.lightBlock(3n)!.commit.height, 3n)
  assert.is(producer.tx(sha256(tx)), undefined)
})

test('a subscriber hears each block once, until it leaves', async () => {
  const { producer } = makeProducer()
  const heard: bigint[] = []
  const leave = producer.subscribe(block => heard.push(block.header.height))
  await producer.produce()
  await producer.produce()
  leave()
  await producer.produce()
  assert.equal(heard, [1n, 2n])
})

test('the books of a produced chain add up', async () => {
  const producer = await tradingChain()
  const { problems, money } = producer.audit()
  assert.equal(problems, [])
  assert.is(money.residue, 0n)
  assert.ok(toHex(producer.query(utf8(`account/${seller.id}`), 6n)!.value!).length > 0)
})

test('a full mempool refuses, and one block holds at most a mebibyte', () => {
  const outcome = { code: 0, data: new Uint8Array(0), log: '', gasWanted: 0n, gasUsed: 0n }
  const small = createMempool(
    () => outcome,
    () => false,
    2,
  )
  assert.is(small.submit(Uint8Array.of(1)).kind, 'checked')
  assert.is(small.submit(Uint8Array.of(2)).kind, 'checked')
  assert.equal(small.submit(Uint8Array.of(3)), { kind: 'full', txs: 2, limit: 2 })
  const large = createMempool(
    () => outcome,
    () => false,
  )
  for (let i = 0; i < 3; i++) large.submit(new Uint8Array(500_000).fill(i))
  assert.is(large.reap().length, 2)
  large.remove(large.reap())
  assert.is(large.reap().length, 1)
})

test('a remembered verdict is for exactly one key, message and signature', () => {
  let asked = 0
  const counting: Verifier = {
    verify: (...parts) => {
      asked++
      return verifier.verify(...parts)
    },
  }
  const once = verifyOnce(counting, 2)
  const message = utf8('a message')
  const signature = seller.sign(message)
  for (let i = 0; i < 3; i++) assert.ok(once.verify('EdDSA', seller.publicKey, message, signature))
  assert.is(asked, 1)
  assert.not.ok(once.verify('EdDSA', buyer.publicKey, message, signature))
  assert.not.ok(once.verify('EdDSA', seller.publicKey, utf8('a messagf'), signature))
  assert.not.ok(once.verify('ES256', seller.publicKey, message, signature))
  assert.not.ok(once.verify('EdDSA', seller.publicKey, message, signature.with(63, 1)))
  assert.not.ok(once.verify('EdDSA', seller.publicKey, message, signature.subarray(1)))
  assert.is(asked, 4, 'a refusal is not remembered, and the wrong length is not asked about')
  for (const text of ['b', 'c']) assert.ok(once.verify('EdDSA', seller.publicKey, utf8(text), seller.sign(utf8(text))))
  assert.ok(once.verify('EdDSA', seller.publicKey, message, signature))
  assert.is(asked, 7, 'the oldest was forgotten')
})

test.run()
