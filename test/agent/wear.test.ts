import { watchWear, wearOf } from '../../agent/wear.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { assert, suite } from '../harness.ts'

const test = suite('wear')

test('bytes are shared among the signed readings, and projected to a day', () => {
  // 676,000 bytes for 1,000 readings in 100 s: 864 times that in a day.
  assert.equal(wearOf(676_000, 1000, 100_000), {
    bytesWritten: 676_000,
    bytesPerReading: 676,
    bytesPerDay: 584_064_000,
  })
  assert.is(wearOf(1001, 2, 60_000).bytesPerReading, 501)
})

test('before the first reading, and in the first minute, nothing is claimed', () => {
  assert.equal(wearOf(4096, 0, 59_999), { bytesWritten: 4096, bytesPerReading: undefined, bytesPerDay: undefined })
})

test('the log says it once a day', async () => {
  const time = createSimTime(0, drainPromises)
  const said: string[] = []
  const stats = { bytesWritten: 50_000_000, signed: 100_000 }
  const { wear, stop } = watchWear({
    journal: { stats: () => stats as never },
    metering: { stats: () => stats as never },
    clock: time.clock,
    timers: time.timers,
    log: (_, room, text) => said.push(`${room}: ${text}`),
  })
  await time.advance(86_400_000)
  assert.equal(said, ['journal: 50 MB a day are written, 500 bytes a signed reading'])
  assert.is(wear().bytesPerDay, 50_000_000)
  stop()
})

test.run()
