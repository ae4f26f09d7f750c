import { drainPromises } from '../../drivers/drain.ts'
import { afterListening } from '../../drivers/listening.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { mono } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'

const t = suite('listening')

t('on a machine that keeps up it ends when a plain timer would', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  let ended = -1
  afterListening(400, clock, timers, () => {
    ended = clock.mono()
  })
  await advance(1000)
  assert.is(ended, 400)
})

t('time in which the process was held up does not count', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  // The machine stands still for 10 s during the second slice: its timer runs, but late by the clock.
  let heldUp = 0
  const late = { ...clock, mono: () => mono(clock.mono() + heldUp) }
  let ended = -1
  afterListening(400, late, timers, () => {
    ended = clock.mono()
  })
  await advance(150)
  heldUp = 10_000
  await advance(150)
  assert.is(ended, -1)
  await advance(700)
  assert.is(ended, 400)
})

t('cancelled, it never ends', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  let ran = 0
  const cancel = afterListening(400, clock, timers, () => ran++)
  await advance(250)
  cancel()
  await advance(1000)
  assert.is(ran, 0)
})

t.run()
