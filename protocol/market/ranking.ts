/**
 * The two sides of a book in the order in which they are served: bids from the highest price down, offers from the lowest up,
 * then by sequence, then by SHA-256(id || slot beacon), which nobody knew when the orders were made.
 *
 * Prices are sorted by radix in typed arrays, so that ten times the orders take about ten times as long. The draw is made
 * only among orders that need it.
 */
import { compareBytes, concat, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Price, WattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import { cross, type Ranked } from './matching.ts'
import type { Side } from './order.ts'

/** What a clearing reads of an order. */
export interface BookOrder {
  /** 16 bytes that no other order of the book has. */
  readonly id: Uint8Array
  readonly side: Side
  readonly quantity: WattHours
  readonly limit: Price
  readonly sequence: number
}

/** 1 TWh, more than any group or generator orders in a slot; 8,000 such still add up exactly. */
const MAX_QUANTITY = 1_000_000_000_000
/** Prices and sequences are sorted as keys of 32 bits. */
const MAX_KEY = 0xffff_ffff

export type BookOrderFault =
  | { readonly code: 'clearing.quantity'; readonly order: string; readonly quantity: bigint }
  | { readonly code: 'clearing.price'; readonly order: string; readonly limit: bigint }
  | { readonly code: 'clearing.sequence'; readonly order: string; readonly sequence: number }
  /** Met among orders that are ranked. */
  | { readonly code: 'clearing.twice'; readonly order: string }
  | { readonly code: 'clearing.overflow'; readonly orders: number }

/**
 * Both sides ranked, or why no number that follows from this book could be trusted. Where only the matched orders are wanted,
 * those of worse prices than the last matched one are ranked by price alone.
 */
export function rank(
  orders: readonly BookOrder[],
  beacon: Uint8Array,
  which: 'matched' | 'all' = 'all',
): Result<{ readonly bids: Ranked; readonly offers: Ranked }, BookOrderFault> {
  const quantities = new Float64Array(orders.length)
  const prices = new Uint32Array(orders.length)
  const sequences = new Uint32Array(orders.length)
  const bids = new Uint32Array(orders.length)
  const offers = new Uint32Array(orders.length)
  let [bidCount, offerCount, total] = [0, 0, 0]
  for (let i = 0; i < orders.length; i++) {
    const order = orders[i]!
    const quantity = Number(order.quantity)
    const price = Number(order.limit)
    if (!(quantity >= 1 && quantity <= MAX_QUANTITY)) {
      return fail({ code: 'clearing.quantity', order: toHex(order.id), quantity: order.quantity })
    }
    if (!(price >= 0 && price <= MAX_KEY)) {
      return fail({ code: 'clearing.price', order: toHex(order.id), limit: order.limit })
    }
    const { sequence } = order
    if (!(sequence >= 0 && sequence <= MAX_KEY && Number.isInteger(sequence))) {
      return fail({ code: 'clearing.sequence', order: toHex(order.id), sequence })
    }
    total += quantity
    quantities[i] = quantity
    prices[i] = price
    sequences[i] = sequence
    if (order.side === 'bid') bids[bidCount++] = i
    else offers[offerCount++] = i
  }
  if (total > Number.MAX_SAFE_INTEGER) return fail({ code: 'clearing.overflow', orders: orders.length })
  const draw = createDraw(orders, sequences, beacon)
  const keys = prices.slice()
  const byPrice = (places: Uint32Array, downwards: boolean): Ranked => {
    const order = places.slice()
    if (downwards) for (const place of order) keys[place] = ~prices[place]!
    sortByKey(order, keys)
    const ranked = { order, price: new Float64Array(order.length), quantity: new Float64Array(order.length) }
    gather(ranked, order.length)
    return ranked
  }
  const gather = ({ order, price, quantity }: Ranked, count: number): void => {
    for (let i = 0; i < count; i++) {
      const place = order[i]!
      price[i] = prices[place]!
      quantity[i] = quantities[place]!
    }
  }
  const ranked = {
    bids: byPrice(bids.subarray(0, bidCount), true),
    offers: byPrice(offers.subarray(0, offerCount), false),
  }
  // Which prices meet does not depend on the order among equals.
  const crossing = which === 'all' ? undefined : cross(ranked.bids, ranked.offers)
  for (const [side, last] of [
    [ranked.bids, crossing?.bid],
    [ranked.offers, crossing?.offer],
  ] as const) {
    const end = which === 'all' ? side.order.length : last === undefined ? 0 : endOfRun(side.price, last)
    settleTies(side, end, draw)
    gather(side, end)
  }
  const twice = draw.twice()
  return twice === undefined ? ok(ranked) : fail({ code: 'clearing.twice', order: toHex(orders[twice]!.id) })
}

/** The first rank after `rank` that has another price. */
function endOfRun(prices: Float64Array, rank: number): number {
  let end = rank + 1
  while (end < prices.length && prices[end] === prices[rank]) end++
  return end
}

export interface Draw {
  /** Which of two orders of one price is served first: negative where the first is. */
  compare(a: number, b: number): number
  /** Brings many orders of one price so close to that order that they are sorted by insertion. */
  presort(places: Uint32Array): void
  /** An order that was met twice, if any was. */
  twice(): number | undefined
}

/** The draw among orders of one price and sequence: SHA-256(id || beacon), taken only for those that need it. */
export function createDraw(orders: readonly BookOrder[], sequences: Uint32Array, beacon: Uint8Array): Draw {
  /** The first 32 bits of each hash, which nearly always decide. */
  const draws = new Uint32Array(orders.length)
  const drawn = new Uint8Array(orders.length)
  let twice: number | undefined
  let input: Uint8Array = new Uint8Array(0)
  const hashOf = (place: number): Uint8Array => {
    const { id } = orders[place]!
    if (input.length !== id.length + beacon.length) input = concat(id, beacon)
    input.set(id)
    return sha256(input)
  }
  const drawOf = (place: number): number => {
    if (drawn[place] === 0) {
      const hash = hashOf(place)
      draws[place] = (hash[0]! << 24) | (hash[1]! << 16) | (hash[2]! << 8) | hash[3]!
      drawn[place] = 1
    }
    return draws[place]!
  }
  return {
    compare(a, b) {
      const bySequence = sequences[a]! - sequences[b]!
      if (bySequence !== 0) return bySequence
      const byDraw = drawOf(a) - drawOf(b)
      if (byDraw !== 0) return byDraw
      const byHash = compareBytes(hashOf(a), hashOf(b))
      if (byHash === 0 && a !== b) twice = a
      return byHash
    },
    presort(places) {
      for (const place of places) drawOf(place)
      sortByKey(places, draws)
      sortByKey(places, sequences)
    },
    twice: () => twice,
  }
}

const BITS = 11
const BUCKETS = 1 << BITS

/** Puts `items` in the order of their `keys` (by item), stably: three passes of 11 bits, less those that change nothing. */
function sortByKey(items: Uint32Array, keys: Uint32Array): void {
  const count = items.length
  let [from, to]: [Uint32Array, Uint32Array] = [items, new Uint32Array(count)]
  const counts = new Uint32Array(3 * BUCKETS)
  for (let i = 0; i < count; i++) {
    const key = keys[items[i]!]!
    counts[key & (BUCKETS - 1)]!++
    counts[BUCKETS + ((key >>> BITS) & (BUCKETS - 1))]!++
    counts[2 * BUCKETS + (key >>> (2 * BITS))]!++
  }
  for (let pass = 0; pass < 3 && count > 0; pass++) {
    const shift = pass * BITS
    const base = pass * BUCKETS
    if (counts[base + ((keys[items[0]!]! >>> shift) & (BUCKETS - 1))] === count) continue
    for (let bucket = 0, start = 0; bucket < BUCKETS; bucket++) {
      const size = counts[base + bucket]!
      counts[base + bucket] = start
      start += size
    }
    for (let i = 0; i < count; i++) {
      const item = from[i]!
      to[counts[base + ((keys[item]! >>> shift) & (BUCKETS - 1))]!++] = item
    }
    ;[from, to] = [to, from]
  }
  if (from !== items) items.set(from)
}

/** Below this a run is sorted sooner by insertion than by clearing the counts of a radix sort. */
const SHORT_RUN = 40

/** Sorts each run of one price by sequence and draw, among the first `count`. */
function settleTies({ order, price }: Ranked, count: number, draw: Draw): void {
  for (let start = 0; start < count; ) {
    let end = start + 1
    while (end < count && price[end] === price[start]) end++
    if (end - start > 1) {
      const run = order.subarray(start, end)
      if (run.length > SHORT_RUN) draw.presort(run)
      sortByInsertion(run, draw.compare)
    }
    start = end
  }
}

function sortByInsertion(items: Uint32Array, compare: (a: number, b: number) => number): void {
  for (let i = 1; i < items.length; i++) {
    const item = items[i]!
    let at = i
    for (; at > 0 && compare(items[at - 1]!, item) > 0; at--) items[at] = items[at - 1]!
    items[at] = item
  }
}
