/**
 * The clock and timers of this machine, or of a bench whose virtual time runs `speed` times faster than the wall clock.
 * Virtual wall time is anchored at a shared origin, so that two processes of one bench agree on it.
 */
import { setTimeout as later } from 'node:timers'
import { instant, mono, type TimeQuality } from '../protocol/time.ts'
import type { Clock, Timers } from './ports.ts'

export interface TimeScale {
  /** This much faster than the wall clock; 1 is real time. */
  readonly speed: number
  /** The wall time (ms since 1970) at which virtual time was `originVirtualMs`. */
  readonly originWallMs: number
  readonly originVirtualMs: number
}

const REAL_TIME: TimeScale = { speed: 1, originWallMs: 0, originVirtualMs: 0 }

/** A time scale that starts now at a given virtual instant. */
export const scaleFrom = (originVirtualMs: number, speed: number): TimeScale => ({
  speed,
  originWallMs: Date.now(),
  originVirtualMs,
})

/**
 * Node's setTimeout runs at once, with a warning, beyond this many milliseconds (a signed 32-bit count); longer waits
 * are made of several.
 */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/** A timer of Node may come more than a millisecond after its time; whoever needs better looks at the clock this long before. */
const WATCHED_MS = 2

export function createSystemTime(
  scale: TimeScale = REAL_TIME,
  quality: () => TimeQuality = () => 'informative',
): { readonly clock: Clock; readonly timers: Timers } {
  const { speed, originWallMs, originVirtualMs } = scale
  const nowMono = () => performance.now() * speed
  const clock: Clock = {
    now: () => instant(Math.floor(originVirtualMs + (Date.now() - originWallMs) * speed)),
    mono: () => mono(Math.floor(nowMono())),
    fine: () => mono(nowMono()),
    quality,
  }
  const at = (dueMono: number, run: () => void) => {
    let timer: NodeJS.Timeout
    let cancelled = false
    const arm = () => {
      const wait = Math.max(0, (dueMono - nowMono()) / speed)
      timer = later(
        () => {
          if (cancelled) return
          // Early by Node's rounding to whole milliseconds, or one of several long waits.
          if (nowMono() < dueMono) arm()
          else run()
        },
        Math.min(Math.ceil(wait), LONGEST_TIMEOUT_MS),
      )
    }
    arm()
    return () => {
      cancelled = true
      clearTimeout(timer)
    }
  }
  const timers: Timers = {
    after: (ms, run) => at(nowMono() + ms, run),
    every: (ms, run) => {
      let due = nowMono() + ms
      let cancel = at(due, tick)
      let stopped = false
      function tick() {
        // The next due time stays on the grid; slots that passed while this process was busy are left out.
        due += ms * Math.max(1, Math.ceil((nowMono() - due) / ms))
        cancel = at(due, tick)
        run()
        if (stopped) cancel()
      }
      return () => {
        stopped = true
        cancel()
      }
    },
    sleep: ms => new Promise(resolve => void at(nowMono() + ms, resolve)),
    exactly: ms => {
      const due = nowMono() + ms
      return new Promise(resolve => {
        // One turn of the event loop after the other, so that everything else goes on meanwhile.
        const watch = () => {
          if (nowMono() >= due) resolve()
          else setImmediate(watch)
        }
        const coarse = Math.floor(ms / speed - WATCHED_MS)
        if (coarse >= 1) at(nowMono() + coarse * speed, watch)
        else setImmediate(watch)
      })
    },
  }
  return { clock, timers }
}
