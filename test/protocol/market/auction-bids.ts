/** A request for quotes and its bids, as the tests of both halves of it have them. */
import { toHex } from '../../../protocol/bytes.ts'
import {
  type Auction,
  award,
  type Bid,
  commitmentOf,
  hearBid,
  hearSealed,
  openAuction,
  type Preferences,
} from '../../../protocol/market/reverse-auction.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'

export const id = new Uint8Array(16).fill(7)
export const SEAL_BY = instant(1_000_000)
export const REVEAL_BY = instant(1_010_000)
export const seller = (n: number): Uint8Array => new Uint8Array(20).fill(n)
export const named = (n: number): string => toHex(seller(n))

export const bidOf = (fields: Partial<Bid> = {}): Bid => ({
  id,
  energy: wattHours(1000n),
  price: microsPerKwh(200_000n),
  fee: microsPerKwh(20_000n),
  source: 'solar',
  line: 'street-3',
  meter: 'M-1',
  salt: new Uint8Array(16).fill(9),
  ...fields,
})

export const wish = (fields: Partial<Preferences> = {}): Preferences => ({
  energy: wattHours(1000n),
  least: wattHours(100n),
  limit: microsPerKwh(300_000n),
  premium: {},
  strict: false,
  refuse: new Set(),
  stake: microsPerKwh(0n),
  promisesOf: () => undefined,
  sellers: 'one',
  ...fields,
})

export const open = (...bids: (readonly [n: number, bid: Bid])[]): Auction =>
  bids.reduce(
    (auction, [n, bid]) => hearBid(auction, seller(n), bid, SEAL_BY).auction,
    openAuction(id, 'matching', SEAL_BY, REVEAL_BY),
  )

export const sealed = (...bids: (readonly [n: number, bid: Bid])[]): Auction =>
  bids.reduce(
    (auction, [n, bid]) =>
      hearSealed(auction, seller(n), { id, commitment: commitmentOf(bid, seller(n)) }, SEAL_BY).auction,
    openAuction(id, 'bidding', SEAL_BY, REVEAL_BY),
  )

export const price = (n: bigint) => microsPerKwh(n)
export const winnersOf = (auction: Auction, preferences: Preferences) =>
  award(auction, preferences).winners.map(({ bidder, energy }) => [bidder, energy])
export const reasonOf = (auction: Auction, preferences: Preferences, n: number) =>
  award(auction, preferences).losers.find(({ bidder }) => bidder === named(n))?.reason
