import {
  carDemand,
  constantProfile,
  homeLoad,
  type Profile,
  readProfile,
  solarGeneration,
  switchedDemand,
} from '../../../hw/sim/profile.ts'
import { instant } from '../../../protocol/time.ts'
import { noSharedData, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('hw/sim/profile')

/** 2026-06-21T00:00Z and 2026-12-21T00:00Z. */
const SUMMER = 1_782_000_000_000
const WINTER = 1_797_811_200_000
const MINUTE = 60_000
const DAY = 1440

const minutes = (profile: Profile, from: number): number[] =>
  Array.from({ length: DAY }, (_, n) => profile(instant(from + n * MINUTE)))
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
/** Watt-hours of a day of minutes in mW. */
const wattHours = (values: readonly number[]) => sum(values) / 60 / 1000

test('every profile is whole milliwatts, never negative, and the same whenever it is asked', () => {
  const profiles = [homeLoad(7, 400), solarGeneration(7, 5000), switchedDemand(7, 2500, 0.5), carDemand(7, 11_000)]
  assertProperty(
    fc.property(fc.integer({ min: 0, max: 4e12 }), at =>
      profiles.every(profile => {
        const mw = profile(instant(at))
        return Number.isSafeInteger(mw) && mw >= 0 && mw === profile(instant(at))
      }),
    ),
    1000,
  )
})

test('another seed is another day, the same seed the same', () => {
  assert.equal(minutes(homeLoad(1, 400), SUMMER), minutes(homeLoad(1, 400), SUMMER))
  assert.not.equal(minutes(homeLoad(1, 400), SUMMER), minutes(homeLoad(2, 400), SUMMER))
})

test('a roof makes nothing at night, most around noon, more in June than in December, and never beyond its peak', () => {
  const [june, december] = [minutes(solarGeneration(3, 8000), SUMMER), minutes(solarGeneration(3, 8000), WINTER)]
  assert.equal([june[0], june[120], december[0], december[17 * 60]], [0, 0, 0, 0])
  assert.ok(sum(june.slice(10 * 60, 14 * 60)) > sum(june.slice(5 * 60, 9 * 60)))
  assert.ok(Math.max(...june) <= 8_000_000)
  const [long, short] = [wattHours(june), wattHours(december)]
  assert.ok(long > 25_000 && long < 75_000, `${long} Wh in June`)
  assert.ok(short > 1000 && short < long / 3, `${short} Wh in December`)
})

test('a home uses about its average and more in the evening than at night', () => {
  const days = Array.from({ length: 20 }, (_, n) => minutes(homeLoad(5, 400), SUMMER + n * DAY * MINUTE))
  const average = sum(days.map(wattHours)) / 20 / 24
  assert.ok(average > 300 && average < 700, `${average} W`)
  const at = (from: number, to: number) => sum(days.map(day => sum(day.slice(from * 60, to * 60)))) / (to - from)
  assert.ok(at(18, 21) > 2 * at(1, 4))
})

test('a car charges in the evening, at full power and then less, and not at noon', () => {
  const car = carDemand(9, 7400)
  const day = minutes(car, SUMMER)
  assert.is(Math.max(...day), 7_400_000)
  assert.equal(day.slice(12 * 60, 17 * 60), Array(300).fill(0))
  assert.ok(wattHours(minutes(car, SUMMER + 12 * 60 * MINUTE)) > 20_000)
})

test('a switched demand is on for about its share of the time', () => {
  const mean =
    sum(Array.from({ length: 50 }, (_, n) => wattHours(minutes(switchedDemand(4, 2000, 0.25), n * 86_400_000)))) / 50
  assert.ok(mean > 9000 && mean < 16_000, `${mean} Wh a day`)
  assert.is(constantProfile(5)(instant(0)), 5)
})

const HEADER = 'time,load_w,generation_w\n'
const read = (rows: string) => readProfile(HEADER + rows, 'maple.csv')
const at = (iso: 'day' | number, h: number, m = 0, s = 0) =>
  instant((iso === 'day' ? SUMMER : iso) + ((h * 60 + m) * 60 + s) * 1000)

test('rows of a day hold until the next and go round at midnight', () => {
  const profile = read('06:00,300,0\n12:30:15,420.5,2900.125\n')
  assert.ok(profile.ok)
  const { load, generation } = profile.value
  assert.equal(
    [load(at('day', 6)), load(at('day', 12, 30, 14)), load(at('day', 12, 30, 15))],
    [300_000, 300_000, 420_500],
  )
  assert.is(generation(at('day', 23, 59)), 2_900_125)
  assert.is(load(at('day', 0)), 420_500)
})

test('rows with dates hold from their instant on, and the first before it', () => {
  const profile = read('# a comment\n2026-06-21T00:00Z,100,0\n\n2026-06-21T06:00:00Z,200,5\n')
  assert.ok(profile.ok)
  const { load } = profile.value
  assert.equal([load(instant(0)), load(at(SUMMER, 5, 59)), load(at(SUMMER, 6))], [100_000, 100_000, 200_000])
})

test('each mistake is refused with its file, line and column', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['', 'profile.empty', 'maple.csv:1:1'],
    ['06:00,300\n', 'profile.columns', 'maple.csv:2:1'],
    ['25:00,300,0\n', 'profile.time', 'maple.csv:2:1'],
    ['2026-02-29T00:00Z,300,0\n', 'profile.time', 'maple.csv:2:1'],
    ['2026-06-21T00:00,300,0\n', 'profile.time', 'maple.csv:2:1'],
    ['06:00,300,0\n2026-06-21T00:00Z,300,0\n', 'profile.time', 'maple.csv:3:1'],
    ['06:00,300,0\n06:00,300,0\n', 'profile.order', 'maple.csv:3:1'],
    ['06:00,-1,0\n', 'profile.power', 'maple.csv:2:7'],
    ['06:00,300,1e3\n', 'profile.power', 'maple.csv:2:11'],
    ['06:00,300,\n', 'profile.power', 'maple.csv:2:11'],
    ['06:00,1000001,0\n', 'profile.power', 'maple.csv:2:7'],
    ['06:00,0.0001,0\n', 'profile.power', 'maple.csv:2:7'],
  ]
  for (const [rows, code, where] of cases) {
    const result = read(rows)
    assert.ok(!result.ok, rows)
    assert.equal([result.fault.code, result.fault.at], [code, where], rows)
  }
  const headless = readProfile('06:00,300,0\n', 'oak.csv')
  assert.ok(!headless.ok)
  assert.equal([headless.fault.code, headless.fault.at], ['profile.header', 'oak.csv:1:1'])
})

test('no text makes the reader throw', () => {
  const cell = fc.oneof(fc.string(), fc.constantFrom('06:00', '2026-06-21T00:00Z', '300', '0', '12.5', '-1', 'NaN'))
  const line = fc.array(cell, { maxLength: 4 }).map(cells => cells.join(','))
  assertProperty(
    fc.property(fc.array(line, { maxLength: 6 }), lines => {
      const result = readProfile(HEADER + lines.join('\n'), 'x.csv')
      return result.ok || /^x\.csv:\d+:\d+$/.test(result.fault.at)
    }),
    1000,
  )
})

test.skipIf(noSharedData, 'a day of a measured home goes through the format and keeps its energy', () => {
  // month,hour,day_type,load in kWh,generation in Wh per kW of roof; hour 24 is the last of a day
  const hours = sharedText('profiles/home-1.csv').trim().split('\n').slice(2, 26)
  const rows = hours.map(row => {
    const [, hour, , kwh, solar] = row.split(',')
    const two = String(Number(hour) - 1).padStart(2, '0')
    return { line: `${two}:00,${(1000 * Number(kwh)).toFixed(3)},${(4 * Number(solar)).toFixed(3)}`, kwh: Number(kwh) }
  })
  const profile = read(rows.map(row => row.line).join('\n'))
  assert.ok(profile.ok, profile.ok ? '' : profile.fault.at)
  const energy = wattHours(minutes(profile.value.load, SUMMER))
  assert.ok(Math.abs(energy - 1000 * sum(rows.map(row => row.kwh))) < 0.1, `${energy}`)
})

test.run()
