/** Traders of zero intelligence, and how ours do among them. */
import { type Clearing, clear, type Rule, tradesOf } from '../../../protocol/market/clear.ts'
import type { BookOrder } from '../../../protocol/market/ranking.ts'
import { microsPerKwh, type Price, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { quote, type SeenSlot } from '../../../protocol/trade/strategy.ts'

const price = (n: number): Price => microsPerKwh(BigInt(n))

/** mulberry32 */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Trader {
  readonly side: 'bid' | 'offer'
  readonly ours: boolean
  earned: number
}
type Placed = BookOrder & { readonly trader: Trader; readonly value: number }

/** The worst price at which each side was filled, as the book that all have shows it. */
function marginalsOf(
  orders: readonly Placed[],
  clearing: Clearing,
): { readonly bid: SeenSlot; readonly offer: SeenSlot } {
  const trades = tradesOf(orders, clearing)
  if (trades.length === 0) return { bid: {}, offer: {} }
  const worst = (limits: readonly Price[], than: (a: Price, b: Price) => boolean) =>
    limits.reduce((one, other) => (than(other, one) ? other : one))
  return {
    bid: {
      marginal: worst(
        trades.map(({ bid }) => bid.limit),
        (a, b) => a < b,
      ),
    },
    offer: {
      marginal: worst(
        trades.map(({ offer }) => offer.limit),
        (a, b) => a > b,
      ),
    },
  }
}

const EACH_SIDE = 10
const SLOTS = 1500

/**
 * Half of each side are ours, half quote any price within their limit (ZI-C: Gode and Sunder, "Allocative efficiency of
 * markets with zero-intelligence traders", 1993). In each slot every pair of one of ours and one of theirs has the same
 * value and quantity, so that only what they say is different.
 */
export function compete(
  rule: Rule,
  seed: number,
): { readonly earned: (ours: boolean, side: 'bid' | 'offer') => number; readonly beyond: number } {
  const chance = random(seed)
  const traders = (['bid', 'offer'] as const).flatMap(side =>
    Array.from({ length: EACH_SIDE }, (_, i): Trader => ({ side, ours: i % 2 === 0, earned: 0 })),
  )
  const seen: { bid: SeenSlot; offer: SeenSlot }[] = []
  let beyond = 0
  for (let slot = 0; slot < SLOTS; slot++) {
    let [value, quantity] = [0, 0n]
    const orders = traders.map((trader, i): Placed => {
      if (trader.ours)
        [value, quantity] = [50_000 + Math.floor(250_000 * chance()), BigInt(1 + Math.floor(999 * chance()))]
      const { side, ours } = trader
      const guess =
        side === 'bid'
          ? Math.floor(50_000 + (value - 50_000) * chance())
          : Math.ceil(value + (300_000 - value) * chance())
      const latest = seen.slice(-50).map(one => one[side])
      const limit = ours ? quote(side, price(value), rule.rule, latest) : price(guess)
      if (side === 'bid' ? limit > value : limit < value) beyond++
      const id = Uint8Array.from({ length: 16 }, (_, n) => (n === 0 ? i : (slot >> (8 * n)) & 0xff))
      return { id, side, quantity: wattHours(quantity), limit, sequence: 0, trader, value }
    })
    const clearing = must(clear(orders, rule, new Uint8Array(32)))
    for (const { bid, offer, quantity: traded, price: paid } of tradesOf(orders, clearing)) {
      bid.trader.earned += (bid.value - Number(paid)) * Number(traded)
      offer.trader.earned += (Number(paid) - offer.value) * Number(traded)
    }
    seen.push(marginalsOf(orders, clearing))
  }
  const earned = (ours: boolean, side: 'bid' | 'offer') =>
    traders.filter(one => one.ours === ours && one.side === side).reduce((sum, one) => sum + one.earned, 0)
  return { earned, beyond }
}
