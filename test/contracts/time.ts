/** What every Clock and Timers must do, on the machine's clock, a scaled one and the simulated one. */
import type { Clock, Timers } from '../../drivers/ports.ts'
import { assert, type Suite } from '../harness.ts'

export interface TimeUnderTest {
  readonly clock: Clock
  readonly timers: Timers
  /** Lets this many milliseconds of the clock under test pass. */
  pass(ms: number): Promise<void>
}

/** Something ran later than it should have. */
class Late extends Error {}

function within(ms: number, mostMs: number, what: string): void {
  if (ms > mostMs) throw new Late(`${what}: ${ms} ms, at most ${mostMs}`)
}

/** A machine that stands still for a moment makes any timer late; so often in a row it is the timer. */
const TRIES = 20

/** `slackMs`: how late this clock may be, 0 for a simulated one. */
export function timeCases(suite: Suite, name: string, make: () => TimeUnderTest, slackMs: number): void {
  const t = (title: string, body: () => Promise<void>) =>
    suite(title, async () => {
      for (let left = slackMs === 0 ? 1 : TRIES; ; left--) {
        try {
          return await body()
        } catch (error) {
          if (!(error instanceof Late) || left === 1) throw error
        }
      }
    }, 120_000)

  t(`${name}: a timer runs once, not before its time and never inside the call that set it`, async () => {
    const { clock, timers, pass } = make()
    const started = clock.mono()
    const ran: number[] = []
    timers.after(200, () => ran.push(clock.mono() - started))
    timers.after(0, () => ran.push(clock.mono() - started))
    assert.is(ran.length, 0)
    for (let n = 0; n < 100 && (n === 0 || ran.length < 2); n++) await pass(400 + slackMs)
    assert.is(ran.length, 2)
    assert.ok(ran[1]! >= 199, `the second at ${ran[1]}`)
    within(ran[0]!, slackMs, 'the first')
    within(ran[1]!, 200 + slackMs, 'the second')
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
    for (let n = 0; n < 100 && (n === 0 || ran < 3); n++) await pass(1000 + 3 * slackMs)
    assert.is(ran, 3)
  })

  t(`${name}: sleep ends after its time; the monotonic clock counts it and the wall clock follows`, async () => {
    const { clock, timers, pass } = make()
    const [mono, wall] = [clock.mono(), clock.now()]
    let woke = -1
    void timers.sleep(250).then(() => {
      woke = clock.mono() - mono
    })
    for (let n = 0; n < 100 && woke < 0; n++) await pass(500 + slackMs)
    assert.ok(woke >= 249, `woke after ${woke}`)
    within(woke, 250 + slackMs, 'woke')
    within(Math.abs(clock.now() - wall - (clock.mono() - mono)), 2 + slackMs, 'between the clocks')
  })

  t(`${name}: an exact wait is never early, and the fine clock is the monotonic one with fractions`, async () => {
    const { clock, timers, pass } = make()
    const woke: number[] = []
    const whole = clock.mono()
    const started = clock.fine()
    assert.ok(started >= whole, `${started} and ${whole}`)
    within(started - whole, 1 + slackMs, 'between the clocks')
    for (const ms of [0, 0.25, 1.75, 3.65, 40.5])
      void timers.exactly(ms).then(() => woke.push(clock.fine() - started - ms))
    assert.is(woke.length, 0)
    for (let n = 0; n < 100 && woke.length < 5; n++) await pass(200 + slackMs)
    assert.is(woke.length, 5)
    for (const late of woke) {
      assert.ok(late >= 0, `${late} ms late`)
      within(late, 1 + slackMs, 'an exact wait')
    }
  })
}
