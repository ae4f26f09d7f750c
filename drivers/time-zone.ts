/** The offset of a time zone from UTC at any moment, from the system's own tables. */
import type { OffsetAt } from '../protocol/reading/calendar.ts'

const MINUTE_MS = 60_000

/** The IANA name of this machine's. */
export const systemZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone

/** Of a zone by its IANA name, as in `Europe/Berlin`; without one, of this machine. Throws on a name that is none. */
export function zoneOffset(timeZone?: string): OffsetAt {
  const format = new Intl.DateTimeFormat('en-US', {
    ...(timeZone === undefined ? {} : { timeZone }),
    timeZoneName: 'longOffset',
  })
  return at => {
    // `GMT`, `GMT+01:00`, `GMT-03:30`.
    const name = format.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? ''
    const [, sign, hours = '0', minutes = '0'] = /^GMT([+-])(\d\d):(\d\d)/.exec(name) ?? []
    const offset = (60 * Number(hours) + Number(minutes)) * MINUTE_MS
    return sign === '-' ? -offset : offset
  }
}
