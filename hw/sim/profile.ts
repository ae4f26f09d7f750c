/**
 * What a site makes and uses as a function of the virtual time of day: the bench's own generator, seeded, and profiles
 * read from a CSV file. Same seed, same instant, same milliwatts, in whatever order they are asked for.
 */
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type Instant, instant } from '../../protocol/time.ts'

/** Milliwatts, a whole number and never negative, at an instant. */
export type Profile = (at: Instant) => number

export const constantProfile =
  (mw: number): Profile =>
  () =>
    mw

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** An even number in 0..1 that belongs to a place in a seeded sequence (the finaliser of MurmurHash3, twice). */
function chanceAt(seed: number, stream: number, index: number): number {
  const mix = (h: number) => {
    let x = h ^ (h >>> 16)
    x = Math.imul(x, 0x85ebca6b)
    x ^= x >>> 13
    x = Math.imul(x, 0xc2b2ae35)
    return (x ^ (x >>> 16)) >>> 0
  }
  return mix(mix(seed ^ Math.imul(stream, 0x9e3779b1)) ^ Math.imul(index, 0x27d4eb2f)) / 2 ** 32
}

/** Noise in 0..1 that changes smoothly from one lattice point of `stepMs` to the next. */
function noise(seed: number, stream: number, at: number, stepMs: number): number {
  const index = Math.floor(at / stepMs)
  const part = at / stepMs - index
  const ease = part * part * (3 - 2 * part)
  return chanceAt(seed, stream, index) * (1 - ease) + chanceAt(seed, stream, index + 1) * ease
}

/** Rises to 1 at `centre` hours and falls off over `width` hours, across midnight too. */
function bump(hour: number, centre: number, width: number): number {
  const away = Math.min(Math.abs(hour - centre), 24 - Math.abs(hour - centre))
  return Math.exp(-((away / width) ** 2))
}

const hourOf = (at: Instant): number => (((at % DAY_MS) + DAY_MS) % DAY_MS) / HOUR_MS
const whole = (mw: number): number => Math.max(0, Math.round(mw))

/** A home: a base load, a morning and an evening, and appliances that run for a quarter of an hour. */
export const homeLoad =
  (seed: number, averageW: number): Profile =>
  at => {
    const hour = hourOf(at)
    const rhythm = 0.45 + 0.7 * bump(hour, 7.5, 1.5) + 1.1 * bump(hour, 19, 2.5)
    const quarter = Math.floor(at / (15 * MINUTE_MS))
    const appliance = chanceAt(seed, 1, quarter) < 0.12 * rhythm ? 1200 + 900 * chanceAt(seed, 2, quarter) : 0
    const flicker = 0.8 + 0.4 * noise(seed, 3, at, 5 * MINUTE_MS)
    return whole(1000 * (averageW * 0.9 * rhythm * flicker + appliance))
  }

/** Degrees of latitude north, and days into the year, for which the sun is reckoned unless told otherwise. */
const LATITUDE = 50

/** Days of 1970-01-01 plus n, reckoned in mean years: good to a day, which moves the sun by a third of a degree. */
const dayOfYear = (at: Instant): number => (Math.floor(at / DAY_MS) % 365.2425) + 1

/** Sine of the sun's elevation at local solar time = UTC. */
function sunElevation(at: Instant, latitude: number): number {
  const rad = Math.PI / 180
  const declination = -23.44 * rad * Math.cos(((2 * Math.PI) / 365.2425) * (dayOfYear(at) + 10))
  const hourAngle = (hourOf(at) - 12) * 15 * rad
  const phi = latitude * rad
  return Math.sin(phi) * Math.sin(declination) + Math.cos(phi) * Math.cos(declination) * Math.cos(hourAngle)
}

/** A roof: the sun's height above the horizon, dimmed by passing clouds. Never above its peak. */
export const solarGeneration =
  (seed: number, peakW: number, latitude = LATITUDE): Profile =>
  at => {
    const height = sunElevation(at, latitude)
    if (height <= 0) return 0
    // Air takes more of the light the lower the sun stands.
    const clear = Math.min(1, 1.15 * height ** 1.15)
    const overcast = noise(seed, 4, at, 3 * HOUR_MS)
    const cloud = noise(seed, 5, at, 10 * MINUTE_MS)
    return whole(1000 * peakW * clear * (1 - 0.6 * overcast * cloud))
  }

/** A circuit that draws its full power in blocks of half an hour, `share` of the time, and its standby between them. */
export const switchedDemand =
  (seed: number, powerW: number, share: number): Profile =>
  at =>
    whole(1000 * (chanceAt(seed, 6, Math.floor(at / (30 * MINUTE_MS))) < share ? powerW : powerW / 50))

/** An electric car: plugged in from about six in the evening, charges at full power for some hours, then tapers off. */
export const carDemand =
  (seed: number, powerW: number): Profile =>
  at => {
    const noon = Math.floor((at - 12 * HOUR_MS) / DAY_MS)
    const arrival = 17 + 2 * chanceAt(seed, 7, noon)
    const hours = 3 + 4 * chanceAt(seed, 8, noon)
    const since = (at - 12 * HOUR_MS - noon * DAY_MS) / HOUR_MS + 12 - arrival
    if (since < 0 || since > hours + 1) return 0
    return whole(1000 * powerW * (since <= hours ? 1 : Math.exp(-4 * (since - hours))))
  }

export interface SiteProfile {
  readonly load: Profile
  readonly generation: Profile
}

type ProfileCode =
  | 'profile.header'
  | 'profile.columns'
  | 'profile.time'
  | 'profile.order'
  | 'profile.power'
  | 'profile.empty'

/** A mistake in a profile file; `at` is file:line:column, counted from 1. */
export interface ProfileFault extends Fault {
  readonly code: ProfileCode
  readonly at: string
}

/** A megawatt is no home, and a number beyond it is a mistaken unit. */
const MOST_W = 1_000_000

/**
 * Reads one site's profile:
 *
 *     time,load_w,generation_w
 *     00:00,310,0
 *     12:30:00,420.5,2900
 *
 * `time` is a time of day (UTC), repeated every day, or throughout an ISO 8601 instant ending in Z. Each row holds until
 * the next; before the first row of a day the last one holds, before the first instant the first. Powers are watts with
 * at most three decimals. Blank lines and lines that begin with # are left out.
 */
export function readProfile(text: string, file: string): Result<SiteProfile, ProfileFault> {
  const rows: { readonly time: number; readonly load: number; readonly generation: number }[] = []
  let kind: 'day' | 'iso' | undefined
  let header = false
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const fault = (code: ProfileCode, column: number, hint: string): { ok: false; fault: ProfileFault } =>
      fail({ code, at: `${file}:${index + 1}:${column}`, hint })
    if (line.trim() === '' || line.startsWith('#')) continue
    const cells = line.split(',')
    if (!header) {
      if (line.trim() !== 'time,load_w,generation_w') {
        return fault('profile.header', 1, 'the first line is time,load_w,generation_w')
      }
      header = true
      continue
    }
    if (cells.length !== 3) return fault('profile.columns', 1, `three columns are wanted, not ${cells.length}`)
    const [timeText, loadText, generationText] = cells as [string, string, string]
    const time = timeOf(timeText.trim())
    if (time === undefined || (kind !== undefined && time.kind !== kind)) {
      return fault(
        'profile.time',
        1,
        kind === undefined ? 'HH:MM[:SS] or YYYY-MM-DDTHH:MM[:SS]Z' : 'another form of time than above',
      )
    }
    kind = time.kind
    if (rows.length > 0 && time.ms <= rows.at(-1)!.time) return fault('profile.order', 1, 'times rise from row to row')
    const load = milliwattsOf(loadText)
    if (load === undefined) return fault('profile.power', timeText.length + 2, `watts, 0 to ${MOST_W}`)
    const generation = milliwattsOf(generationText)
    if (generation === undefined) {
      return fault('profile.power', timeText.length + loadText.length + 3, `watts, 0 to ${MOST_W}`)
    }
    rows.push({ time: time.ms, load, generation })
  }
  if (rows.length === 0)
    return fail({ code: 'profile.empty', at: `${file}:1:1`, hint: 'no row with a time and powers' })

  const times = rows.map(row => row.time)
  const rowAt = (at: Instant) => {
    const index = lastAtOrBefore(times, kind === 'day' ? ((at % DAY_MS) + DAY_MS) % DAY_MS : at)
    return rows[index >= 0 ? index : kind === 'day' ? rows.length - 1 : 0]!
  }
  return ok({ load: at => rowAt(at).load, generation: at => rowAt(at).generation })
}

/** Index of the last time that is not after `at`, or -1. */
function lastAtOrBefore(times: readonly number[], at: number): number {
  let low = -1
  let high = times.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (times[middle]! <= at) low = middle
    else high = middle
  }
  return low
}

function milliwattsOf(text: string): number | undefined {
  const match = /^\s*(\d{1,7})(?:\.(\d{1,3}))?\s*$/.exec(text)
  if (match === null) return undefined
  const mw = Number(match[1]) * 1000 + Number((match[2] ?? '').padEnd(3, '0'))
  return mw <= MOST_W * 1000 ? mw : undefined
}

function timeOf(text: string): { readonly kind: 'day' | 'iso'; readonly ms: number } | undefined {
  const match = /^(?:(\d{4})-(\d\d)-(\d\d)T)?(\d\d):(\d\d)(?::(\d\d))?(Z)?$/.exec(text)
  if (match === null || (match[1] === undefined) !== (match[7] === undefined)) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(part => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const inDay = ((hour * 60 + minute) * 60 + second) * 1000
  if (match[1] === undefined) return { kind: 'day', ms: inDay }
  const days = daysOf(year, month, day)
  return days === undefined ? undefined : { kind: 'iso', ms: instant(days * DAY_MS + inDay) }
}

/** Days since 1970-01-01 of a civil date, or undefined where there is no such date. After Howard Hinnant's algorithm. */
function daysOf(year: number, month: number, day: number): number | undefined {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  if (day < 1 || day > (lengths[month - 1] ?? 0)) return undefined
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}
