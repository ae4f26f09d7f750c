/** Time on the chain: seconds and nanoseconds since the Unix epoch, UTC; its RFC 3339 text and its bytes. */
import { concat } from '../bytes.ts'
import { type Instant, instant, isoTime } from '../time.ts'
import type { ChainTime } from './light-block.ts'
import { varintField } from './proto.ts'

/** Go's zero time, 0001-01-01T00:00:00Z: what an absent timestamp is on the wire. */
export const ZERO_TIME: ChainTime = { seconds: -62_135_596_800n, nanos: 0 }

export const nanosOf = (time: ChainTime): bigint => time.seconds * 1_000_000_000n + BigInt(time.nanos)

/** The chain time of an instant, exact. */
export function chainTime(at: Instant): ChainTime {
  const ms = BigInt(at)
  const seconds = ms / 1000n - (ms % 1000n < 0n ? 1n : 0n)
  return { seconds, nanos: Number(ms - seconds * 1000n) * 1_000_000 }
}

/** The millisecond that a chain time lies in: rounded down. */
export const instantOf = (time: ChainTime): Instant =>
  instant(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1_000_000))

/** google.protobuf.Timestamp. */
export const encodeTime = (time: ChainTime): Uint8Array =>
  concat(varintField(1, time.seconds), varintField(2, time.nanos))

/** RFC 3339 as Go prints it (RFC3339Nano): up to nine decimals, no trailing zeros. Years 0001 to 9999. */
export function timeText(time: ChainTime): string {
  const decimals = time.nanos === 0 ? '' : `.${String(time.nanos).padStart(9, '0').replace(/0+$/, '')}`
  return `${isoTime(instant(Number(time.seconds) * 1000)).slice(0, 19)}${decimals}Z`
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/

/** The time that `timeText` prints so, or undefined: another zone, a 30th of February, a leap second. */
export function timeOfText(text: string): ChainTime | undefined {
  const match = RFC3339.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  // Days from civil after Howard Hinnant's algorithm, the inverse of isoTime's.
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const days = era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  const seconds = (days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second
  const time = { seconds: BigInt(seconds), nanos: Number((match[7] ?? '').padEnd(9, '0')) }
  return timeText({ ...time, nanos: 0 }) === `${text.slice(0, 19)}Z` ? time : undefined
}
