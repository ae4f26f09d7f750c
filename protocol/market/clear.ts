/**
 * The published rules by which everybody clears the same book for himself. A clearing depends on the orders, the rule and the
 * slot's beacon alone, not on the order in which orders came; `clearingHash` is equal where two boards found the same.
 */
import { concat } from '../bytes.ts'
import { encode } from '../cbor.ts'
import { sha256 } from '../crypto/hash.ts'
import { microsPerKwh, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Trades } from './matching.ts'
import { type PayAsBid, payAsBid } from './pay-as-bid.ts'
import { type PayAsClear, payAsClear } from './pay-as-clear.ts'
import { type BookOrder, type BookOrderFault, rank } from './ranking.ts'

export type Rule = PayAsBid | PayAsClear

export interface Clearing {
  readonly rule: Rule
  readonly trades: Trades
  /** Of pay as clear, where anything is traded. */
  readonly uniform?: UniformPrice
}

/** What the functions below read of a clearing, by whichever rule. */
type Traded = Pick<Clearing, 'trades'>

export interface UniformPrice {
  /** What buyers pay. */
  readonly price: Price
  /** Between these, both included, any price would have cleared the book. */
  readonly lower: Price
  readonly upper: Price
  /** What sellers receive less than buyers pay: it goes to the market's own account. 0 but for McAfee's option. */
  readonly spread: Price
}

export type ClearFault = BookOrderFault | RuleFault
type RuleFault = { readonly code: 'clearing.rule'; readonly k: number }

const NO_TRADES: Trades = {
  bid: new Uint32Array(0),
  offer: new Uint32Array(0),
  quantity: new Float64Array(0),
  price: new Float64Array(0),
}

/** `beacon` is drawn after the book has closed. */
export function clear(orders: readonly BookOrder[], rule: Rule, beacon: Uint8Array): Result<Clearing, ClearFault> {
  const fault = ruleFault(rule)
  if (fault !== undefined) return fail(fault)
  const ranked = rank(orders, beacon, 'matched')
  if (!ranked.ok) return ranked
  const { bids, offers } = ranked.value
  if (rule.rule === 'pay-as-bid') return ok({ rule, trades: payAsBid(bids, offers, rule) ?? NO_TRADES })
  const uniform = payAsClear(bids, offers, rule)
  if (uniform === undefined) return ok({ rule, trades: NO_TRADES })
  return ok({ rule, trades: uniform.trades, uniform: uniformPriceOf(uniform) })
}

/** Why a rule is none: its k is not a whole permille. */
export function ruleFault(rule: Rule): RuleFault | undefined {
  if (!('k' in rule) || (Number.isInteger(rule.k) && rule.k >= 0 && rule.k <= 1000)) return undefined
  return { code: 'clearing.rule', k: rule.k }
}

type Numbers = { readonly [K in keyof UniformPrice]: number }
const uniformPriceOf = ({ price, lower, upper, spread }: Numbers): UniformPrice => ({
  price: asPrice(price),
  lower: asPrice(lower),
  upper: asPrice(upper),
  spread: asPrice(spread),
})
const asPrice = (price: number): Price => microsPerKwh(BigInt(price))

/** One trade of a clearing with the orders themselves. */
export interface Trade<T extends BookOrder> {
  readonly bid: T
  readonly offer: T
  readonly quantity: WattHours
  readonly price: Price
}

/** A clearing's trades; `orders` is the book that was cleared. */
export const tradesOf = <T extends BookOrder>(orders: readonly T[], { trades }: Traded): readonly Trade<T>[] =>
  Array.from(trades.quantity, (quantity, i) => ({
    bid: orders[trades.bid[i]!]!,
    offer: orders[trades.offer[i]!]!,
    quantity: wattHours(BigInt(quantity)),
    price: asPrice(trades.price[i]!),
  }))

/** What is traded in all. */
export const tradedQuantity = ({ trades }: Traded): WattHours =>
  wattHours(BigInt(trades.quantity.reduce((total, quantity) => total + quantity, 0)))

/** Sum of (bid - offer) * quantity over all trades, in thousandths of a micro-unit: exact, hence larger than a price's unit. */
export function welfareOf(orders: readonly BookOrder[], { trades }: Clearing): bigint {
  const total = createSum()
  for (let i = 0; i < trades.quantity.length; i++) {
    const gain = Number(orders[trades.bid[i]!]!.limit) - Number(orders[trades.offer[i]!]!.limit)
    total.add(gain, trades.quantity[i]!)
  }
  return total.value()
}

/** Exact sums of products of safe integers: in doubles as long as they are exact. */
export function createSum() {
  let [carried, small] = [0n, 0]
  return {
    add(a: number, b: number): void {
      const product = a * b
      if (Math.abs(product) > Number.MAX_SAFE_INTEGER) {
        carried += BigInt(a) * BigInt(b)
        return
      }
      const sum = small + product
      if (Math.abs(sum) <= Number.MAX_SAFE_INTEGER) small = sum
      else {
        carried += BigInt(small)
        small = product
      }
    },
    value: (): bigint => carried + BigInt(small),
  }
}

const ID_BYTES = 16
/** Ids of bid and offer, then Wh and micro-units per kWh in 8 bytes each. */
export const PACKED_TRADE_BYTES = 2 * ID_BYTES + 16

/** Trades in the order of service, as bytes that name the orders by their ids. */
export function packTrades(orders: readonly BookOrder[], trades: Trades): Uint8Array {
  const bytes = new Uint8Array(trades.quantity.length * PACKED_TRADE_BYTES)
  const view = new DataView(bytes.buffer)
  for (let i = 0, at = 0; i < trades.quantity.length; i++, at += PACKED_TRADE_BYTES) {
    bytes.set(orders[trades.bid[i]!]!.id, at)
    bytes.set(orders[trades.offer[i]!]!.id, at + ID_BYTES)
    writeWhole(view, at + 2 * ID_BYTES, trades.quantity[i]!)
    writeWhole(view, at + 2 * ID_BYTES + 8, trades.price[i]!)
  }
  return bytes
}

function writeWhole(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000))
  view.setUint32(at + 4, value >>> 0)
}

/** SHA-256 of the rule, the uniform price and the packed trades: equal where two boards found the same. */
export function clearingHash(orders: readonly BookOrder[], { rule, trades, uniform }: Clearing): Uint8Array {
  const k = 'k' in rule ? rule.k : null
  const option = rule.rule === 'pay-as-clear' ? rule.option : null
  const head = encode([rule.rule, option, k, rule.ties, uniform === undefined ? null : [uniform.price, uniform.spread]])
  return sha256(concat(head, packTrades(orders, trades)))
}
