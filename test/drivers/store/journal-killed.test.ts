/** kill -9 at any moment of a real process on a real folder. */
import { seededRandom } from '../../../hw/sim/random.ts'
import { assert, suite } from '../../harness.ts'
import { killWriters } from './kill-writers.ts'

const test = suite('journal under kill -9')

test('200 writers killed: each next one opens at once, and no acknowledged record is lost', async () => {
  const done = await killWriters(200, seededRandom(1))
  assert.is(done.kills, 200)
  let { early, acknowledged, unheard } = done
  // The kills have teeth only where they hit an opening too, records were acknowledged, and commits were under way: a busy
  // machine needs more of them.
  for (let seed = 2; early <= 5 || acknowledged <= 1000 || unheard <= 20; seed++) {
    assert.ok(seed < 20, JSON.stringify({ early, acknowledged, unheard }))
    const more = await killWriters(50, seededRandom(seed))
    early += more.early
    acknowledged += more.acknowledged
    unheard += more.unheard
  }
}, 300_000)

test.run()
