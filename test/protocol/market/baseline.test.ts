/** Baselines against figures by hand, and against a second sum in floats. */
import { type BaselineAsked, baselineOf, bySlot, isWeekend, SLOT_MS } from '../../../protocol/market/baseline.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('baseline')

const DAY = 96
/** 2027-01-15, a Friday, at 17:00 UTC: workdays before it are 1, 2, 3, 4, 7 ... days ago. */
const FROM = Date.UTC(2027, 0, 15, 17) / SLOT_MS
const WINDOW = { from: FROM, to: FROM + 8 }

interface Day {
  readonly window?: bigint
  readonly before?: bigint
}
type Taken = Parameters<typeof bySlot>[0]
/** What is taken in each slot of a day's window and of the hours before it, by how many days ago the day is. */
const home =
  (days: Readonly<Record<number, Day>>): Taken =>
  slot => {
    const since = slot - (FROM - 16)
    const { window = 100n, before = 50n } = days[-Math.floor(since / DAY)] ?? {}
    return wattHours(((since % DAY) + DAY) % DAY < 16 ? before : window)
  }

const asked = (taken: Taken, change: Partial<BaselineAsked> = {}): BaselineAsked => ({
  window: WINDOW,
  announced: FROM - 4,
  taken: bySlot(taken),
  like: (a, b) => isWeekend(a) === isWeekend(b),
  called: () => false,
  ...change,
})
const of = (taken: Taken, change: Partial<BaselineAsked> = {}) => {
  const found = baselineOf(asked(taken, change))
  if (!found.ok) throw new Error(found.fault.code)
  return found.value
}
const faultOf = (taken: Taken, change: Partial<BaselineAsked> = {}) => {
  const found = baselineOf(asked(taken, change))
  return found.ok ? undefined : found.fault
}

test('of the last five workdays the four highest are averaged, the weekend between them left out', () => {
  const wh = (window: bigint) => ({ window })
  const { energy, average, days, missing, adjustment } = of(
    home({ 1: wh(10n), 2: wh(200n), 3: wh(201n), 4: wh(202n), 5: wh(9999n), 7: wh(204n), 8: wh(9999n) }),
  )
  //  8 slots x (200 + 201 + 202 + 204) / 4 = 1614
  assert.equal([energy, average], [1614n, 1614n])
  assert.equal(
    days,
    [2, 3, 4, 7].map(back => FROM - back * DAY),
  )
  assert.equal(missing, [])
  assert.equal(adjustment, { today: wattHours(600n), average: wattHours(600n), bounded: false })
})

test('a weekend is like other weekends only, by the clock of the place', () => {
  const { days } = of(() => wattHours(1n), { window: { from: FROM + DAY, to: FROM + DAY + 8 } })
  assert.is(days.length, 4)
  assert.ok(days.every(day => isWeekend(day)))
  assert.is(isWeekend(FROM, 7 * 3_600_000), true, 'where clocks are seven hours ahead it is Saturday already')
  //  1970-01-01 was a Thursday: five days before it, a Saturday
  assert.equal(
    [-5, -4, 0, 1, 2, 3, 4].map(day => isWeekend(day * DAY)),
    [true, true, false, false, true, true, false],
  )
})

test('today scales it within a fifth either way', () => {
  const scaled = (before: bigint) => of(home({ 0: { before } })).energy
  assert.is(scaled(50n), 800n)
  assert.is(scaled(55n), 880n)
  assert.is(scaled(61n), 960n)
  assert.is(scaled(5000n), 960n)
  assert.is(scaled(45n), 720n)
  assert.is(scaled(0n), 640n)
})

test('who could know of the event raises nothing by wasting energy before it', () => {
  const wasting = home({ 0: { before: 5000n } })
  assert.is(of(wasting, { announced: FROM - 4 }).energy, 960n)
  assert.is(of(wasting, { announced: FROM - 5 }).energy, 800n)
  assert.is(of(home({ 0: { before: 45n } }), { announced: FROM - 5 }).energy, 720n)
})

test('days with a reading missing, and days on which the meter was called, are passed over', () => {
  const taken = home({ 2: { window: 500n }, 3: { window: 700n }, 9: { window: 300n } })
  const lossy: Taken = slot => (slot === FROM - 2 * DAY + 3 ? undefined : taken(slot))
  const found = of(lossy, { called: ({ from }) => from === FROM - 3 * DAY })
  assert.equal(found.missing, [FROM - 2 * DAY])
  assert.equal(
    found.days,
    [1, 4, 7, 9].map(back => FROM - back * DAY),
  )
  //  8 slots x (100 + 100 + 100 + 300) / 4
  assert.is(found.energy, 1200n)
})

test('without today’s readings, or without use on the four days, nothing is adjusted', () => {
  const taken = home({})
  const blind = of(slot => (slot === FROM - 10 ? undefined : taken(slot)))
  assert.equal([blind.energy, blind.adjustment], [800n, undefined])
  const idle = of(home(Object.fromEntries([1, 2, 3, 4, 7].map(day => [day, { before: 0n }]))))
  assert.equal([idle.energy, idle.adjustment], [800n, undefined])
})

test('fewer than five like days in 45, and windows that are none, are refused', () => {
  const fresh = faultOf(slot => (slot < FROM - 5 * DAY ? undefined : wattHours(1n)))
  assert.equal(fresh, { code: 'baseline.days', found: 4, needed: 5, missing: 29 })
  for (const to of [FROM, FROM - 1, FROM + 97, Number.NaN, FROM + 0.5]) {
    assert.is(faultOf(home({}), { window: { from: FROM, to } })?.code, 'baseline.window')
  }
})

test('it is the rounded-down figure of the published rule, and never more than a fifth above the average', () => {
  const day = fc.record({ window: fc.bigInt(0n, 5000n), before: fc.bigInt(0n, 5000n) })
  assertProperty(
    fc.property(fc.array(day, { minLength: 6, maxLength: 6 }), fc.integer({ min: -8, max: 2 }), (days, shift) => {
      const back = [0, 1, 2, 3, 4, 7]
      const { energy, average } = of(home(Object.fromEntries(days.map((one, i) => [back[i]!, one]))), {
        announced: FROM - 4 + shift,
      })
      const past = days.slice(1).sort((a, b) => Number(b.window - a.window))
      const four = past.slice(0, 4)
      const mean = four.reduce((sum, one) => sum + 8 * Number(one.window), 0) / 4
      const earlier = four.reduce((sum, one) => sum + 12 * Number(one.before), 0) / 4
      const ratio = earlier === 0 ? 1 : (12 * Number(days[0]!.before)) / earlier
      const expected = mean * Math.min(shift < 0 ? 1 : 1.2, Math.max(0.8, ratio))
      // Two days of equal use in the window may differ before it: then either is right.
      const tie = past[3]!.window === past[4]!.window && past[3]!.before !== past[4]!.before
      assert.ok(tie || Math.abs(Number(energy) - Math.floor(expected + 1e-6)) <= 1e-6, `${energy} for ${expected}`)
      assert.ok(energy * 10n <= (average + 1n) * 12n)
    }),
    500,
  )
})

test.run()
