/**
 * What a site's energy is worth to it, what it says in an order, and how much it orders.
 *
 * The limit comes from what the site would do without the trade: its supplier's tariff, or its battery. The owner's own limits
 * come on top, and nothing here ever goes beyond either. Where all pay one price, an order says its limit: a price that one's
 * own order hardly moves is not got by hiding it. Where each pays what it bids, an order says the price that would have gained
 * most over the slots seen, as everybody can work out from the published books (after Gjerstad and Dickhaut, "Price formation
 * in double auctions", 1998: the margin times how often it would have been filled).
 */
import { microsPerKwh, type Price, type WattHours } from '../quantity.ts'

export interface Means {
  /** The supplier's, per kWh: what it takes and gives. */
  readonly tariff: { readonly drawn: Price; readonly fedIn: Price }
  /** What a seller hands to the distributor of the all-in price, per kWh. */
  readonly fee: Price
  readonly battery?: BatteryValue
  /** The owner's word: never to pay more, never to sell for less. */
  readonly owner: { readonly mostPays?: Price; readonly leastGets?: Price }
}

export interface BatteryValue {
  /** Of a Wh taken at the meter, what comes back; permille, 1 to 1000. */
  readonly keptPermille: number
  /** What moving a kWh in and out wears off it. */
  readonly wear: Price
  /** What the site will else pay for a kWh, when it would use what is stored. */
  readonly laterPays: Price
  /** What a kWh to fill the battery again will cost before that. */
  readonly refill: Price
}

/** All-in prices per kWh. The battery's are absent without one, or where no price is worth it. */
export interface Limits {
  /** At most, for what the site draws anyway. */
  readonly need: Price
  /** At least, fee included, for what it would else feed in. */
  readonly surplus: Price
  /** At most, to fill the battery. */
  readonly charge?: Price
  /** At least, fee included, out of the battery. */
  readonly discharge?: Price
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const most = (a: bigint, b: bigint): bigint => (a > b ? a : b)
const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b

export function limitsOf({ tariff, fee, battery, owner }: Means): Limits {
  const buying = (price: bigint) => microsPerKwh(owner.mostPays === undefined ? price : least(price, owner.mostPays))
  const selling = (price: bigint) =>
    microsPerKwh(owner.leastGets === undefined ? price + fee : most(price, owner.leastGets) + fee)
  const limits = { need: buying(tariff.drawn), surplus: selling(tariff.fedIn) }
  if (battery === undefined) return limits
  const { keptPermille, wear, laterPays, refill } = battery
  if (!Number.isInteger(keptPermille) || keptPermille < 1 || keptPermille > 1000) {
    throw new RangeError(`a battery keeps 1 to 1000 permille, not ${keptPermille}`)
  }
  const kept = BigInt(keptPermille)
  // A kWh taken gives `kept` of one later; rounded against the trade, as every limit is.
  const stored = (laterPays * kept) / 1000n - wear
  // A kWh given is missed later, or bought again in time.
  const given = least(laterPays, ceilDiv(refill * 1000n, kept)) + wear
  return { ...limits, ...(stored > 0n ? { charge: buying(stored) } : {}), discharge: selling(given) }
}

/** A slot to come: the forecast of the net position, and what a kWh would cost and bring then (market/bill-forecast.ts). */
export interface ComingSlot {
  /** Drawn above zero, sent below. */
  readonly net: bigint
  readonly pays: Price
  readonly gets: Price
}

/**
 * What one more Wh in the battery saves later, and what it costs to have it back: by serving the dearest needs first, until the
 * coming surplus would fill the battery anyway. Beyond what will be needed, a Wh is worth what it would bring.
 */
export function batteryOutlook(
  coming: readonly ComingSlot[],
  held: WattHours,
  capacity: WattHours,
): Pick<BatteryValue, 'laterPays' | 'refill'> {
  let room: bigint = capacity
  const full = coming.findIndex(({ net }) => {
    if (net < 0n) room += net
    return room <= 0n
  })
  const before = full < 0 ? coming : coming.slice(0, full)
  const needs = before.filter(({ net }) => net > 0n).sort((a, b) => (a.pays < b.pays ? 1 : a.pays > b.pays ? -1 : 0))
  let left: bigint = held
  const next = needs.find(({ net }) => {
    left -= net
    return left < 0n
  })
  const brings = coming.reduce((best, { gets }) => most(best, gets), 0n)
  const cheapest = coming.reduce((best: bigint | undefined, { net, pays, gets }) => {
    const price = net < 0n ? gets : pays
    return best === undefined || price < best ? price : best
  }, undefined)
  return {
    laterPays: microsPerKwh(next === undefined ? brings : most(next.pays, brings)),
    // Nothing is known to refill it from.
    refill: microsPerKwh(cheapest ?? brings),
  }
}

/** One slot of the past, as its published book shows it to one side. */
export interface SeenSlot {
  /** The worst price at which an order of this side was filled: the last matched bid, or offer. Absent without a trade. */
  readonly marginal?: Price
}

/** What an order says. `seen` is the latest slots like the one to come; with none, or all paying one price, it is the limit. */
export function quote(
  side: 'bid' | 'offer',
  limit: Price,
  rule: 'pay-as-clear' | 'pay-as-bid',
  seen: readonly SeenSlot[],
): Price {
  if (rule === 'pay-as-clear') return limit
  const marginals = seen.flatMap(({ marginal }) => marginal ?? [])
  const better = (a: bigint, b: bigint) => (side === 'bid' ? a < b : a > b)
  let best = limit
  let gained = 0n
  for (const price of new Set(marginals)) {
    if (!better(price, limit)) continue
    const filled = BigInt(marginals.filter(one => !better(price, one)).length)
    const gain = filled * (side === 'bid' ? limit - price : price - limit)
    if (gain > gained || (gain === gained && better(best, price))) [best, gained] = [price, gain]
  }
  return best
}

/** Beyond this no order goes: what happens once in twenty slots is not worth the capacity that it reserves. */
const MOST_PERMILLE = 950

/**
 * At which quantile of its net position a site orders: the newsvendor's critical ratio. `gain` is what a kWh traded is worth
 * more than with the supplier, `charge` what a kWh contracted and not delivered costs; 0 where the contract is as available.
 */
export function orderPermille(gain: Price, charge: Price): number {
  if (gain <= 0n) return 0
  return Math.min(MOST_PERMILLE, Number((gain * 1000n) / (gain + charge)))
}
