/**
 * What a meter would have taken in a window, had nobody called on it: the customer baseline of demand response.
 *
 *     high 4 of 5    of the last five like days (workdays or weekend) those four on which most was taken in the window, averaged:
 *                    PJM Manual 11, section 10, "high 4 of 5"
 *     same day       scaled by what was taken today in the three hours that end an hour before the window, against the same
 *                    hours of those four days, by 20 % at most: the load point adjustment of CAISO's "10 in 10"
 *
 * Two things keep an inflated baseline small. The adjustment raises nothing once its hours are not all before the
 * announcement, because who knows of an event can waste energy ahead of it. And like days that are passed over because
 * readings of them miss are named, because who shows only his best days has a high baseline.
 *
 * Slots are numbered from the Unix epoch. The average is rounded down: nobody is paid for a fraction.
 */
import { type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

export const SLOT_MS = 900_000
export const SLOTS_A_DAY = 96
const SLOTS_AN_HOUR = 4
export const DAYS = 5n
const HIGH = 4n
/** As far back as PJM looks for like days. */
export const LOOK_BACK_DAYS = 45
/** The adjustment's bounds in tenths: CAISO's 20 % either way. */
const LEAST_TENTHS = 8n
const MOST_TENTHS = 12n

/** Slots from `from` up to but without `to`. */
export interface Slots {
  readonly from: number
  readonly to: number
}

export interface BaselineAsked {
  readonly window: Slots
  /** The slot in which the event was announced. */
  readonly announced: number
  /** What the meter took in some slots together; undefined where no readings say. */
  readonly taken: (slots: Slots) => WattHours | undefined
  /** Whether two slots a whole number of days apart are of like days. */
  readonly like: (slot: number, other: number) => boolean
  /** Days on which the meter was called are not like any other. */
  readonly called: (window: Slots) => boolean
}

export interface Baseline {
  /** For the whole window. */
  readonly energy: WattHours
  /** Before the same-day adjustment. */
  readonly average: WattHours
  /** First slots of the four days' windows, the latest day first. */
  readonly days: readonly number[]
  /** First slots of like days that were passed over because readings of them miss. */
  readonly missing: readonly number[]
  /** Absent where today's readings before the window miss, or nothing was taken then on the four days. */
  readonly adjustment?: { readonly today: WattHours; readonly average: WattHours; readonly bounded: boolean }
}

export type BaselineFault =
  | { readonly code: 'baseline.window'; readonly from: number; readonly to: number }
  | { readonly code: 'baseline.days'; readonly found: number; readonly needed: number; readonly missing: number }

/** The three hours that end an hour before a window. */
export const adjustmentWindow = ({ from }: Slots): Slots => ({
  from: from - 4 * SLOTS_AN_HOUR,
  to: from - SLOTS_AN_HOUR,
})

/** Saturday or Sunday, by a clock so many milliseconds ahead of UTC. 1970-01-01 was a Thursday. */
export const isWeekend = (slot: number, aheadMs = 0): boolean =>
  (((Math.floor((slot * SLOT_MS + aheadMs) / 86_400_000) + 3) % 7) + 7) % 7 > 4

/** The same slots of a day so many days ago. */
export const daysBefore = ({ from, to }: Slots, days: number): Slots => ({
  from: from - days * SLOTS_A_DAY,
  to: to - days * SLOTS_A_DAY,
})

/** What is taken in some slots by what is taken in each: undefined as soon as one is. */
export const bySlot =
  (taken: (slot: number) => WattHours | undefined): BaselineAsked['taken'] =>
  ({ from, to }) => {
    let sum = 0n
    for (let slot = from; slot < to; slot++) {
      const energy = taken(slot)
      if (energy === undefined) return undefined
      sum += energy
    }
    return wattHours(sum)
  }

/** The same by what the meter's register stood at when each slot began, in mWh: whole watt-hours, each counted once. */
export const byRegister =
  (register: (slot: number) => bigint | undefined): BaselineAsked['taken'] =>
  ({ from, to }) => {
    const [begin, end] = [register(from), register(to)]
    return begin === undefined || end === undefined || end < begin ? undefined : wattHours(end / 1000n - begin / 1000n)
  }

export function baselineOf(asked: BaselineAsked): Result<Baseline, BaselineFault> {
  const { window, announced, taken, like, called } = asked
  const { from, to } = window
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || to <= from || to - from > SLOTS_A_DAY) {
    return fail({ code: 'baseline.window', from, to })
  }
  const before = adjustmentWindow(window)
  const days: { readonly from: number; readonly energy: bigint; readonly earlier: bigint | undefined }[] = []
  const missing: number[] = []
  for (let back = 1; back <= LOOK_BACK_DAYS && days.length < DAYS; back++) {
    const day = daysBefore(window, back)
    if (!like(from, day.from) || called(day)) continue
    const energy = taken(day)
    if (energy === undefined) missing.push(day.from)
    else days.push({ from: day.from, energy, earlier: taken(daysBefore(before, back)) })
  }
  if (days.length < DAYS) {
    return fail({ code: 'baseline.days', found: days.length, needed: Number(DAYS), missing: missing.length })
  }
  // Of two equal days the later one counts: the sort is stable, and the latest comes first.
  const high = [...days].sort((a, b) => (a.energy < b.energy ? 1 : a.energy > b.energy ? -1 : 0)).slice(0, Number(HIGH))
  const sum = high.reduce((total, { energy }) => total + energy, 0n)
  const plain = {
    average: wattHours(sum / HIGH),
    days: high.map(day => day.from).sort((a, b) => b - a),
    missing,
  }
  const today = taken(before)
  let earlier: bigint | undefined = 0n
  for (const day of high)
    earlier = day.earlier === undefined || earlier === undefined ? undefined : earlier + day.earlier
  if (today === undefined || earlier === undefined || earlier === 0n) return ok({ ...plain, energy: plain.average })
  const most = before.to <= announced ? MOST_TENTHS : 10n
  // today / (earlier / 4), against so many tenths
  const scaled = today * HIGH * 10n
  const tenths = scaled > most * earlier ? most : scaled < LEAST_TENTHS * earlier ? LEAST_TENTHS : undefined
  const energy = tenths === undefined ? (sum * today) / earlier : (sum * tenths) / (HIGH * 10n)
  const adjustment = { today, average: wattHours(earlier / HIGH), bounded: tenths !== undefined }
  return ok({ ...plain, energy: wattHours(energy), adjustment })
}
