/** The journal's crash states and kills by the thousand. */
import { seededRandom } from '../../hw/sim/random.ts'
import { countCrashStates, countLogStates, shareLostWithoutSync } from '../drivers/store/count-states.ts'
import { MIXED, PLAIN } from '../drivers/store/journal-trials.ts'
import { killWriters } from '../drivers/store/kill-writers.ts'
import { assert, suite } from '../harness.ts'

const test = suite('journal crashes, many')

const STATES = 2000
const KILLS = 1000

for (const [name, workload] of Object.entries({ PLAIN, MIXED })) {
  test(`${name}, ${STATES} states of power cuts: nothing acknowledged is lost, nothing altered or invented`, async () => {
    const count = await countCrashStates(workload, STATES)
    process.stdout.write(`${JSON.stringify(count)}\n`)
    assert.ok(count.cuts > STATES / 10 && count.unsettled > STATES / 3, JSON.stringify(count))
  }, 600_000)

  test(`${name}, control without sync, ${STATES} states: at least nine in ten lose`, async () => {
    const share = await shareLostWithoutSync(workload, STATES)
    process.stdout.write(`${(share * 100).toFixed(1)} %\n`)
    assert.ok(share >= 0.9, `${share}`)
  }, 600_000)
}

test(`a log, ${STATES * 2} states: the same`, async () => {
  assert.ok((await countLogStates(STATES * 2)) >= STATES * 2)
}, 600_000)

test(`${KILLS} writers killed: no acknowledged record is lost`, async () => {
  const done = await killWriters(KILLS, seededRandom(Date.now()))
  process.stdout.write(`${JSON.stringify(done)}\n`)
  assert.ok(done.early > 20 && done.acknowledged > 5000 && done.unheard > 100, JSON.stringify(done))
}, 900_000)

test.run()
