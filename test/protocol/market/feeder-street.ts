/** Trees of lines and order books for the tests of the network market, and what a linear program makes of them. */
import { createFeeder, type Feeder, type FeederLine } from '../../../protocol/market/feeder.ts'
import type { FeederClearing, FeederOrder, RoomOf } from '../../../protocol/market/feeder-clearing.ts'
import type { LinearProgram } from '../../../protocol/market/optimiser.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { fc } from '../../property.ts'

export const lineOf = (id: string, feeder: string | undefined, capacity: bigint, tariff: bigint): FeederLine => ({
  id,
  ...(feeder === undefined ? {} : { feeder }),
  capacity: wattHours(capacity),
  tariff: microsPerKwh(tariff),
})

export const feederOf = (...lines: readonly FeederLine[]): Feeder => must(createFeeder(lines, microsPerKwh(0n)))

/** A tree of up to so many nodes `n0`, `n1` ..., each below an earlier one. */
export const anyLines = (most: number, capacity: bigint, tariff: bigint): fc.Arbitrary<FeederLine[]> =>
  fc
    .array(fc.tuple(fc.nat(), fc.bigInt(0n, capacity), fc.bigInt(0n, tariff)), { minLength: 1, maxLength: most })
    .map(nodes =>
      nodes.map(([above, room, fee], n) => lineOf(`n${n}`, n === 0 ? undefined : `n${above % n}`, room, fee)),
    )

let orders = 0

/** Each with an id of its own; of two that tie the one made earlier comes first. */
export const order = (side: FeederOrder['side'], node: string, quantity: bigint, limit: bigint): FeederOrder => {
  const id = new Uint8Array(16)
  new DataView(id.buffer).setUint32(0, ++orders)
  return { id, side, node, quantity: wattHours(quantity), limit: microsPerKwh(limit), sequence: orders }
}

/** The slot's; only a draw among orders of one sequence needs it. */
export const BEACON = new Uint8Array(32).fill(5)

/** Offers and bids at the nodes of a random tree, some lines tight and some free of charge. */
export const anyMarket = (lines: number, orders: number) =>
  fc
    .tuple(
      anyLines(lines, 60n, 12n),
      fc.array(fc.tuple(fc.boolean(), fc.nat(), fc.bigInt(1n, 40n), fc.bigInt(0n, 60n)), { maxLength: orders }),
    )
    .map(([tree, book]) => ({
      feeder: feederOf(...tree),
      orders: book.map(([buys, node, energy, limit]) =>
        order(buys ? 'bid' : 'offer', `n${node % tree.length}`, energy, limit),
      ),
    }))

/** The same question as a linear program: a variable for each order and for each direction of each line. */
export function programOf({ nodes, at }: Feeder, orders: readonly FeederOrder[], roomOf: RoomOf): LinearProgram {
  const balances: [number, number][][] = nodes.map(() => [])
  const variables = orders.map(({ side, node, quantity, limit }, n) => {
    balances[at.get(node)!]!.push([n, side === 'offer' ? 1 : -1])
    return { cost: Number(side === 'offer' ? -limit : limit), lower: 0, upper: Number(quantity) }
  })
  for (const [line, { above, fee }] of nodes.entries()) {
    if (above < 0) continue
    for (const direction of ['up', 'down'] as const) {
      const sign = direction === 'up' ? 1 : -1
      balances[line]!.push([variables.length, -sign])
      balances[above]!.push([variables.length, sign])
      variables.push({ cost: -Number(fee), lower: 0, upper: Number(roomOf(line, direction)) })
    }
  }
  return { sense: 'maximise', variables, constraints: balances.map(terms => ({ lower: 0, upper: 0, terms })) }
}

export function welfareOf(
  { nodes }: Feeder,
  orders: readonly FeederOrder[],
  { traded, flows }: FeederClearing,
): bigint {
  let welfare = 0n
  for (const [n, { side, limit }] of orders.entries()) welfare += (side === 'bid' ? limit : -limit) * traded[n]!
  for (const [line, { above, fee }] of nodes.entries()) {
    if (above >= 0) welfare -= fee * (flows[line]! < 0n ? -flows[line]! : flows[line]!)
  }
  return welfare
}
