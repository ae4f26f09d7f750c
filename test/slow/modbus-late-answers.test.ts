import { LATE_FRAMINGS, tryLateAnswers } from '../drivers/modbus/late-answers.ts'
import { assert, suite } from '../harness.ts'

const test = suite('modbus late answers, at length')

/** In all 60 cases together a million. */
const READS = 17_000

for (const framing of LATE_FRAMINGS)
  for (const queued of [true, false])
    for (const slaves of [1, 3])
      for (const timeoutsLate of [1.1, 1.5, 3, 7, 20]) {
        const name = `${framing}, ${slaves} slaves, ${timeoutsLate} timeouts late, ${queued ? 'queued' : 'overtaken'}`
        test(`${READS} reads, ${name}: 0 wrong`, async () => {
          const seed = Math.floor(Math.random() * 2 ** 31)
          const trial = {
            framing,
            slaves,
            reads: READS,
            seed,
            timeoutsLate,
            queued,
            share: 0.02,
            lateAnswerDefence: true,
          }
          const outcome = await tryLateAnswers(trial)
          console.log(`seed ${seed}: ${JSON.stringify(outcome)}`)
          assert.is(outcome.wrong, 0, `seed ${seed}`)
          assert.ok(outcome.right > 0)
        }, 600_000)
      }

test.run()
