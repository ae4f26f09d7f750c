/**
 * Contracts over the grid, by meter and window.
 *
 * No contact joins the parties, so a line is not sold and a meter may have several contracts of one window. What it counts
 * in that window is parted among them (protocol/trade/deviation.ts), so no watt-hour is paid twice, in whatever order the
 * receipts come:
 *
 *     windows of a meter      equal or apart; in one of them it sells or buys, not both: its contracts are what it means to
 *                             send or take, net, and a circle of sales that carries nothing earns no fee and no point
 *     contracts of a window   at most MAX_WINDOW_DEALS, with the same receiptBy and settleBy: all are settled by one count.
 *                             How much they add up to is the meter's own risk: a seller is paid for no more than it sends,
 *                             escrows return for the rest, and lines carry no more than is reserved. Whoever contracts more
 *                             than it means to, so that another contract gets a smaller part, falls short in all of them,
 *                             and pays for that and for what it draws beside them (deviation.ts)
 *     counted                 the least that a receipt of the meter shows for the window, whichever contract it names: one
 *                             receipt is enough for all of them. From receiptBy on a meter that has one hands in no other;
 *                             one that has none may until settleBy
 *     registers               of two windows of one direction never overlap. A boundary's end readings come before its
 *                             begin readings, or share their register
 *
 * A meter of a direct line is not a grid meter: the first contract decides, as the two are counted by different rules.
 */
import { toHex } from '../../bytes.ts'
import type { Energy, WattHours } from '../../quantity.ts'
import { done, type Result } from '../../result.ts'
import { type Instant, later } from '../../time.ts'
import type { Contract } from '../../trade/contract.ts'
import { sharesOf } from '../../trade/deviation.ts'
import type { DealRecord } from '../deal-record.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import {
  GRID_METERS,
  type GridMeter,
  MAX_METER_WINDOWS,
  MAX_REGISTER_MWH,
  MAX_WINDOW_DEALS,
  METER_WINDOWS,
  windowId,
} from '../grid-tables.ts'
import type { Draft, State } from '../state.ts'
import { BOOKED_METERS } from '../tables.ts'

type Window = GridMeter['windows'][number]

const sidesOf = ({ sellerMeter, buyerMeter }: { sellerMeter: string; buyerMeter: string }) =>
  [
    { meterId: sellerMeter, selling: true },
    { meterId: buyerMeter, selling: false },
  ] as const

const dueOf = ({ end, receiptWindowMs, disputeWindowMs }: Contract) => {
  const receiptBy = later(end, receiptWindowMs)
  return { receiptBy, settleBy: later(receiptBy, disputeWindowMs) }
}

/** Whether both meters have room for a contract over the grid. */
export function checkWindows(state: State, contract: Contract): Result<void, LedgerFault> {
  const { start, end } = contract
  const { receiptBy, settleBy } = dueOf(contract)
  for (const { meterId, selling } of sidesOf(contract)) {
    if (state.get(BOOKED_METERS, meterId) !== undefined) return refuse('ledger.meter-use', { meterId, use: 'line' })
    const windows = state.get(GRID_METERS, meterId)?.windows ?? []
    const other = windows.find(window => start < window.end && window.start < end)
    if (other === undefined) {
      if (windows.length >= MAX_METER_WINDOWS) return refuse('ledger.sold', { what: meterId, windows: windows.length })
      continue
    }
    if (other.start !== start || other.end !== end) {
      return refuse('ledger.sold', { what: meterId, start, end, otherStart: other.start, otherEnd: other.end })
    }
    if (other.selling !== selling) {
      return refuse('ledger.window-terms', { meterId, start, selling, other: other.selling })
    }
    const { deals, ...known } = state.get(METER_WINDOWS, windowId(meterId, start))!
    if (known.receiptBy !== receiptBy || known.settleBy !== settleBy) {
      return refuse('ledger.window-terms', {
        ...{ meterId, receiptBy: known.receiptBy, settleBy: known.settleBy },
        ...{ contractReceiptBy: receiptBy, contractSettleBy: settleBy },
      })
    }
    if (deals.length >= MAX_WINDOW_DEALS) return refuse('ledger.window-full', { meterId, start, deals: deals.length })
  }
  return done
}

/** A direct contract's meters are not grid meters. */
export function checkLineMeters(state: State, contract: Contract): Result<void, LedgerFault> {
  const used = sidesOf(contract).find(({ meterId }) => state.get(GRID_METERS, meterId) !== undefined)
  return used === undefined ? done : refuse('ledger.meter-use', { meterId: used.meterId, use: 'grid' })
}

export function bookWindows(draft: Draft, contract: Contract, deal: Uint8Array): void {
  const { start, end, energy } = contract
  for (const { meterId, selling } of sidesOf(contract)) {
    const id = windowId(meterId, start)
    const known = draft.get(METER_WINDOWS, id)
    if (known !== undefined) {
      draft.put(METER_WINDOWS, id, { ...known, deals: [...known.deals, { deal, energy }], open: known.open + 1 })
      continue
    }
    draft.put(METER_WINDOWS, id, { end, selling, ...dueOf(contract), deals: [{ deal, energy }], open: 1 })
    const meter = draft.get(GRID_METERS, meterId) ?? { windows: [] }
    const windows = [...meter.windows, { start, end, selling, closed: false }].sort((a, b) => a.start - b.start)
    draft.put(GRID_METERS, meterId, { ...meter, windows })
  }
}

/** What a receipt shows: watt-hours, and the registers between which they were counted. */
export interface Counted {
  readonly energy: WattHours
  readonly from: Energy
  readonly to: Energy
}

/** Takes a receipt of a deal's seller or buyer into its meter's window. */
export function countReceipt(
  draft: Draft,
  deal: DealRecord,
  meterId: string,
  { energy, from, to }: Counted,
  time: Instant,
): Result<void, LedgerFault> {
  const id = windowId(meterId, deal.start)
  const window = draft.get(METER_WINDOWS, id)!
  const { counted, receiptBy } = window
  if (counted !== undefined && counted.since < receiptBy && time >= receiptBy) {
    return refuse('ledger.receipt-late', { meterId, receiptBy, now: time })
  }
  if (to > MAX_REGISTER_MWH) return refuse('ledger.reading-register', { end: to, most: MAX_REGISTER_MWH })
  const meter = draft.get(GRID_METERS, meterId)!
  const at = meter.windows.findIndex(({ start }) => start === deal.start)
  const own = meter.windows[at]!
  const hull = {
    from: own.from !== undefined && own.from < from ? own.from : from,
    to: own.to !== undefined && own.to > to ? own.to : to,
  }
  const overlap = overlapOf(meter, at, hull)
  if (overlap !== undefined) {
    return refuse('ledger.reading-counted', { meterId, begin: hull.from, end: hull.to, ...overlap })
  }
  draft.put(GRID_METERS, meterId, { ...meter, windows: meter.windows.with(at, { ...own, ...hull }) })
  const least = counted !== undefined && counted.energy < energy ? counted.energy : energy
  draft.put(METER_WINDOWS, id, { ...window, counted: { energy: least, since: counted?.since ?? time } })
  return done
}

/** The registers of another window of the same direction that these would run into. */
function overlapOf(meter: GridMeter, at: number, { from, to }: { from: Energy; to: Energy }) {
  const { selling } = meter.windows[at]!
  const before = selling ? meter.exported : meter.imported
  if (before !== undefined && from < before) return { countedTo: before }
  for (const [i, other] of meter.windows.entries()) {
    if (i === at || other.selling !== selling || other.from === undefined || other.to === undefined) continue
    if (i < at ? from < other.to : other.from < to) return { countedFrom: other.from, countedTo: other.to }
  }
  return undefined
}

export interface Shares {
  readonly sellerShare?: WattHours
  readonly buyerShare?: WattHours
  /** Whether both meters had counted by receiptBy. */
  readonly inTime: boolean
}

/** A deal's parts of what its two meters counted. */
export function sharesOfDeal(state: State, id: string, deal: DealRecord): Shares {
  const of = (meterId: string) => {
    const { counted, deals, receiptBy } = state.get(METER_WINDOWS, windowId(meterId, deal.start))!
    if (counted === undefined) return undefined
    const claims = deals.map(({ deal, energy }) => ({ id: toHex(deal), energy }))
    return { share: sharesOf(counted.energy, claims).get(id)!, inTime: counted.since < receiptBy }
  }
  const [seller, buyer] = [of(deal.sellerMeter), of(deal.buyerMeter)]
  return {
    ...(seller === undefined ? {} : { sellerShare: seller.share }),
    ...(buyer === undefined ? {} : { buyerShare: buyer.share }),
    inTime: seller?.inTime === true && buyer?.inTime === true,
  }
}

/** A deal of the window is closed; a window without an open one is forgotten but for its registers. */
export function releaseWindows(draft: Draft, deal: DealRecord): void {
  for (const { meterId } of sidesOf(deal)) {
    const id = windowId(meterId, deal.start)
    const window = draft.get(METER_WINDOWS, id)!
    if (window.open > 1) {
      draft.put(METER_WINDOWS, id, { ...window, open: window.open - 1 })
      continue
    }
    draft.remove(METER_WINDOWS, id)
    const meter = draft.get(GRID_METERS, meterId)!
    const windows = meter.windows.map(one => (one.start === deal.start ? { ...one, closed: true } : one))
    const open = windows.findIndex(({ closed }) => !closed)
    const kept = open < 0 ? [] : windows.slice(open)
    draft.put(GRID_METERS, meterId, {
      ...highest(meter, windows.slice(0, windows.length - kept.length)),
      windows: kept,
    })
  }
}

/** How far a meter's registers were counted when these windows are forgotten. */
function highest({ exported, imported }: GridMeter, windows: readonly Window[]): Omit<GridMeter, 'windows'> {
  const top = (known: Energy | undefined, selling: boolean) =>
    windows.reduce(
      (most, { to, ...window }) =>
        to !== undefined && window.selling === selling && (most === undefined || to > most) ? to : most,
      known,
    )
  const [out, back] = [top(exported, true), top(imported, false)]
  return { ...(out === undefined ? {} : { exported: out }), ...(back === undefined ? {} : { imported: back }) }
}

/** A meter that is enrolled anew may be another one, whose registers begin elsewhere: the enroller has seen it. */
export function forgetRegisters(draft: Draft, meterId: string): void {
  const meter = draft.get(GRID_METERS, meterId)
  if (meter === undefined) return
  draft.put(GRID_METERS, meterId, { windows: meter.windows.map(({ from: _, to: __, ...window }) => window) })
}
