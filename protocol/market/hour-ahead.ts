/**
 * Phase 2 of the storage market, an hour ahead: what the forecast missed is bought, or sold, in a reverse auction at one price.
 *
 * Deviations of one slot are set off against each other first; what is left over is the pool's deficit or surplus.
 *
 *     deficit    offers to give more (or take less), the cheapest first; none dearer than the imbalance price
 *     surplus    bids to take more (or give less), the dearest first; none below the imbalance price for surplus
 *
 * Each offer is taken as far as the network has room for it: upstream limits are nested, so the cheapest first is the cheapest
 * of all there, as far as lines decide. What no offer covers goes to the main grid at the imbalance price, which is the price
 * for all then; else the price is that of the last offer taken, kept between the two imbalance prices. Single pricing
 * (Commission Regulation (EU) 2017/2195, art. 55): who was short pays it for its own watt-hours, who was long is paid it,
 * nobody else is touched.
 *
 * Ties: by SHA-256(id || beacon), a draw that nobody knew when the orders were made. So the order of the orders means nothing.
 */
import { compareBytes, concat, utf8 } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { costCeil, costFloor, type Money, micros, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import type { NetworkCheck } from './network-check.ts'

/** As for every contract: a thousand coins for a kWh, 10 MWh. */
const MAX_PRICE = 1_000_000_000n
const MAX_WH = 10_000_000n

/** What a party will give more (above zero) or less than it had planned for the slot. */
export interface Deviation {
  readonly party: string
  readonly energy: bigint
}

/** To give more where the pool is short, to take more where it is long; as the ledger keeps orders (ledger/rules/plans.ts). */
export interface BalancingOrder {
  /** The meter; one order each. */
  readonly id: string
  /** Absent: at the main grid. */
  readonly node?: string
  readonly side: 'sell' | 'buy'
  readonly energy: WattHours
  readonly limit: Price
}

export interface HourAhead {
  readonly slot: number
  readonly deviations: readonly Deviation[]
  readonly orders: readonly BalancingOrder[]
  /** What the main grid asks for a missing kWh, and gives for one too many. */
  readonly imbalance: { readonly deficit: Price; readonly surplus: Price }
  readonly beacon: Uint8Array
}

export interface Balanced {
  /** Above zero: surplus. */
  readonly net: bigint
  readonly price: Price
  readonly taken: readonly { readonly id: string; readonly energy: WattHours }[]
  /** Left to the main grid: given to it above zero, taken from it below. */
  readonly mainGrid: bigint
}

export interface HourAheadSettlement {
  /** By party and by order: what each is paid, below zero what it pays. */
  readonly parties: ReadonlyMap<string, Money>
  readonly orders: ReadonlyMap<string, Money>
  readonly mainGrid: Money
  /** What rounding leaves: all of it adds up to 0. */
  readonly rounding: Money
}

export type HourAheadFault =
  | { readonly code: 'hour-ahead.deviation'; readonly party: string; readonly energy: bigint }
  | { readonly code: 'hour-ahead.order'; readonly id: string; readonly energy: bigint; readonly limit: bigint }
  | { readonly code: 'hour-ahead.twice'; readonly id: string }
  | { readonly code: 'hour-ahead.imbalance-price'; readonly deficit: bigint; readonly surplus: bigint }

/** Clears one slot. What `network` has booked is what flows without the orders; what is taken of them is booked there. */
export function balance(hour: HourAhead, network: NetworkCheck): Result<Balanced, HourAheadFault> {
  const sound = judge(hour)
  if (!sound.ok) return sound
  const { slot, imbalance, beacon } = hour
  const net = hour.deviations.reduce((sum, { energy }) => sum + energy, 0n)
  const short = net < 0n
  const cap = short ? imbalance.deficit : imbalance.surplus
  const ranked = hour.orders
    .filter(({ side, limit }) => (short ? side === 'sell' && limit <= cap : side === 'buy' && limit >= cap))
    .map(order => ({ ...order, draw: sha256(concat(utf8(order.id), beacon)) }))
    .sort((a, b) => {
      const dearer = Number(a.limit - b.limit)
      return (short ? dearer : -dearer) || compareBytes(a.draw, b.draw)
    })
  const taken: { id: string; energy: WattHours }[] = []
  let left = short ? -net : net
  let price = cap
  for (const { id, node, energy: offered, limit } of ranked) {
    if (left === 0n) break
    const energy = wattHours(offered < left ? offered : left)
    // What an order changes flows between its node and where the deviation is felt: the main grid.
    const end = node === undefined ? {} : short ? { from: node } : { to: node }
    const verdict = network.take({ slot, energy, ...end })
    if (verdict.kind === 'rejected') continue
    const room = verdict.kind === 'curtailed' ? verdict.energy : energy
    taken.push({ id, energy: room })
    left -= room
    price = limit
  }
  if (left > 0n) price = cap
  return ok({
    net,
    price: net === 0n ? middle(imbalance) : clamped(price, imbalance),
    taken,
    mainGrid: short ? -left : left,
  })
}

/** Nobody who deviated fares worse, or better, than with the main grid. */
const clamped = (price: Price, { deficit, surplus }: HourAhead['imbalance']): Price =>
  price < surplus ? surplus : price > deficit ? deficit : price

/** Where deviations cover each other nobody is bought from: between the two prices that either would have had elsewhere. */
const middle = ({ deficit, surplus }: HourAhead['imbalance']): Price => ((deficit + surplus) / 2n) as Price

function judge({ deviations, orders, imbalance: { deficit, surplus } }: HourAhead): Result<void, HourAheadFault> {
  if (surplus < 0n || surplus > deficit || deficit > MAX_PRICE) {
    return fail({ code: 'hour-ahead.imbalance-price', deficit, surplus })
  }
  const parties = new Set<string>()
  for (const { party, energy } of deviations) {
    if (energy > MAX_WH || energy < -MAX_WH) return fail({ code: 'hour-ahead.deviation', party, energy })
    if (parties.has(party)) return fail({ code: 'hour-ahead.twice', id: party })
    parties.add(party)
  }
  const ids = new Set<string>()
  for (const { id, side, energy, limit } of orders) {
    if (energy <= 0n || energy > MAX_WH || limit < 0n || limit > MAX_PRICE) {
      return fail({ code: 'hour-ahead.order', id, energy, limit })
    }
    if (ids.has(`${side}/${id}`)) return fail({ code: 'hour-ahead.twice', id })
    ids.add(`${side}/${id}`)
  }
  return ok(undefined)
}

/** Who pays whom: payments are rounded up, payouts down, and what that leaves is named. */
export function settleBalance(
  { deviations }: HourAhead,
  { net, price, taken, mainGrid }: Balanced,
): HourAheadSettlement {
  /** Energy given is paid, energy taken is owed. */
  const worth = (energy: bigint): Money =>
    energy < 0n ? micros(-costCeil(wattHours(-energy), price)) : costFloor(wattHours(energy), price)
  const parties = new Map(deviations.map(({ party, energy }) => [party, worth(energy)]))
  const sign = net < 0n ? 1n : -1n
  const orders = new Map(taken.map(({ id, energy }) => [id, worth(sign * energy)]))
  const main = worth(-mainGrid)
  const sum = [...parties.values(), ...orders.values(), main].reduce((all, one) => all + one, 0n)
  return { parties, orders, mainGrid: main, rounding: micros(-sum) }
}
