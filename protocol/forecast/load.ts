/** What a site will use, from what it used: no temperature, no person, only its own meters. */
import type { Energy } from '../quantity.ts'
import { ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { type AnalogueRule, analoguesOf } from './analogue.ts'
import { checkAsked, type Forecast, type ForecastAsked, type SlotForecast } from './forecast.ts'
import { quantilesOf } from './quantile.ts'
import { energyAt, type Series } from './series.ts'

/**
 * Eight weeks hold every habit twice and forget a season's; the other numbers have the least absolute error over the eight
 * public homes among half-lives of 7 to 60 days and persistences of 0 to 800.
 */
const RULE: AnalogueRule = {
  days: 56,
  halfLifeDays: 7,
  sameClass: 3,
  dayPersistence: 300,
  slotPersistence: 600,
}

export function forecastLoad(history: Series, asked: ForecastAsked): Result<Forecast> {
  const checked = checkAsked(history, asked)
  if (!checked.ok) return checked
  const { from, slots, now, permilles, offsetAt, classAt } = asked
  const { slotMs } = history
  const known = (at: number) => {
    const energy = at + slotMs > now ? undefined : energyAt(history, at)
    return energy === undefined ? undefined : Number(energy)
  }
  const analogues = analoguesOf(known, { slotMs, grid: from, now, offsetAt, classAt }, RULE)
  return ok({
    slotMs,
    permilles,
    slots: Array.from({ length: slots }, (_, i): SlotForecast => {
      const start = (from + i * slotMs) as Instant
      const energies = quantilesOf(analogues(start), permilles)
      return energies === undefined
        ? { start, absent: 'no-like-slot' }
        : { start, energies: energies.map(energy => BigInt(energy) as Energy) }
    }),
  })
}
