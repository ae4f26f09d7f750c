/** Where quarters, days and months begin, in a time zone that is given as its offset from UTC at each moment. */
import { dateOfDay, type Instant } from '../time.ts'
import { QUARTER_MS } from './rollup.ts'

/** Milliseconds to add to UTC for local time; a whole number of quarters of an hour in every zone since 1972. */
export type OffsetAt = (at: Instant) => number

const DAY_MS = 86_400_000

export type Period = 'quarter' | 'day' | 'month'

/**
 * The boundaries of every bucket that `from` to `to` touches, rising. A day on which the clocks change has 23 or 25 hours;
 * one whose midnight does not exist begins with its first moment.
 */
export function boundariesOf(period: Period, from: Instant, to: Instant, offsetAt: OffsetAt): Instant[] {
  const boundaries: Instant[] = []
  const add = (at: Instant) => {
    if (boundaries.length === 0 || at > boundaries.at(-1)!) boundaries.push(at)
    return at
  }
  if (period === 'quarter') {
    let at = (Math.floor(from / QUARTER_MS) * QUARTER_MS) as Instant
    while (add(at) < to) at = (at + QUARTER_MS) as Instant
    return boundaries
  }
  const localDay = (at: Instant) => Math.floor((at + offsetAt(at)) / DAY_MS)
  const startOf = (day: number): Instant => {
    const guess = day * DAY_MS
    let at = (Math.floor((guess - offsetAt(guess as Instant)) / QUARTER_MS) * QUARTER_MS) as Instant
    while (localDay(at) < day) at = (at + QUARTER_MS) as Instant
    while (localDay((at - QUARTER_MS) as Instant) >= day) at = (at - QUARTER_MS) as Instant
    return at
  }
  const begins = period === 'day' ? () => true : (day: number) => dateOfDay(day).day === 1
  let day = localDay(from)
  while (!begins(day)) day--
  while (add(startOf(day)) < to) {
    do day++
    while (!begins(day))
  }
  return boundaries
}
