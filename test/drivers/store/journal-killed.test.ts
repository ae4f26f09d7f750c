/** kill -9 at any moment of a real process on a real folder. */
import { seededRandom } from '../../../hw/sim/random.ts'
import { assert, suite } from '../../harness.ts'
import { killWriters } from './kill-writers.ts'

const test = suite('journal under kill -9')

test('200 writers killed: each next one opens at once, and no acknowledged record is lost', async () => {
  const done = await killWriters(200, seededRandom(1))
  assert.is(done.kills, 200)
  // The kills have teeth only where they hit an opening too, records were acknowledged, and commits were under way.
  assert.ok(done.early > 5 && done.acknowledged > 1000 && done.unheard > 20, JSON.stringify(done))
}, 180_000)

test.run()
