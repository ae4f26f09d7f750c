/** Old headers and transactions through the light client, over a real producer: proven, or refused by name. */
import { lookBack, lookUpTx } from '../../../agent/light/history.ts'
import { createLightAgent, type LightAgent } from '../../../agent/light/run.ts'
import { createSource } from '../../../agent/light/source.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { LedgerRpc, OldHeader, TxAnswer } from '../../../drivers/ports.ts'
import { openHeaderStore } from '../../../drivers/store/headers.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { createSimRpc } from '../../../hw/sim/ledger-rpc.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { verifyTx } from '../../../protocol/chain/block.ts'
import { instantOf } from '../../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { type BlockOutput, createApp, type LedgerApp } from '../../../protocol/ledger/app.ts'
import type { BlockInput } from '../../../protocol/ledger/block.ts'
import type { LightOptions } from '../../../protocol/light/predicates.ts'
import { type VerifiedBlock, verifyAnchor } from '../../../protocol/light/verify.ts'
import { must, ok, type Result } from '../../../protocol/result.ts'
import { later } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN_ID, genesis } from '../../protocol/ledger/parties.ts'
import { makeProducer, payment } from '../validator/street.ts'

const test = suite('the past through the light client')

const verifier = createVerifier()
const OPTIONS: LightOptions = {
  chainId: CHAIN_ID,
  trustingPeriodMs: 86_400_000,
  maxClockDriftMs: 10_000,
  trustLevel: { numerator: 1, denominator: 3 },
}
const BLOCKS = 12
const AT = 4n

const drain = () => new Promise<void>(resolve => setImmediate(resolve))

/** The same application; of several transactions in a block each has used more gas than the one before. */
const unlikeResults = (app: LedgerApp): LedgerApp =>
  Object.create(app, {
    finalizeBlock: {
      value: (block: BlockInput): BlockOutput => {
        const output = app.finalizeBlock(block)
        return { ...output, results: output.results.map((one, i) => ({ ...one, gasUsed: one.gasUsed + BigInt(i) })) }
      },
    },
  })

/** A chain of twelve blocks with three payments in the fourth, and its newest block believed. */
async function chain(twist: Partial<LedgerRpc> = {}) {
  const { producer } = makeProducer({ app: unlikeResults(createApp(genesis)) })
  const txs = [payment(0n), payment(1n), payment(2n)]
  for (let height = 1; height <= BLOCKS; height++) {
    if (BigInt(height) === AT) for (const tx of txs) producer.submit(tx)
    await producer.produce()
  }
  const newest = producer.lightBlock(BigInt(BLOCKS))!
  const time = createSimTime(later(instantOf(newest.header.time), 500), drain)
  const rpc = { ...createSimRpc({ name: 'node', producer, timers: time.timers, latencyMs: 1 }), ...twist }
  const anchor = { height: newest.header.height, hash: hashHeader(newest.header) }
  const under = must(verifyAnchor(anchor, newest, OPTIONS, time.clock.now(), verifier))
  async function during<T>(call: Promise<T>): Promise<T> {
    let over = false
    void call.then(() => {
      over = true
    })
    for (let i = 0; i < 400 && !over; i++) await time.advance(50)
    return call
  }
  return { producer, txs, time, rpc, under, during, source: createSource(rpc, time.timers, 5_000) }
}

type Chain = Awaited<ReturnType<typeof chain>>

async function agentOver({ producer, time, rpc, during }: Chain, witnesses: readonly LedgerRpc[]): Promise<LightAgent> {
  const first = producer.block(1n)!.header
  const disk = createSimDisk({ random: () => 0.5 }).mount()
  const agent = createLightAgent({
    config: { ...OPTIONS, trust: { height: 1n, hash: hashHeader(first) }, proveWaitMs: 2_000 },
    primary: rpc,
    witnesses,
    clock: time.clock,
    timers: time.timers,
    disk,
    headers: must(await openHeaderStore({ disk, clock: time.clock, chainId: CHAIN_ID, segmentBytes: 65_536 })),
    verifier,
    log: () => {},
  })
  must(await during(agent.start()))
  return agent
}

test('a transaction, its result and an old header are proven from the newest', async () => {
  const made = await chain()
  const { producer, txs, time, during } = made
  const agent = await agentOver(made, [createSimRpc({ name: 'witness', producer, timers: time.timers })])
  for (const tx of txs) {
    const proven = must(await during(agent.proveTx(sha256(tx))))
    assert.equal([proven.height, proven.result.code, toHex(proven.tx)], [AT, 0, toHex(tx)])
    assert.is(proven.time, instantOf(producer.block(AT)!.header.time))
  }
  for (const height of [1n, 5n, 11n, 12n]) {
    const old = must(await during(agent.headerAt(height)))
    assert.equal(old.header, producer.block(height)!.header)
  }
  const none = await during(agent.proveTx(sha256(utf8('nothing'))))
  assert.is(none.ok ? 'ok' : none.fault.code, 'rpc.no-tx')
  const future = await during(agent.headerAt(99n))
  assert.is(future.ok ? 'ok' : future.fault.code, 'light.not-yet')
  const never = await during(agent.headerAt(0n))
  assert.is(never.ok ? 'ok' : never.fault.code, 'light.height')
  await during(agent.stop())
})

test('a node that lies about a transaction is refused and kept as evidence, and the next one asked', async () => {
  const made = await chain()
  const honest = createSimRpc({ name: 'witness', producer: made.producer, timers: made.time.timers })
  const lying: LedgerRpc = {
    ...made.rpc,
    async tx(hash) {
      const answer = await made.rpc.tx(hash)
      return answer.ok ? ok({ ...answer.value, result: { ...answer.value.result, code: 5 } }) : answer
    },
  }
  const agent = await agentOver({ ...made, rpc: lying }, [honest, { ...honest, name: 'second' }])
  const proven = must(await made.during(agent.proveTx(sha256(made.txs[0]!))))
  assert.is(proven.result.code, 0)
  assert.is(agent.stats().refusals, 1)
  await made.during(agent.stop())
})

/** What comes of a lookup whose answer is changed. */
const txCode = async (edit: (answer: TxAnswer, other: TxAnswer) => Partial<TxAnswer>) => {
  const made = await chain()
  const [one, two] = made.txs
  const other = must(await made.during(made.rpc.tx(sha256(two!))))
  const source = createSource(
    {
      ...made.rpc,
      tx: async hash => {
        const answer = await made.rpc.tx(hash)
        return answer.ok ? ok({ ...answer.value, ...edit(answer.value, other) }) : answer
      },
    },
    made.time.timers,
    5_000,
  )
  const looked = await made.during(lookUpTx(source, made.under, sha256(one!), OPTIONS))
  return looked.ok ? 'ok' : `${looked.lied ? 'lied' : 'silent'} ${looked.fault.code}`
}

test('each part of the proof of a transaction is held to the headers', async () => {
  assert.is(await txCode(() => ({})), 'ok')
  assert.is(await txCode((_, other) => ({ tx: other.tx })), 'lied light.other-tx')
  assert.is(await txCode((_, other) => ({ proof: other.proof })), 'lied light.tx-proof')
  assert.is(await txCode((_, other) => ({ resultProof: other.resultProof })), 'lied light.result-proof')
  assert.is(
    await txCode(({ result }) => ({ result: { ...result, gasUsed: result.gasUsed + 1n } })),
    'lied light.result-proof',
  )
  assert.is(await txCode(() => ({ height: 3n })), 'lied light.tx-proof')
  assert.is(await txCode(() => ({ height: 0n })), 'silent light.not-yet')
  assert.is(await txCode(() => ({ height: 12n })), 'silent light.not-yet')
  assert.is(await txCode(({ proof }) => ({ proof: { ...proof, aunts: [] } })), 'lied light.tx-proof')
})

test('the result of another transaction is not taken for its own, whatever its proof says of its place', async () => {
  const renamed = await txCode((answer, other) => ({
    result: other.result,
    resultProof: { ...other.resultProof, index: answer.proof.index },
  }))
  assert.is(renamed, 'lied light.result-proof')
  // Where a leaf stands is told by the turns of its path; what a proof says of index and total is no part of the root:
  //
  //        .           the turn R is that of leaf 2 of 3, and of leaf 1 of 2
  //      .   2         the turns LR are those of leaf 1 of 3
  //     0 1
  const made = await chain()
  const [, second, third] = await Promise.all(made.txs.map(tx => made.during(made.rpc.tx(sha256(tx)))))
  const own = must(third!)
  const other = must(second!)
  const proof = { ...own.proof, total: 2, index: 1 }
  assert.is(other.resultProof.index, 1)
  assert.ok(verifyTx(made.producer.block(AT)!.header.dataHash, own.tx, proof))
  const lie = { ...own, proof, result: other.result, resultProof: other.resultProof }
  const source = createSource({ ...made.rpc, tx: async () => ok(lie) }, made.time.timers, 5_000)
  const looked = await made.during(lookUpTx(source, made.under, sha256(own.tx), OPTIONS))
  assert.is(looked.ok ? 'ok' : looked.fault.code, 'light.result-proof')
})

const headerCode = async (
  height: bigint,
  edit: (answer: OldHeader, chain: Chain) => OldHeader,
  under?: (chain: Chain) => VerifiedBlock,
) => {
  const made = await chain()
  const asked: bigint[] = []
  const source = createSource(
    {
      ...made.rpc,
      async oldHeader(at, state): Promise<Result<OldHeader>> {
        asked.push(at)
        const answer = await made.rpc.oldHeader(at, state)
        return answer.ok ? ok(edit(answer.value, made)) : answer
      },
    },
    made.time.timers,
    5_000,
  )
  const looked = await made.during(lookBack(source, under?.(made) ?? made.under, height, OPTIONS))
  return [looked.ok ? 'ok' : `${looked.lied ? 'lied' : 'silent'} ${looked.fault.code}`, asked.length] as const
}

test('an old header costs one question with the accumulator, and one for each link without', async () => {
  assert.equal(await headerCode(2n, answer => answer), ['ok', 1])
  assert.equal(await headerCode(2n, ({ header }) => ({ header })), ['ok', 10])
  assert.equal(await headerCode(12n, answer => answer), ['ok', 0])
})

test('a header that is not in the accumulator, or in no link, is a lie', async () => {
  const forged = ({ header }: OldHeader) => ({ ...header, appHash: utf8('forged') })
  assert.is((await headerCode(2n, answer => ({ ...answer, header: forged(answer) })))[0], 'lied light.not-accumulated')
  assert.is((await headerCode(2n, answer => ({ header: forged(answer) })))[0], 'lied light.link')
  const other = (answer: OldHeader, { producer }: Chain): OldHeader => ({
    ...answer,
    header: producer.block(3n)!.header,
  })
  assert.is((await headerCode(2n, other))[0], 'silent light.wrong-height')
  const torn = (answer: OldHeader): OldHeader => ({
    ...answer,
    accumulated: { ...answer.accumulated!, recordProof: answer.accumulated!.recordProof.subarray(1) },
  })
  assert.match((await headerCode(2n, torn))[0], /^lied /)
  const short = (answer: OldHeader): OldHeader => ({
    ...answer,
    accumulated: { ...answer.accumulated!, proof: { aunts: [] } },
  })
  assert.is((await headerCode(2n, short))[0], 'lied light.not-accumulated')
})

test('a walk back has its limit', async () => {
  const far = (made: Chain): VerifiedBlock => ({
    ...made.under,
    header: { ...made.under.header, height: 5_000n },
  })
  const [code, questions] = await headerCode(2n, ({ header }) => ({ header }), far)
  assert.equal([code, questions], ['silent light.too-far-back', 1])
})

test.run()
