/**
 * The slots of a bill, from quarters of an hour as a grid meter counted them and from contracts with windows of their own.
 *
 * A slot reaches from one boundary to the next at which the meter was read and which no contract over the grid goes across:
 * commonly a quarter, and as many as it takes around a pause of the readings, for a counter goes on. Where a number is
 * missing, or a contract of the slot is not settled, the slot is named as missing, and only what its other contracts settled
 * is in it: less is known then, and nothing was cheaper.
 *
 * A grid meter counts what contracts over the grid deliver. What a direct line delivers passes it by, at both ends: it is
 * added to what the meter counted. A contract's own readings are taken some seconds after its window's ends, so that it may
 * have a little more than the slot; that is taken from the next one's.
 */
import { type Energy, type Price, type WattHours, wattHours } from '../quantity.ts'
import type { Bucket } from '../reading/rollup.ts'
import type { Instant } from '../time.ts'
import type { BilledSlot, BilledTrade, Tariff } from './bill.ts'

/** As the quarters are read: commonly every few seconds, at rest once a minute. */
const NEAR_MS = 60_000
/** 22 kW for a minute is 367 Wh: a contract that has more than that beyond its slot is not of this meter's counting. */
const MOST_BEYOND: WattHours = wattHours(500n)

/** One register in one quarter. */
interface Count {
  /** mWh. */
  readonly energy?: Energy
  /** Nothing was read in it: what it counted is in the next number. */
  readonly unread: boolean
  /** It was read at the quarter's end, by a clock that was right. */
  readonly closed: boolean
}

export interface Quarter {
  readonly start: Instant
  readonly end: Instant
  readonly imported: Count
  readonly exported: Count
}

export interface TradeWindow {
  readonly contract: string
  readonly side: BilledTrade['side']
  readonly start: Instant
  readonly end: Instant
  /** All-in per kWh. */
  readonly price: Price
  /** Else over a direct line. */
  readonly overGrid: boolean
  /** Absent while the ledger has not said so, or not all of it. */
  readonly settled?: { readonly delivered: WattHours; readonly fee: Price }
}

/** Why a stretch of time is not in a bill, or not wholly: `contract-across` is in part before or after the bill. */
export type MissingReason = 'no-reading' | 'not-settled' | 'contract-across' | 'contradiction'

export interface Missing {
  readonly start: Instant
  readonly end: Instant
  readonly why: MissingReason
}

export interface BillSlots {
  readonly slots: readonly BilledSlot[]
  readonly missing: readonly Missing[]
}

/**
 * Quarters from the buckets of both registers, over the same time. A meter that has never said what it exports has no such
 * register, and exports nothing.
 */
export function quartersOf(imported: readonly Bucket[], exported: readonly Bucket[]): Quarter[] {
  const sends = exported.some(({ readings }) => readings > 0)
  const nothing: Count = { energy: 0n as Energy, unread: false, closed: true }
  const starts = [...new Set(imported.map(({ start }) => start))]
  return starts.map(start => {
    const of = (buckets: readonly Bucket[]) => countOf(buckets.filter(bucket => bucket.start === start))
    const { end } = imported.find(bucket => bucket.start === start)!
    return { start, end, imported: of(imported), exported: sends ? of(exported) : nothing }
  })
}

function countOf(buckets: readonly Bucket[]): Count {
  const [only, other] = buckets
  // A meter that was exchanged: nobody knows what was counted between the two.
  if (only === undefined || other !== undefined) return { unread: false, closed: false }
  const { energy, reach, end, absent, touched } = only
  if (energy === undefined || reach === undefined) {
    return { unread: absent?.every(why => why === 'no-reading') ?? false, closed: false }
  }
  const timed = !touched.includes('clock-set') && !touched.includes('before-sync')
  return { energy, unread: false, closed: timed && Math.abs(reach.to - end) <= NEAR_MS }
}

/**
 * The bill begins at `from`. Quarters before only say whether the meter was read there, and what is left of their contracts and
 * fractions: two bills that follow each other have together what one over both has.
 */
export function slotsOf(
  quarters: readonly Quarter[],
  trades: readonly TradeWindow[],
  tariff: Tariff,
  from: Instant,
): BillSlots {
  const slots: BilledSlot[] = []
  const missing: Missing[] = []
  const beyond = { imported: 0n, exported: 0n }
  const rest = { imported: 0n, exported: 0n }
  const overGrid = trades.filter(trade => trade.overGrid)
  const whole = (at: Instant) => !overGrid.some(({ start, end }) => start < at && at < end)
  const isRead = ({ imported, exported, end }: Quarter) => imported.closed && exported.closed && whole(end)

  /** Whole watt-hours; the fraction is counted with what follows. */
  function counted(side: 'imported' | 'exported', inside: readonly Quarter[], contracted: bigint): bigint | undefined {
    const milli = rest[side] + inside.reduce((sum, quarter) => sum + (quarter[side].energy ?? 0n), 0n)
    rest[side] = milli % 1000n
    const own = milli / 1000n - beyond[side]
    beyond[side] = own < contracted ? contracted - own : 0n
    return beyond[side] > MOST_BEYOND ? undefined : own + beyond[side]
  }

  function add(inside: readonly Quarter[], sound: boolean): void {
    const [start, end] = [inside[0]!.start, inside.at(-1)!.end]
    const here = trades.filter(trade => {
      // A line's contract is wherever it ends: no boundary of the meter matters to it.
      const at = trade.overGrid ? trade.start : trade.end - 1
      return start <= at && at < end
    })
    const known = here.flatMap(({ contract, side, price, settled, overGrid }) =>
      settled === undefined ? [] : [{ contract, side, price, ...settled, shortfall: 0n, overGrid }],
    )
    const sum = (side: BilledTrade['side'], over: boolean) =>
      known.reduce((all, one) => all + (one.side === side && one.overGrid === over ? one.delivered : 0n), 0n)
    const slot = { start, tariff, trades: known.map(({ overGrid: _, ...trade }) => trade) }
    const without = (why: MissingReason): void => {
      missing.push({ start, end, why })
      if (known.length > 0) slots.push(slot)
      Object.assign(beyond, { imported: 0n, exported: 0n })
      Object.assign(rest, { imported: 0n, exported: 0n })
    }
    const readable = ({ imported, exported }: Quarter) =>
      [imported, exported].every(({ energy, unread }) => energy !== undefined || unread)
    if (!whole(start) || !whole(end)) return without('contract-across')
    if (!sound || !inside.every(readable)) return without('no-reading')
    if (known.length < here.length) return without('not-settled')
    const imported = counted('imported', inside, sum('bought', true))
    const exported = counted('exported', inside, sum('sold', true))
    if (imported === undefined || exported === undefined) return without('contradiction')
    const [bought, sold] = [sum('bought', false), sum('sold', false)]
    // What a seller drew beside its line it may have drawn for the line; then trading saved the less.
    const drawn = imported < sold ? imported : sold
    slots.push({
      ...slot,
      metered: { imported: wattHours(imported + bought), exported: wattHours(exported + sold) },
      ...(drawn === 0n
        ? {}
        : { alone: { imported: wattHours(imported + bought - drawn), exported: wattHours(exported + sold - drawn) } }),
    })
  }

  let sound = false
  let inside: Quarter[] = []
  for (const quarter of quarters) {
    if (quarter.start === from && inside.length > 0) {
      add(inside, false)
      sound = false
      inside = []
    }
    inside.push(quarter)
    if (!isRead(quarter)) continue
    add(inside, sound)
    sound = true
    inside = []
  }
  if (inside.length > 0) add(inside, false)
  const ofBill = ({ start }: { readonly start: Instant }) => start >= from
  return { slots: slots.filter(ofBill), missing: missing.filter(ofBill) }
}
