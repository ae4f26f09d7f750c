/** The one file that knows the property-test library. A failure prints the seed and path that repeat it. */
import fc from 'fast-check'

export { fc }

/** Checks a property `runs` times with a fresh seed, or with TIELINE_SEED to repeat one. */
export function assertProperty<T>(property: fc.IProperty<T>, runs = 200): void {
  check(property, runs, Number(process.env['TIELINE_SEED'] ?? Math.floor(Math.random() * 2 ** 31)))
}

/**
 * For a test that also counts what its cases met: the first half of the runs is the same each time, so that a count never
 * falls short by chance, and says something of the code when it does. The other half has a fresh seed.
 */
export function assertCovering<T>(property: fc.IProperty<T>, runs = 200, seed = 1): void {
  check(property, Math.ceil(runs / 2), seed)
  assertProperty(property, Math.floor(runs / 2))
}

function check<T>(property: fc.IProperty<T>, runs: number, seed: number): void {
  // Said before the runs: code that never comes back tells nobody its seed. The runner shows it when a file fails.
  if (process.env['NODE_ENV'] === 'test') process.stdout.write(`drawn from seed ${seed}\n`)
  fc.assert(property, { numRuns: runs, seed })
}
