/** The one file that knows the property-test library. A failure prints the seed and path that repeat it. */
import fc from 'fast-check'

export { fc }

/** Checks a property `runs` times with a fresh seed, or with TIELINE_SEED to repeat one. */
export function assertProperty<T>(property: fc.IProperty<T>, runs = 200): void {
  const seed = process.env['TIELINE_SEED']
  fc.assert(property, { numRuns: runs, ...(seed === undefined ? {} : { seed: Number(seed) }) })
}
