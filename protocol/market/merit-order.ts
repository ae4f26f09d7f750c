/**
 * Merit order with source preference: a kWh of source r is worth v_r = v + premium_r to a bid, and a strict bid takes no
 * source but those it has named. What is sought is the most gain over all pairs, sum of (v_r - s) times what is traded, and
 * among the clearings of most gain the one that delivers the most renewable energy.
 *
 * That is a linear program whose corners are whole numbers (a transport problem), and what the solver found is proven in whole
 * numbers by the dual prices of the sources. 2,000 orders take 0.3 s; to let each bid in turn take what it gains most by is
 * quicker, and loses 3 % of the gain. Each pair trades at s + k(v_r - s).
 */
import { compareBytes, toHex } from '../bytes.ts'
import { microsPerKwh } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import { SOURCES, type Source } from '../trade/contract.ts'
import { type ClearFault, createSum, ruleFault } from './clear.ts'
import { pair, type Trades } from './matching.ts'
import type { Constraint, Optimiser, OptimiserFault, Variable } from './optimiser.ts'
import type { Preferences } from './order.ts'
import { type PayAsBid, splitPrice } from './pay-as-bid.ts'
import { type BookOrder, rank } from './ranking.ts'

export interface SourcedOrder extends BookOrder {
  /** Of an offer. */
  readonly source?: Source
  /** Of a bid. */
  readonly preferences?: Preferences
}

export const RENEWABLE: ReadonlySet<Source> = new Set(['solar', 'wind'])

export interface MeritOrder {
  readonly trades: Trades
}

export type MeritOrderFault =
  | ClearFault
  | { readonly code: 'merit-order.source'; readonly order: string }
  /** The solver's answer is no optimum in whole numbers. */
  | { readonly code: 'merit-order.unproven'; readonly gained: bigint; readonly dual: bigint }

/** The sides of a book in the order of service, offers by their source. */
interface Sides {
  /** Places. */
  readonly bids: Uint32Array
  readonly offers: Readonly<Record<Source, readonly number[]>>
}

type Split = Pick<PayAsBid, 'k'>

/** What a Wh of this source is worth to the bid, in micro-units per kWh; undefined where it would not have it. */
export function worthOf({ limit, preferences }: SourcedOrder, source: Source): number | undefined {
  const premium = preferences?.premium[source]
  if (premium === undefined && preferences?.strict === true) return undefined
  return Number(limit + (premium ?? 0n))
}

/** Both sides as everybody ranks them: bids by the most that any source is worth to them. */
function sidesOf(orders: readonly SourcedOrder[], k: number, beacon: Uint8Array): Result<Sides, MeritOrderFault> {
  const fault = ruleFault({ rule: 'pay-as-bid', k, ties: 'first-come' })
  if (fault !== undefined) return fail(fault)
  const valued = orders.map(order => {
    const premiums = order.side === 'bid' ? Object.values(order.preferences?.premium ?? {}) : []
    const most = premiums.reduce((highest, one) => (one > highest ? one : highest), microsPerKwh(0n))
    return { ...order, limit: microsPerKwh(order.limit + most) }
  })
  const ranked = rank(valued, beacon)
  if (!ranked.ok) return ranked
  const offers = { solar: [], wind: [], battery: [], conventional: [] } as Record<Source, number[]>
  for (const place of ranked.value.offers.order) {
    const { id, source } = orders[place]!
    if (source === undefined) return fail({ code: 'merit-order.source', order: toHex(id) })
    offers[source].push(place)
  }
  return ok({ bids: ranked.value.bids.order, offers })
}

/**
 * Costs in the program are micro-units times this, so that 1 more for renewable energy stays below one micro-unit: whatever
 * turns one clearing into another goes round through at most two renewable sources and changes what they deliver by at most
 * four for each Wh that goes round.
 */
const SCALE = 8

const costOf = (value: number, source: Source): number => SCALE * value + (RENEWABLE.has(source) ? 1 : 0)

export function meritOrder(
  orders: readonly SourcedOrder[],
  { k }: Split,
  beacon: Uint8Array,
  optimiser: Optimiser,
): Result<MeritOrder, MeritOrderFault | OptimiserFault> {
  const sides = sidesOf(orders, k, beacon)
  if (!sides.ok) return sides
  const program = programOf(orders, sides.value)
  const solved = optimiser.solve({ sense: 'maximise', ...program })
  if (!solved.ok) return solved
  const taken = program.arcs.map((arc, i) => ({ ...arc, quantity: Math.round(solved.value.values[i]!) }))
  const fault = unproven(
    orders,
    taken,
    solved.value.duals.slice(0, SOURCES.length).map(dual => Math.round(dual)),
  )
  if (fault !== undefined) return fail(fault)
  const service = new Uint32Array(orders.length)
  for (const [at, place] of sides.value.bids.entries()) service[place] = at
  const parts = SOURCES.map(source => {
    const traded = taken.filter(arc => arc.source === source && arc.quantity > 0)
    const bids = traded.filter(({ place }) => orders[place]!.side === 'bid')
    bids.sort((a, b) => b.cost - a.cost || service[a.place]! - service[b.place]!)
    const byPlace = new Map(traded.map(arc => [arc.place, arc]))
    const offers = sides.value.offers[source].flatMap(place => byPlace.get(place) ?? [])
    const value = ({ place }: Arc): number => worthOf(orders[place]!, source) ?? 0
    return pair(
      columnsOf(bids, value),
      columnsOf(offers, ({ place }) => Number(orders[place]!.limit)),
      { bids: quantitiesOf(bids), offers: quantitiesOf(offers) },
      (bid, offer) => splitPrice(bid, offer, k),
    )
  })
  return ok({ trades: joined(parts) })
}

/** What one order buys or sells of one source. */
interface Arc {
  readonly place: number
  readonly source: Source
  /** What a Wh of it adds to the objective. */
  readonly cost: number
  readonly quantity: number
}

const quantitiesOf = (arcs: readonly Arc[]): Float64Array => Float64Array.from(arcs, ({ quantity }) => quantity)

const columnsOf = (arcs: readonly Arc[], price: (arc: Arc) => number) => ({
  order: Uint32Array.from(arcs, ({ place }) => place),
  quantity: quantitiesOf(arcs),
  price: Float64Array.from(arcs, price),
})

const joined = (parts: readonly Trades[]): Trades => ({
  bid: Uint32Array.from(parts.flatMap(part => [...part.bid])),
  offer: Uint32Array.from(parts.flatMap(part => [...part.offer])),
  quantity: Float64Array.from(parts.flatMap(part => [...part.quantity])),
  price: Float64Array.from(parts.flatMap(part => [...part.price])),
})

/** What each source is sold equals what is bought of it, and no bid gets more than it wants. By id, so that the solver is asked alike. */
function programOf(orders: readonly SourcedOrder[], { bids, offers }: Sides) {
  const arcs: Omit<Arc, 'quantity'>[] = []
  const variables: Variable[] = []
  const constraints: Constraint[] = []
  const balances = new Map(SOURCES.map(source => [source, [] as [number, number][]]))
  const byId = (places: Iterable<number>) => [...places].sort((a, b) => compareBytes(orders[a]!.id, orders[b]!.id))
  const add = (place: number, source: Source, cost: number, sign: 1 | -1): number => {
    balances.get(source)!.push([arcs.length, sign])
    variables.push({ cost, lower: 0, upper: Number(orders[place]!.quantity) })
    return arcs.push({ place, source, cost }) - 1
  }
  for (const place of byId(bids)) {
    const terms: [number, number][] = []
    for (const source of SOURCES) {
      const value = worthOf(orders[place]!, source)
      if (value !== undefined) terms.push([add(place, source, costOf(value, source), 1), 1])
    }
    constraints.push({ lower: 0, upper: Number(orders[place]!.quantity), terms })
  }
  for (const source of SOURCES) {
    for (const place of byId(offers[source])) add(place, source, -SCALE * Number(orders[place]!.limit), -1)
  }
  const equal = SOURCES.map(source => ({ lower: 0, upper: 0, terms: balances.get(source)! }))
  return { arcs, variables, constraints: [...equal, ...constraints] }
}

/**
 * Whether these quantities keep every bound and gain as much as the prices of the sources say that could be gained. No prices
 * make that equal unless the quantities are optimal.
 */
function unproven(
  orders: readonly SourcedOrder[],
  arcs: readonly Arc[],
  prices: readonly number[],
): MeritOrderFault | undefined {
  const [gained, dual] = [createSum(), createSum()]
  const filled = new Float64Array(orders.length)
  const balance = new Float64Array(SOURCES.length)
  /** What one more Wh of an order's quantity would gain. */
  const rent = new Float64Array(orders.length)
  for (const { place, source, cost, quantity } of arcs) {
    const at = SOURCES.indexOf(source)
    const sign = orders[place]!.side === 'bid' ? 1 : -1
    gained.add(cost, quantity)
    filled[place]! += quantity
    balance[at]! += sign * quantity
    rent[place] = Math.max(rent[place]!, cost - sign * prices[at]!)
  }
  const bounds = arcs.every(({ quantity }) => quantity >= 0) && balance.every(sum => sum === 0)
  const within = orders.every(({ quantity }, place) => filled[place]! <= Number(quantity))
  for (const [place, each] of rent.entries()) dual.add(each, Number(orders[place]!.quantity))
  return bounds && within && gained.value() === dual.value()
    ? undefined
    : { code: 'merit-order.unproven', gained: gained.value(), dual: dual.value() }
}
