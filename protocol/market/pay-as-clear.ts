/**
 * Pay as clear: one price for all, at which nobody whose order is unfilled would trade and nobody whose order is filled
 * would not. With b_m and s_m the last matched bid and offer and b+ and s+ the best unfilled ones, every price from
 * L = max(s_m, b+) to U = min(b_m, s+) is such a price; the options choose one of them.
 *
 * McAfee's (A dominant strategy double auction, 1992) leaves the last matched bid and offer out unless the middle between the
 * orders next to them lies within L and U, so that no order names the price that it gets; buyers then pay b_m and sellers
 * receive s_m, and the difference belongs to neither. Orders of several Wh after Huang, Scheller-Wolf and Sycara (Design of a
 * multi-unit double auction e-market, 2002): the longer side is rationed in proportion.
 */
import {
  type Crossing,
  cross,
  type Fills,
  fillByRank,
  pair,
  type Ranked,
  shareLastPrice,
  shareOut,
  type Trades,
} from './matching.ts'
import { splitPrice, type Ties } from './pay-as-bid.ts'

export type PayAsClear = {
  readonly rule: 'pay-as-clear'
  readonly ties: Ties
} & (
  | {
      readonly option: 'between'
      /** How far from L towards U, in permille. */
      readonly k: number
    }
  /** The middle of b_m and s_m, b_m, or s_m: each held within L and U. */
  | { readonly option: 'midpoint' | 'last-bid' | 'last-offer' }
  | { readonly option: 'mcafee' }
)

export interface Uniform {
  readonly trades: Trades
  /** What buyers pay. */
  readonly price: number
  /** L and U. */
  readonly lower: number
  readonly upper: number
  /** What sellers receive less than that; more than 0 only where McAfee's option left the last pair out. */
  readonly spread: number
}

/** Undefined where nothing is traded. */
export function payAsClear(bids: Ranked, offers: Ranked, rule: PayAsClear): Uniform | undefined {
  const crossing = cross(bids, offers)
  if (crossing === undefined) return undefined
  const { lower, upper } = crossing
  const price = rule.option === 'mcafee' ? middleOfNext(bids, offers, crossing) : priceWithin(crossing, rule)
  if (price === undefined) return withoutLastPair(bids, offers, crossing)
  const fills = fillByRank(bids, offers, crossing.quantity)
  if (rule.ties === 'pro-rata') shareLastPrice(bids, offers, crossing, fills)
  return { trades: pair(bids, offers, fills, () => price), price, lower, upper, spread: 0 }
}

/** The price that an option chooses, rounded down to a micro-unit. */
export function priceWithin(
  { lower, upper, lastBid, lastOffer }: Omit<Crossing, 'quantity' | 'bid' | 'offer'>,
  rule: Exclude<PayAsClear, { readonly option: 'mcafee' }>,
): number {
  if (rule.option === 'between') return splitPrice(upper, lower, rule.k)
  const wanted =
    rule.option === 'midpoint' ? splitPrice(lastBid, lastOffer, 500) : rule.option === 'last-bid' ? lastBid : lastOffer
  return Math.min(Math.max(wanted, lower), upper)
}

function middleOfNext(bids: Ranked, offers: Ranked, { bid, offer, lower, upper }: Crossing): number | undefined {
  const next = bids.price[bid + 1]
  const nextOffer = offers.price[offer + 1]
  if (next === undefined || nextOffer === undefined) return undefined
  const price = Math.floor((next + nextOffer) / 2)
  return price >= lower && price <= upper ? price : undefined
}

function withoutLastPair(bids: Ranked, offers: Ranked, crossing: Crossing): Uniform | undefined {
  const demand = bids.quantity.subarray(0, crossing.bid)
  const supply = offers.quantity.subarray(0, crossing.offer)
  const quantity = Math.min(sum(demand), sum(supply))
  if (quantity === 0) return undefined
  const fills: Fills = { bids: shareOut(quantity, demand), offers: shareOut(quantity, supply) }
  const { lastBid: price, lastOffer, lower, upper } = crossing
  return { trades: pair(bids, offers, fills, () => price), price, lower, upper, spread: price - lastOffer }
}

const sum = (quantities: Float64Array): number => quantities.reduce((total, quantity) => total + quantity, 0)
