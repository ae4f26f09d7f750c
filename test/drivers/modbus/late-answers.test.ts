import { assert, suite } from '../../harness.ts'
import { LATE_FRAMINGS, type LateOutcome, tryLateAnswers } from './late-answers.ts'

const test = suite('modbus late answers')

const LATENESS = [1.1, 1.5, 3, 7, 20]
const READS = 500

for (const framing of LATE_FRAMINGS)
  test(`${framing}: 0 wrong values however late, queued or overtaken, of 1 or 3 slaves; with the defence off there are some`, async () => {
    for (const queued of [true, false]) {
      const sum = { guarded: { right: 0, wrong: 0, absent: 0 }, bare: { right: 0, wrong: 0, absent: 0 } }
      const add = (to: { right: number; wrong: number; absent: number }, more: LateOutcome) => {
        to.right += more.right
        to.wrong += more.wrong
        to.absent += more.absent
      }
      for (const slaves of [1, 3]) {
        for (const timeoutsLate of LATENESS) {
          const trial = { framing, slaves, reads: READS, seed: 11, timeoutsLate, queued, share: 0.05 }
          const guarded = await tryLateAnswers({ ...trial, lateAnswerDefence: true })
          assert.is(guarded.wrong, 0, JSON.stringify(trial))
          assert.ok(guarded.right > 0, JSON.stringify(trial))
          add(sum.guarded, guarded)
          add(sum.bare, await tryLateAnswers({ ...trial, lateAnswerDefence: false }))
        }
      }
      console.log(`${framing} ${queued ? 'queued' : 'overtaken'}: ${JSON.stringify(sum)}`)
      assert.ok(sum.bare.wrong > 20, `${sum.bare.wrong}`)
      assert.ok(sum.guarded.right > READS * LATENESS.length, `${sum.guarded.right}`)
    }
  }, 60_000)

test.run()
