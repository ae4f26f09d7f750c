/**
 * What every simulated charging station has, whatever its registers look like: a plug, a car that follows the pilot after a
 * while, and a watchdog. Currents are per phase in mA.
 */
import type { Cancel, Clock, PilotState, Timers } from '../../../drivers/ports.ts'

export interface StationOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** What it lets the car have after power-on, before anybody says anything. */
  readonly bootMa: number
  /** The most that the car takes. */
  readonly carMa: number
  /** How long the car takes to follow the pilot; IEC 61851-1 gives it 5 s. */
  readonly reactionMs: number
}

export interface Station {
  readonly bootMa: number
  /** What the pilot offers now; 0 without pulses. */
  offeredMa(): number
  drawnMa(): number
  offer(ma: number): void
  /** What the pilot shows, or what a test has it show. */
  state(): PilotState | 'unknown'
  show(state: PilotState | 'unknown'): void
  plug(plugged: boolean): void
  /** Runs `lapsed` once when it is not called again within `ms`; 0 stops it. */
  watch(ms: number, lapsed: () => void): void
}

/** Under this there are no pulses (IEC 61851-1, Table A.7). */
const LEAST_MA = 6_000

export function createStation({ timers, bootMa, carMa, reactionMs }: StationOptions): Station {
  let offeredMa = 0
  let drawnMa = 0
  let plugged = true
  let shown: PilotState | 'unknown' | undefined
  let cancelWatch: Cancel = () => {}

  const follow = (): void => {
    timers.after(plugged ? reactionMs : 0, () => {
      drawnMa = plugged ? Math.min(offeredMa, carMa) : 0
    })
  }

  return {
    bootMa,
    offeredMa: () => offeredMa,
    drawnMa: () => drawnMa,
    offer: ma => {
      const next = ma < LEAST_MA ? 0 : ma
      if (next === offeredMa) return
      offeredMa = next
      follow()
    },
    state: () => {
      if (shown !== undefined) return shown
      if (!plugged) return 'A'
      return offeredMa > 0 ? 'C' : 'B'
    },
    show: state => {
      shown = state
    },
    plug: now => {
      plugged = now
      follow()
    },
    watch: (ms, lapsed) => {
      cancelWatch()
      cancelWatch = ms > 0 ? timers.after(ms, lapsed) : () => {}
    },
  }
}

/** A simulated controller, as the tests hold it. */
export interface SimCharger {
  readonly station: Station
  /** Says nothing and hears nothing. */
  cut(off: boolean): void
  /** Loses power for a moment: everything volatile is back at what it was made with. */
  restart(): void
  /** Acknowledges limits, and does not take them. */
  stubborn(on: boolean): void
  /** Another controller answers in its place from now on. */
  swap(): void
}
