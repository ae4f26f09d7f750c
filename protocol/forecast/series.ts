/**
 * Energy by market slot, as a site's own journal knows it: what a forecast is made from. A slot of which the journal has no
 * right number has none here, and is never 0.
 */
import type { Energy } from '../quantity.ts'
import type { Bucket } from '../reading/rollup.ts'
import { type Fault, fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'

export interface Series {
  /** Start of the first slot. */
  readonly start: Instant
  readonly slotMs: number
  /** What was counted in each slot, mWh; undefined where nobody knows. */
  readonly energies: readonly (Energy | undefined)[]
}

/** 400 MWh a slot: no site of this market has as much, and what forecasts multiply it by stays exact. */
const MOST: Energy = (4n * 10n ** 11n) as Energy

/** End of the series: the start of the slot after its last. */
export const endOf = ({ start, slotMs, energies }: Series): Instant => (start + energies.length * slotMs) as Instant

/** The energy of the slot that starts at `at`; undefined outside the series, between two starts, or where none is known. */
export function energyAt({ start, slotMs, energies }: Series, at: number): Energy | undefined {
  const index = (at - start) / slotMs
  return Number.isInteger(index) ? energies[index] : undefined
}

/**
 * Slots from buckets of quarters. A slot has a number only where every quarter in it is there once, complete and with its
 * energy: a counter that was read late would move energy from one slot to the next. Negative and impossible energies are
 * none. `forecast.slot` unless a slot is a whole number of the buckets.
 */
export function seriesOf(buckets: readonly Bucket[], slotMs: number): Result<Series> {
  const first = buckets[0]
  if (first === undefined) return fail({ code: 'forecast.no-history' })
  const bucketMs = first.end - first.start
  const each = slotMs / bucketMs
  if (!Number.isInteger(each) || each < 1) return fail({ code: 'forecast.slot', slotMs, bucketMs })
  const start = (Math.ceil(first.start / slotMs) * slotMs) as Instant
  const sums = new Map<number, { energy: bigint; found: number }>()
  const seen = new Set<number>()
  for (const { start: from, end, energy, complete } of buckets) {
    if (energy === undefined || energy < 0n || !complete || end - from !== bucketMs) continue
    const slot = Math.floor((from - start) / slotMs)
    const sum = sums.get(slot) ?? { energy: 0n, found: 0 }
    // A quarter that is there twice does not stand for one that is missing: more are found than there can be.
    const more = seen.has(from) ? each + 1 : 1
    seen.add(from)
    sums.set(slot, { energy: sum.energy + energy, found: sum.found + more })
  }
  const count = Math.max(0, Math.floor((buckets.at(-1)!.end - start) / slotMs))
  const energies = Array.from({ length: count }, (_, slot) => {
    const sum = sums.get(slot)
    return sum?.found === each && sum.energy <= MOST ? (sum.energy as Energy) : undefined
  })
  return ok({ start, slotMs, energies })
}

/** What a site's meters count: at the grid in both directions, and behind it what is generated. */
export interface SiteSeries {
  readonly imported: Series
  readonly exported: Series
  readonly generated: Series
}

/**
 * What the site itself used: import - export + generation. Absent where one of the three is, or where they contradict each
 * other (two meters' slots that end at different moments can make less than nothing). `forecast.unlike` unless the three
 * are of the same slots.
 */
export function loadOf({ imported, exported, generated }: SiteSeries): Result<Series> {
  const { start, slotMs, energies } = imported
  for (const other of [exported, generated]) {
    if (other.start !== start || other.slotMs !== slotMs || other.energies.length !== energies.length) {
      const fault: Fault = {
        code: 'forecast.unlike',
        start,
        otherStart: other.start,
        slotMs,
        otherSlotMs: other.slotMs,
      }
      return fail(fault)
    }
  }
  return ok({
    start,
    slotMs,
    energies: energies.map((taken, i) => {
      const [sent, made] = [exported.energies[i], generated.energies[i]]
      if (taken === undefined || sent === undefined || made === undefined) return undefined
      const used = taken - sent + made
      return used < 0n ? undefined : (used as Energy)
    }),
  })
}
