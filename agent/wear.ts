/** What the journal's writing costs the card that it stands on: cards are worn by bytes written, and die silently. */
import type { Clock, Log, Timers } from '../drivers/ports.ts'
import type { Journal } from '../drivers/store/journal.ts'
import type { Metering } from './metering/run.ts'

export interface Wear {
  /** Since the start, zeros of new segments included: each block is written twice. */
  readonly bytesWritten: number
  /** All of it shared among the signed readings, rounded up; undefined before the first. */
  readonly bytesPerReading: number | undefined
  /** At the pace so far; undefined in the first minute, when a new segment weighs too much. */
  readonly bytesPerDay: number | undefined
}

const DAY_MS = 86_400_000
/** Shorter, and one segment made is all that is seen. */
const PACE_MS = 60_000

export function wearOf(bytesWritten: number, readings: number, ms: number): Wear {
  return {
    bytesWritten,
    bytesPerReading: readings === 0 ? undefined : Math.ceil(bytesWritten / readings),
    bytesPerDay: ms < PACE_MS ? undefined : Math.ceil((bytesWritten / ms) * DAY_MS),
  }
}

export interface WearParts {
  readonly journal: Pick<Journal, 'stats'>
  readonly metering: Pick<Metering, 'stats'>
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

/** Says it in the log once a day, and to whoever asks. */
export function watchWear({ journal, metering, clock, timers, log }: WearParts): {
  readonly wear: () => Wear
  readonly stop: () => void
} {
  const began = clock.mono()
  const wear = () => wearOf(journal.stats().bytesWritten, metering.stats().signed, clock.mono() - began)
  const stop = timers.every(DAY_MS, () => {
    const { bytesPerReading, bytesPerDay = 0 } = wear()
    const each = bytesPerReading === undefined ? 'no reading was signed' : `${bytesPerReading} bytes a signed reading`
    log('info', 'journal', `${Math.ceil(bytesPerDay / 1e6)} MB a day are written, ${each}`)
  })
  return { wear, stop }
}
