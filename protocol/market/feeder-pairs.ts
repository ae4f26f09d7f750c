/**
 * Who delivers to whom in a feeder's clearing, and what moves for it: each pair makes one contract over the grid.
 *
 * A buyer pays its node's local price, a seller gets its own. The difference is the path's fee, and beyond it what the full
 * lines on the path are worth: the congestion rent, the distributor's too.
 */
import { costFloor, type Money, micros, microsPerKwh, type Price, type WattHours, wattHours } from '../quantity.ts'
import type { Feeder } from './feeder.ts'
import type { FeederClearing, FeederOrder } from './feeder-clearing.ts'

export interface Pair {
  /** Places in the list of orders. */
  readonly seller: number
  readonly buyer: number
  readonly energy: WattHours
  /** All in, per kWh: the buyer's local price. */
  readonly price: Price
  /** Sum of the fees of the lines between them, per kWh. */
  readonly fee: Price
  /** Buyer's local price - seller's - fee: 0 where no line on the path is full. */
  readonly rent: Price
}

interface Rest {
  readonly order: number
  energy: bigint
}

/**
 * Partners for all that is traded, each as near in the tree as can be: what can be matched below a node does not leave it,
 * so that no line carries two pairs in opposite directions. No more pairs than orders that trade. Of a checked clearing.
 */
export function pairsOf({ nodes, at }: Feeder, orders: readonly FeederOrder[], clearing: FeederClearing): Pair[] {
  const sellers: Rest[][] = nodes.map(() => [])
  const buyers: Rest[][] = nodes.map(() => [])
  for (const [order, { side, node }] of orders.entries()) {
    const energy: bigint = clearing.traded[order]!
    if (energy > 0n) (side === 'offer' ? sellers : buyers)[at.get(node)!]!.push({ order, energy })
  }
  /** Of the lines from each node up to its root. */
  const fees: bigint[] = []
  for (const { above, fee } of nodes) fees.push(above < 0 ? 0n : fees[above]! + fee)
  const pairs: Pair[] = []
  const pair = (seller: number, buyer: number, energy: bigint, meeting: number): void => {
    const [from, to] = [at.get(orders[seller]!.node)!, at.get(orders[buyer]!.node)!]
    const fee = fees[from]! + fees[to]! - 2n * fees[meeting]!
    const [got, price] = [clearing.prices[from]!, clearing.prices[to]!]
    const rent = microsPerKwh(price - got - fee)
    pairs.push({ seller, buyer, energy: wattHours(energy), price, fee: microsPerKwh(fee), rent })
  }
  for (let node = nodes.length - 1; node >= 0; node--) {
    const [selling, buying] = [sellers[node]!, buyers[node]!]
    let [s, b] = [0, 0]
    while (s < selling.length && b < buying.length) {
      const [seller, buyer] = [selling[s]!, buying[b]!]
      const energy = seller.energy < buyer.energy ? seller.energy : buyer.energy
      pair(seller.order, buyer.order, energy, node)
      seller.energy -= energy
      buyer.energy -= energy
      if (seller.energy === 0n) s++
      if (buyer.energy === 0n) b++
    }
    const { above } = nodes[node]!
    if (above < 0) continue
    for (; s < selling.length; s++) sellers[above]!.push(selling[s]!)
    for (; b < buying.length; b++) buyers[above]!.push(buying[b]!)
  }
  return pairs
}

export interface PairPayment {
  readonly paid: Money
  readonly received: Money
  readonly fee: Money
  readonly rent: Money
  /** What the roundings leave, below 3 micro-units: for the rounding account. */
  readonly residue: Money
}

/** paid = received + fee + rent + residue; each rounded down, so that nobody pays for what was not delivered. */
export function paymentOf({ price, fee, rent }: Pair, delivered: WattHours): PairPayment {
  const paid = costFloor(delivered, price)
  const received = costFloor(delivered, microsPerKwh(price - fee - rent))
  const [feePart, rentPart] = [costFloor(delivered, fee), costFloor(delivered, rent)]
  return { paid, received, fee: feePart, rent: rentPart, residue: micros(paid - received - feePart - rentPart) }
}
