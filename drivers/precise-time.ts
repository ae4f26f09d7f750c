/**
 * The machine's clock and timers to a fraction of a millisecond, for a program that has a processor to itself: a simulator
 * that keeps the pace of a serial wire, where a character at 115,200 baud takes 87 microseconds. Node's own timers come up to
 * 1.5 ms late; here the last stretch of each wait is spent turning the event loop, which costs a whole processor meanwhile.
 */
import { setTimeout as later, setImmediate as nextTurn } from 'node:timers'
import { instant, mono } from '../protocol/time.ts'
import type { Cancel, Clock, Timers } from './ports.ts'

/** A wait shorter than this is spent turning: Node's timers count whole milliseconds, and come late by up to another. */
const TURNING_MS = 2.5

interface Waiting {
  readonly due: number
  readonly run: () => void
}

export function createPreciseTime(): { readonly clock: Clock; readonly timers: Timers } {
  const clock: Clock = {
    now: () => instant(Date.now()),
    mono: () => mono(performance.now()),
    quality: () => 'informative',
  }
  /** Those whose time is near, earliest first; equal ones as they were set. */
  let near: Waiting[] = []
  let turning = false

  function turn(): void {
    for (let first = near[0]; first !== undefined && first.due <= performance.now(); first = near[0]) {
      near.shift()
      first.run()
    }
    turning = near.length > 0
    if (turning) nextTurn(turn)
  }

  function approach(waiting: Waiting): void {
    const behind = near.findIndex(({ due }) => due > waiting.due)
    near.splice(behind < 0 ? near.length : behind, 0, waiting)
    if (turning) return
    turning = true
    nextTurn(turn)
  }

  function at(due: number, run: () => void): Cancel {
    const waiting: Waiting = { due, run }
    const waitMs = due - performance.now()
    const timer = waitMs > TURNING_MS ? later(approach, waitMs - TURNING_MS, waiting) : undefined
    if (timer === undefined) approach(waiting)
    return () => {
      clearTimeout(timer)
      near = near.filter(other => other !== waiting)
    }
  }

  const timers: Timers = {
    after: (ms, run) => at(performance.now() + ms, run),
    every: (ms, run) => {
      let due = performance.now() + ms
      let stopped = false
      let cancel = at(due, tick)
      function tick(): void {
        // As in clock.ts: on the grid, slots that passed while this process was busy left out.
        due += ms * Math.max(1, Math.ceil((performance.now() - due) / ms))
        cancel = at(due, tick)
        run()
        if (stopped) cancel()
      }
      return () => {
        stopped = true
        cancel()
      }
    },
    sleep: ms => new Promise(resolve => void at(performance.now() + ms, resolve)),
  }
  return { clock, timers }
}
