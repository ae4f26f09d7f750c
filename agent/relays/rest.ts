/** When the control loop may stand still: every contact where it should be, no wish, no deal. */
import type { Clock } from '../../drivers/ports.ts'
import { later } from '../../protocol/time.ts'

/** The control loop's period: half of the 200 ms in which a crossed limit has to become an opening command. */
export const LOOP_MS = 100
/** Awake this long after the last of anything: a weld shows within a second of an opening, a look takes a few loops. */
const AWAKE_MS = 3000
/** Looks of before a rest are too old to judge by; the board is asked once in this, and answers within it. */
const LOOK_MS = 300

export interface Rest {
  /** What this round of the loop does: decide, look only, or no more than refresh the contacts. */
  next(): 'step' | 'look' | 'refresh'
  awake(): boolean
}

/** `restMs` between two looks round; undefined never rests. */
export function createRest(clock: Clock, restMs: number | undefined, quiet: () => boolean): Rest {
  let wokeAt = clock.mono()
  let awakeUntil = later(wokeAt, AWAKE_MS)
  const awake = () => restMs === undefined || clock.mono() < awakeUntil
  return {
    awake,
    next() {
      if (restMs === undefined) return 'step'
      const now = clock.mono()
      const rested = now - awakeUntil
      if (!quiet() || rested >= restMs) {
        if (rested >= 0) wokeAt = now
        awakeUntil = later(now, AWAKE_MS)
      }
      if (!awake()) return 'refresh'
      return now - wokeAt < LOOK_MS ? 'look' : 'step'
    },
  }
}
