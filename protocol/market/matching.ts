/**
 * What the two ranked sides of a book trade with each other: as long as the best bid left pays at least what the best offer
 * left takes. That is the most that can be traded at a gain, and the most that is gained: the optimum of the linear program
 * that maximises the sum of bid minus offer over what is traded (certificate.ts proves it for each clearing).
 */

/** One side in the order of service. Quantities and prices are safe integers. */
export interface Ranked {
  /** Place in the book as it was given. */
  readonly order: Uint32Array
  readonly quantity: Float64Array
  readonly price: Float64Array
}

/** Where bids and offers meet. Prices in micro-units per kWh, quantities in Wh; ranks count from the best order, from 0. */
export interface Crossing {
  readonly quantity: number
  /** The last matched bid and offer. */
  readonly bid: number
  readonly offer: number
  /** b_m and s_m, their prices. */
  readonly lastBid: number
  readonly lastOffer: number
  /** The prices at which neither side wants more or less: from max(s_m, b+) to min(b_m, s+). */
  readonly lower: number
  readonly upper: number
}

/** How much of each order, by rank, is traded. */
export interface Fills {
  readonly bids: Float64Array
  readonly offers: Float64Array
}

/** Columns of trades, in the order of service: places in the book as it was given, Wh, and the buyer's micro-units per kWh. */
export interface Trades {
  readonly bid: Uint32Array
  readonly offer: Uint32Array
  readonly quantity: Float64Array
  readonly price: Float64Array
}

/** Undefined where no bid pays what any offer takes. */
export function cross(bids: Ranked, offers: Ranked): Crossing | undefined {
  let [bid, offer, bidLeft, offerLeft, quantity] = [0, 0, bids.quantity[0] ?? 0, offers.quantity[0] ?? 0, 0]
  let [lastBid, lastOffer] = [-1, -1]
  while (bid < bids.order.length && offer < offers.order.length && bids.price[bid]! >= offers.price[offer]!) {
    const traded = Math.min(bidLeft, offerLeft)
    quantity += traded
    bidLeft -= traded
    offerLeft -= traded
    lastBid = bid
    lastOffer = offer
    if (bidLeft === 0) bidLeft = bids.quantity[++bid] ?? 0
    if (offerLeft === 0) offerLeft = offers.quantity[++offer] ?? 0
  }
  if (lastBid < 0) return undefined
  const highest = bids.price[lastBid]!
  const lowest = offers.price[lastOffer]!
  return {
    quantity,
    bid: lastBid,
    offer: lastOffer,
    lastBid: highest,
    lastOffer: lowest,
    // What is left of the last order counts as unfilled.
    lower: Math.max(lowest, bids.price[bid] ?? lowest),
    upper: Math.min(highest, offers.price[offer] ?? highest),
  }
}

/** `quantity` on each side, the best orders first. */
export const fillByRank = (bids: Ranked, offers: Ranked, quantity: number): Fills => ({
  bids: fillSide(bids.quantity, quantity),
  offers: fillSide(offers.quantity, quantity),
})

function fillSide(quantities: Float64Array, quantity: number): Float64Array {
  const fills = new Float64Array(quantities.length)
  for (let rank = 0, left = quantity; left > 0; rank++) {
    fills[rank] = Math.min(quantities[rank]!, left)
    left -= fills[rank]!
  }
  return fills
}

/** What the orders of the last matched price trade is shared among them in proportion to their quantities. */
export function shareLastPrice(bids: Ranked, offers: Ranked, { bid, offer }: Crossing, fills: Fills): void {
  shareAmongEquals(bids, bid, fills.bids)
  shareAmongEquals(offers, offer, fills.offers)
}

function shareAmongEquals({ price, quantity }: Ranked, last: number, fills: Float64Array): void {
  let first = last
  while (first > 0 && price[first - 1] === price[last]) first--
  let end = last + 1
  while (end < price.length && price[end] === price[last]) end++
  if (end - first < 2) return
  let traded = 0
  for (let rank = first; rank < end; rank++) traded += fills[rank]!
  fills.set(shareOut(traded, quantity.subarray(first, end)), first)
}

/**
 * `total` whole units in proportion to `weights`, of which it is no more than the sum: each share is rounded down, and the
 * units left over go to the largest remainders, among equal ones to the first. (Hamilton's method.)
 */
export function shareOut(total: number, weights: Float64Array): Float64Array {
  const shares = new Float64Array(weights.length)
  let whole = 0n
  for (const weight of weights) whole += BigInt(weight)
  if (whole === 0n) return shares
  const wanted = BigInt(total)
  const remainders: bigint[] = []
  let left = total
  for (const [i, weight] of weights.entries()) {
    const product = wanted * BigInt(weight)
    shares[i] = Number(product / whole)
    remainders.push(product % whole)
    left -= shares[i]!
  }
  const byRemainder = remainders.map((_, i) => i)
  byRemainder.sort((a, b) => (remainders[b]! > remainders[a]! ? 1 : remainders[b]! < remainders[a]! ? -1 : a - b))
  for (let i = 0; i < left; i++) shares[byRemainder[i]!]!++
  return shares
}

/** Who trades with whom: both sides walked in the order of service. `price` sees the two limits. */
export function pair(
  bids: Ranked,
  offers: Ranked,
  fills: Fills,
  price: (bid: number, offer: number) => number,
): Trades {
  const most = bids.order.length + offers.order.length
  const columns = {
    bid: new Uint32Array(most),
    offer: new Uint32Array(most),
    quantity: new Float64Array(most),
    price: new Float64Array(most),
  }
  let count = 0
  for (let bid = 0, offer = 0, bidLeft = fills.bids[0] ?? 0, offerLeft = fills.offers[0] ?? 0; ; ) {
    while (bidLeft === 0 && bid < fills.bids.length) bidLeft = fills.bids[++bid] ?? 0
    while (offerLeft === 0 && offer < fills.offers.length) offerLeft = fills.offers[++offer] ?? 0
    if (bidLeft === 0 || offerLeft === 0) break
    const traded = Math.min(bidLeft, offerLeft)
    columns.bid[count] = bids.order[bid]!
    columns.offer[count] = offers.order[offer]!
    columns.quantity[count] = traded
    columns.price[count] = price(bids.price[bid]!, offers.price[offer]!)
    count++
    bidLeft -= traded
    offerLeft -= traded
  }
  return {
    bid: columns.bid.subarray(0, count),
    offer: columns.offer.subarray(0, count),
    quantity: columns.quantity.subarray(0, count),
    price: columns.price.subarray(0, count),
  }
}
