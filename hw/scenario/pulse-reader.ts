/** A pulse reader at a meter's S0 output: the contact closes once for each Wh that the wires carried, and bounces as contacts do. */
import type { Cancel } from '../../drivers/ports.ts'
import type { Energy } from '../../protocol/quantity.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import {
  countEdge,
  NO_PULSES,
  type PulseRule,
  type PulseState,
  pulseEnergy,
  settlePulses,
} from '../../protocol/telegram/pulse.ts'
import type { DistrictRun } from './run-district.ts'

const PER_KWH = 1_000
/** mWh of one pulse. */
const PULSE_MWH = 1_000n
const LOOK_MS = 5_000
/** IEC 62053-31: at least 30 ms closed. Before that the contact has bounced once. */
const CLOSED_MS = 40
const BOUNCE_MS = 6

export interface PulseReader {
  /** Whole watt-hours counted so far. */
  count(): bigint
  state(): PulseState
  readonly stop: Cancel
}

/** Counts what a site takes from the grid from now on; `leastMs` is the reader's only defence against bounces. */
export function attachPulseReader(
  site: string,
  { running: { wires, clock }, ports: { timers } }: Pick<DistrictRun, 'running' | 'ports'>,
  leastMs: number,
): PulseReader {
  const rule: PulseRule = { obis: OBIS.energyImport, perKwh: PER_KWH, leastMs, silentMs: 600_000 }
  const imported = (): Energy => wires.gridMeter(site).imported
  const first = imported()
  let state = NO_PULSES
  let [seen, seenAt]: [bigint, number] = [0n, clock.mono()]

  function look(): void {
    const [now, at] = [imported() - first, clock.mono()]
    const [from, to] = [seen / PULSE_MWH, now / PULSE_MWH]
    for (let pulse = from + 1n; pulse <= to; pulse++) {
      // The power between two looks is taken for steady; the last pulse is over by the look itself.
      const share = Number(pulse * PULSE_MWH - seen) / Number(now - seen)
      const begins = Math.floor(seenAt + share * (at - seenAt - CLOSED_MS - 2 * BOUNCE_MS))
      for (const [after, closed] of [
        [0, true],
        [BOUNCE_MS, false],
        [2 * BOUNCE_MS, true],
        [2 * BOUNCE_MS + CLOSED_MS, false],
      ] as const)
        state = countEdge(rule, state, { closed, at: begins + after })
    }
    ;[seen, seenAt] = [now, at]
  }

  const stop = timers.every(LOOK_MS, look)
  return {
    count() {
      look()
      state = settlePulses(rule, state, clock.mono())
      // Thousandths of a watt-hour.
      return pulseEnergy(rule, state, 0n).value / 1000n
    },
    state: () => state,
    stop,
  }
}
