/**
 * A standard load profile: what a customer without a smart meter is taken to use in each quarter of an hour, scaled by what it
 * uses in a year. Seasons, day types and the dynamisation of households follow VDEW, "Anwendung der repräsentativen
 * VDEW-Lastprofile, step by step" (2000), as published by BDEW. The table of values is read from a file: none is shipped.
 *
 *     quarter,winter-workday,winter-saturday,winter-sunday,summer-workday,...,transition-sunday
 *     00:00,60.1,70.8,...
 *
 * Watts with one decimal at most, for 1,000 kWh a year; 96 rows, each named by its start.
 */
import type { Energy, WattHours } from '../quantity.ts'
import type { OffsetAt } from '../reading/calendar.ts'
import { type Fault, fail, ok, type Result } from '../result.ts'
import { dateOfDay, type Instant } from '../time.ts'

const SEASONS = ['winter', 'summer', 'transition'] as const
const DAY_TYPES = ['workday', 'saturday', 'sunday'] as const
const COLUMNS = SEASONS.flatMap(season => DAY_TYPES.map(day => `${season}-${day}`))
const HEADER = ['quarter', ...COLUMNS].join(',')
const QUARTERS = 96
const QUARTER_MS = 900_000
const DAY_MS = 86_400_000
/** Ten times the longest sound file. */
const MAX_CHARS = 100_000
/** A household of 1,000 kWh a year that drew this all year would use nearly nine times as much. */
const MOST_WATTS = 1000

export interface LoadProfile {
  /** Tenths of a watt by column and quarter, for 1,000 kWh a year. */
  readonly tenths: readonly (readonly number[])[]
  /** Whether the day of the year scales it, as that of households. */
  readonly dynamic: boolean
}

/** Faults name the line, counted from 1. */
export function readLoadProfile(text: string, dynamic: boolean): Result<LoadProfile> {
  const wrong = (line: number, hint: string): { readonly ok: false; readonly fault: Fault } =>
    fail({ code: 'load-profile.line', line, hint })
  if (text.length > MAX_CHARS) return fail({ code: 'load-profile.long', chars: text.length, most: MAX_CHARS })
  const lines = text.split(/\r?\n/).filter((line, i, all) => line !== '' || i < all.length - 1)
  if (lines[0] !== HEADER) return wrong(1, `the first line is ${HEADER}`)
  if (lines.length !== QUARTERS + 1) return wrong(lines.length, `${QUARTERS} rows are wanted, not ${lines.length - 1}`)
  const tenths = COLUMNS.map((): number[] => [])
  for (const [i, line] of lines.slice(1).entries()) {
    const [quarter, ...cells] = line.split(',')
    const two = (n: number) => String(n).padStart(2, '0')
    const start = `${two(Math.floor(i / 4))}:${two((i % 4) * 15)}`
    if (quarter !== start) return wrong(i + 2, `this row is of ${start}`)
    if (cells.length !== COLUMNS.length) return wrong(i + 2, `${COLUMNS.length} values are wanted, not ${cells.length}`)
    for (const [column, cell] of cells.entries()) {
      const match = /^(\d{1,4})(?:\.(\d))?$/.exec(cell)
      const value = match === null ? Number.NaN : Number(match[1]) * 10 + Number(match[2] ?? 0)
      if (!(value <= 10 * MOST_WATTS)) return wrong(i + 2, `${COLUMNS[column]} is watts, 0 to ${MOST_WATTS}`)
      tenths[column]!.push(value)
    }
  }
  return ok({ tenths, dynamic })
}

/** Winter from 1 November to 20 March, summer from 15 May to 14 September. */
function seasonOf(month: number, day: number): (typeof SEASONS)[number] {
  const date = month * 100 + day
  if (date >= 1101 || date <= 320) return 'winter'
  return date >= 515 && date <= 914 ? 'summer' : 'transition'
}

/**
 * -3.92e-10 t^4 + 3.2e-7 t^3 - 7.02e-5 t^2 + 2.1e-3 t + 1.24 for day t of the year, to four decimals: in ten-thousandths.
 * Whole numbers of 1e-12 throughout.
 */
const dynamisation = (t: number): number =>
  Math.round((((-392 * t + 320_000) * t - 70_200_000) * t * t + 2_100_000_000 * t + 1_240_000_000_000) / 1e8)

/**
 * Energy of the quarter that begins at `at`, in mWh rounded down, of a customer who uses `annual` in a year. A holiday is a
 * Sunday; 24 and 31 December are Saturdays unless they are Sundays.
 */
export function profileEnergy(
  profile: LoadProfile,
  annual: WattHours,
  at: Instant,
  { offsetAt, isHoliday }: { readonly offsetAt: OffsetAt; readonly isHoliday: (at: Instant) => boolean },
): Energy {
  const local = at + offsetAt(at)
  const epochDay = Math.floor(local / DAY_MS)
  const { year, month, day } = dateOfDay(epochDay)
  // Day 0 of the epoch was a Thursday.
  const weekday = (((epochDay + 3) % 7) + 7) % 7
  const eve = month === 12 && (day === 24 || day === 31)
  const type = weekday === 6 || isHoliday(at) ? 'sunday' : weekday === 5 || eve ? 'saturday' : 'workday'
  const column = COLUMNS.indexOf(`${seasonOf(month, day)}-${type}`)
  const tenths = profile.tenths[column]![Math.floor((local - epochDay * DAY_MS) / QUARTER_MS)]!
  const scaled = profile.dynamic ? Math.round((tenths * dynamisation(dayOfYear(epochDay, year))) / 10_000) : tenths
  // A tenth of a watt for a quarter of an hour is 25 mWh; the table is for 1,000,000 Wh a year.
  return ((BigInt(scaled) * 25n * annual) / 1_000_000n) as Energy
}

/** From 1; a day's number less that of the first of January, found by going back to it. */
function dayOfYear(epochDay: number, year: number): number {
  let first = epochDay
  while (dateOfDay(first - 1).year === year) first -= dateOfDay(first).day > 1 ? dateOfDay(first).day - 1 : 1
  return epochDay - first + 1
}
