import { type Forecast, type ForecastAsked, weekendClass } from '../../../protocol/forecast/forecast.ts'
import { clearnessOf, forecastGeneration } from '../../../protocol/forecast/generation.ts'
import { forecastLoad } from '../../../protocol/forecast/load.ts'
import type { Series } from '../../../protocol/forecast/series.ts'
import type { Energy } from '../../../protocol/quantity.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { HOUR_MS, PROFILES_START, readHomes } from '../../bench/profiles.ts'
import { noSharedData } from '../../data.ts'
import { assert, suite } from '../../harness.ts'

const t = suite('forecast on public profiles')

const DAY = 24
const offsetAt = () => 0
const ask = (from: Instant, slots: number): ForecastAsked => ({
  from,
  slots,
  now: from,
  permilles: [100, 500, 900],
  offsetAt,
  classAt: weekendClass(offsetAt),
})

interface Judged {
  readonly ours: number
  readonly yesterday: number
  readonly lastWeek: number
  /** Permille of the slots that lay below the lower quantile, and at most at it; the same of the upper one. */
  readonly shares: readonly number[]
}

/** Each day of a year but the first two weeks, forecast whole at its midnight; mean absolute errors in mWh. */
function judge(energies: readonly Energy[], forecast: (asked: ForecastAsked) => Result<Forecast>): Judged {
  const sums = [0, 0, 0]
  const shares = [0, 0, 0, 0]
  let count = 0
  // The profiles begin an hour before midnight.
  for (let first = 1 + 14 * DAY; first + DAY <= energies.length; first += DAY) {
    const day = must(forecast(ask(instant(PROFILES_START + first * HOUR_MS), DAY)))
    for (const [i, slot] of day.slots.entries()) {
      if (!('energies' in slot)) throw new Error(`no forecast for ${slot.start}`)
      const actual = Number(energies[first + i]!)
      const [low, middle, high] = slot.energies.map(Number)
      const naive = [middle!, Number(energies[first + i - DAY]!), Number(energies[first + i - 7 * DAY]!)]
      for (const [n, guess] of naive.entries()) sums[n]! += Math.abs(guess - actual)
      const is = [actual < low!, actual <= low!, actual < high!, actual <= high!]
      for (const [n, one] of is.entries()) if (one) shares[n]!++
      count++
    }
  }
  const [ours, yesterday, lastWeek] = sums.map(sum => sum / count) as [number, number, number]
  return { ours, yesterday, lastWeek, shares: shares.map(n => (1000 * n) / count) }
}

for (let home = 0; home < 8; home++) {
  t.skipIf(
    noSharedData,
    `the next day of home ${home + 1} is forecast better than by yesterday or by last week`,
    () => {
      const { load, generation } = readHomes()[home]!
      const loads: Series = { start: PROFILES_START, slotMs: HOUR_MS, energies: load }
      const made: Series = { start: PROFILES_START, slotMs: HOUR_MS, energies: generation }
      const clearness = clearnessOf(made)
      const used = judge(load, asked => forecastLoad(loads, asked))
      const sun = judge(generation, asked => forecastGeneration(made, asked, clearness))
      if (process.env['TIELINE_PRINT']) process.stdout.write(`${home + 1} ${JSON.stringify({ used, sun })}\n`)
      for (const one of [used, sun]) {
        assert.ok(one.ours < one.yesterday, `${one.ours} < ${one.yesterday}`)
        assert.ok(one.ours < one.lastWeek, `${one.ours} < ${one.lastWeek}`)
      }
      // The quantiles mean what they say, within what a year of one home's habits allows.
      const [below, upToLow, belowHigh, upTo] = used.shares as [number, number, number, number]
      assert.ok(below < 160 && upToLow > 40, `a tenth lies below ${below} to ${upToLow}`)
      assert.ok(belowHigh < 960 && upTo > 840, `nine tenths below ${belowHigh} to ${upTo}`)
    },
  )
}

t.skipIf(
  noSharedData,
  'an hour ahead both are known better than a day ahead, in every home',
  () => {
    const error = (
      energies: readonly Energy[],
      aheadHours: number,
      forecast: (asked: ForecastAsked) => Result<Forecast>,
    ) => {
      let [sum, count] = [0, 0]
      // Every 23rd hour, so that all hours of the day come round.
      for (let hour = 60 * DAY; hour < energies.length; hour += 23) {
        const from = instant(PROFILES_START + hour * HOUR_MS)
        const now = instant(from - (aheadHours - 1) * HOUR_MS)
        const [slot] = must(forecast({ ...ask(from, 1), now, permilles: [500] })).slots
        if (slot === undefined || !('energies' in slot)) continue
        sum += Math.abs(Number(slot.energies[0]! - energies[hour]!))
        count++
      }
      return sum / count
    }
    for (const { load, generation } of readHomes()) {
      const loads: Series = { start: PROFILES_START, slotMs: HOUR_MS, energies: load }
      const made: Series = { start: PROFILES_START, slotMs: HOUR_MS, energies: generation }
      const clearness = clearnessOf(made)
      const used = [1, 24].map(ahead => error(load, ahead, asked => forecastLoad(loads, asked))) as [number, number]
      const sun = [1, 24].map(ahead =>
        error(generation, ahead, asked => forecastGeneration(made, asked, clearness)),
      ) as [number, number]
      assert.ok(used[0] < 0.95 * used[1] && sun[0] < 0.7 * sun[1], `${used} and ${sun}`)
    }
  },
  60_000,
)

t.run()
