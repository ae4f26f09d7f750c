/**
 * What a store plans its next day from: that its customers will bring and take back in each quarter of an hour what they did in
 * the same quarter of the day before (persistence), at the prices that the store gives and asks. On its first day it has not seen
 * every quarter: the others are taken to be like the nearest one that it has.
 */
import type { Move, Network } from '../../protocol/market/network-check.ts'
import type { DayAhead, ScheduleOffer } from '../../protocol/market/schedule-check.ts'
import { microsPerKwh, type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { StoreDeal, StoreSettings } from './store-terms.ts'

const QUARTER_MS = 900_000
const SLOTS = 96

interface Quarter {
  /** Counted from the epoch: an entry of a day before is overwritten. */
  readonly number: number
  readonly brought: bigint
  readonly taken: bigint
}

/** What is known of the day beside the store's own customers: the lines, and what flows whatever the store does. */
export interface Surroundings {
  readonly network: Network
  readonly contracts: readonly Move[]
}

export interface StoreOutlook {
  /** A granted slot is over; what was granted is what is remembered. */
  note(deal: Pick<StoreDeal, 'start' | 'role' | 'energy' | 'node'>): void
  /** The day after what was seen; undefined where nothing was seen in the day before `now`. */
  next(stored: WattHours, now: number, around?: Surroundings): DayAhead | undefined
}

/** Its own meter is one place, where nothing is known of lines. */
const NO_LINES: Surroundings = { network: { slotMs: QUARTER_MS, lines: new Map() }, contracts: [] }

export function createStoreOutlook(settings: StoreSettings): StoreOutlook {
  /** By the customers' node. */
  const seen = new Map<string, (Quarter | undefined)[]>()
  let first = Number.POSITIVE_INFINITY

  function nearest(of: readonly (Quarter | undefined)[], slot: number): Quarter | undefined {
    for (let away = 0; away <= SLOTS / 2; away++) {
      const found = of[(slot + away) % SLOTS] ?? of[(slot - away + SLOTS) % SLOTS]
      if (found !== undefined) return found
    }
    return undefined
  }

  return {
    note({ start, role, energy, node }) {
      const quarters = seen.get(node) ?? Array.from({ length: SLOTS }, () => undefined)
      seen.set(node, quarters)
      const number = Math.floor(start / QUARTER_MS)
      first = Math.min(first, number)
      const before = quarters[number % SLOTS]
      const { brought, taken } = before?.number === number ? before : { brought: 0n, taken: 0n }
      quarters[number % SLOTS] =
        role === 'buyer' ? { number, brought: brought + energy, taken } : { number, brought, taken: taken + energy }
    },
    next(stored, now, { network, contracts } = NO_LINES) {
      const oldest = Math.floor(now / QUARTER_MS) - SLOTS
      const placed = (node: string) => (network.lines.has(node) ? { node } : {})
      const offer = (name: string, node: string, side: ScheduleOffer['side'], price: Price, most: WattHours[]) => ({
        ...{ name: `${name} ${node}`, side, most, ...placed(node) },
        // Of two slots that are worth alike the near one is surer: a millionth of a coin for each slot.
        price: most.map((_, slot) => microsPerKwh(price > slot ? price - BigInt(slot) : 0n)),
      })
      const offers: ScheduleOffer[] = []
      for (const [node, quarters] of seen) {
        const recent = quarters.map(one => (one !== undefined && one.number >= oldest ? one : undefined))
        const like = first < oldest ? recent : recent.map((_, slot) => nearest(recent, slot))
        if (like.every(one => one === undefined)) continue
        const brought = like.map(one => wattHours(one?.brought ?? 0n))
        const taken = like.map(one => wattHours(one?.taken ?? 0n))
        offers.push(offer('brought', node, 'supply', settings.storePrice, brought))
        offers.push(offer('taken back', node, 'demand', settings.returnPrice, taken))
      }
      if (offers.length === 0) return undefined
      const { capacity, reserve, charge, discharge, chargePermille, dischargePermille } = settings
      const start = stored < reserve ? reserve : stored > capacity ? capacity : stored
      const rates = { charge, discharge, chargePermille, dischargePermille, wear: microsPerKwh(0n) }
      const battery = { name: 'store', capacity, reserve, start, ...rates, ...placed(settings.node) }
      return { network, slots: SLOTS, contracts, batteries: [battery], offers }
    },
  }
}
