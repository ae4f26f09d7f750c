import type { SimFault } from '../../../hw/sim/random-faults.ts'
import { runSeed } from '../../../hw/sim/run-seed.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('street under random faults')

const SEEDS = 20
/** A minute of faults, and calm enough for a deal that is begun and settled after the last of them has healed. */
const VIRTUAL_MS = 210_000

const kinds = new Set<SimFault['kind']>()

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`seed ${seed}: money, energy, journals and contacts are as they must be`, async () => {
    const { result, faults } = await runSeed({ seed, homes: 5, virtualMs: VIRTUAL_MS, faults: 'random' })
    for (const { kind } of faults) kinds.add(kind)
    const { problems } = result
    const again = `again: npm run sim -- --seed ${seed} --seconds ${VIRTUAL_MS / 1000} --faults`
    assert.equal(
      problems,
      [],
      `${again}\n${problems.join('\n')}\n${faults.map(fault => JSON.stringify(fault)).join('\n')}`,
    )
    assert.ok(result.deals.settled > 0 && result.readings.verified > 0 && result.relays.closes > 0)
  }, 60_000)
}

test('the seeds together draw every kind of fault', () => {
  assert.equal([...kinds].sort(), [
    'broker-down',
    'bus',
    'clock-step',
    'crash',
    'forgery',
    'late-answers',
    'meters-unplugged',
    'node',
  ])
})

test('disks that lie about their syncs are found out', async () => {
  const faults = [{ kind: 'crash', at: 40_000, forMs: 5_000, site: 'maple', when: 'now' }] as const
  const run = async (lyingDisks: boolean) => {
    const { result } = await runSeed({ seed: 1, homes: 5, virtualMs: 60_000, faults, lyingDisks })
    return result.problems.filter(problem => problem.startsWith('maple'))
  }
  assert.equal(await run(false), [])
  assert.match((await run(true)).join(), /maple (lost|did not come back|'s journal)/)
}, 60_000)

test('the same street runs with the real signer', async () => {
  const { result } = await runSeed({ seed: 1, homes: 5, virtualMs: 130_000, realSigner: true })
  assert.equal(result.problems, [])
  assert.ok(result.deals.settled > 0)
  assert.is(result.readings.chains_ok, true)
}, 60_000)

test.run()
