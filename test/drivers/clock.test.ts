import { createSystemTime, scaleFrom } from '../../drivers/clock.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { timeCases } from '../contracts/time.ts'
import { assert, suite } from '../harness.ts'

const t = suite('time')
const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

timeCases(t, 'machine', () => ({ ...createSystemTime(), pass: sleep }), 150)
timeCases(
  t,
  'ten times faster',
  () => ({ ...createSystemTime(scaleFrom(1_782_000_000_000, 10)), pass: ms => sleep(ms / 10) }),
  900,
)
timeCases(
  t,
  'simulated',
  () => {
    const time = createSimTime(1_782_000_000_000, drainPromises)
    return { clock: time.clock, timers: time.timers, pass: time.advance }
  },
  0,
)

t('a scaled clock starts at its virtual origin and runs faster than the wall', async () => {
  const began = performance.now()
  const { clock } = createSystemTime(scaleFrom(1_000_000, 100))
  const first = clock.now()
  const most = 1_000_000 + 100 * (performance.now() - began) + 1
  assert.ok(first >= 1_000_000 && first <= most, `${first} of at most ${most}`)
  await sleep(100)
  assert.ok(clock.now() - first >= 9_000)
})

t('simulated events of one instant run in the order in which they were set', async () => {
  const time = createSimTime(0, drainPromises)
  const seen: string[] = []
  for (const name of ['a', 'b', 'c']) time.timers.after(10, () => seen.push(name))
  time.timers.after(5, () => seen.push('first'))
  await time.advance(10)
  assert.equal(seen, ['first', 'a', 'b', 'c'])
})

t('a stopped partition runs nothing more, as a crashed process does not', async () => {
  const time = createSimTime(0, drainPromises)
  const part = time.partition()
  let ran = 0
  part.timers.every(10, () => ran++)
  await time.advance(25)
  part.stop()
  await time.advance(100)
  assert.is(ran, 2)
})

t('a stepped wall clock leaves monotonic time alone', async () => {
  const time = createSimTime(1000, drainPromises)
  const part = time.partition()
  part.stepWall(3_600_000)
  assert.is(part.clock.now(), 3_601_000)
  assert.is(part.clock.mono(), 0)
  assert.is(time.clock.now(), 1000)
})

t.run()
