import { type ForecastAsked, weekendClass } from '../../../protocol/forecast/forecast.ts'
import { forecastGeneration } from '../../../protocol/forecast/generation.ts'
import { forecastLoad } from '../../../protocol/forecast/load.ts'
import { forecastNet } from '../../../protocol/forecast/net.ts'
import { quantilesOf } from '../../../protocol/forecast/quantile.ts'
import { endOf, energyAt, loadOf, type Series, seriesOf } from '../../../protocol/forecast/series.ts'
import { type Energy, milliwattHours } from '../../../protocol/quantity.ts'
import type { Bucket } from '../../../protocol/reading/rollup.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const t = suite('forecast')

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** A Monday, 00:00 UTC. */
const START = instant(Date.UTC(2024, 0, 1))
const offsetAt = () => 0
const series = (energies: readonly (number | undefined)[], start: Instant = START): Series => ({
  start,
  slotMs: HOUR,
  energies: energies.map(one => (one === undefined ? undefined : milliwattHours(BigInt(one)))),
})
const ask = (more: Partial<ForecastAsked>): ForecastAsked => ({
  from: START,
  slots: 1,
  now: START,
  permilles: [500],
  offsetAt,
  classAt: weekendClass(offsetAt),
  ...more,
})

t('a site of one day of history is forecast as that day: the seasonal naive forecast', () => {
  const day = Array.from({ length: 24 }, (_, hour) => 1000 * hour)
  const next = instant(START + DAY)
  const { slots } = must(forecastLoad(series(day), ask({ from: next, now: next, slots: 24 })))
  assert.equal(
    slots.map(slot => ('energies' in slot ? Number(slot.energies[0]) : undefined)),
    day,
  )
})

t('no history is no forecast, with the reason, and a time of day that nobody saw is absent among the others', () => {
  const none = forecastLoad(series([]), ask({}))
  assert.is(none.ok || none.fault.code, 'forecast.no-history')
  const gaps = forecastGeneration(
    series([undefined, undefined]),
    ask({ from: instant(START + DAY), now: instant(START + DAY) }),
  )
  assert.is(gaps.ok || gaps.fault.code, 'forecast.no-history')
  const next = instant(START + DAY)
  for (const forecast of [forecastLoad, forecastGeneration]) {
    const { slots } = must(forecast(series([5000, undefined, 7000]), ask({ from: next, now: next, slots: 3 })))
    assert.equal(slots[1], { start: next + HOUR, absent: 'no-like-slot' })
    assert.equal(slots[0], { start: next, energies: [5000n] })
  }
})

t('what has not ended is not history, even where the series holds it', () => {
  const full = series(Array.from({ length: 48 }, () => 1000))
  const early = forecastLoad(full, ask({ from: instant(START + HOUR), now: instant(START + HOUR - 1) }))
  assert.is(early.ok || early.fault.code, 'forecast.no-history')
})

const energies = (days: number) =>
  fc.array(fc.option(fc.integer({ min: 0, max: 9_000_000 }), { nil: undefined, freq: 6 }), {
    minLength: 24 * days,
    maxLength: 24 * days,
  })

t('no future value changes an earlier forecast', () => {
  assertProperty(
    fc.property(
      energies(9),
      energies(9),
      fc.integer({ min: 24, max: 24 * 8 }),
      fc.boolean(),
      (past, future, at, ahead) => {
        const now = instant(START + at * HOUR)
        const other = past.map((one, i) => (i < at ? one : future[i]))
        const asked = ask({ from: ahead ? instant(now + 5 * HOUR) : now, now, slots: 24, permilles: [100, 500, 900] })
        for (const forecast of [forecastLoad, forecastGeneration]) {
          assert.equal(forecast(series(past), asked), forecast(series(other), asked))
          assert.equal(
            forecast(series(past.slice(0, at)), asked),
            forecast(series(other), asked),
            'nor its being there',
          )
        }
        const net = (used: typeof past, made: typeof past) =>
          forecastNet({ load: series(used), generation: series(made) }, asked)
        assert.equal(net(past, other), net(other, past))
      },
    ),
    60,
  )
})

t('quantiles rise, lie within what was seen moved by today, and are never negative', () => {
  assertProperty(
    fc.property(energies(10), past => {
      const now = instant(START + 10 * DAY)
      const forecast = forecastLoad(
        series(past),
        ask({ from: now, now, slots: 24, permilles: [0, 250, 500, 750, 1000] }),
      )
      if (!forecast.ok) return
      for (const slot of forecast.value.slots) {
        if (!('energies' in slot)) continue
        for (const [i, energy] of slot.energies.entries()) assert.ok(energy >= (slot.energies[i - 1] ?? 0n))
      }
    }),
    60,
  )
})

t('the weighted quantile agrees with writing every sighting down as often as it weighs', () => {
  assertProperty(
    fc.property(
      fc.array(fc.record({ value: fc.integer({ min: -9, max: 9 }), weight: fc.integer({ min: 1, max: 5 }) }), {
        minLength: 1,
      }),
      fc.integer({ min: 1, max: 1000 }),
      (sightings, permille) => {
        const all = sightings
          .flatMap(({ value, weight }) => Array.from({ length: weight }, () => value))
          .sort((a, b) => a - b)
        assert.equal(quantilesOf(sightings, [permille]), [all[Math.ceil((permille * all.length) / 1000) - 1]])
      },
    ),
  )
  assert.is(quantilesOf([], [500]), undefined)
})

t('workdays count more for a workday than days off do', () => {
  // Four weeks: 1 kWh an hour on workdays, 3 kWh on days off.
  const past = Array.from({ length: 28 * 24 }, (_, hour) => (Math.floor(hour / 24) % 7 < 5 ? 1_000_000 : 3_000_000))
  const median = (day: number) => {
    // Made a day and a half ahead, so that the day before does not speak for it.
    const from = instant(START + day * DAY)
    const { slots } = must(forecastLoad(series(past), ask({ from, now: instant(START + 28 * DAY) })))
    return 'energies' in slots[0]! ? Number(slots[0].energies[0]) : 0
  }
  assert.ok(median(29) < 2_000_000 && median(33) > 2_000_000, `${median(29)} and ${median(33)}`)
})

t('habits keep the clock’s time when the clocks change', () => {
  // One hour of use a day, at seven in the morning by the clock; the clocks go forward in the night before day 20.
  const change = START + 20 * DAY
  const clock = (at: number) => (at < change ? 0 : HOUR)
  const past = Array.from({ length: 22 * 24 }, (_, i) => {
    const at = START + i * HOUR
    return Math.floor((at + clock(at)) / HOUR) % 24 === 7 ? 2_000_000 : 0
  })
  const forecast = (now: number) =>
    must(
      forecastLoad(series(past), ask({ from: instant(now), now: instant(now), slots: 23, offsetAt: clock })),
    ).slots.findIndex(slot => 'energies' in slot && slot.energies[0]! > 0n)
  assert.is(forecast(change), 6)
  assert.is(forecast(change - DAY), 7)
})

t('the night is forecast as none, a clear day as the envelope, a day after an overcast one as less', () => {
  const sun = (hour: number) => Math.max(0, Math.round(3_000_000 * Math.sin(((hour - 6) * Math.PI) / 12)))
  const past = Array.from({ length: 20 * 24 }, (_, i) => sun(i % 24))
  const now = instant(START + 20 * DAY)
  const noonOf = (days: readonly number[]) => {
    const { slots } = must(forecastGeneration(series(days), ask({ from: now, now, slots: 24 })))
    assert.equal(slots[0], { start: now, energies: [0n] })
    return 'energies' in slots[12]! ? Number(slots[12].energies[0]) : Number.NaN
  }
  assert.is(noonOf(past), 3_000_000)
  const grey = past.map((one, i) => (i >= 19 * 24 ? Math.round(one / 5) : one))
  assert.ok(noonOf(grey) < 2_500_000 && noonOf(grey) > 600_000)
})

t('questions that make no sense are refused with what is wrong', () => {
  const history = series(Array.from({ length: 48 }, () => 1000))
  const now = instant(START + 2 * DAY)
  const code = (more: Partial<ForecastAsked>) => {
    const answer = forecastLoad(history, ask({ from: now, now, ...more }))
    return answer.ok || answer.fault.code
  }
  assert.is(code({}), true)
  assert.is(code({ slots: 0 }), 'forecast.slots')
  assert.is(code({ slots: Number.NaN }), 'forecast.slots')
  assert.is(code({ from: instant(now + 1) }), 'forecast.grid')
  assert.is(code({ from: START }), 'forecast.past')
  assert.is(code({ permilles: [] }), 'forecast.permilles')
  assert.is(code({ permilles: [500, 100] }), 'forecast.permilles')
  assert.is(code({ permilles: [Number.NaN] }), 'forecast.permilles')
  assert.is(code({ permilles: [1001] }), 'forecast.permilles')
})

// --- From the journal's buckets

const QUARTER = HOUR / 4
const bucket = (i: number, energy: number | undefined, complete = true): Bucket => ({
  start: instant(START + i * QUARTER),
  end: instant(START + (i + 1) * QUARTER),
  readings: 4,
  ...(energy === undefined ? { absent: ['no-reading'] as const } : { energy: milliwattHours(BigInt(energy)) }),
  complete,
  touched: [],
})

t('an hour has a number only where its four quarters are there, complete and not negative', () => {
  const quarters = [1, 2, 3, 4, 5, undefined, 7, 8, 9, 10, 11, 12, -1, 3, 3, 3]
  const buckets = quarters.map((energy, i) => bucket(i, energy, i !== 9))
  const { energies } = must(seriesOf(buckets, HOUR))
  assert.equal(energies, [10n, undefined, undefined, undefined])
  const odd = seriesOf(buckets, QUARTER * 1.5)
  assert.is(odd.ok || odd.fault.code, 'forecast.slot')
  assert.is(must(seriesOf(buckets, QUARTER)).energies[4], 5n)
  const empty = seriesOf([], HOUR)
  assert.is(empty.ok || empty.fault.code, 'forecast.no-history')
})

t('a quarter that two meters share is of no use, and slots begin on the hour', () => {
  const buckets = [bucket(3, 1), ...[4, 5, 6, 7].map(i => bucket(i, 10)), bucket(7, 10)]
  const { start, energies } = must(seriesOf(buckets, HOUR))
  assert.is(start, START + HOUR)
  assert.equal(energies, [undefined])
  // Nor does it stand for one that is missing.
  assert.equal(
    must(
      seriesOf(
        [4, 5, 6, 6, 8].map(i => bucket(i, 10)),
        HOUR,
      ),
    ).energies[0],
    undefined,
  )
})

t('the load is import - export + generation, absent where one is or where they contradict each other', () => {
  const generated = series([0, 2000, 3000, undefined, 0])
  const imported = series([500, 0, 100, 1, 0])
  const load = must(loadOf({ imported, exported: series([0, 1500, 400, 1, 5]), generated }))
  assert.equal(load.energies, [500n, 500n, 2700n, undefined, undefined])
  const other = loadOf({ imported, exported: series([0]), generated })
  assert.is(other.ok || other.fault.code, 'forecast.unlike')
  assert.is(energyAt(load, START + HOUR), 500n as Energy)
  assert.is(energyAt(load, START + 1), undefined)
  assert.is(energyAt(load, endOf(load)), undefined)
})

t.run()
