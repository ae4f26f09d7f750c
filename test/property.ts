/** The one file that knows the property-test library. A failure prints the seed and path that repeat it. */
import fc from 'fast-check'

export { fc }

/** Checks a property `runs` times with a fresh seed, or with TIELINE_SEED to repeat one. */
export function assertProperty<T>(property: fc.IProperty<T>, runs = 200): void {
  const seed = Number(process.env['TIELINE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  // Said before the runs: code that never comes back tells nobody its seed. The runner shows it when a file fails.
  if (process.env['NODE_ENV'] === 'test') process.stdout.write(`seed ${seed}\n`)
  fc.assert(property, { numRuns: runs, seed })
}
