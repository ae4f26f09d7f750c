/** What every Clock and Timers must do, on the machine's clock, a scaled one and the simulated one. */
import type { Clock, Timers } from '../../drivers/ports.ts'
import { assert, type Suite } from '../harness.ts'

export interface TimeUnderTest {
  readonly clock: Clock
  readonly timers: Timers
  /** Lets this many milliseconds of the clock under test pass. */
  pass(ms: number): Promise<void>
}

/** `slackMs`: how late this clock may be, 0 for a simulated one. */
export function timeCases(t: Suite, name: string, make: () => TimeUnderTest, slackMs: number): void {
  t(`${name}: a timer runs once, not before its time and never inside the call that set it`, async () => {
    const { clock, timers, pass } = make()
    const started = clock.mono()
    const ran: number[] = []
    timers.after(200, () => ran.push(clock.mono() - started))
    timers.after(0, () => ran.push(clock.mono() - started))
    assert.is(ran.length, 0)
    await pass(400 + slackMs)
    assert.is(ran.length, 2)
    assert.ok(ran[0]! <= slackMs, `the first at ${ran[0]}`)
    assert.ok(ran[1]! >= 199 && ran[1]! <= 200 + slackMs, `the second at ${ran[1]}`)
  })

  t(`${name}: a cancelled timer does not run, and cancelling twice is harmless`, async () => {
    const { timers, pass } = make()
    let ran = 0
    const cancel = timers.after(50, () => ran++)
    const cancelEvery = timers.every(50, () => ran++)
    cancel()
    cancel()
    cancelEvery()
    await pass(300 + slackMs)
    assert.is(ran, 0)
  })

  t(`${name}: an interval runs on its grid until cancelled from inside itself`, async () => {
    const { timers, pass } = make()
    let ran = 0
    const cancel = timers.every(100, () => {
      ran++
      if (ran === 3) cancel()
    })
    await pass(1000 + 3 * slackMs)
    assert.is(ran, 3)
  })

  t(`${name}: sleep ends after its time; the monotonic clock counts it and the wall clock follows`, async () => {
    const { clock, timers, pass } = make()
    const [mono, wall] = [clock.mono(), clock.now()]
    let woke = -1
    void timers.sleep(250).then(() => {
      woke = clock.mono() - mono
    })
    await pass(500 + slackMs)
    assert.ok(woke >= 249 && woke <= 250 + slackMs, `woke after ${woke}`)
    assert.ok(Math.abs(clock.now() - wall - (clock.mono() - mono)) <= 2 + slackMs)
  })

  t(`${name}: an exact wait is never early, and the fine clock is the monotonic one with fractions`, async () => {
    const { clock, timers, pass } = make()
    const woke: number[] = []
    const whole = clock.mono()
    const started = clock.fine()
    assert.ok(started >= whole && started - whole < 1 + slackMs, `${started} and ${whole}`)
    for (const ms of [0, 0.25, 1.75, 3.65, 40.5])
      void timers.exactly(ms).then(() => woke.push(clock.fine() - started - ms))
    assert.is(woke.length, 0)
    await pass(200 + slackMs)
    assert.is(woke.length, 5)
    for (const late of woke) assert.ok(late >= 0 && late <= 1 + slackMs, `${late} ms late`)
  })
}
