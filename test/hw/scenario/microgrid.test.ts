/** Five neighbours and a call auction: prices held against the ledger, and an owner whose agent pays more than it may. */
import { runMicrogrid } from '../../../hw/scenario/microgrid.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('scenario microgrid')
const SETTINGS = { seed: 2, realSigner: false, onProgress: () => {} }

test('one price a slot by everybody’s own clearing, a member on either side, and all see all', async () => {
  const { ok, facts, problems } = await runMicrogrid(SETTINGS, { slots: 3 })
  assert.ok(ok, problems.join('\n'))
  assert.is(facts['recomputed_otherwise'], 0)
  assert.is(facts['members_that_see_all'], 5)
  assert.is(facts['bought_and_sold'], 1)
  assert.is(facts['above_limit'], 0)
}, 240_000)

test('an agent whose configuration is not what its owner pays at most is found out', async () => {
  const { ok, problems } = await runMicrogrid(SETTINGS, { slots: 1, owners: { rye: '0.10' } })
  assert.ok(!ok)
  assert.ok(
    problems.some(problem => problem.endsWith('deals are not what their owners would pay or take')),
    problems.join('\n'),
  )
}, 240_000)

test.run()
