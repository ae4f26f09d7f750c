/**
 * The distribution network as the market sees it: a tree of lines, what each carries in a slot and what it costs.
 *
 * A node has the name of the line that it hangs from, as on the distribution ledger: line `a` joins node `a` with the node
 * `feeder` above it. Energy from one node to another takes the lines of both up to, and not including, the lowest node above
 * both (a node counts as above itself): two homes at one node use no line, and a root's own line, which leads out of the
 * tree, is on no path in it. Nodes of two trees have no path.
 *
 * Capacity is counted for each direction by itself, and the two are not set off against each other: a deal may fall
 * through, and what flows against it would then flow alone. So whichever of the reserved deals are delivered, no line
 * carries more than its capacity.
 */
import { microsPerKwh, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

export interface FeederLine {
  readonly id: string
  /** The line that it hangs from; absent at a root. */
  readonly feeder?: string
  /** What it carries in a slot, in each direction. */
  readonly capacity: WattHours
  readonly tariff: Price
  /** What is asked beyond the tariff while the line is short; absent where it is not. */
  readonly congestion?: Price
  /** Of the energy that enters the line; absent where the tariff covers it. */
  readonly lossPermille?: number
}

export interface FeederNode {
  readonly id: string
  /** Place of the node above in `nodes`; -1 at a root. */
  readonly above: number
  /** Lines up to the root, its own not counted. */
  readonly depth: number
  readonly capacity: WattHours
  /** Tariff + congestion + loss share, per kWh in either direction. */
  readonly fee: Price
}

export interface Feeder {
  /** A node comes after the one above it. */
  readonly nodes: readonly FeederNode[]
  /** Places in `nodes`. */
  readonly at: ReadonlyMap<string, number>
}

export type FeederFault =
  | { readonly code: 'feeder.too-many'; readonly lines: number; readonly most: number }
  | { readonly code: 'feeder.value'; readonly line: string; readonly field: string }
  | { readonly code: 'feeder.twice' | 'feeder.unknown' | 'feeder.circle'; readonly line: string }
  | { readonly code: 'feeder.depth'; readonly line: string; readonly most: number }

/** More than a town; a list from elsewhere stays within memory. */
const MAX_LINES = 200_000
/** Lines from a root to the furthest house. */
const MAX_DEPTH = 64
/** 10 GWh in a slot, as much as a whole transmission line carries: sums over all lines stay safe integers. */
const MAX_CAPACITY = 10_000_000_000n
/** As for energy itself: a thousand coins for a kWh. */
const MAX_PRICE = 1_000_000_000n

/** The tree of these lines; `lossPrice` is what the distributor pays for a kWh that is lost. Any order of lines will do. */
export function createFeeder(lines: readonly FeederLine[], lossPrice: Price): Result<Feeder, FeederFault> {
  if (lines.length > MAX_LINES) return fail({ code: 'feeder.too-many', lines: lines.length, most: MAX_LINES })
  if (!isPrice(lossPrice)) return fail({ code: 'feeder.value', line: '', field: 'lossPrice' })
  const below = new Map<string | undefined, FeederLine[]>()
  const known = new Set<string>()
  for (const line of lines) {
    const wrong = wrongField(line)
    if (wrong !== undefined) return fail({ code: 'feeder.value', line: line.id, field: wrong })
    if (known.has(line.id)) return fail({ code: 'feeder.twice', line: line.id })
    known.add(line.id)
    const siblings = below.get(line.feeder)
    if (siblings === undefined) below.set(line.feeder, [line])
    else siblings.push(line)
  }
  const nodes: FeederNode[] = []
  const at = new Map<string, number>()
  const place = (line: FeederLine, above: number, depth: number): void => {
    at.set(line.id, nodes.length)
    nodes.push({ id: line.id, above, depth, capacity: line.capacity, fee: feeOfLine(line, lossPrice) })
  }
  for (const root of below.get(undefined) ?? []) place(root, -1, 0)
  for (let next = 0; next < nodes.length; next++) {
    const { id, depth } = nodes[next]!
    const children = below.get(id) ?? []
    if (children.length > 0 && depth + 1 >= MAX_DEPTH) return fail({ code: 'feeder.depth', line: id, most: MAX_DEPTH })
    for (const child of children) place(child, next, depth + 1)
  }
  const orphan = lines.find(({ feeder }) => feeder !== undefined && !known.has(feeder))
  if (orphan !== undefined) return fail({ code: 'feeder.unknown', line: orphan.feeder! })
  // What else was not reached from a root hangs from itself.
  const circling = lines.find(({ id }) => !at.has(id))
  return circling === undefined ? ok({ nodes, at }) : fail({ code: 'feeder.circle', line: circling.id })
}

const isPrice = (price: bigint): boolean => price >= 0n && price <= MAX_PRICE

function wrongField({ capacity, tariff, congestion = microsPerKwh(0n), lossPermille = 0 }: FeederLine) {
  if (capacity < 0n || capacity > MAX_CAPACITY) return 'capacity'
  if (!isPrice(tariff)) return 'tariff'
  if (!isPrice(congestion)) return 'congestion'
  return Number.isInteger(lossPermille) && lossPermille >= 0 && lossPermille < 1000 ? undefined : 'lossPermille'
}

/** The loss share is rounded up, to the distributor, who pays for what is lost. */
const feeOfLine = ({ tariff, congestion, lossPermille = 0 }: FeederLine, lossPrice: Price): Price =>
  microsPerKwh(tariff + (congestion ?? 0n) + (lossPrice * BigInt(lossPermille) + 999n) / 1000n)

export interface Path {
  /** Places of the lines that energy goes up, from the seller's on. */
  readonly up: readonly number[]
  /** Places of the lines that it comes down, from the buyer's on. */
  readonly down: readonly number[]
}

export type PathFault =
  | { readonly code: 'feeder.unknown'; readonly line: string }
  | { readonly code: 'feeder.apart'; readonly from: string; readonly to: string }

/** The lines that energy takes from one node to another. */
export function pathBetween({ nodes, at }: Feeder, from: string, to: string): Result<Path, PathFault> {
  let [a, b] = [at.get(from), at.get(to)]
  if (a === undefined) return fail({ code: 'feeder.unknown', line: from })
  if (b === undefined) return fail({ code: 'feeder.unknown', line: to })
  const up: number[] = []
  const down: number[] = []
  while (a !== b) {
    // The deeper one climbs; two roots that differ never meet.
    const climber: FeederNode = nodes[a]!.depth >= nodes[b]!.depth ? nodes[a]! : nodes[b]!
    if (climber.above < 0) return fail({ code: 'feeder.apart', from, to })
    if (climber === nodes[a]) {
      up.push(a)
      a = climber.above
    } else {
      down.push(b)
      b = climber.above
    }
  }
  return ok({ up, down })
}

/** What a kWh costs on a path: the sum of its lines' fees. */
export function feeOfPath({ nodes }: Feeder, { up, down }: Path): Price {
  let fee = 0n
  for (const line of up) fee += nodes[line]!.fee
  for (const line of down) fee += nodes[line]!.fee
  return microsPerKwh(fee)
}

export type FeeFault = PathFault | { readonly code: 'feeder.fee'; readonly asked: bigint; readonly path: bigint }

/** Whether a fee is the path's: less finds no reservation, more is nothing that the network asks for. */
export function checkFee(feeder: Feeder, from: string, to: string, fee: Price): Result<Path, FeeFault> {
  const path = pathBetween(feeder, from, to)
  if (!path.ok) return path
  const due = feeOfPath(feeder, path.value)
  return fee === due ? path : fail({ code: 'feeder.fee', asked: fee, path: due })
}

export type Direction = 'up' | 'down'

export type BookingFault =
  | { readonly code: 'feeder.booked'; readonly id: string }
  | { readonly code: 'feeder.quantity'; readonly energy: bigint }
  | {
      readonly code: 'feeder.capacity'
      readonly line: string
      readonly direction: Direction
      readonly slot: number
      readonly capacity: bigint
      readonly reserved: bigint
      readonly asked: bigint
    }

/** What is reserved of each line in each slot. */
export interface Bookings {
  /** The whole path or nothing; `id` names the reservation. */
  take(id: string, path: Path, slot: number, energy: WattHours): Result<void, BookingFault>
  /** A reservation that is not there gives nothing back. */
  give(id: string): void
  /** What a line still carries in a slot. */
  free(line: number, slot: number, direction: Direction): WattHours
  /** Slots before this one are over. */
  forget(before: number): void
}

export function createBookings({ nodes }: Feeder): Bookings {
  /** By slot: reserved upwards at 2 * line, downwards at 2 * line + 1. */
  const slots = new Map<number, Map<number, bigint>>()
  const held = new Map<string, { readonly path: Path; readonly slot: number; readonly energy: WattHours }>()
  const legs = ({ up, down }: Path) => [...up.map(line => 2 * line), ...down.map(line => 2 * line + 1)]
  return {
    take(id, path, slot, energy) {
      if (held.has(id)) return fail({ code: 'feeder.booked', id })
      if (energy <= 0n) return fail({ code: 'feeder.quantity', energy })
      const taken = slots.get(slot) ?? new Map<number, bigint>()
      for (const leg of legs(path)) {
        const { id: line, capacity } = nodes[leg >> 1]!
        const reserved = taken.get(leg) ?? 0n
        const direction = leg % 2 === 0 ? 'up' : 'down'
        if (reserved + energy > capacity) {
          return fail({ code: 'feeder.capacity', line, direction, slot, capacity, reserved, asked: energy })
        }
      }
      for (const leg of legs(path)) taken.set(leg, (taken.get(leg) ?? 0n) + energy)
      slots.set(slot, taken)
      held.set(id, { path, slot, energy })
      return ok(undefined)
    },
    give(id) {
      const found = held.get(id)
      if (found === undefined) return
      held.delete(id)
      const taken = slots.get(found.slot)!
      for (const leg of legs(found.path)) taken.set(leg, taken.get(leg)! - found.energy)
    },
    free(line, slot, direction) {
      const leg = 2 * line + (direction === 'up' ? 0 : 1)
      return wattHours(nodes[line]!.capacity - (slots.get(slot)?.get(leg) ?? 0n))
    },
    forget(before) {
      for (const slot of slots.keys()) if (slot < before) slots.delete(slot)
      for (const [id, { slot }] of held) if (slot < before) held.delete(id)
    },
  }
}
