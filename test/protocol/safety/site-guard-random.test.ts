/** The guard against a site as physics has it, by chance: nothing too much is ever told, and each defence is needed for that. */
import { assert, suite } from '../../harness.ts'
import { DEFENCES } from './defences.ts'
import { runGuardedSite } from './guarded-site.ts'

const STEPS = 2000
const test = suite('site guard by chance')

test('20,000 random steps: no excess told on any phase of any fuse, nothing between 0 and 6 A, no phase switched live', () => {
  const met: Record<string, number> = {}
  for (let seed = 1; seed <= 10; seed++) {
    const run = runGuardedSite(seed, STEPS)
    assert.equal(run.verdicts, {}, `seed ${seed}`)
    for (const [what, count] of Object.entries(run.met)) met[what] = (met[what] ?? 0) + count
  }
  // It happened all the same: the site was at its limits, and everything went wrong that can.
  const wanted = 'base appetite deaf mute restart flip meter struck switch raised over overtaken'.split(' ')
  assert.equal(
    wanted.filter(what => (met[what] ?? 0) < 5),
    [],
    JSON.stringify(met),
  )
  assert.ok(met['raised']! > 100, JSON.stringify(met))
})

for (const [defence, doctor] of Object.entries(DEFENCES)) {
  test(`without it, the same steps find it missing: ${defence}`, () => {
    for (let seed = 1; seed <= 40; seed++) {
      if (Object.keys(runGuardedSite(seed, STEPS, doctor).verdicts).length > 0) return
    }
    assert.unreachable('nothing was found in 80,000 steps')
  })
}

test.run()
