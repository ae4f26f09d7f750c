/** Quantiles of what was seen before, each sighting with its weight. Whole numbers in, one of them out. */

export interface Sighting {
  readonly value: number
  /** Positive, whole. */
  readonly weight: number
}

/**
 * For each of `permilles` (0 to 1000) the least value that, with all below it, carries that share of the weight; undefined
 * where nothing was seen. 500 is the weighted median, which has the least expected absolute error.
 */
export function quantilesOf(sightings: readonly Sighting[], permilles: readonly number[]): number[] | undefined {
  if (sightings.length === 0) return undefined
  const sorted = [...sightings].sort((a, b) => a.value - b.value)
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0)
  return permilles.map(permille => {
    let carried = 0
    for (const { value, weight } of sorted) {
      carried += weight
      if (carried * 1000 >= permille * total) return value
    }
    return sorted.at(-1)!.value
  })
}
