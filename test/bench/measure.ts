/**
 * Measuring on a machine that others use too. What is compared runs in turn, round by round, so that the load of the
 * minute falls on all alike; each round takes one sample of each; the median stands for them, the extremes beside it.
 *
 * Rates are per second of processor time of the whole process, the collector of garbage and the compiler included. Where
 * several threads work at once the wall counts, and is said to.
 */

/** One stretch of work. */
export interface Sample {
  /** How many of what is counted were done. */
  readonly count: number
  readonly cpuSeconds: number
  readonly wallSeconds: number
}

export interface Contestant {
  /** Unique in its race. */
  readonly name: string
  /** Makes ready for one sample, which is then one run; its time does not count. */
  prepare?(): void | Promise<void>
  /** Does some of the work and says how much. */
  run(): number | Promise<number>
  /** Where it is done on several threads. */
  readonly clock?: 'cpu' | 'wall'
}

export interface Figure {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

export interface Timed extends Figure {
  readonly clock: 'cpu' | 'wall'
  readonly samples: readonly Sample[]
}

export interface Effort {
  readonly rounds: number
  /** A sample goes on until it has taken this long by the wall; the clocks are then exact to a per mille. */
  readonly sampleMs: number
}

export const FULL: Effort = { rounds: 9, sampleMs: 300 }
export const QUICK: Effort = { rounds: 3, sampleMs: 60 }

export function figureOf(values: readonly number[]): Figure {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, lowest: sorted[0]!, highest: sorted.at(-1)! }
}

/** Runs `work` until `leastMs` are over, at least once. */
async function sample(work: () => number | Promise<number>, leastMs: number): Promise<Sample> {
  const cpu = process.cpuUsage()
  const began = performance.now()
  let count = 0
  do {
    const step = work()
    count += typeof step === 'number' ? step : await step
  } while (performance.now() - began < leastMs)
  const wallSeconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { count, cpuSeconds: (user + system) / 1e6, wallSeconds }
}

/** All contestants' rates a second, by name. The first round warms up and is not counted. */
export async function race(contestants: readonly Contestant[], effort: Effort): Promise<ReadonlyMap<string, Timed>> {
  const samples = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round <= effort.rounds; round++) {
    for (const { name, prepare, run } of contestants) {
      await prepare?.()
      const taken = await sample(run, prepare === undefined ? effort.sampleMs : 0)
      if (round > 0) samples.get(name)!.push(taken)
    }
  }
  return new Map(
    contestants.map(({ name, clock = 'cpu' }): [string, Timed] => {
      const taken = samples.get(name)!
      const rates = taken.map(one => one.count / (clock === 'cpu' ? one.cpuSeconds : one.wallSeconds))
      return [name, { ...figureOf(rates), clock, samples: taken }]
    }),
  )
}
