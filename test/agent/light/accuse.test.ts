/** Evidence of an attack that was found along a trace with gaps, judged by the node that has to take it. */
import { accuse } from '../../../agent/light/accuse.ts'
import { climb, examineSource } from '../../../agent/light/drive.ts'
import { createSource } from '../../../agent/light/source.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { equalBytes, utf8 } from '../../../protocol/bytes.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { evidenceFault } from '../../../protocol/light/evidence.ts'
import { verifyAnchor } from '../../../protocol/light/verify.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN, makeChain, members, OPTIONS, timeAt } from '../../protocol/light/chain-maker.ts'

const test = suite('what a node takes of an accusation')

/** One of four validators changes with each block: over more than two blocks too few remain for a skip. */
const group = (height: number) => members(4, height)
const HEIGHTS = 12
const real = makeChain({ heights: HEIGHTS, group })
const fork = makeChain({ heights: HEIGHTS, group, appHash: () => utf8('fork'), fork: { of: real, from: 3 } })

const verifier = createVerifier()
const time = createSimTime(timeAt(HEIGHTS + 1), async () => {})
const bench = { options: OPTIONS, clock: time.clock, verifier }

const blockOf = (chain: readonly LightBlock[]) => (height: bigint) => chain[Number(height) - 1]
const sourceOf = (name: string, chain: readonly LightBlock[]) => {
  const lightBlock: LedgerRpc['lightBlock'] = async height => {
    const block = blockOf(chain)(height)
    return block === undefined ? fail({ code: 'rpc.too-high' }) : ok(block)
  }
  return createSource({ name, lightBlock } as LedgerRpc, time.timers, 1_000)
}

for (const [what, silent] of [
  ['along a thinned trace', false],
  ['along a thinned trace by a primary that then falls silent', true],
] as const)
  test(`an attack found ${what}`, async () => {
    const anchor = { height: 1n, hash: real[0]!.commit.blockId.hash }
    const ground = must(verifyAnchor(anchor, real[0]!, OPTIONS, time.clock.now(), verifier))
    const { verified, end } = await climb(bench, sourceOf('primary', fork), ground, BigInt(HEIGHTS))
    assert.is(end.kind, 'done')
    const thin = [ground, verified.at(-1)!]
    const witness = sourceOf('witness', real)
    const found = await examineSource(bench, witness, thin)
    if (found.kind !== 'attack') throw new Error(found.kind)
    const primary = sourceOf('primary', silent ? [] : fork)
    const { againstPrimary, againstWitness } = await accuse(bench, primary, witness, found.attack, found.witnessTrace)
    const reasons = [
      evidenceFault(againstPrimary, CHAIN, blockOf(real), verifier)?.reason,
      evidenceFault(againstWitness, CHAIN, blockOf(fork), verifier)?.reason,
    ]
    if (silent) assert.equal(reasons, Array(2).fill('too little of the common power has signed'))
    else assert.equal(reasons, [undefined, undefined])
    assert.ok(equalBytes(againstPrimary.conflicting.header.appHash, utf8('fork')))
  })

test.run()
