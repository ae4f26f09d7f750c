/**
 * The audit of contracts over the grid, in its own words.
 *
 *     windows of a meter        equal or apart; in each it sells or buys; no direct line has it as its meter
 *     counted of a window       the least of the receipts of its deals
 *     a deal's share            counted x energy / sum of energies, whole; what is left over goes to the largest remainders,
 *                               a watt-hour each, equal ones by name
 *     delivered                 min(contracted, every share); paid = floor(delivered x price); where sellers prove, nothing
 *                               without the seller's
 *     delivered in a window     in sum no more than was counted
 *     registers of two windows  of one direction do not overlap
 */
import { toHex } from '../bytes.ts'
import type { Fault } from '../result.ts'
import type { DealRecord } from './deal-record.ts'
import { type GridMeter, type MeterWindow, windowId } from './grid-tables.ts'

export interface GridBooks {
  readonly meters: Map<string, GridMeter>
  readonly windows: Map<string, MeterWindow>
}

export const createGridBooks = (): GridBooks => ({ meters: new Map(), windows: new Map() })

/** The deals of one meter in one window. */
interface Group {
  readonly meterId: string
  readonly selling: boolean
  readonly deals: { readonly id: string; readonly deal: DealRecord }[]
}

const countedOf = ({ selling, deals }: Group): bigint | undefined => {
  const receipts = deals
    .map(({ deal }) => (selling ? deal.sellerReceipt : deal.buyerReceipt)?.energy)
    .filter(energy => energy !== undefined)
  return receipts.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined)
}

/** What is wrong with the deals over the grid, and with what is kept of their meters, at a block time. */
export function gridProblems(
  books: GridBooks,
  deals: ReadonlyMap<string, DealRecord>,
  now: number,
  sellerProves: boolean,
): Fault[] {
  const found: Fault[] = []
  const groups = new Map<string, Group>()
  const lineMeters = new Set<string>()
  for (const [id, deal] of deals) {
    for (const [meterId, selling] of [
      [deal.sellerMeter, true],
      [deal.buyerMeter, false],
    ] as const) {
      if (deal.to === undefined) {
        lineMeters.add(meterId)
        continue
      }
      const key = windowId(meterId, deal.start)
      const group = groups.get(key)
      if (group === undefined) groups.set(key, { meterId, selling, deals: [{ id, deal }] })
      else if (group.selling === selling) group.deals.push({ id, deal })
      else found.push({ code: 'audit.window', window: key, what: 'sells and buys' })
    }
  }
  for (const [key, group] of groups) found.push(...groupProblems(key, group, books))
  found.push(...apartProblems(groups))
  for (const [id, deal] of deals) {
    if (deal.to === undefined) continue
    const sides = [deal.sellerMeter, deal.buyerMeter].map(meterId => groups.get(windowId(meterId, deal.start))!)
    found.push(...dealProblems(id, deal, sides, now, sellerProves))
    const line = sides.find(({ meterId }) => lineMeters.has(meterId))
    if (line !== undefined) found.push({ code: 'audit.meter-use', meterId: line.meterId, deal: id })
  }
  for (const key of books.windows.keys()) {
    if (!groups.has(key)) found.push({ code: 'audit.window', window: key, what: 'of no deal' })
  }
  for (const [meterId, meter] of books.meters) found.push(...registerProblems(meterId, meter))
  return found
}

/** What is kept of a window is what its deals say, and nothing is kept once they are closed. */
function groupProblems(key: string, group: Group, { windows, meters }: GridBooks): Fault[] {
  const found: Fault[] = []
  const wrong = (what: string) => void found.push({ code: 'audit.window', window: key, what })
  const { deals, selling, meterId } = group
  const first = deals[0]!.deal
  const same = (deal: DealRecord) =>
    deal.end === first.end && deal.receiptBy === first.receiptBy && deal.settleBy === first.settleBy
  if (!deals.every(({ deal }) => same(deal))) wrong('deals of other terms')
  const counted = countedOf(group)
  const delivered = deals.reduce((sum, { deal }) => sum + (deal.outcome?.delivered ?? 0n), 0n)
  if (counted !== undefined && delivered > counted) wrong(`${delivered} Wh delivered of ${counted}`)
  const open = deals.filter(({ deal }) => deal.state === 'locked').length
  const kept = windows.get(key)
  if ((kept === undefined) !== (open === 0)) wrong(`${open} open deals, and a record: ${kept !== undefined}`)
  if (kept !== undefined) {
    const names = (ids: readonly string[]) => [...ids].sort().join()
    if (names(kept.deals.map(({ deal }) => toHex(deal))) !== names(deals.map(({ id }) => id))) wrong('other deals')
    for (const { deal, energy } of kept.deals) {
      if (deals.find(({ id }) => id === toHex(deal))?.deal.energy !== energy) wrong('a deal of another energy')
    }
    if (kept.open !== open || kept.selling !== selling || kept.end !== first.end) wrong('kept wrongly')
    if (kept.receiptBy !== first.receiptBy || kept.settleBy !== first.settleBy) wrong('kept for another time')
    if (kept.counted?.energy !== counted) wrong(`counted ${kept.counted?.energy}, not ${counted}`)
  }
  const listed = meters.get(meterId)?.windows.find(({ start }) => start === first.start)
  if (listed === undefined ? open > 0 : listed.closed !== (open === 0) || listed.selling !== selling) {
    wrong('listed wrongly')
  }
  return found
}

/** No two windows of a meter overlap, unless they are the same. */
function apartProblems(groups: ReadonlyMap<string, Group>): Fault[] {
  const found: Fault[] = []
  const byMeter = new Map<string, Group[]>()
  for (const group of groups.values()) {
    const known = byMeter.get(group.meterId)
    if (known === undefined) byMeter.set(group.meterId, [group])
    else known.push(group)
  }
  for (const [meterId, own] of byMeter) {
    const windows = own.flatMap(({ deals }) => deals).sort((a, b) => a.deal.start - b.deal.start)
    for (const [i, { id, deal }] of windows.entries()) {
      const last = windows[i - 1]
      if (last !== undefined && deal.start < last.deal.end && deal.start !== last.deal.start) {
        found.push({ code: 'audit.sold-twice', what: `meter ${meterId}`, deals: [last.id, id] })
      }
    }
  }
  return found
}

/** A deal's part of a count, by rank among the remainders. */
function partOf(id: string, group: Group): bigint | undefined {
  const counted = countedOf(group)
  if (counted === undefined) return undefined
  const sum = group.deals.reduce((total, { deal }) => total + deal.energy, 0n)
  const there = counted < sum ? counted : sum
  const parts = group.deals.map(one => ({
    id: one.id,
    whole: (there * one.deal.energy) / sum,
    rest: (there * one.deal.energy) % sum,
  }))
  const left = parts.reduce((total, { whole }) => total - whole, there)
  const own = parts.find(part => part.id === id)!
  const ahead = parts.filter(({ rest, id: name }) => rest > own.rest || (rest === own.rest && name < id)).length
  return own.whole + (BigInt(ahead) < left ? 1n : 0n)
}

function dealProblems(
  id: string,
  deal: DealRecord,
  sides: readonly Group[],
  now: number,
  sellerProves: boolean,
): Fault[] {
  const found: Fault[] = []
  const expect = (what: string, expected: unknown, received: unknown) => {
    if (expected === received) return
    found.push({ code: 'audit.deal', deal: id, what, expected: String(expected), received: String(received) })
  }
  const { energy, price, escrow, outcome, state, overdue, receiptBy, settleBy } = deal
  const value = energy * price
  expect('escrow', value / 1000n + (value % 1000n === 0n ? 0n : 1n), escrow)
  expect('open receipts over the grid', undefined, deal.receipts ?? deal.sealed ?? deal.sellerQuantity)
  if (outcome === undefined) {
    expect('state without an outcome', 'locked', state)
    expect('closed in time', true, now < (overdue === true ? settleBy : receiptBy))
    return found
  }
  const parts = sides.map(side => partOf(id, side))
  expect("seller's share", parts[0], outcome.sellerShare)
  expect("buyer's share", parts[1], outcome.buyerShare)
  const heard = sellerProves && parts[0] === undefined ? [] : parts.filter(part => part !== undefined)
  expect('state', heard.length === 0 ? 'refunded' : 'settled', state)
  expect('disputed', heard.length === 1, outcome.disputed)
  const delivered = heard.length === 0 ? 0n : heard.reduce((a, b) => (b < a ? b : a), energy as bigint)
  expect('delivered', delivered, outcome.delivered)
  expect('paid', (delivered * price) / 1000n, outcome.paid)
  expect('refunded', escrow - outcome.paid, outcome.refunded)
  expect('waited for both meters', true, outcome.at >= (heard.length === 2 ? receiptBy : settleBy))
  return found
}

function registerProblems(meterId: string, { windows, exported, imported }: GridMeter): Fault[] {
  const found: Fault[] = []
  const top: Record<'out' | 'back', bigint> = { out: exported ?? 0n, back: imported ?? 0n }
  let end = 0
  for (const { start, selling, from, to, ...window } of windows) {
    const way = selling ? 'out' : 'back'
    const wrong = (what: string) => void found.push({ code: 'audit.registers', meterId, start, what })
    if (start < end) wrong('windows out of order')
    end = window.end
    if ((from === undefined) !== (to === undefined)) wrong('half of a count')
    if (from === undefined || to === undefined) continue
    if (from < top[way]) wrong(`counted from ${from}, and to ${top[way]} before`)
    if (to < from) wrong('backwards')
    if (to > top[way]) top[way] = to
  }
  return found
}
