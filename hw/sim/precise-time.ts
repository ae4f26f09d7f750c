/**
 * A clock and timers to fractions of a millisecond throughout, for a simulator that keeps the pace of a serial wire, where a
 * character at 115,200 baud takes 87 microseconds. A processor is busy through the end of each wait, so the simulator has a
 * process to itself.
 */
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'

/** The end of a wait, through which the event loop is turned: a timer of the machine may come more than a millisecond late. */
const NEAR_MS = 2.5

interface Waiting {
  readonly due: number
  readonly run: () => void
}

export function preciseTime({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }): {
  readonly clock: Clock
  readonly timers: Timers
} {
  /** Earliest first, equal ones as they were set: however late this program is, what comes first runs first. */
  let near: Waiting[] = []
  let turning = false

  async function turn(): Promise<void> {
    turning = true
    while (near.length > 0) {
      await timers.exactly(0)
      for (let first = near[0]; first !== undefined && first.due <= clock.fine(); first = near[0]) {
        near.shift()
        first.run()
      }
    }
    turning = false
  }

  function after(ms: number, run: () => void): Cancel {
    const waiting: Waiting = { due: clock.fine() + ms, run }
    const approach = () => {
      const behind = near.findIndex(({ due }) => due > waiting.due)
      near.splice(behind < 0 ? near.length : behind, 0, waiting)
      if (!turning) void turn()
    }
    const cancel = ms > NEAR_MS ? timers.after(ms - NEAR_MS, approach) : approach()
    return () => {
      cancel?.()
      near = near.filter(other => other !== waiting)
    }
  }

  return {
    clock: { ...clock, mono: clock.fine },
    timers: { ...timers, after, sleep: ms => new Promise(resolve => void after(ms, resolve)) },
  }
}
