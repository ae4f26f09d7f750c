/** A million random steps of the site guard. */
import { assert, suite } from '../harness.ts'
import { runGuardedSite } from '../protocol/safety/guarded-site.ts'

const STEPS = 2000
const test = suite('site guard, a million steps')

test('no excess told on any phase of any fuse, nothing between 0 and 6 A', () => {
  const first = Number(process.env['TIELINE_SEED'] ?? 1000)
  let raised = 0
  for (let seed = first; seed < first + 500; seed++) {
    const run = runGuardedSite(seed, STEPS)
    assert.equal(run.verdicts, {}, `seed ${seed}`)
    raised += run.met['raised'] ?? 0
  }
  assert.ok(raised > 5000, `${raised} limits raised`)
}, 1_800_000)

test.run()
