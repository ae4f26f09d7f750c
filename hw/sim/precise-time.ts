/**
 * A clock and timers to fractions of a millisecond throughout, for a simulator that keeps the pace of a serial wire, where a
 * character at 115,200 baud takes 87 microseconds. A processor is busy through the end of each wait, so the simulator has a
 * process to itself.
 */
import type { Clock, Timers } from '../../drivers/ports.ts'

/** The rest of a wait that is waited exactly; before it a wait costs nothing and can be cancelled at once. */
const EXACT_MS = 5

export function preciseTime({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }): {
  readonly clock: Clock
  readonly timers: Timers
} {
  return {
    clock: { ...clock, mono: clock.fine },
    timers: {
      ...timers,
      after: (ms, run) => {
        const due = clock.fine() + ms
        let live = true
        const approach = () =>
          void timers.exactly(due - clock.fine()).then(() => {
            if (live) run()
          })
        const cancel = ms > 2 * EXACT_MS ? timers.after(ms - EXACT_MS, approach) : approach()
        return () => {
          live = false
          cancel?.()
        }
      },
      sleep: timers.exactly,
    },
  }
}
