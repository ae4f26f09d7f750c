/** A primary in league with validators, within the trust model: one source is honest, and what it says must count. */
import { fromUtf8 } from '../../../protocol/bytes.ts'
import { chainTime, nanosOf } from '../../../protocol/chain/chain-time.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { parseLightBlock } from '../../../protocol/chain/rpc-json.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { later } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN, seal } from '../../protocol/light/chain-maker.ts'
import { type Bench, forked, group, KEY, LOCKED, started } from './light-bench.ts'

/** What proofs said, in turn. */
const believed: unknown[] = []

const test = suite('the light client and a primary in league with validators')

/** So far above the ledger are the heights that are made up. */
const ABOVE = 1_000n

/** Nodes go over to a chain of their own, far above the ledger's, in whose state a payment is locked. */
function goForward(bench: Bench, nodesOf: (bench: Bench) => readonly object[] = ({ primary }) => [primary]) {
  const { chain } = bench.ledger
  const tree = createStateTree()
  const appHash = tree.commit(0n, [[KEY, LOCKED]])
  const made = new Map<bigint, LightBlock>()
  let head = BigInt(chain.length)
  const rise = () => {
    const last = chain.at(-1)!
    head = made.size === 0 ? head + ABOVE : head + 1n
    made.set(
      head,
      seal({ ...last.header, height: head, time: chainTime(later(bench.time.clock.now(), 5_000)), appHash }, group),
    )
  }
  rise()
  for (const node of nodesOf(bench))
    Object.assign(node, {
      status: async () => ok({ chainId: CHAIN, height: head }),
      lightBlock: async (at: bigint) => {
        const block = made.get(at) ?? chain[Number(at) - 1]
        return block === undefined ? fail({ code: 'rpc.none' }) : ok(block)
      },
      query: async (key: Uint8Array, height: bigint) => {
        const state = height < ABOVE ? bench.ledger.tree.at(height)! : tree.at(0n)!
        return ok({ height, value: state.get(key), proof: state.prove(key) })
      },
    })
  return { rise }
}

test('nobody confirms as a witness the header that it served as the primary', async () => {
  const bench = await started({ witnesses: 1, config: { maxClockDriftMs: 10_000 } })
  await bench.time.advance(2_000)
  const { rise } = goForward(bench)
  // It stands still until it is made a witness, and rises again from then on.
  await bench.time.advance(17_000)
  for (let i = 0; i < 60; i++) {
    rise()
    await bench.time.advance(1_000)
    const head = bench.agent.head()
    assert.ok(head === undefined || head.height < ABOVE || !head.witnessed, `confirmed after ${i} s`)
    if (i % 10 > 0) continue
    const proven = await bench.during(bench.agent.prove(KEY))
    assert.ok(!proven.ok || proven.value.value === undefined, 'a payment was believed that the ledger does not know')
  }
  await bench.during(bench.agent.stop())
})

test('a block far above the others is not believed while an honest witness is still on its way there, and then proves two chains', async () => {
  const bench = await started({ config: { maxClockDriftMs: 10_000 } })
  await bench.time.advance(2_000)
  const { rise } = goForward(bench, ({ primary, witnesses }) => [primary, witnesses[0]!])
  let seconds = 0
  for (; seconds < 60 && bench.state() !== 'diverged'; seconds++) {
    const proven = bench.agent.head()
    assert.ok(proven === undefined || proven.height < ABOVE || !proven.witnessed, `confirmed after ${seconds} s`)
    if (seconds % 5 === 0) void bench.agent.prove(KEY).then(found => believed.push(found.ok && found.value.value))
    await bench.time.advance(1_000)
    rise()
  }
  assert.ok(seconds >= 24 && seconds <= 27, `${seconds} s`)
  assert.ok(
    believed.length > 0 && believed.every(value => !value),
    'a payment was believed that the ledger does not know',
  )
  const [file] = bench.evidence()
  const saved = JSON.parse(fromUtf8(bench.disk.files.get(file!)!)!)
  assert.equal([saved.kind, saved.witness, saved.byzantine_validators.length], ['lunatic', 'witness 2', 4])
  const [ours, theirs] = [saved.primary_block, saved.witness_block].map(block => must(parseLightBlock(block)).header)
  assert.ok(ours!.height > theirs!.height && nanosOf(ours!.time) <= nanosOf(theirs!.time))
  await bench.during(bench.agent.stop())
})

test('a witness that says it is nowhere holds what is believed up once, not again and again', async () => {
  const bench = await started()
  bench.witnesses[0]!.behind = 1e6
  bench.time.timers.every(1000, () => {
    bench.witnesses[0]!.behind = bench.ledger.chain.length
  })
  await bench.time.advance(10_000)
  for (let i = 0; i < 30; i++) {
    await bench.time.advance(1_000)
    assert.is(bench.agent.head()?.witnessed, true, `${i}`)
  }
  await bench.during(bench.agent.stop())
})

test('a divergence is marked on disk before anybody is asked for more: a restart in its middle believes nothing', async () => {
  // With this trust level every block is verified from the one before; a thinned trace then has more than a step between two.
  const bench = await started({ witnesses: 1, config: { trustLevel: { numerator: 1, denominator: 1 } } })
  const [witness] = bench.witnesses
  witness!.mode = 'down'
  const from = BigInt(bench.ledger.chain.length + 1)
  await bench.time.advance(280_000)
  witness!.twist = block => (block.header.height >= from ? forked(block) : block)
  witness!.mode = 'fine'
  bench.agent.onHealth(({ state }) => {
    if (state === 'diverged') bench.primary.mode = 'hanging'
  })
  await bench.time.advance(1_500)
  assert.is(bench.state(), 'diverged')
  // The power goes now, with the primary's answer still awaited.
  bench.primary.mode = 'fine'
  witness!.twist = undefined
  const restarted = await bench.during((await bench.again()).start())
  assert.is(restarted.ok ? 'ok' : restarted.fault.code, 'light.diverged')
  await bench.during(bench.agent.stop())
})

test.run()
