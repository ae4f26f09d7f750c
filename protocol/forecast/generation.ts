/**
 * What a site's panels will give, from what they gave: the clear-sky envelope of each time of day, learned as the most that
 * the last weeks showed there, times a clearness forecast from that of the days and hours just past.
 */
import type { Energy } from '../quantity.ts'
import { ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { type AnalogueRule, analoguesOf, type Known } from './analogue.ts'
import { checkAsked, type Forecast, type ForecastAsked, type SlotForecast } from './forecast.ts'
import { quantilesOf } from './quantile.ts'
import { energyAt, type Series } from './series.ts'

const DAY_MS = 86_400_000
/** Long enough to have seen the sky clear at each hour, short enough that the sun's path has hardly moved. */
const ENVELOPE_DAYS = 20
/** Clearness is counted in ten-thousandths of the envelope: times the most of a series it stays exact. */
const CLEAR = 10_000
/** Below this part of the highest energy so far, clearness is the noise of a low sun and says nothing of the sky. */
const LOW_SUN = 100

/** As for the load, over half-lives of 5 to 20 days. Weather knows no weekday. */
const RULE: AnalogueRule = { days: 30, halfLifeDays: 7, sameClass: 1, dayPersistence: 400, slotPersistence: 800 }

/** `shares` is the clearness of this history, for whoever asks of it more than once. */
export function forecastGeneration(
  history: Series,
  asked: ForecastAsked,
  shares: readonly (number | undefined)[] = clearnessOf(history),
): Result<Forecast> {
  const checked = checkAsked(history, asked)
  if (!checked.ok) return checked
  const { from, slots, now, permilles, offsetAt } = asked
  const { start: first, slotMs } = history
  const made: Known = at => (at + slotMs > now ? undefined : number(energyAt(history, at)))
  const clearness: Known = at => (at + slotMs > now ? undefined : shares[(at - first) / slotMs])
  const analogues = analoguesOf(clearness, { slotMs, grid: from, now, offsetAt, classAt: () => 0 }, RULE)
  return ok({
    slotMs,
    permilles,
    slots: Array.from({ length: slots }, (_, i): SlotForecast => {
      const start = (from + i * slotMs) as Instant
      const envelope = envelopeAt(made, start)
      if (envelope === undefined) return { start, absent: 'no-like-slot' }
      // Where the sun is too low to tell, or there was one day only, the envelope is all that is known.
      const clear = quantilesOf(analogues(start), permilles) ?? permilles.map(() => CLEAR)
      return { start, energies: clear.map(part => BigInt(Math.floor((envelope * part) / CLEAR)) as Energy) }
    }),
  })
}

/** The most made at this time of day in the days before; by the sun's time, that is UTC. Undefined where nothing is known. */
function envelopeAt(made: Known, at: number): number | undefined {
  let most: number | undefined
  for (let age = 1; age <= ENVELOPE_DAYS; age++) {
    const energy = made(at - age * DAY_MS)
    if (energy !== undefined && (most === undefined || energy > most)) most = energy
  }
  return most
}

/**
 * What was made as a share of the envelope of the days before that slot, in ten-thousandths; undefined at night. Each share rests
 * on what had ended with its slot, so that a longer history changes none of them.
 */
export function clearnessOf(history: Series): readonly (number | undefined)[] {
  const { start, slotMs, energies } = history
  const made: Known = at => number(energyAt(history, at))
  let peak = 0
  return energies.map((energy, i) => {
    if (energy === undefined) return undefined
    peak = Math.max(peak, Number(energy))
    const clear = envelopeAt(made, start + i * slotMs)
    if (clear === undefined || clear === 0 || clear * LOW_SUN < peak) return undefined
    // More than the envelope is a sky clearer than on any of the days before; twice as much is another panel.
    return Math.min(2 * CLEAR, Math.floor((Number(energy) * CLEAR) / clear))
  })
}

const number = (energy: Energy | undefined): number | undefined => (energy === undefined ? undefined : Number(energy))
