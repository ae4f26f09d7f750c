/** How many headers a second one thread verifies; a floor well below the figures of the design, so that only a collapse fails. */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { lightBlockJson, parseLightBlock } from '../../../protocol/chain/rpc-json.ts'
import { type VerifiedHeader, verify, verifyBackwards } from '../../../protocol/light/verify.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { anchored, makeChain, members, OPTIONS, timeAt } from '../../protocol/light/chain-maker.ts'

const test = suite('speed of the light client')

const options = { ...OPTIONS, trustingPeriodMs: 86_400_000 }

/** Runs `work` over `count` headers; headers per second of processor time. */
function rate(what: string, count: number, work: () => void): number {
  work()
  const before = process.cpuUsage()
  const began = performance.now()
  work()
  const wall = count / ((performance.now() - began) / 1000)
  const { user, system } = process.cpuUsage(before)
  const cpu = count / ((user + system) / 1e6)
  console.log(`${what}: ${wall.toFixed(0)} headers/s, ${cpu.toFixed(0)} per CPU-second`)
  return cpu
}

for (const [validators, heights, adjacentFloor] of [
  [4, 3000, 800],
  [100, 300, 40],
] as const)
  test(`${validators} validators`, () => {
    const group = members(validators)
    const made = makeChain({ heights, group: () => group })
    // As from the network: nothing is shared between two blocks.
    const chain = made.map(block => must(parseLightBlock(JSON.parse(JSON.stringify(lightBlockJson(block))))))
    const now = timeAt(heights + 1)
    const verifier = createVerifier()
    const adjacent = rate(`${validators} validators, adjacent`, heights, () => {
      let trusted = anchored(chain[0]!, now, verifier, options)
      for (const block of chain.slice(1)) {
        const verdict = verify(trusted, block, options, now, verifier)
        if (verdict.kind !== 'trusted') throw new Error(verdict.kind)
        trusted = verdict.block
      }
    })
    const backwards = rate(`${validators} validators, backwards`, heights, () => {
      let trusted: VerifiedHeader = anchored(chain[heights - 1]!, now, verifier, options)
      for (let i = heights - 2; i >= 0; i--) trusted = must(verifyBackwards(trusted, chain[i]!.header, options))
    })
    assert.ok(adjacent > adjacentFloor, `${adjacent}`)
    assert.ok(backwards > 5000 || validators > 4, `${backwards}`)
  }, 120_000)

test.run()
