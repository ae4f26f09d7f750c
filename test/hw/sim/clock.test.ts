/** Simulated time that is suspended: the clock goes on, and everything that is due waits as much longer. */
import { createSimTime } from '../../../hw/sim/clock.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('simulated time')
const drain = async () => {}

test('what is due while nothing runs is due as much later, and what is scheduled then counts from then', async () => {
  const time = createSimTime(1_000_000, drain)
  const ran: [string, number, number][] = []
  const note = (what: string) => () => void ran.push([what, time.clock.mono(), time.clock.now()])
  time.timers.after(100, note('before'))
  await time.advance(60)
  time.suspend(5_000)
  assert.equal([time.clock.mono(), time.clock.now()], [5_060, 1_005_060])
  time.timers.after(10, note('after'))
  await time.advance(39)
  assert.equal(ran, [['after', 5_070, 1_005_070]])
  await time.advance(1)
  assert.equal(ran.at(-1), ['before', 5_100, 1_005_100])
})

test.run()
