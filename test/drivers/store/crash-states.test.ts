/** Power cuts at every point of the traces of real runs, judged by what the caller had been told by then. */
import { assert, suite } from '../../harness.ts'
import { countCrashStates, countLogStates, shareLostWithoutSync } from './count-states.ts'
import { MIXED, PLAIN } from './journal-trials.ts'
import { judgeLogCrash, runFailedOpening } from './log-trials.ts'
import { crashPoints } from './traced-disk.ts'

/** Against hanging: a loaded machine takes ten times the seconds of an idle one. */
const DEADLINE_MS = 300_000
const test = suite('crash states')

test(
  'readings in groups, 200 states: nothing acknowledged is lost, nothing altered or invented, every cut told',
  async () => {
    const count = await countCrashStates(PLAIN, 200)
    // Teeth: writes were under way, some of them left half done, and records were owed.
    assert.ok(count.unsettled > 100 && count.cuts > 40 && count.acknowledged > 10_000, JSON.stringify(count))
  },
  DEADLINE_MS,
)

test(
  'urgent and long records, checkpoints, dropped segments, failed syncs, openings, 600 states and 150 of a second cut: the same',
  async () => {
    const count = await countCrashStates(MIXED, 600)
    assert.ok(count.unsettled > 500 && count.cuts > 60 && count.undone > 20, JSON.stringify(count))
    assert.ok(count.acknowledged > 5000 && count.again >= 150, JSON.stringify(count))
  },
  DEADLINE_MS,
)

test(
  'a log with long records, failed syncs and dropped segments, 1,500 states: the same',
  async () => {
    assert.ok((await countLogStates(1500)) >= 1500)
  },
  DEADLINE_MS,
)

test(
  'an opening whose sync failed, left on the disk all the same: what it seals is not written on',
  async () => {
    const trial = await runFailedOpening()
    const acknowledged = trial.events.flatMap(event =>
      event.kind === 'told' && event.told.kind === 'acknowledged' ? [event.told.number] : [],
    )
    assert.equal(acknowledged, [0, 1, 3])
    for (const point of crashPoints(trial.events)) {
      for (let seed = 0; seed < 40; seed++) await judgeLogCrash(trial, point, seed)
    }
  },
  DEADLINE_MS,
)

test(
  'control: on a disk whose sync does nothing at least nine states in ten lose what was acknowledged',
  async () => {
    for (const workload of [PLAIN, MIXED]) {
      const share = await shareLostWithoutSync(workload, 200)
      assert.ok(share >= 0.9, `${share}`)
    }
  },
  DEADLINE_MS,
)

test.run()
