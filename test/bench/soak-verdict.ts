/** What the samples of a soak say: how fast memory grows, within what interval, and whether that is known well enough to judge by. */

export interface Sample {
  readonly hours: number
  readonly mb: number
}

export interface Slope {
  readonly perHour: number
  /** Half of the interval of 95 %. */
  readonly within: number
}

export type Verdict = 'sound' | 'NOT SOUND' | 'inconclusive'

/** What is collected within a minute is no leak: a leak raises the least of every minute. */
const WINDOW_HOURS = 1 / 60

/** The least sample of each minute. */
export function lowsOf(samples: readonly Sample[]): readonly Sample[] {
  const lows = new Map<number, Sample>()
  for (const sample of samples) {
    const window = Math.floor(sample.hours / WINDOW_HOURS)
    const low = lows.get(window)
    if (low === undefined || sample.mb < low.mb) lows.set(window, sample)
  }
  return [...lows.values()]
}

/** Student's t for 95 %, within 1 % of the tables from three degrees of freedom on. */
const student = (freedom: number): number => 1.96 + 2.5 / freedom + 3 / freedom ** 2

/** By least squares. Of fewer than five points nothing is known. */
export function slopeOf(points: readonly Sample[]): Slope {
  const n = points.length
  if (n < 5) return { perHour: 0, within: Number.POSITIVE_INFINITY }
  const mean = (of: (point: Sample) => number) => points.reduce((sum, point) => sum + of(point), 0) / n
  const [x, y] = [mean(({ hours }) => hours), mean(({ mb }) => mb)]
  const spread = points.reduce((sum, { hours }) => sum + (hours - x) ** 2, 0)
  const perHour = points.reduce((sum, { hours, mb }) => sum + (hours - x) * (mb - y), 0) / spread
  const rest = points.reduce((sum, { hours, mb }) => sum + (mb - y - perHour * (hours - x)) ** 2, 0)
  return { perHour, within: student(n - 2) * Math.sqrt(rest / (n - 2) / spread) }
}

/** Sound only where the whole interval lies below the limit, and not sound only where all of it lies above. */
export function judgeSlope({ perHour, within }: Slope, limit: number): Verdict {
  if (perHour + within < limit) return 'sound'
  return perHour - within >= limit ? 'NOT SOUND' : 'inconclusive'
}

/** By the least number of open descriptors in each half, with nobody listening. */
export function judgeDescriptors(quiet: readonly number[], most: number): Verdict {
  if (quiet.length < 2) return 'inconclusive'
  const half = quiet.length >> 1
  return Math.min(...quiet.slice(half)) <= Math.min(...quiet.slice(0, half)) + most ? 'sound' : 'NOT SOUND'
}

export function worstOf(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('NOT SOUND')) return 'NOT SOUND'
  return verdicts.includes('inconclusive') ? 'inconclusive' : 'sound'
}
