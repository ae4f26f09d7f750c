/** The first hour and a bit of the store's day: agreements, a rejected one, deals of two models, and the day ahead published. */
import { runStorage } from '../../../hw/scenario/storage.ts'
import { ORIGIN_MS } from '../../../hw/sim/street-run.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('storage scenario')

test('a store by proven lines, standing agreements, and a day planned around what others declared', async () => {
  const settings = { seed: 1, realSigner: false, onProgress: () => {} }
  const result = await runStorage(settings, ORIGIN_MS + 4_140_000)
  const facts = result.facts as Readonly<Record<string, unknown>>
  assert.equal(result.problems, [])
  assert.equal(facts['agreements_live'], 6)
  assert.equal(facts['rejections'], ['line lane: 1000 Wh a quarter, 700 above its capacity; room for 300 Wh a quarter'])
  assert.equal(facts['models_of_one_site'], ['B', 'C'])
  assert.is(facts['fixed_injections_kept'], true)
  assert.equal([facts['owner_actions'], facts['minted_before_consumption'], facts['store_residue_wh']], [0, 0, 0])
  assert.ok(result.deals.by_model.C > 0)
}, 300_000)

test.run()
