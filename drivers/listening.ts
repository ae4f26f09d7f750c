/**
 * A time-out that counts only time in which this process could have heard an answer. When the process was held up (a busy
 * machine, a long collection of garbage), the answer may be waiting unread while the timer runs out; taking that for
 * silence would cost more than the wait: a lost answer leaves doubt about the following ones.
 */
import type { Cancel, Clock, Timers } from './ports.ts'

/** The wait is counted in this many slices; a slice that took longer than it should counts as one slice only. */
const SLICES = 4

export function afterListening(ms: number, clock: Clock, timers: Timers, run: () => void): Cancel {
  const slice = Math.max(1, ms / SLICES)
  let left = ms
  let cancel: Cancel = () => {}
  const wait = (): void => {
    const asked = Math.min(slice, left)
    const begun = clock.mono()
    cancel = timers.after(asked, () => {
      left -= Math.min(asked, Math.max(1, clock.mono() - begun))
      if (left > 0) wait()
      else run()
    })
  }
  wait()
  return () => cancel()
}
