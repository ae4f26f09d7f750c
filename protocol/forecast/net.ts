/** What a site will draw from the grid or send into it: load less generation, each at its quantiles. */
import type { Energy } from '../quantity.ts'
import type { Result } from '../result.ts'
import { ok } from '../result.ts'
import type { Forecast, ForecastAsked, SlotForecast } from './forecast.ts'
import { forecastGeneration } from './generation.ts'
import { forecastLoad } from './load.ts'
import { quantilesOf } from './quantile.ts'
import type { Series } from './series.ts'

/** Twelve points of equal weight stand for each of the two: the middles of twelfths. */
const POINTS = Array.from({ length: 12 }, (_, i) => Math.round((1000 * (2 * i + 1)) / 24))

/** The load and generation of one site, of the same slots. */
export interface NetHistory {
  readonly load: Series
  /** Absent where the site makes nothing. */
  readonly generation?: Series
  /** Clearness of that generation, for whoever asks more than once. */
  readonly clearness?: readonly (number | undefined)[]
}

/**
 * Energies are import less export, negative where the site will send. Load and generation are taken as independent, which
 * at one time of day they nearly are. A slot of which either is absent is absent.
 */
export function forecastNet(history: NetHistory, asked: ForecastAsked): Result<Forecast> {
  const points = { ...asked, permilles: POINTS }
  if (history.generation === undefined) return forecastLoad(history.load, asked)
  const load = forecastLoad(history.load, points)
  if (!load.ok) return load
  const generation = forecastGeneration(history.generation, points, history.clearness)
  if (!generation.ok) return generation
  return ok({
    slotMs: load.value.slotMs,
    permilles: asked.permilles,
    slots: load.value.slots.map((used, i): SlotForecast => {
      const made = generation.value.slots[i]!
      if (!('energies' in used)) return used
      if (!('energies' in made)) return made
      const sightings = used.energies.flatMap(a => made.energies.map(b => ({ value: Number(a - b), weight: 1 })))
      const energies = quantilesOf(sightings, asked.permilles)!
      return { start: used.start, energies: energies.map(energy => BigInt(energy) as Energy) }
    }),
  })
}
