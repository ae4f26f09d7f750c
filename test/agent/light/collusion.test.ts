/** A primary in league with validators, within the trust model: one source is honest, and what it says must count. */
import { chainTime } from '../../../protocol/chain/chain-time.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { fail, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN, seal } from '../../protocol/light/chain-maker.ts'
import { type Bench, group, KEY, LOCKED, started } from './light-bench.ts'

const test = suite('the light client and a primary in league with validators')

/** So far above the ledger are the heights that are made up. */
const ABOVE = 1_000n

/** The primary goes over to a chain of its own, far above the ledger's, in whose state a payment is locked. */
function goForward(bench: Bench) {
  const { chain } = bench.ledger
  const tree = createStateTree()
  const appHash = tree.commit(0n, [[KEY, LOCKED]])
  const made = new Map<bigint, LightBlock>()
  let head = BigInt(chain.length)
  const rise = () => {
    const last = chain.at(-1)!
    head = made.size === 0 ? head + ABOVE : head + 1n
    made.set(head, seal({ ...last.header, height: head, time: chainTime(bench.time.clock.now()), appHash }, group))
  }
  rise()
  Object.assign(bench.primary, {
    status: async () => ok({ chainId: CHAIN, height: head }),
    lightBlock: async (at: bigint) => {
      const block = made.get(at) ?? chain[Number(at) - 1]
      return block === undefined ? fail({ code: 'rpc.none' }) : ok(block)
    },
    query: async (key: Uint8Array, height: bigint) => {
      const state = tree.at(0n)!
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

test.run()
