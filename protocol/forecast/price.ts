/** What a kWh will cost on the market, from the clearing prices that a site has seen: analogues, as of energies. */
import type { Price } from '../quantity.ts'
import type { Instant } from '../time.ts'
import { type AnalogueRule, analoguesOf, type Given } from './analogue.ts'
import { quantilesOf } from './quantile.ts'

/** Prices follow load and weather alike. */
const RULE: AnalogueRule = { days: 28, halfLifeDays: 7, sameClass: 2, dayPersistence: 300, slotPersistence: 600 }

export interface SeenPrice {
  readonly start: Instant
  readonly price: Price
}

/** At each of `permilles`; undefined where no earlier day had a price at this time of day. Slots without a trade have none. */
export function forecastPrice(
  seen: readonly SeenPrice[],
  start: Instant,
  given: Omit<Given, 'grid'>,
  permilles: readonly number[],
): readonly Price[] | undefined {
  const prices = new Map(seen.map(({ start, price }): [number, number] => [start, Number(price)]))
  const known = (at: number) => (at + given.slotMs > given.now ? undefined : prices.get(at))
  return quantilesOf(analoguesOf(known, { ...given, grid: start }, RULE)(start), permilles)?.map(
    price => BigInt(price) as Price,
  )
}
