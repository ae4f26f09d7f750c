/** Pay as bid: each pair of matched orders trades at a price of its own between the two limits. */
import { cross, fillByRank, pair, type Ranked, shareLastPrice, type Trades } from './matching.ts'

export interface PayAsBid {
  readonly rule: 'pay-as-bid'
  /** The seller's part of what the bid is above the offer, in permille: at 1000 the price is the bid. */
  readonly k: number
  readonly ties: Ties
}

/** How orders of the last matched price share what is left for them: the first served first, or all in proportion. */
export type Ties = 'first-come' | 'pro-rata'

/** s + k(b - s), rounded down to a micro-unit. */
export const splitPrice = (bid: number, offer: number, k: number): number =>
  offer + Math.floor((k * (bid - offer)) / 1000)

export function payAsBid(bids: Ranked, offers: Ranked, { k, ties }: PayAsBid): Trades | undefined {
  const crossing = cross(bids, offers)
  if (crossing === undefined) return undefined
  const fills = fillByRank(bids, offers, crossing.quantity)
  if (ties === 'pro-rata') shareLastPrice(bids, offers, crossing, fills)
  return pair(bids, offers, fills, (bid, offer) => splitPrice(bid, offer, k))
}
