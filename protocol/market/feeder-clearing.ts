/**
 * One slot's order book cleared on a feeder tree: the most welfare that line capacities and fees allow, exactly, and a local
 * price for each node that proves it.
 *
 * maximise    sum of limit * bought - sum of limit * sold - sum over lines of fee * |flow|
 * subject to  at each node sold - bought + flow from below = flow up, and -room down <= flow <= room up
 *
 * It is solved without a linear program. What a node with all below it asks for one more Wh sent up is a rising list of
 * prices: offers, and bids that go unserved. A line cuts the list off where it is full, and shifts it by its fee: what goes
 * up costs more above, what comes down was cheaper there. The lists below a node and its own orders merge into one; at a
 * root nothing goes up. All steps are sums and comparisons of whole numbers, so nothing has to be repaired afterwards.
 */
import { microsPerKwh, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Direction, Feeder } from './feeder.ts'
import { type BookOrder, type BookOrderFault, rank } from './ranking.ts'

/** Without a preference of source: a strict bid belongs in a book of that source. */
export interface FeederOrder extends BookOrder {
  readonly node: string
}

export interface FeederClearing {
  /** Of each order, as listed. */
  readonly traded: readonly WattHours[]
  /** On each line, by its node's place; below zero it comes down. */
  readonly flows: readonly bigint[]
  /**
   * At each node what a kWh costs there: buyers pay it, sellers get it, and between two nodes it differs by the fees and by
   * what full lines are worth. Absent in a tree without orders.
   */
  readonly prices: readonly (Price | undefined)[]
}

/** What a line still carries; without it, its capacity. */
export type RoomOf = (line: number, direction: Direction) => WattHours

export type FeederClearingFault = BookOrderFault | { readonly code: 'feeder-clearing.node'; readonly node: string }

export const roomOfFeeder =
  ({ nodes }: Feeder): RoomOf =>
  line =>
    nodes[line]!.capacity

/** Where orders tie they are served as in any book: by sequence, then by the draw (ranking.ts). */
export function clearFeeder(
  feeder: Feeder,
  orders: readonly FeederOrder[],
  beacon: Uint8Array,
  roomOf: RoomOf = roomOfFeeder(feeder),
): Result<FeederClearing, FeederClearingFault> {
  const lost = orders.find(({ node }) => !feeder.at.has(node))
  if (lost !== undefined) return fail({ code: 'feeder-clearing.node', node: lost.node })
  const ranked = rank(orders, beacon, 'all')
  if (!ranked.ok) return ranked
  const { bids, offers } = ranked.value
  // At one price an offer is sold before a bid goes unserved, the first offer first, the last bid first.
  const places = new Uint32Array(orders.length)
  for (const [place, order] of offers.order.entries()) places[order] = place
  for (const [place, order] of bids.order.entries()) places[order] = orders.length - place
  const traded = tradedOf(feeder, orders, places, roomOf)
  const flows = flowsOf(feeder, orders, traded)
  return ok({
    traded: traded.map(quantity => wattHours(BigInt(quantity))),
    flows: flows.map(BigInt),
    prices: pricesOf(feeder, orders, roomOf, traded, flows).map(price =>
      price === undefined ? undefined : microsPerKwh(BigInt(price)),
    ),
  })
}

/** Of each node, its own orders and the list of what comes from below. */
interface Rising {
  /** Pieces of orders by rising price; what an order gives to several lines' lists is parted into pieces. */
  pieces: Piece[]
  /** Flow up where nothing of the list is taken: all bids served, nothing sold. Never above 0. */
  from: number
}

interface Piece {
  price: number
  energy: number
  readonly order: number
}

function tradedOf(
  { nodes, at }: Feeder,
  orders: readonly FeederOrder[],
  places: Uint32Array,
  roomOf: RoomOf,
): number[] {
  const lists: Rising[] = nodes.map(() => ({ pieces: [], from: 0 }))
  /** Of an offer what is sold, of a bid what goes unserved. */
  const taken = new Array<number>(orders.length).fill(0)
  const selling = orders.map(({ side }) => side === 'offer')
  for (const [order, { node, quantity, limit }] of orders.entries()) {
    const list = lists[at.get(node)!]!
    list.pieces.push({ price: Number(limit), energy: Number(quantity), order })
    if (!selling[order]) list.from -= Number(quantity)
  }
  const before = (a: Piece, b: Piece) => a.price - b.price || places[a.order]! - places[b.order]!
  for (let node = nodes.length - 1; node >= 0; node--) {
    const list = lists[node]!
    const { above, fee } = nodes[node]!
    // Mostly runs from below that rise already, which the engine's merge sort finds by itself.
    list.pieces.sort(before)
    const root = above < 0
    cutOff(list, root ? 0 : Number(roomOf(node, 'down')), root ? 0 : Number(roomOf(node, 'up')), taken)
    if (root) continue
    shift(list, Number(fee))
    const upper = lists[above]!
    for (const piece of list.pieces) upper.pieces.push(piece)
    upper.from += list.from
    list.pieces = []
  }
  return taken.map((energy, order) => (selling[order] ? energy : Number(orders[order]!.quantity) - energy))
}

/** Leaves of a list what lies between `down` and `up`: what lies before is taken in any case, what lies after never. */
function cutOff(list: Rising, down: number, up: number, taken: number[]): void {
  const { pieces } = list
  let first = 0
  while (first < pieces.length && list.from < -down) {
    const piece = pieces[first]!
    const energy = Math.min(piece.energy, -down - list.from)
    taken[piece.order]! += energy
    list.from += energy
    piece.energy -= energy
    if (piece.energy === 0) first++
  }
  let end = first
  let reached = list.from
  while (end < pieces.length && reached < up) {
    const piece = pieces[end++]!
    piece.energy = Math.min(piece.energy, up - reached)
    reached += piece.energy
  }
  list.pieces = pieces.slice(first, end)
}

/** A list as the node above a line sees it: dearer by the fee where it goes up, cheaper where less comes down. */
function shift(list: Rising, fee: number): void {
  let reached = list.from
  for (let i = 0; i < list.pieces.length; i++) {
    const piece = list.pieces[i]!
    if (reached < 0 && reached + piece.energy > 0) {
      list.pieces.splice(i + 1, 0, { ...piece, energy: reached + piece.energy })
      piece.energy = -reached
    }
    piece.price += reached < 0 ? -fee : fee
    reached += piece.energy
  }
}

function flowsOf({ nodes, at }: Feeder, orders: readonly FeederOrder[], traded: readonly number[]): number[] {
  const flows = nodes.map(() => 0)
  for (const [order, { side, node }] of orders.entries()) {
    flows[at.get(node)!]! += side === 'offer' ? traded[order]! : -traded[order]!
  }
  for (let node = nodes.length - 1; node >= 0; node--) {
    const { above } = nodes[node]!
    if (above >= 0) flows[above]! += flows[node]!
  }
  return flows
}

/**
 * A price for each node at which nobody there would trade otherwise: from below the prices that would do, from above the
 * one among them that is nearest to what the line allows. At a root it is the middle, rounded down.
 */
function pricesOf(
  { nodes, at }: Feeder,
  orders: readonly FeederOrder[],
  roomOf: RoomOf,
  traded: readonly number[],
  flows: readonly number[],
): (number | undefined)[] {
  const least = nodes.map(() => -Infinity)
  const most = nodes.map(() => Infinity)
  /** The limit of some order here or below. */
  const any: (number | undefined)[] = nodes.map(() => undefined)
  const atLeast = (node: number, price: number) => {
    if (price > least[node]!) least[node] = price
  }
  const atMost = (node: number, price: number) => {
    if (price < most[node]!) most[node] = price
  }
  for (const [order, { side, node, quantity, limit }] of orders.entries()) {
    const place = at.get(node)!
    any[place] ??= Number(limit)
    const [some, all] = [traded[order]! > 0, traded[order]! === Number(quantity)]
    if (side === 'offer' ? some : !all) atLeast(place, Number(limit))
    if (side === 'offer' ? !all : some) atMost(place, Number(limit))
  }
  for (let node = nodes.length - 1; node > 0; node--) {
    const { above, fee } = nodes[node]!
    if (above < 0) continue
    any[above] ??= any[node]
    const flow = flows[node]!
    // Up to here the line would rather carry less, from there on more, unless it cannot.
    if (flow > -Number(roomOf(node, 'down'))) atLeast(above, least[node]! + (flow > 0 ? Number(fee) : -Number(fee)))
    if (flow < Number(roomOf(node, 'up'))) atMost(above, most[node]! + (flow < 0 ? -Number(fee) : Number(fee)))
  }
  const prices: (number | undefined)[] = []
  for (const [node, { above, fee }] of nodes.entries()) {
    const [lower, upper] = [least[node]!, most[node]!]
    const wished = above < 0 ? rootPrice(lower, upper, any[node]) : prices[above]
    if (wished === undefined) prices.push(undefined)
    else prices.push(Math.min(upper, Math.max(lower, wished - Math.sign(flows[node]!) * Number(fee))))
  }
  return prices
}

/** Where nothing can get to the root every price would do there; it is one that somebody named. */
function rootPrice(lower: number, upper: number, named: number | undefined): number | undefined {
  if (lower === -Infinity) return upper === Infinity ? named : upper
  return upper === Infinity ? lower : Math.floor((lower + upper) / 2)
}

export type FalseClearing =
  | { readonly code: 'feeder-clearing.node'; readonly node: string }
  | { readonly code: 'feeder-clearing.shape'; readonly reason: 'traded' | 'flows' | 'prices' }
  | {
      readonly code: 'feeder-clearing.quantity'
      readonly order: number
      readonly traded: bigint
      readonly most: bigint
    }
  | { readonly code: 'feeder-clearing.flow'; readonly node: string; readonly claimed: bigint; readonly sum: bigint }
  | { readonly code: 'feeder-clearing.capacity'; readonly line: string; readonly flow: bigint; readonly room: bigint }
  | { readonly code: 'feeder-clearing.price-missing'; readonly node: string }
  | {
      /** At this local price the order would trade less, or more. */
      readonly code: 'feeder-clearing.limit' | 'feeder-clearing.passed-over'
      readonly order: number
      readonly limit: bigint
      readonly price: bigint
    }
  | {
      /** What flows is not worth the fee, or more would be. */
      readonly code: 'feeder-clearing.local-price'
      readonly line: string
      readonly flow: bigint
      readonly below: bigint
      readonly above: bigint
      readonly fee: bigint
    }

/**
 * Whether a clearing is one: quantities and flows add up, no line is over what it carries, nobody trades beyond its limit,
 * and at the local prices nobody would trade otherwise and no line carry otherwise. By linear programming's duality no
 * other clearing of this book has more welfare then. One look at each order and line.
 */
export function checkFeederClearing(
  feeder: Feeder,
  orders: readonly FeederOrder[],
  { traded, flows, prices }: FeederClearing,
  roomOf: RoomOf = roomOfFeeder(feeder),
): Result<void, FalseClearing> {
  const { nodes, at } = feeder
  if (traded.length !== orders.length) return fail({ code: 'feeder-clearing.shape', reason: 'traded' })
  if (flows.length !== nodes.length) return fail({ code: 'feeder-clearing.shape', reason: 'flows' })
  if (prices.length !== nodes.length) return fail({ code: 'feeder-clearing.shape', reason: 'prices' })
  const sums = nodes.map(() => 0n)
  for (const [order, { side, node, quantity, limit }] of orders.entries()) {
    const some = traded[order]!
    if (some < 0n || some > quantity) {
      return fail({ code: 'feeder-clearing.quantity', order, traded: some, most: quantity })
    }
    const place = at.get(node)
    if (place === undefined) return fail({ code: 'feeder-clearing.node', node })
    sums[place]! += side === 'offer' ? some : -some
    const price = prices[place]
    if (price === undefined) return fail({ code: 'feeder-clearing.price-missing', node })
    const better = side === 'offer' ? price - limit : limit - price
    if (some > 0n && better < 0n) return fail({ code: 'feeder-clearing.limit', order, limit, price })
    if (some < quantity && better > 0n) return fail({ code: 'feeder-clearing.passed-over', order, limit, price })
  }
  for (let node = nodes.length - 1; node >= 0; node--) {
    const { id, above, fee } = nodes[node]!
    const flow = flows[node]!
    if (flow !== sums[node] || (above < 0 && flow !== 0n)) {
      return fail({ code: 'feeder-clearing.flow', node: id, claimed: flow, sum: sums[node]! })
    }
    if (above < 0) continue
    sums[above]! += flow
    const [up, down] = [roomOf(node, 'up'), roomOf(node, 'down')]
    if (flow > up) return fail({ code: 'feeder-clearing.capacity', line: id, flow, room: up })
    if (-flow > down) return fail({ code: 'feeder-clearing.capacity', line: id, flow, room: down })
    const [lower, upper] = [prices[node], prices[above]]
    if (lower === undefined && upper === undefined) continue
    // A price is absent in a whole tree or nowhere in it.
    if (lower === undefined || upper === undefined) return fail({ code: 'feeder-clearing.price-missing', node: id })
    const rise = upper - lower
    const wrong =
      (flow > 0n && rise < fee) ||
      (flow < 0n && rise > -fee) ||
      (flow >= 0n && flow < up && rise > fee) ||
      (flow <= 0n && -flow < down && rise < -fee)
    if (wrong) return fail({ code: 'feeder-clearing.local-price', line: id, flow, below: lower, above: upper, fee })
  }
  return ok(undefined)
}
