import { createSystemTime } from '../../../drivers/clock.ts'
import { preciseTime } from '../../../hw/sim/precise-time.ts'
import { timeCases } from '../../contracts/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('precise time')
const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

const createPreciseTime = () => preciseTime(createSystemTime())

timeCases(test, 'precise', () => ({ ...createPreciseTime(), pass: sleep }), 150)

test('a wait ends a fraction of a millisecond after its time, and none before', async () => {
  const { clock, timers } = createPreciseTime()
  let good = 0
  let waits = 0
  // On a busy machine another program has the processor, for as long as it likes.
  for (; waits < 10_000 && good < 30; waits++) {
    const due = clock.mono() + 3.3
    await timers.sleep(3.3)
    const late = clock.mono() - due
    assert.ok(late >= 0, `early by ${-late} ms`)
    if (late < 0.5) good++
  }
  assert.is(good, 30, `${waits} waits`)
}, 100_000)

test('however late the program is, what was due first runs first', async () => {
  const { timers } = createPreciseTime()
  const seen: number[] = []
  for (const ms of [9, 1, 4, 3, 6, 2, 8, 5, 7]) timers.after(ms, () => seen.push(ms))
  const busyUntil = performance.now() + 12
  while (performance.now() < busyUntil);
  while (seen.length < 9) await sleep(20)
  assert.equal(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('with nothing to wait for it lets the process end and the processor rest', async () => {
  const { timers } = createPreciseTime()
  await timers.sleep(1)
  const before = process.cpuUsage()
  await sleep(200)
  const { user, system } = process.cpuUsage(before)
  assert.ok(user + system < 100_000, `${user + system} microseconds of 200,000`)
})

test.run()
