/** Order books for tests, the linear program of a book, and what its clearing must be by brute force. */
import { createHash } from 'node:crypto'
import { type Clearing, type Rule, welfareOf } from '../../../protocol/market/clear.ts'
import type { LinearProgram } from '../../../protocol/market/optimiser.ts'
import type { BookOrder } from '../../../protocol/market/ranking.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { fc } from '../../property.ts'

export const BEACON = new Uint8Array(32).fill(0xbe)

const idOf = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(name).digest()).subarray(0, 16)

export const bookOrder = (
  side: 'bid' | 'offer',
  quantity: number | bigint,
  limit: number | bigint,
  name: string,
  sequence = 0,
): BookOrder => ({
  id: idOf(name),
  side,
  quantity: wattHours(BigInt(quantity)),
  limit: microsPerKwh(BigInt(limit)),
  sequence,
})

/** Small numbers, so that prices tie, quantities fit exactly and a book can be taken apart watt-hour by watt-hour. */
export function anyBook(most = 24, highest = 30): fc.Arbitrary<readonly BookOrder[]> {
  const order = fc.record({
    side: fc.constantFrom('bid' as const, 'offer' as const),
    quantity: fc.integer({ min: 1, max: 12 }),
    limit: fc.integer({ min: 0, max: highest }),
    sequence: fc.integer({ min: 0, max: 2 }),
  })
  return fc
    .array(order, { maxLength: most })
    .map(orders =>
      orders.map(({ side, quantity, limit, sequence }, i) => bookOrder(side, quantity, limit, `order ${i}`, sequence)),
    )
}

const anyTies = fc.constantFrom('first-come' as const, 'pro-rata' as const)
const permille = fc.integer({ min: 0, max: 1000 })
export const anyUniformRule: fc.Arbitrary<Rule> = fc.oneof(
  fc.record({
    rule: fc.constant('pay-as-clear' as const),
    option: fc.constant('between' as const),
    k: permille,
    ties: anyTies,
  }),
  fc.record({
    rule: fc.constant('pay-as-clear' as const),
    option: fc.constantFrom('midpoint' as const, 'last-bid' as const, 'last-offer' as const),
    ties: anyTies,
  }),
)
const anyPayAsBid: fc.Arbitrary<Rule> = fc.record({
  rule: fc.constant('pay-as-bid' as const),
  k: permille,
  ties: anyTies,
})
export const anyRule: fc.Arbitrary<Rule> = fc.oneof(anyUniformRule, anyPayAsBid)

/** The most that a book can gain: sum of price times what is bought less sum of price times what is sold. */
export const welfareProgram = (orders: readonly BookOrder[]): LinearProgram => ({
  sense: 'maximise',
  variables: orders.map(({ side, quantity, limit }) => ({
    cost: side === 'bid' ? Number(limit) : -Number(limit),
    lower: 0,
    upper: Number(quantity),
  })),
  constraints: [{ lower: 0, upper: 0, terms: orders.map(({ side }, i) => [i, side === 'bid' ? 1 : -1] as const) }],
})

/** The prices among 0..highest at which what is wanted can equal what is offered, by trying each. */
export function clearingPrices(orders: readonly BookOrder[], highest: number): number[] {
  const total = (side: 'bid' | 'offer', counts: (limit: number) => boolean) =>
    orders
      .filter(order => order.side === side && counts(Number(order.limit)))
      .reduce((sum, { quantity }) => sum + Number(quantity), 0)
  return Array.from({ length: highest + 1 }, (_, price) => price).filter(
    price =>
      total('bid', limit => limit > price) <= total('offer', limit => limit <= price) &&
      total('offer', limit => limit < price) <= total('bid', limit => limit >= price),
  )
}

/** Trades found watt-hour by watt-hour: both sides laid out in the order of service and zipped, equal neighbours joined. */
export function tradesByUnits(orders: readonly BookOrder[], beacon: Uint8Array): [string, string, number][] {
  const drawn = (order: BookOrder) => createHash('sha256').update(order.id).update(beacon).digest('hex')
  const units = (side: 'bid' | 'offer') =>
    orders
      .filter(order => order.side === side)
      .sort(
        (a, b) =>
          (side === 'bid' ? -1 : 1) * (Number(a.limit) - Number(b.limit)) ||
          a.sequence - b.sequence ||
          (drawn(a) < drawn(b) ? -1 : 1),
      )
      .flatMap(order => Array<BookOrder>(Number(order.quantity)).fill(order))
  const [bids, offers] = [units('bid'), units('offer')]
  const trades: [string, string, number][] = []
  for (let i = 0; i < Math.min(bids.length, offers.length) && bids[i]!.limit >= offers[i]!.limit; i++) {
    const [bid, offer] = [nameOf(bids[i]!), nameOf(offers[i]!)]
    const last = trades.at(-1)
    if (last?.[0] === bid && last[1] === offer) last[2]++
    else trades.push([bid, offer, 1])
  }
  return trades
}

const nameOf = ({ id }: BookOrder): string => Buffer.from(id).toString('hex')

export const namedTrades = (orders: readonly BookOrder[], { trades }: Clearing): [string, string, number][] =>
  Array.from(trades.quantity, (quantity, i) => [
    nameOf(orders[trades.bid[i]!]!),
    nameOf(orders[trades.offer[i]!]!),
    quantity,
  ])

export const welfareNumber = (orders: readonly BookOrder[], clearing: Clearing): number =>
  Number(welfareOf(orders, clearing))

export const PAY_AS_BID: Rule = { rule: 'pay-as-bid', k: 1000, ties: 'first-come' }
export const PAY_AS_CLEAR: Rule = { rule: 'pay-as-clear', option: 'between', k: 500, ties: 'first-come' }
