/**
 * Energy by quarter hour, day and month, from the readings of a meter, exact: the difference of the counter's value at the
 * two ends of a bucket, where the value at a moment is that of the last reading at or before it. So the buckets of a run
 * add up to the difference of its ends, and each says from which reading to which it really reaches.
 *
 * A number is given only where it is right: every reading between the two is there, in order, none flagged and none lower
 * than the one before. Otherwise the bucket has none, and says why. Another meter under the same name is another counter,
 * and no difference is ever taken from one to the other.
 *
 * What a quarter of an hour holds is a span. Spans of a day add up to that day's, whatever the time zone: every zone's
 * offset is a whole number of quarters, so that its days and months are whole numbers of them too.
 */
import { equalBytes } from '../bytes.ts'
import type { Energy } from '../quantity.ts'
import { big, type Codec, flag, flags, integer, list, type RecordOf, record, text } from '../record.ts'
import type { Obis } from '../telegram/obis.ts'
import type { Instant } from '../time.ts'
import { isCounter } from './chain.ts'
import { encodeReading, type Reading, registerEnergy } from './reading.ts'

export const QUARTER_MS = 900_000

/** What a bucket's reader should know of the readings that it rests on, none of which makes its number wrong. */
const TOUCHES = ['gap', 'restarted', 'clock-set', 'before-sync', 'untimed'] as const
/** What makes a number wrong. */
const BREAKS = ['energy-error', 'counter-fell', 'conflict'] as const

type SpanTouch = (typeof TOUCHES)[number]
export type Touch = SpanTouch | 'exchanged'
type Break = (typeof BREAKS)[number]
/**
 * Why a bucket has no number: besides what is wrong with its readings, there is none in it; there is one only, and none
 * before; some between its ends are missing or are timed elsewhere, as after a step of the clock.
 */
export type Absence = Break | 'no-reading' | 'one-reading' | 'out-of-order'

const COUNT = integer(0, Number.MAX_SAFE_INTEGER)
const POINT = {
  sequence: [1, COUNT],
  time: [2, integer<Instant>(0, 253_402_300_799_999)],
  energy: [3, anyEnergy()],
} as const
const point = record(POINT)
type Point = RecordOf<typeof POINT>

function anyEnergy(): Codec<Energy> {
  // 64 bits at the coarsest scaler, in milliwatt-hours.
  const most = 2n ** 63n * 10n ** 12n
  return big<Energy>(-most, most)
}

const COUNTER = {
  obis: [1, text(/^[0-9.:*-]{1,32}$/)],
  /** Its first and its last value. */
  opening: [2, point],
  closing: [3, point],
  readings: [4, COUNT],
  /** The last value, or a reading after it, is flagged: nothing is to be counted from it. */
  unsettled: [5, flag],
} as const
type Counter = RecordOf<typeof COUNTER>

/** A reading carries at most 32 registers; eight times as many change in no quarter, nor in a day. */
const MAX_COUNTERS = 256

const SPAN = {
  /** Sequence numbers of the first and the last reading, gaps included, and how many there are. */
  first: [1, COUNT],
  last: [2, COUNT],
  records: [3, COUNT],
  counters: [6, list(record(COUNTER), 0, MAX_COUNTERS)],
} as const
const SPAN_FLAGS = { touched: [4, flags(...TOUCHES)], broken: [5, flags(...BREAKS)] } as const

/** Some readings of one meter, added up: commonly those of one quarter of an hour. */
export type Span = RecordOf<typeof SPAN, typeof SPAN_FLAGS>
export const spanCodec: Codec<Span> = record(SPAN, SPAN_FLAGS)

/** Spans by the start of their quarter, and what no quarter is known of yet. */
export interface Spans {
  readonly quarters: ReadonlyMap<Instant, Span>
  /** Readings whose time is not to be trusted belong to the quarter of the next one whose time is. */
  readonly pending?: Span
}

/** The start of the quarter whose end is at `time` or next after it: a reading on the dot closes what lies before. */
export const quarterOf = (time: Instant): Instant => (Math.ceil(time / QUARTER_MS) * QUARTER_MS - QUARTER_MS) as Instant

/** A time of which nobody knows anything, or that the reading itself calls wrong, places nothing in a day. */
const isUntimed = ({ quality, errors }: Reading): boolean => quality === 'unknown' || errors.includes('time')

/**
 * The spans of one meter's readings, in whatever order they come and however often, or of those that follow `before`,
 * whose pending ones they may place.
 */
export function spansOf(readings: Iterable<Reading>, before?: Span): Spans {
  const bySequence = new Map<number, { readonly reading: Reading; conflict: boolean }>()
  for (const reading of readings) {
    const known = bySequence.get(reading.sequence)
    if (known === undefined) bySequence.set(reading.sequence, { reading, conflict: false })
    else if (known.reading !== reading) known.conflict ||= !sameReading(known.reading, reading)
  }
  const quarters = new Map<Instant, Span>()
  let pending = before
  const inOrder = [...bySequence.values()].sort((a, b) => a.reading.sequence - b.reading.sequence)
  for (const { reading, conflict } of inOrder) {
    const span = spanOf(reading, conflict)
    if (isUntimed(reading)) {
      pending = joined(pending, span)
      continue
    }
    const quarter = quarterOf(reading.time)
    quarters.set(quarter, joined(quarters.get(quarter), joined(pending, span)))
    pending = undefined
  }
  return pending === undefined ? { quarters } : { quarters, pending }
}

const sameReading = (a: Reading, b: Reading): boolean => equalBytes(encodeReading(a), encodeReading(b))

function spanOf(reading: Reading, conflict: boolean): Span {
  const { sequence, time, status, errors, reason } = reading
  const untimed = isUntimed(reading)
  const flawed = errors.includes('energy')
  const touched: readonly [SpanTouch, boolean][] = [
    ['gap', reason === 'gap' || status.includes('gap-before')],
    ['restarted', status.includes('restarted')],
    ['clock-set', status.includes('clock-set')],
    ['before-sync', status.includes('before-sync')],
    ['untimed', untimed],
  ]
  const counters = (untimed ? [] : reading.registers).flatMap(({ obis }) => {
    const energy = isCounter(obis) ? registerEnergy(reading, obis) : undefined
    if (energy === undefined) return []
    const point: Point = { sequence, time, energy }
    return [{ obis, opening: point, closing: point, readings: 1, unsettled: flawed }]
  })
  return spanWith(
    { first: sequence, last: sequence, records: 1, counters },
    touched.flatMap(([touch, set]) => (set ? [touch] : [])),
    [...(flawed ? (['energy-error'] as const) : []), ...(conflict ? (['conflict'] as const) : [])],
  )
}

/** A span with its flags in the order of the lists, each once, and none where there is none. */
function spanWith(
  span: Omit<Span, 'touched' | 'broken'>,
  touched: readonly SpanTouch[],
  broken: readonly Break[],
): Span {
  const touches = TOUCHES.filter(one => touched.includes(one))
  const breaks = BREAKS.filter(one => broken.includes(one))
  return {
    ...span,
    ...(touches.length > 0 ? { touched: touches } : {}),
    ...(breaks.length > 0 ? { broken: breaks } : {}),
  }
}

const joined = (a: Span | undefined, b: Span): Span => (a === undefined ? b : joinSpans(a, b))

/** The span of two sets of readings that have none in common; in either order. */
export function joinSpans(a: Span, b: Span): Span {
  const [x, y] = a.first <= b.first ? [a, b] : [b, a]
  const broken: Break[] = [...(x.broken ?? []), ...(y.broken ?? [])]
  const apart = x.last < y.first
  const names = [...new Set([...x.counters, ...y.counters].map(({ obis }) => obis))].sort()
  // A meter that calls its counters by ever new names: what is left out here is not counted around either.
  if (names.length > MAX_COUNTERS) broken.push('conflict')
  const counters = names.slice(0, MAX_COUNTERS).map((obis): Counter => {
    const [early, late] = [counterOf(x, obis), counterOf(y, obis)]
    if (early === undefined || late === undefined) {
      // What is flagged behind the last value, or may be, leaves it unsettled.
      const [only, other] = early === undefined ? [late!, x] : [early, y]
      const flagged = isFlawed(other) && (other === y || !apart)
      return { ...only, unsettled: only.unsettled || flagged }
    }
    const opening = early.opening.sequence < late.opening.sequence ? early.opening : late.opening
    const [closed, other] = early.closing.sequence > late.closing.sequence ? [early, y] : [late, x]
    if (falls([early.opening, early.closing, late.opening, late.closing])) broken.push('counter-fell')
    const unsettled = closed.unsettled || (!apart && isFlawed(other))
    return { obis, opening, closing: closed.closing, readings: early.readings + late.readings, unsettled }
  })
  const span = { first: x.first, last: Math.max(x.last, y.last), records: x.records + y.records, counters }
  return spanWith(span, [...(x.touched ?? []), ...(y.touched ?? [])], broken)
}

/** Whether one is lower than the one that was read before it. */
function falls(points: readonly Point[]): boolean {
  const inOrder = points.toSorted((a, b) => a.sequence - b.sequence)
  return inOrder.some(({ energy }, i) => i > 0 && energy < inOrder[i - 1]!.energy)
}

const counterOf = (span: Span, obis: Obis): Counter | undefined => span.counters.find(one => one.obis === obis)
const isFlawed = ({ broken }: Span): boolean => broken?.includes('energy-error') ?? false

export interface Bucket {
  readonly start: Instant
  readonly end: Instant
  /** Whose counter; absent where no meter has a reading in it. */
  readonly meterId?: string
  /** How many readings of the counter are in it. */
  readonly readings: number
  /** Both, or `absent`. */
  readonly energy?: Energy
  /** Times of the two readings whose difference it is. */
  readonly reach?: { readonly from: Instant; readonly to: Instant }
  /** Why there is no number; every reason. */
  readonly absent?: readonly Absence[]
  /** Both readings stand close enough to the bucket's ends, and the clock was synchronised and not set in between. */
  readonly complete: boolean
  readonly touched: readonly Touch[]
}

export interface Placed {
  readonly meterId: string
  readonly quarter: Instant
  readonly span: Span
}

export interface Asked {
  readonly obis: Obis
  /** Rising, each on a quarter of an hour: the buckets lie between. */
  readonly boundaries: readonly Instant[]
  /** How far from a bucket's end its reading may stand for a complete one. */
  readonly toleranceMs: number
}

/**
 * Buckets in order of time. `spans` hold those of the time asked for, and before it as many as are needed to reach back to
 * the last value. A bucket during which the meter was exchanged is there once for each of the two.
 */
export function bucketsOf(spans: readonly Placed[], asked: Asked): Bucket[] {
  const { boundaries } = asked
  if (boundaries.some((at, i) => at % QUARTER_MS !== 0 || (i > 0 && at <= boundaries[i - 1]!)))
    throw new RangeError('boundaries rise by quarters of an hour')
  const byRun = runsOf(spans).map(run => ({ meterId: run[0]!.meterId, buckets: bucketsOfRun(run, asked) }))
  return boundaries.slice(1).flatMap((end, i): Bucket[] => {
    const there = byRun.flatMap(({ meterId, buckets }) =>
      buckets[i] === undefined ? [] : [{ meterId, ...buckets[i] }],
    )
    if (there.length === 0) {
      return [{ start: boundaries[i]!, end, readings: 0, absent: ['no-reading'], complete: false, touched: [] }]
    }
    return there.length === 1
      ? there
      : there.map(one => ({ ...one, complete: false, touched: [...one.touched, 'exchanged'] }))
  })
}

/** Spans in order of time, cut where another meter takes over. */
function runsOf(spans: readonly Placed[]): Placed[][] {
  const inTime = [...spans].sort((a, b) => a.quarter - b.quarter || a.span.first - b.span.first)
  const runs: Placed[][] = []
  for (let i = 0; i < inTime.length; ) {
    const { quarter } = inTime[i]!
    const meter = runs.at(-1)?.at(-1)?.meterId
    const until = inTime.findIndex((one, at) => at > i && one.quarter !== quarter)
    const here = inTime.slice(i, until < 0 ? undefined : until)
    // In a quarter of both, the one that was there before comes first.
    for (const one of here.sort((a, b) => Number(b.meterId === meter) - Number(a.meterId === meter))) {
      const run = runs.at(-1)
      if (run?.[0]?.meterId === one.meterId) run.push(one)
      else runs.push([one])
    }
    i += here.length
  }
  return runs
}

/** Where a bucket begins to count. */
interface Start {
  readonly point: Point
  readonly unsettled: boolean
  /** Sequence number of the last reading of its span; undefined where readings from the point to there may be missing. */
  readonly last: number | undefined
}

/** None missing between its first and its last. */
const isWhole = ({ first, last, records }: Span): boolean => records === last - first + 1

/** One counter's buckets by their number, undefined where the run has no reading. */
function bucketsOfRun(run: readonly Placed[], { obis, boundaries, toleranceMs }: Asked): (Bucket | undefined)[] {
  let start: Start | undefined
  /** Readings without a value of this counter since then. */
  let since: Span | undefined
  let next = 0
  const takeUntil = (end: Instant): Span[] => {
    const from = next
    while (next < run.length && run[next]!.quarter < end) next++
    return run.slice(from, next).map(({ span }) => span)
  }
  const pass = (span: Span): void => {
    const counter = counterOf(span, obis)
    if (counter === undefined) {
      since = joined(since, span)
      return
    }
    const { closing, unsettled } = counter
    const last = closing.sequence === span.last || isWhole(span) ? span.last : undefined
    start = { point: closing, unsettled, last }
    since = undefined
  }
  takeUntil(boundaries[0]!).forEach(pass)
  return boundaries.slice(1).map((end, i) => {
    const inside = takeUntil(end)
    if (inside.length === 0) return undefined
    const whole = inside.reduce(joinSpans)
    const bucket = bucketOf(
      { start: boundaries[i]!, end },
      { start, reach: start === undefined ? whole : joined(since, whole), counter: counterOf(whole, obis) },
      toleranceMs,
    )
    inside.forEach(pass)
    return bucket
  })
}

function bucketOf(
  bounds: { readonly start: Instant; readonly end: Instant },
  {
    start,
    reach,
    counter,
  }: { readonly start: Start | undefined; readonly reach: Span; readonly counter: Counter | undefined },
  toleranceMs: number,
): Bucket {
  const touched = reach.touched ?? []
  if (counter === undefined) {
    return { ...bounds, readings: 0, absent: ['no-reading'], complete: false, touched }
  }
  const { opening, closing, readings } = counter
  const from = start?.point ?? opening
  const energy = (closing.energy - from.energy) as Energy
  const ordered =
    isWhole(reach) && (start === undefined || (start.last !== undefined && start.last + 1 === reach.first))
  const wrong: readonly [Absence, boolean][] = [
    ['one-reading', start === undefined && readings === 1],
    ['energy-error', isFlawed(reach) || start?.unsettled === true],
    ['counter-fell', reach.broken?.includes('counter-fell') === true || (ordered && opening.energy < from.energy)],
    ['conflict', reach.broken?.includes('conflict') === true],
    ['out-of-order', !ordered],
  ]
  const absent = wrong.flatMap(([why, is]) => (is ? [why] : []))
  if (absent.length > 0) return { ...bounds, readings, absent, complete: false, touched }
  const near = (at: Instant, bound: Instant) => Math.abs(at - bound) <= toleranceMs
  const timed = !touched.includes('clock-set') && !touched.includes('before-sync')
  const complete = timed && near(from.time, bounds.start) && near(closing.time, bounds.end)
  return { ...bounds, readings, energy, reach: { from: from.time, to: closing.time }, complete, touched }
}
