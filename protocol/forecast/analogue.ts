/**
 * Forecast by analogues: each earlier day is a sighting of what the day to come may be, weighted by how long ago it was and
 * whether it was a day of the same class, and moved by how the last day until now has differed from it. With one day of
 * history that is the seasonal naive forecast (the same hour yesterday); with more, a weighted quantile of them all.
 *
 * Whole numbers come out, from a table of weights and sums of whole numbers, so that every board that has the same history
 * makes the same forecast.
 */
import type { OffsetAt } from '../reading/calendar.ts'
import type { Instant } from '../time.ts'
import type { Sighting } from './quantile.ts'

/** Values by the start of a slot; undefined where none is known. It is asked only for slots that ended by `now`. */
export type Known = (slotStart: number) => number | undefined

export interface AnalogueRule {
  /** How many days back a sighting may lie. */
  readonly days: number
  /** After so many days a sighting counts half. */
  readonly halfLifeDays: number
  /** How many times more a day of the same class counts. */
  readonly sameClass: number
  /** Share of the last day's mean difference from an earlier day that the next one keeps; permille. */
  readonly dayPersistence: number
  /** Share of what the last slot differs beyond that, still there one hour later; permille. */
  readonly slotPersistence: number
}

/** Days of one class are alike: commonly workdays, and days off. */
export type DayClass = (at: Instant) => number

export interface Given {
  readonly slotMs: number
  /** The start of any slot. */
  readonly grid: number
  /** What ended by then is known. */
  readonly now: number
  /** The site's time zone: habits keep the clock's time. */
  readonly offsetAt: OffsetAt
  readonly classAt: DayClass
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** A sighting of today weighs this much; what would weigh less than one does not count. */
const WEIGHT = 1 << 20
/** From there on nothing is left of the last slot's difference. */
const HOURS_FELT = 12

/** 2^(-i/16) of `WEIGHT`, as whole numbers that no platform's rounding changes. */
const SIXTEENTHS = Array.from({ length: 16 }, (_, i) => Math.round(WEIGHT / 2 ** (i / 16)))

function faded(age: number, halfLife: number): number {
  const sixteenths = Math.floor((16 * age) / halfLife)
  return Math.floor(SIXTEENTHS[sixteenths % 16]! / 2 ** Math.floor(sixteenths / 16))
}

/** Permille of a difference left after `hours`, by whole hours. */
function left(persistence: number, hours: number): number {
  if (hours > HOURS_FELT) return 0
  let share = 1000
  for (let hour = 0; hour < Math.max(1, Math.round(hours)); hour++) share = Math.floor((share * persistence) / 1000)
  return share
}

/** What earlier days say of a slot that starts at the given time, the latest first. */
export function analoguesOf(known: Known, given: Given, rule: AnalogueRule): (slot: number) => Sighting[] {
  const { grid, slotMs, now, offsetAt, classAt } = given
  const last = grid + (Math.floor((now - grid) / slotMs) - 1) * slotMs
  const current = known(last)
  const lastDay: (readonly [number, number])[] = []
  for (let at = last; at > last - DAY_MS; at -= slotMs) {
    const energy = known(at)
    if (energy !== undefined) lastDay.push([at, energy])
  }
  /** By how much the slots of the day until now exceed those so long before, on average over those known twice. */
  const differences = new Map<number, number>()
  const difference = (back: number): number => {
    let mean = differences.get(back)
    if (mean !== undefined) return mean
    let [sum, both] = [0, 0]
    for (const [at, here] of lastDay) {
      const there = known(at - back)
      if (there === undefined) continue
      sum += here - there
      both++
    }
    mean = both === 0 ? 0 : Math.trunc(sum / both)
    differences.set(back, mean)
    return mean
  }
  return slot => {
    const slotShare = left(rule.slotPersistence, (slot - last) / HOUR_MS)
    const wanted = classAt(slot as Instant)
    const sightings: Sighting[] = []
    for (let age = 1; age <= rule.days; age++) {
      const same = slot - age * DAY_MS
      const then = same + offsetAt(slot as Instant) - offsetAt(same as Instant)
      if (then + slotMs > now) continue
      const value = known(then)
      if (value === undefined) continue
      const weight = faded(age, rule.halfLifeDays) * (classAt(then as Instant) === wanted ? rule.sameClass : 1)
      if (weight < 1) continue
      const kept = Math.trunc((rule.dayPersistence * difference(slot - then)) / 1000)
      const there = known(last - (slot - then))
      const beyond = current === undefined || there === undefined ? 0 : current - there - kept
      sightings.push({ value: Math.max(0, value + kept + Math.trunc((slotShare * beyond) / 1000)), weight })
    }
    return sightings
  }
}
