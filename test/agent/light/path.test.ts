/** The way from a trusted block to one that something was proven against, over chains with real signatures. */
import { pathTo } from '../../../agent/light/path.ts'
import { createSource } from '../../../agent/light/source.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { chainTime, instantOf } from '../../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { verify } from '../../../protocol/light/verify.ts'
import { fail, ok } from '../../../protocol/result.ts'
import { later } from '../../../protocol/time.ts'
import { PATH_RULES } from '../../../protocol/trade/deal-records-path.ts'
import { assert, suite } from '../../harness.ts'
import { anchored, CHAIN, makeChain, members, OPTIONS, ORIGIN, seal } from '../../protocol/light/chain-maker.ts'

const test = suite('the way to a block')

const verifier = createVerifier()
const group = members(4)
const DAY_MS = 86_400_000
/** Five blocks, so many days apart. */
const chainOf = (days: number): readonly LightBlock[] =>
  makeChain({ heights: 5, group: () => group }).map(({ header }, i) =>
    seal({ ...header, time: chainTime(later(ORIGIN, i * days * DAY_MS)) }, group),
  )

async function way(serve: readonly (readonly (LightBlock | undefined)[])[], from: LightBlock, target: LightBlock) {
  const { timers, clock, advance } = createSimTime(ORIGIN + 900 * DAY_MS, drainPromises)
  const sources = serve.map((blocks, i) => {
    const lightBlock = async (height: bigint) => {
      const block = blocks[Number(height) - 1]
      return block === undefined ? fail({ code: 'rpc.height-gone', height }) : ok(block)
    }
    return createSource({ name: `${i}`, lightBlock } as unknown as LedgerRpc, timers, 1000)
  })
  const trust = { height: from.header.height, hash: hashHeader(from.header) }
  const found = pathTo({ options: OPTIONS, clock, verifier }, timers, sources, trust, target)
  await advance(10_000)
  return found
}

const heights = (path: readonly LightBlock[]) => path.map(({ header }) => Number(header.height))

test('one step where the trusted validators signed it and answer for it still, by the times of the blocks', async () => {
  const chain = chainOf(3)
  assert.equal(heights(await way([chain], chain[0]!, chain[4]!)), [1, 5])
  assert.equal(heights(await way([chain], chain[4]!, chain[4]!)), [5])
})

test('a step that a trusting period does not reach is halved, and each half holds by the rules of who reads it', async () => {
  const chain = chainOf(10)
  const path = await way([chain], chain[0]!, chain[4]!)
  assert.equal(heights(path), [1, 2, 3, 4, 5])
  const options = { chainId: CHAIN, ...PATH_RULES }
  let at = anchored(path[0]!, instantOf(path[0]!.header.time), verifier, options)
  for (const block of path.slice(1)) {
    const verdict = verify(at, block, options, instantOf(block.header.time), verifier)
    assert.is(verdict.kind, 'trusted')
    if (verdict.kind === 'trusted') at = verdict.block
  }
  // Where the chain itself stood still for longer there is no way, and only the block itself is shown.
  const still = chainOf(20)
  assert.equal(heights(await way([still], still[0]!, still[4]!)), [5])
})

test('nodes without the old blocks, of another chain, or that trust began above it, leave the block itself', async () => {
  const chain = chainOf(1)
  const gone = [undefined, ...chain.slice(1)]
  assert.equal(heights(await way([gone], chain[0]!, chain[4]!)), [5])
  assert.equal(heights(await way([gone, chain], chain[0]!, chain[4]!)), [1, 5], 'the next node has it')
  assert.equal(heights(await way([chainOf(2)], chain[0]!, chain[4]!)), [5])
  assert.equal(heights(await way([chain], chain[4]!, chain[2]!)), [3])
  assert.equal(heights(await way([], chain[0]!, chain[4]!)), [5])
})

test("a vote that is nobody's is left out of what is shown, where two thirds are there without it", async () => {
  const chain = chainOf(1)
  const last = chain[4]!
  const [first, ...rest] = last.commit.signatures
  const forged = { ...first!, signature: new Uint8Array(64) }
  const target = {
    ...last,
    commit: { ...last.commit, signatures: [forged, ...rest] },
  }
  for (const serve of [[chain], []]) {
    const path = await way(serve, chain[0]!, target)
    const votes = path.at(-1)!.commit.signatures.map(({ flag }) => flag)
    assert.equal(votes, serve.length === 0 ? [1, 2, 2, 2] : [2, 2, 2, 2])
  }
})

test.run()
