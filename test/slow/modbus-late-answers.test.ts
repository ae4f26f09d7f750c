import { tryLateAnswers } from '../drivers/modbus/late-answers.ts'
import { assert, suite } from '../harness.ts'

const test = suite('modbus late answers, at length')

const READS = 100_000

for (const queued of [true, false])
  for (const timeoutsLate of [1.1, 1.5, 3, 7, 20])
    test(`${READS} reads, answers ${timeoutsLate} timeouts late, ${queued ? 'queued' : 'overtaken'}: 0 wrong`, async () => {
      const seed = Math.floor(Math.random() * 2 ** 31)
      const trial = { reads: READS, seed, timeoutsLate, queued, share: 0.02, lateAnswerDefence: true }
      const outcome = await tryLateAnswers(trial)
      console.log(`seed ${seed}: ${JSON.stringify(outcome)}`)
      assert.is(outcome.wrong, 0, `seed ${seed}`)
      assert.ok(outcome.right > 0)
    }, 600_000)

test.run()
