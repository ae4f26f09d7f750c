/** The last hours of a site's power, one point a step: what the page draws and what a restart brings back. */
import type { Instant } from '../../protocol/time.ts'
import type { Curve } from './snapshot.ts'

export interface CurveRing {
  /** Milliwatts; null for what is not known. Samples of one step are averaged. */
  add(at: Instant, powerMw: number | null, solarMw: number | null): void
  view(): Curve
  /** Goes on from a cached curve; what is already there stays the newest. */
  restore(curve: Curve): void
}

interface Step {
  /** Start of the step, Unix milliseconds. */
  readonly at: number
  power: Mean
  solar: Mean
}

interface Mean {
  readonly sum: number
  readonly count: number
}

const NONE: Mean = { sum: 0, count: 0 }
const plus = (mean: Mean, value: number | null): Mean =>
  value === null ? mean : { sum: mean.sum + value, count: mean.count + 1 }
const value = ({ sum, count }: Mean): number | null => (count === 0 ? null : Math.round(sum / count))

export function createCurveRing(capacity: number, stepMs: number): CurveRing {
  let steps: Step[] = []
  return {
    add(at, powerMw, solarMw) {
      const start = at - (at % stepMs)
      const newest = steps.at(-1)
      // After a step back of the clock, what lies in the future of it is no longer this day's curve.
      if (newest !== undefined && start < newest.at) steps = steps.filter(step => step.at <= start)
      let step = steps.at(-1)
      if (step?.at !== start) {
        step = { at: start, power: NONE, solar: NONE }
        steps = [...steps.slice(1 - capacity), step]
      }
      step.power = plus(step.power, powerMw)
      step.solar = plus(step.solar, solarMw)
    },
    view: () => ({
      at: steps.map(step => step.at),
      powerMw: steps.map(step => value(step.power)),
      solarMw: steps.map(step => value(step.solar)),
    }),
    restore(curve) {
      const first = steps[0]?.at ?? Number.POSITIVE_INFINITY
      const older = curve.at.flatMap((at, i): Step[] =>
        at < first
          ? [{ at, power: plus(NONE, curve.powerMw[i] ?? null), solar: plus(NONE, curve.solarMw[i] ?? null) }]
          : [],
      )
      steps = [...older, ...steps].slice(-capacity)
    },
  }
}

/** A curve from a cache file, or undefined where it is none. */
export function acceptCurve(value: unknown): Curve | undefined {
  const { at, powerMw, solarMw } = (value ?? {}) as Partial<Record<keyof Curve, unknown>>
  const whole = (item: unknown): item is number => Number.isSafeInteger(item)
  const known = (item: unknown) => item === null || whole(item)
  if (!Array.isArray(at) || !Array.isArray(powerMw) || !Array.isArray(solarMw)) return undefined
  if (powerMw.length !== at.length || solarMw.length !== at.length) return undefined
  if (!at.every((item, i) => whole(item) && (i === 0 || item > at[i - 1]))) return undefined
  return powerMw.every(known) && solarMw.every(known) ? { at, powerMw, solarMw } : undefined
}
