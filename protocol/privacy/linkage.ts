/**
 * Whether orders of different slots can be told to be one maker's: adversaries that see all of every order, and how often they
 * are right beyond chance.
 *
 *     advantage = orders linked rightly, less those that a blind guess among the same feeder's orders would link, as a share
 *
 * 0 is a blind guess, 1 knows everything. Only orders whose maker is in both slots count: the others have no right answer.
 */
import type { Price, WattHours } from '../quantity.ts'
import type { CertifiedSide } from './certificate.ts'

/** What anybody sees of an order. */
export interface SeenOrder {
  readonly pseudonym: string
  readonly side: CertifiedSide
  readonly feeder: string
  readonly quantity: WattHours
  readonly limit: Price
  readonly sequence: number
  /** After the book opened. */
  readonly sentMs: number
}

/** What nobody but the judge of the game knows. */
export interface MadeOrder {
  readonly maker: string
  readonly seen: SeenOrder
}

/** For each order the place of its maker's in the other slot, or undefined. The lists come in no order that says anything. */
export type Linker = (from: readonly SeenOrder[], to: readonly SeenOrder[]) => readonly (number | undefined)[]

type Distance = (a: SeenOrder, b: SeenOrder) => number

const relative = (a: number, b: number): number => (a === b ? 0 : Math.abs(a - b) / Math.max(a, b))
const byQuantity: Distance = (a, b) => relative(Number(a.quantity), Number(b.quantity))
const byLimit: Distance = (a, b) => relative(Number(a.limit), Number(b.limit))
const byTime: Distance = (a, b) => Math.abs(a.sentMs - b.sentMs) / 1000
const bySequence: Distance = (a, b) => (a.sequence === b.sequence || b.sequence === a.sequence + 1 ? 0 : 1)
/** Nobody changes its feeder or, from one slot to the next, mostly not its side. */
const byPlace: Distance = (a, b) => (a.feeder === b.feeder ? 0 : 1000) + (a.side === b.side ? 0 : 100)
const byAll: Distance = (a, b) => 10 * byLimit(a, b) + byQuantity(a, b) + byTime(a, b) + bySequence(a, b)

const placed =
  (distance: Distance): Distance =>
  (a, b) =>
    a.pseudonym === b.pseudonym ? -1 : byPlace(a, b) + distance(a, b)

/** Takes for each order the one that is most like it. */
const nearest =
  (distance: Distance): Linker =>
  (from, to) =>
    from.map(order => {
      let best: number | undefined
      let least = Number.POSITIVE_INFINITY
      for (const [place, other] of to.entries()) {
        const far = distance(order, other)
        if (far < least) [best, least] = [place, far]
      }
      return best
    })

/** As somebody who knows that each maker has one order in a slot: the most alike pairs of all come first, each order once. */
const matched =
  (distance: Distance): Linker =>
  (from, to) => {
    const pairs = from.flatMap((a, i) => to.map((b, j) => ({ i, j, far: distance(a, b) })))
    pairs.sort((a, b) => a.far - b.far)
    const found: (number | undefined)[] = from.map(() => undefined)
    const taken = new Set<number>()
    for (const { i, j } of pairs) {
      if (found[i] !== undefined || taken.has(j)) continue
      found[i] = j
      taken.add(j)
    }
    return found
  }

export const LINKERS: Readonly<Record<string, Linker>> = {
  quantity: nearest(placed(byQuantity)),
  limit: nearest(placed(byLimit)),
  time: nearest(placed(byTime)),
  sequence: nearest(placed(bySequence)),
  everything: nearest(placed(byAll)),
  'everything, one to one': matched(placed(byAll)),
}

export interface Linkage {
  /** Orders whose maker is in both slots, and how many of them the adversary linked. */
  readonly orders: number
  readonly linked: number
  /** What a blind guess among the same feeder's orders of the same side links on average. */
  readonly chance: number
  readonly advantage: number
}

/** Slots against the next, judged. `draw` is an even number in 0..1: the lists are shuffled by it before the adversary sees them. */
export function measureLinkage(slots: readonly (readonly MadeOrder[])[], linker: Linker, draw: () => number): Linkage {
  const sum = { orders: 0, linked: 0, chance: 0 }
  for (const [place, earlier] of slots.slice(0, -1).entries()) {
    const [from, to] = [shuffle(earlier, draw), shuffle(slots[place + 1]!, draw)]
    const guesses = linker(
      from.map(({ seen }) => seen),
      to.map(({ seen }) => seen),
    )
    const makers = new Map(to.map(made => [made.maker, made.seen]))
    const crowds = new Map<string, number>()
    const crowdOf = ({ feeder, side }: SeenOrder) => `${side} ${feeder}`
    for (const { seen } of to) crowds.set(crowdOf(seen), (crowds.get(crowdOf(seen)) ?? 0) + 1)
    for (const [i, { maker }] of from.entries()) {
      const right = makers.get(maker)
      if (right === undefined) continue
      sum.orders++
      sum.chance += 1 / crowds.get(crowdOf(right))!
      const guess = guesses[i]
      if (guess !== undefined && to[guess]?.maker === maker) sum.linked++
    }
  }
  const advantage = sum.orders === 0 ? 0 : (sum.linked - sum.chance) / sum.orders
  return { ...sum, advantage }
}

/** Fisher and Yates. */
function shuffle<T>(items: readonly T[], draw: () => number): T[] {
  const mixed = [...items]
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1))
    ;[mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!]
  }
  return mixed
}
