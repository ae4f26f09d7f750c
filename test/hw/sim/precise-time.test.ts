import { createSystemTime } from '../../../drivers/clock.ts'
import { preciseTime } from '../../../hw/sim/precise-time.ts'
import { timeCases } from '../../contracts/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('precise time')
const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

const createPreciseTime = () => preciseTime(createSystemTime())

timeCases(test, 'precise', () => ({ ...createPreciseTime(), pass: sleep }), 150)

test('a wait ends a fraction of a millisecond after its time, which timers of the machine do not', async () => {
  const { clock, timers } = createPreciseTime()
  const late: number[] = []
  for (let i = 0; i < 60; i++) {
    const due = clock.mono() + 3.3
    await timers.sleep(3.3)
    late.push(clock.mono() - due)
  }
  const sorted = late.sort((a, b) => a - b)
  assert.ok(sorted[0]! >= 0, `early by ${-sorted[0]!} ms`)
  // The middle one: on a busy machine another program has the processor now and then.
  assert.ok(sorted[30]! < 0.5, `late by ${sorted[30]} ms`)
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
