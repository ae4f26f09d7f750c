/**
 * Which requests read a set of registers with the least time on the wire. Two neighbours are joined when the hole between
 * them costs less than another request, and never beyond the maker's limit.
 */
import type { Span } from './page.ts'

export interface PlanLimits {
  /** The most registers that one request may ask for. */
  readonly maxRegisters: number
  /** What a request costs besides its registers, counted in registers (two characters each). */
  readonly requestCost: number
  /** Registers that a request must not run over, because the meter refused it. */
  readonly forbidden?: readonly Span[]
  /** Spans that a request must not cover whole, because the meter refused them so. */
  readonly refused?: readonly Span[]
  /** Lengths that must not be asked for now, because a late answer of that length may still come. */
  readonly avoid?: (span: Span) => boolean
}

/** Characters of a read besides its registers: 8 of the request, 5 around the answer's data. */
const FRAME_CHARACTERS = 13

/** Without characters on the wire (TCP) a round trip is dearer than any hole that fits into a request. */
const ROUND_TRIP = 1_000

/** What one more request costs, in registers of two characters each. */
export const requestCost = (characterMs: number, silenceMs: number, turnaroundMs: number): number =>
  characterMs === 0 ? ROUND_TRIP : (FRAME_CHARACTERS + (silenceMs + turnaroundMs) / characterMs) / 2

const overlaps = (a: Span, b: Span): boolean =>
  a.table === b.table && a.address < b.address + b.count && b.address < a.address + a.count

export const covers = (island: Span, { table, address, count }: Span): boolean =>
  table === island.table && address >= island.address && address + count <= island.address + island.count

/** The span over two of one table. */
export function hullOf({ table, address, count }: Span, other?: Span): Span {
  const from = Math.min(address, other?.address ?? address)
  const end = other === undefined ? address + count : Math.max(address + count, other.address + other.count)
  return { table, address: from, count: end - from }
}

/** The holes between `spans` inside one island that covers them: what to forbid when the meter refuses the island. */
export function holesIn(island: Span, spans: readonly Span[]): Span[] {
  const holes: Span[] = []
  let next = island.address
  for (const span of inOrder(spans.filter(span => overlaps(span, island)))) {
    if (span.address > next) holes.push({ table: island.table, address: next, count: span.address - next })
    next = Math.max(next, span.address + span.count)
  }
  return holes
}

const inOrder = (spans: readonly Span[]): Span[] =>
  [...spans].sort((a, b) => a.table.localeCompare(b.table) || a.address - b.address)

/**
 * The cheapest islands that cover `spans`, in the order of their addresses; undefined when the limits leave none. The best
 * cover of the first n spans is the best of the first j plus one island over the rest, for the best j.
 */
export function planReads(spans: readonly Span[], limits: PlanLimits): readonly Span[] | undefined {
  const sorted = inOrder(spans)
  const best: { cost: number; islands: readonly Span[] }[] = [{ cost: 0, islands: [] }]
  for (let end = 1; end <= sorted.length; end++) {
    let choice = { cost: Number.POSITIVE_INFINITY, islands: [] as readonly Span[] }
    let reach = 0
    for (let start = end - 1; start >= 0; start--) {
      const first = sorted[start]!
      const last = sorted[end - 1]!
      if (first.table !== last.table) break
      reach = Math.max(reach, first.address + first.count)
      const island = { table: first.table, address: first.address, count: reach - first.address }
      if (island.count > limits.maxRegisters) break
      // What is wanted alone may always be asked for: what another was refused for must not silence it.
      const alone = start === end - 1
      if (!alone && limits.forbidden?.some(hole => overlaps(hole, island))) break
      if (!alone && limits.refused?.some(span => covers(island, span))) break
      const cost = best[start]!.cost + limits.requestCost + island.count
      if (cost < choice.cost && !limits.avoid?.(island)) choice = { cost, islands: [...best[start]!.islands, island] }
    }
    best.push(choice)
  }
  const cover = best[sorted.length]!
  return cover.cost < Number.POSITIVE_INFINITY ? cover.islands : undefined
}
