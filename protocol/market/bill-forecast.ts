/** What the coming slots will cost a site, from the forecast of its net position and the prices known or expected. */
import type { SlotForecast } from '../forecast/forecast.ts'
import { costCeil, costFloor, type Price, type WattHours } from '../quantity.ts'
import type { Instant } from '../time.ts'
import type { Tariff } from './bill.ts'

/** Per kWh, fees included: what a buyer would pay and a seller would get on the market. */
export interface ExpectedPrice {
  readonly pays: Price
  readonly gets: Price
}

export type SlotBill =
  | {
      readonly start: Instant
      /** What a kWh more, or a kWh sent, is expected to cost and to bring: the better of market and supplier. */
      readonly pays: Price
      readonly gets: Price
      /** At each quantile of the net position, rising; negative where the site pays, so that they fall. */
      readonly money: readonly bigint[]
    }
  | { readonly start: Instant; readonly absent: 'no-like-slot' }

/** `priceAt` is undefined where nobody expects a trade: the supplier's tariff stands then. */
export function billForecast(
  slots: readonly SlotForecast[],
  tariff: Tariff,
  priceAt: (start: Instant) => ExpectedPrice | undefined,
): SlotBill[] {
  return slots.map(slot => {
    if (!('energies' in slot)) return slot
    const market = priceAt(slot.start)
    const pays = market !== undefined && market.pays < tariff.drawn ? market.pays : tariff.drawn
    const gets = market !== undefined && market.gets > tariff.fedIn ? market.gets : tariff.fedIn
    // Whole watt-hours against the site, as its meter's fractions will be.
    const money = slot.energies.map(net =>
      net > 0n ? -costCeil(((net + 999n) / 1000n) as WattHours, pays) : costFloor((-net / 1000n) as WattHours, gets),
    )
    return { start: slot.start, pays, gets, money }
  })
}
