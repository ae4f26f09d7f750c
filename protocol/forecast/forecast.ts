/** What a forecast is: energies of coming slots at the quantiles asked for, or per slot that nobody can say. */
import type { Energy } from '../quantity.ts'
import type { OffsetAt } from '../reading/calendar.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import type { DayClass } from './analogue.ts'
import type { Series } from './series.ts'

export interface ForecastAsked {
  /** Start of the first slot to come, on the history's grid, and how many. */
  readonly from: Instant
  readonly slots: number
  /** Only what ended by then is used, whatever the history holds. */
  readonly now: Instant
  /** Rising, 0 to 1000; 500 is the median. */
  readonly permilles: readonly number[]
  readonly offsetAt: OffsetAt
  readonly classAt: DayClass
}

export type SlotForecast =
  | { readonly start: Instant; readonly energies: readonly Energy[] }
  /** No earlier day has a number for this time of day. */
  | { readonly start: Instant; readonly absent: 'no-like-slot' }

export interface Forecast {
  readonly slotMs: number
  readonly permilles: readonly number[]
  readonly slots: readonly SlotForecast[]
}

/** A month of quarters of an hour. */
const MAX_SLOTS = 2976

/** What is wrong with the question; `forecast.no-history` where no slot of the history that has ended has a number. */
export function checkAsked(history: Series, asked: ForecastAsked): Result<void> {
  const { from, slots, now, permilles } = asked
  const { start, slotMs, energies } = history
  if (!Number.isInteger(slots) || slots < 1 || slots > MAX_SLOTS) {
    return fail({ code: 'forecast.slots', slots, limit: MAX_SLOTS })
  }
  if ((from - start) % slotMs !== 0) return fail({ code: 'forecast.grid', from, start, slotMs })
  if (from + slotMs <= now) return fail({ code: 'forecast.past', from, now })
  if (permilles.length === 0 || permilles.some((one, i) => !(one >= (permilles[i - 1] ?? 0) && one <= 1000))) {
    return fail({ code: 'forecast.permilles', permilles: permilles.map(String) })
  }
  const ended = Math.min(energies.length, Math.max(0, Math.floor((now - start) / slotMs)))
  return energies.some((energy, i) => i < ended && energy !== undefined)
    ? ok(undefined)
    : fail({ code: 'forecast.no-history', ended })
}

/** Workdays 0, Saturday and Sunday 1, by local time; public holidays are for the caller to know. */
export const weekendClass =
  (offsetAt: OffsetAt): DayClass =>
  at => {
    // Day 0 of the epoch was a Thursday.
    const weekday = (Math.floor((at + offsetAt(at)) / 86_400_000) + 3) % 7
    return weekday < 5 ? 0 : 1
  }
