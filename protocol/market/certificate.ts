/**
 * Certificate of optimality: a clearing with the dual price of its linear program
 *
 *     maximise sum b x - sum s y   where sum x = sum y, 0 <= x, y <= quantity
 *     minimise sum quantity * max(0, b - p) + sum quantity * max(0, p - s)   over the price p
 *
 * Whatever trades and whatever price are put in, the first is never more than the second (weak duality); where they are
 * equal, both are optimal. So whoever has the book checks a clearing by adding up, in whole numbers, without clearing it
 * himself, and then that prices and the order of service are those of the published rule. McAfee's option leaves gains
 * untaken on purpose and has no such certificate.
 *
 * That takes time in proportion to the book, and several times as long as clearing it: it is no short cut. It is for whom the
 * answer must not hang on the code that cleared: a fault in matching is not in here too, and what is false is named.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { microsPerKwh, type Price } from '../quantity.ts'
import { bytes, decodeAs, encodeAs, integer, type RecordFault, record } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import { type Clearing, createSum, PACKED_TRADE_BYTES, packTrades, type Rule, ruleFault } from './clear.ts'
import { type Fills, pair, type Ranked, shareOut, type Trades } from './matching.ts'
import { splitPrice } from './pay-as-bid.ts'
import { priceWithin } from './pay-as-clear.ts'
import { type BookOrder, createDraw, type Draw } from './ranking.ts'

export interface Certificate {
  /** p, at which the dual equals the gain of the trades. */
  readonly dual: Price
  /** In the order of service, packed as clear.ts packs them. */
  readonly trades: Uint8Array
}

/** What is checked of a clearing, each named as in its fault. */
export type CertificateCheck = 'overfilled' | 'not-optimal' | 'unfinished' | 'service' | 'price'

export type CertificateFault =
  | { readonly code: 'certificate.rule'; readonly reason: string }
  | { readonly code: 'certificate.bytes'; readonly bytes: number; readonly each: number }
  | { readonly code: 'certificate.order'; readonly trade: number; readonly order: string }
  | { readonly code: 'certificate.side'; readonly trade: number; readonly order: string }
  | { readonly code: 'certificate.quantity'; readonly trade: number }
  /** More is traded of an order than it is for. */
  | {
      readonly code: 'certificate.overfilled'
      readonly order: string
      readonly traded: number
      readonly quantity: number
    }
  /** What the trades gain and what the dual price says could be gained, in thousandths of a micro-unit. */
  | { readonly code: 'certificate.not-optimal'; readonly gained: bigint; readonly dual: bigint }
  /** A bid and an offer that meet are both left over. */
  | { readonly code: 'certificate.unfinished'; readonly bid: number; readonly offer: number }
  /** An order is served before one that comes first, or gets what is another's. */
  | { readonly code: 'certificate.service'; readonly trade: number }
  | {
      readonly code: 'certificate.price'
      readonly trade: number
      readonly expected: number
      readonly published: number
    }

const codec = record({
  dual: [1, integer(0, 0xffff_ffff)],
  trades: [2, bytes(0, Number.MAX_SAFE_INTEGER)],
})

export const encodeCertificate = ({ dual, trades }: Certificate): Uint8Array =>
  encodeAs(codec, { dual: Number(dual), trades })

/** `limit` bounds the bytes that are read. */
export function decodeCertificate(input: Uint8Array, limit: number): Result<Certificate, RecordFault> {
  const read = decodeAs(codec, input, 'certificate', limit)
  return read.ok ? ok({ dual: microsPerKwh(BigInt(read.value.dual)), trades: read.value.trades }) : read
}

/** A book in columns, by place, with what is traded of each order. */
interface Columns {
  readonly isBid: Uint8Array
  readonly quantity: Float64Array
  readonly price: Float64Array
  readonly filled: Float64Array
}

/** What a clearing is published with. */
export function certify(orders: readonly BookOrder[], { trades }: Clearing): Certificate {
  const columns = columnsOf(orders)
  fillBy(columns, trades)
  return { dual: microsPerKwh(BigInt(marginOf(columns).lower)), trades: packTrades(orders, trades) }
}

/**
 * The clearing that a certificate publishes of this book, or what is false about it. The book has been through `clear` or
 * has been admitted order by order; `without` leaves checks out, to see what they are for.
 */
export function verifyCertificate(
  orders: readonly BookOrder[],
  rule: Rule,
  beacon: Uint8Array,
  { dual, trades: packed }: Certificate,
  without: readonly CertificateCheck[] = [],
): Result<Trades, CertificateFault> {
  if (rule.rule === 'pay-as-clear' && rule.option === 'mcafee') {
    return fail({ code: 'certificate.rule', reason: 'McAfee’s option is not optimal' })
  }
  if (ruleFault(rule) !== undefined) return fail({ code: 'certificate.rule', reason: 'k is no permille' })
  const columns = columnsOf(orders)
  const read = unpackTrades(orders, columns, packed)
  if (!read.ok) return read
  const trades = read.value
  fillBy(columns, trades)
  const margin = marginOf(columns)
  const draw = createDraw(
    orders,
    Uint32Array.from(orders, order => order.sequence),
    beacon,
  )
  const checks: Readonly<Record<CertificateCheck, () => CertificateFault | undefined>> = {
    overfilled: () => overfilled(orders, columns),
    'not-optimal': () => notOptimal(columns, trades, Number(dual)),
    unfinished: () => unfinished(margin),
    service: () => outOfService(columns, trades, rule, margin, draw),
    price: () => mispriced(columns, trades, rule, margin),
  }
  for (const [name, check] of Object.entries(checks)) {
    const fault = without.includes(name as CertificateCheck) ? undefined : check()
    if (fault !== undefined) return fail(fault)
  }
  return ok(trades)
}

function columnsOf(orders: readonly BookOrder[]): Columns {
  const count = orders.length
  const columns = {
    isBid: new Uint8Array(count),
    quantity: new Float64Array(count),
    price: new Float64Array(count),
    filled: new Float64Array(count),
  }
  for (let i = 0; i < count; i++) {
    const order = orders[i]!
    columns.isBid[i] = order.side === 'bid' ? 1 : 0
    columns.quantity[i] = Number(order.quantity)
    columns.price[i] = Number(order.limit)
  }
  return columns
}

function fillBy({ filled }: Columns, { bid, offer, quantity }: Trades): void {
  for (let i = 0; i < quantity.length; i++) {
    filled[bid[i]!]! += quantity[i]!
    filled[offer[i]!]! += quantity[i]!
  }
}

function unpackTrades(
  orders: readonly BookOrder[],
  { isBid }: Columns,
  packed: Uint8Array,
): Result<Trades, CertificateFault> {
  const count = packed.length / PACKED_TRADE_BYTES
  if (!Number.isInteger(count)) {
    return fail({ code: 'certificate.bytes', bytes: packed.length, each: PACKED_TRADE_BYTES })
  }
  const places = placesById(orders)
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
  const whole = (at: number): number => view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
  const trades = {
    bid: new Uint32Array(count),
    offer: new Uint32Array(count),
    quantity: new Float64Array(count),
    price: new Float64Array(count),
  }
  for (let i = 0, at = 0; i < count; i++, at += PACKED_TRADE_BYTES) {
    for (const [side, start] of [
      ['bid', at],
      ['offer', at + 16],
    ] as const) {
      const id = packed.subarray(start, start + 16)
      const place = places(id)
      if (place === undefined) return fail({ code: 'certificate.order', trade: i, order: toHex(id) })
      if ((isBid[place] === 1) !== (side === 'bid')) {
        return fail({ code: 'certificate.side', trade: i, order: toHex(id) })
      }
      trades[side][i] = place
    }
    trades.quantity[i] = whole(at + 32)
    trades.price[i] = whole(at + 40)
    // Larger numbers would not add up exactly.
    if (trades.quantity[i] === 0 || trades.quantity[i]! > 2 ** 40) {
      return fail({ code: 'certificate.quantity', trade: i })
    }
  }
  return ok(trades)
}

/** Places by the first 48 bits of an id, those that share them in a chain. */
function placesById(orders: readonly BookOrder[]): (id: Uint8Array) => number | undefined {
  const first = new Map<number, number>()
  const next = new Int32Array(orders.length).fill(-1)
  const key = (id: Uint8Array): number =>
    (id[0]! * 0x100 + id[1]!) * 0x1_0000_0000 + ((id[2]! << 24) | (id[3]! << 16) | (id[4]! << 8) | id[5]!)
  for (let i = 0; i < orders.length; i++) {
    const own = key(orders[i]!.id)
    next[i] = first.get(own) ?? -1
    first.set(own, i)
  }
  return id => {
    for (let place = first.get(key(id)) ?? -1; place >= 0; place = next[place]!) {
      if (equalBytes(orders[place]!.id, id)) return place
    }
    return undefined
  }
}

/** Where filled and unfilled meet, of these trades, whether or not they are optimal. */
interface Margin {
  readonly lastBid: number
  readonly lastOffer: number
  readonly bestBidLeft: number
  readonly bestOfferLeft: number
  readonly lower: number
  readonly upper: number
}

function marginOf({ isBid, quantity, price, filled }: Columns): Margin {
  let [lastBid, lastOffer] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let [bestBidLeft, bestOfferLeft] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let i = 0; i < price.length; i++) {
    const own = price[i]!
    if (isBid[i] === 1) {
      if (filled[i]! > 0 && own < lastBid) lastBid = own
      if (filled[i]! < quantity[i]! && own > bestBidLeft) bestBidLeft = own
    } else {
      if (filled[i]! > 0 && own > lastOffer) lastOffer = own
      if (filled[i]! < quantity[i]! && own < bestOfferLeft) bestOfferLeft = own
    }
  }
  return {
    lastBid,
    lastOffer,
    bestBidLeft,
    bestOfferLeft,
    // Prices are 0 or more: 0 is below every offer where no bid is left over.
    lower: Math.max(lastOffer, bestBidLeft, 0),
    upper: Math.min(lastBid, bestOfferLeft),
  }
}

function overfilled(orders: readonly BookOrder[], { quantity, filled }: Columns): CertificateFault | undefined {
  for (let i = 0; i < quantity.length; i++) {
    if (filled[i]! > quantity[i]!) {
      const order = toHex(orders[i]!.id)
      return { code: 'certificate.overfilled', order, traded: filled[i]!, quantity: quantity[i]! }
    }
  }
  return undefined
}

function notOptimal(columns: Columns, trades: Trades, dual: number): CertificateFault | undefined {
  const { isBid, quantity, price } = columns
  const gained = createSum()
  for (let i = 0; i < trades.quantity.length; i++) {
    gained.add(price[trades.bid[i]!]! - price[trades.offer[i]!]!, trades.quantity[i]!)
  }
  const most = createSum()
  for (let i = 0; i < price.length; i++) {
    const gain = isBid[i] === 1 ? price[i]! - dual : dual - price[i]!
    if (gain > 0) most.add(gain, quantity[i]!)
  }
  return gained.value() === most.value()
    ? undefined
    : { code: 'certificate.not-optimal', gained: gained.value(), dual: most.value() }
}

const unfinished = ({ bestBidLeft, bestOfferLeft }: Margin): CertificateFault | undefined =>
  bestBidLeft >= bestOfferLeft ? { code: 'certificate.unfinished', bid: bestBidLeft, offer: bestOfferLeft } : undefined

/** Whether these are the trades that serving both sides in their order makes. */
function outOfService(
  columns: Columns,
  trades: Trades,
  rule: Rule,
  margin: Margin,
  draw: Draw,
): CertificateFault | undefined {
  const bids = servedSide(columns, trades.bid)
  const offers = servedSide(columns, trades.offer)
  const fills: Fills = { bids: bids.filled, offers: offers.filled }
  const inOrder =
    isServedInOrder(columns, bids, -1, margin.lastBid, rule, draw) &&
    isServedInOrder(columns, offers, 1, margin.lastOffer, rule, draw)
  if (!inOrder) return { code: 'certificate.service', trade: 0 }
  const expected = pair(bids, offers, fills, () => 0)
  const most = Math.max(expected.quantity.length, trades.quantity.length)
  for (let i = 0; i < most; i++) {
    if (
      expected.bid[i] !== trades.bid[i] ||
      expected.offer[i] !== trades.offer[i] ||
      expected.quantity[i] !== trades.quantity[i]
    ) {
      return { code: 'certificate.service', trade: i }
    }
  }
  return undefined
}

/** The orders of one side that trade, in the order in which the trades first name them. */
function servedSide(
  { quantity, price, filled }: Columns,
  places: Uint32Array,
): Ranked & { readonly filled: Float64Array } {
  const order = Uint32Array.from(new Set(places))
  const column = (of: Float64Array) => Float64Array.from(order, place => of[place]!)
  return { order, quantity: column(quantity), price: column(price), filled: column(filled) }
}

/** `sign` is 1 where lower prices are served first. `last` is the last served price. */
function isServedInOrder(
  { isBid, quantity, price, filled }: Columns,
  { order }: Ranked,
  sign: 1 | -1,
  last: number,
  rule: Rule,
  draw: Draw,
): boolean {
  const compare = (a: number, b: number): number => sign * (price[a]! - price[b]!) || draw.compare(a, b)
  for (let i = 1; i < order.length; i++) if (compare(order[i - 1]!, order[i]!) >= 0) return false
  const atLast: number[] = []
  const bid = sign === -1 ? 1 : 0
  for (let place = 0; place < price.length; place++) {
    if (isBid[place] !== bid || order.length === 0) continue
    if (price[place] === last) atLast.push(place)
    else if (sign * (price[place]! - last) < 0 && filled[place] !== quantity[place]) return false
  }
  atLast.sort(draw.compare)
  const weights = Float64Array.from(atLast, place => quantity[place]!)
  const traded = atLast.reduce((sum, place) => sum + filled[place]!, 0)
  const shares = rule.ties === 'pro-rata' ? shareOut(traded, weights) : firstCome(traded, weights)
  return atLast.every((place, i) => filled[place] === shares[i])
}

function firstCome(total: number, weights: Float64Array): Float64Array {
  let left = total
  return weights.map(weight => {
    const share = Math.min(weight, left)
    left -= share
    return share
  })
}

function mispriced({ price }: Columns, trades: Trades, rule: Rule, margin: Margin): CertificateFault | undefined {
  const uniform = rule.rule === 'pay-as-clear' && rule.option !== 'mcafee' ? priceWithin(margin, rule) : undefined
  for (let i = 0; i < trades.quantity.length; i++) {
    const expected = uniform ?? splitPrice(price[trades.bid[i]!]!, price[trades.offer[i]!]!, 'k' in rule ? rule.k : 0)
    if (trades.price[i] !== expected) {
      return { code: 'certificate.price', trade: i, expected, published: trades.price[i]! }
    }
  }
  return undefined
}
