/** Time in Tieline. Intervals and leases run on monotonic time; wall time appears in records and contracts only. */

declare const brand: unique symbol

/** Milliseconds since the Unix epoch, UTC, without leap seconds. */
export type Instant = number & { readonly [brand]: 'Instant' }

/** Milliseconds of a clock that never goes back, from an arbitrary zero; not comparable between two boots. */
export type Mono = number & { readonly [brand]: 'Mono' }

export const instant = (ms: number): Instant => ms as Instant
export const mono = (ms: number): Mono => ms as Mono

/** How far a wall time can be trusted (the words of OCMF's TM field: U, I, S, R). */
export type TimeQuality = 'unknown' | 'informative' | 'synchronised' | 'relative'

/** Wall time may wander from monotonic time by this much between two looks at it before it counts as set. */
export const CLOCK_STEP_MS = 2000

/** `from` plus `ms` on the same clock. */
export const later = <T extends Instant | Mono>(from: T, ms: number): T => (from + ms) as T

/** The date of a day counted from 1970-01-01, in the Gregorian calendar. Civil-from-days after Howard Hinnant's algorithm. */
export function dateOfDay(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const mp = Math.floor((5 * dayOfYear + 2) / 153)
  const month = mp < 10 ? mp + 3 : mp - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * mp + 2) / 5) + 1,
  }
}

/** ISO 8601 text of an instant, UTC, to the millisecond. */
export function isoTime(at: Instant): string {
  const days = Math.floor(at / 86_400_000)
  const ms = at - days * 86_400_000
  const { year, month, day } = dateOfDay(days)
  const two = (n: number) => String(n).padStart(2, '0')
  const clock = `${two(Math.floor(ms / 3_600_000))}:${two(Math.floor(ms / 60_000) % 60)}:${two(Math.floor(ms / 1000) % 60)}`
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}.${String(ms % 1000).padStart(3, '0')}Z`
}
