/**
 * The bill of one site, from what its grid meter counted and what its contracts delivered: every watt-hour stands in exactly
 * one line, every micro-unit too, and it says what trading saved against having traded nothing.
 *
 *     bought + drawn = imported        sold + fed in = exported
 *
 * Money is negative where the site pays. Rounding is that of the settlement: contracts round down, the supplier is paid
 * rounded up and pays rounded down (protocol/trade/deviation.ts).
 */
import { costCeil, costFloor, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'

/** What the supplier takes and gives for a kWh. */
export interface Tariff {
  readonly drawn: Price
  readonly fedIn: Price
}

/** One contract's part of a slot, as it was settled. */
export interface BilledTrade {
  readonly contract: string
  readonly side: 'bought' | 'sold'
  readonly delivered: WattHours
  /** All-in per kWh, as contracted. */
  readonly price: Price
  /** What of it this site hands to the distributor, per kWh. The buyer's price holds it already. */
  readonly fee: Price
  /** Charged for its own shortfall. */
  readonly shortfall: bigint
}

/** What the market would have given in this slot to whoever had known all: after fees, and at most so much. */
export interface MarketSeen {
  /** A buyer would have paid and a seller would have got so much for a kWh. */
  readonly pays: Price
  readonly gets: Price
  readonly offered: WattHours
  readonly wanted: WattHours
}

export interface BilledSlot {
  readonly start: Instant
  readonly tariff: Tariff
  /** Absent where the meter gave no number. */
  readonly metered?: { readonly imported: WattHours; readonly exported: WattHours }
  readonly trades: readonly BilledTrade[]
  /** What would have been metered without trading, where that is not what was metered. */
  readonly alone?: { readonly imported: WattHours; readonly exported: WattHours }
  readonly market?: MarketSeen
}

export type BillKind = 'bought' | 'sold' | 'drawn' | 'fed-in' | 'fee' | 'shortfall'

export interface BillLine {
  readonly start: Instant
  readonly kind: BillKind
  /** Absent in lines of a contract's fee and shortfall: their energy stands in another line. */
  readonly energy?: WattHours
  readonly money: bigint
  readonly contract?: string
}

/** Why trading cost more than it brought. */
export type WorseReason = 'shortfall' | 'bought-above-tariff' | 'sold-below-tariff' | 'rounding'

export interface Bill {
  readonly lines: readonly BillLine[]
  readonly money: bigint
  /** The same meter readings with the supplier alone. */
  readonly withoutTrading: bigint
  /** `money` less `withoutTrading`. */
  readonly saved: bigint
  /** Reasons by what each took, most first; there where `saved` is negative. */
  readonly worse?: readonly { readonly reason: WorseReason; readonly money: bigint }[]
  /** What perfect foresight would have brought beyond `money`, over the slots whose market is known; never negative. */
  readonly regret?: bigint
  /** Slots whose meter gave no number: only what their contracts settled is in the bill. */
  readonly unmetered: readonly Instant[]
}

export type BillFault =
  | { readonly code: 'bill.negative'; readonly start: number; readonly what: string; readonly value: bigint }
  | {
      readonly code: 'bill.overbooked'
      readonly start: number
      readonly side: 'bought' | 'sold'
      readonly contracted: bigint
      readonly metered: bigint
    }
  | { readonly code: 'bill.slot-twice'; readonly start: number }
  | { readonly code: 'bill.contract-twice'; readonly start: number; readonly contract: string }

const ZERO = wattHours(0n)

export function billOf(slots: readonly BilledSlot[]): Result<Bill, BillFault> {
  const fault = faultOf(slots)
  if (fault !== undefined) return fail(fault)
  const lines: BillLine[] = []
  const causes = new Map<WorseReason, bigint>()
  let withoutTrading = 0n
  let regret: bigint | undefined
  for (const slot of slots) {
    const own = linesOf(slot)
    lines.push(...own)
    const alone = supplierAlone(slot)
    withoutTrading += alone
    for (const [reason, money] of causesOf(slot)) causes.set(reason, (causes.get(reason) ?? 0n) + money)
    const best = foresight(slot)
    if (best === undefined) continue
    const missed = best - total(own)
    regret = (regret ?? 0n) + (missed > 0n ? missed : 0n)
  }
  const money = total(lines)
  const saved = money - withoutTrading
  const named = [...causes].filter(([, cost]) => cost > 0n).map(([reason, cost]) => ({ reason, money: cost }))
  named.sort((a, b) => (a.money > b.money ? -1 : 1))
  const rounding = { reason: 'rounding', money: -saved } as const
  return ok({
    lines,
    money,
    withoutTrading,
    saved,
    ...(saved < 0n ? { worse: named.length === 0 ? [rounding] : named } : {}),
    ...(regret === undefined ? {} : { regret }),
    unmetered: slots.filter(({ metered }) => metered === undefined).map(({ start }) => start),
  })
}

const total = (lines: readonly BillLine[]): bigint => lines.reduce((sum, { money }) => sum + money, 0n)

const sumOf = (trades: readonly BilledTrade[], side: BilledTrade['side']): bigint =>
  trades.reduce((sum, trade) => sum + (trade.side === side ? trade.delivered : 0n), 0n)

function linesOf({ start, tariff, metered, trades }: BilledSlot): BillLine[] {
  const lines: BillLine[] = []
  for (const { contract, side, delivered, price, fee, shortfall } of trades) {
    const paid = costFloor(delivered, price)
    lines.push({ start, kind: side, energy: delivered, money: side === 'bought' ? -paid : paid, contract })
    const fees = costFloor(delivered, fee)
    if (fees > 0n) lines.push({ start, kind: 'fee', money: -fees, contract })
    if (shortfall > 0n) lines.push({ start, kind: 'shortfall', money: -shortfall, contract })
  }
  if (metered === undefined) return lines
  const drawn = wattHours(metered.imported - sumOf(trades, 'bought'))
  const fedIn = wattHours(metered.exported - sumOf(trades, 'sold'))
  if (drawn > 0n) lines.push({ start, kind: 'drawn', energy: drawn, money: -costCeil(drawn, tariff.drawn) })
  if (fedIn > 0n) lines.push({ start, kind: 'fed-in', energy: fedIn, money: costFloor(fedIn, tariff.fedIn) })
  return lines
}

/** Without a reading, what the contracts delivered is all that is known to have flowed. */
const flowed = ({ metered, trades }: BilledSlot) =>
  metered ?? { imported: wattHours(sumOf(trades, 'bought')), exported: wattHours(sumOf(trades, 'sold')) }

function supplierAlone(slot: BilledSlot): bigint {
  const { imported, exported } = slot.alone ?? flowed(slot)
  return costFloor(exported, slot.tariff.fedIn) - costCeil(imported, slot.tariff.drawn)
}

function causesOf({ tariff, trades }: BilledSlot): readonly (readonly [WorseReason, bigint])[] {
  return trades.flatMap(({ side, delivered, price, fee, shortfall }): (readonly [WorseReason, bigint])[] => {
    const lost = side === 'bought' ? price + fee - tariff.drawn : tariff.fedIn - (price - fee)
    const reason = side === 'bought' ? 'bought-above-tariff' : 'sold-below-tariff'
    const cost = lost > 0n ? (delivered * lost + 999n) / 1000n : 0n
    return [
      ...(shortfall > 0n ? [['shortfall', shortfall] as const] : []),
      ...(cost > 0n ? [[reason, cost] as const] : []),
    ]
  })
}

/** The most this slot's readings could have brought: each kWh at the better of market and supplier. */
function foresight(slot: BilledSlot): bigint | undefined {
  const { market, metered, tariff } = slot
  if (market === undefined || metered === undefined) return undefined
  const least = (a: bigint, b: bigint) => wattHours(a < b ? a : b)
  const bought = market.pays < tariff.drawn ? least(metered.imported, market.offered) : ZERO
  const sold = market.gets > tariff.fedIn ? least(metered.exported, market.wanted) : ZERO
  return (
    costFloor(sold, market.gets) +
    costFloor(wattHours(metered.exported - sold), tariff.fedIn) -
    costFloor(bought, market.pays) -
    costCeil(wattHours(metered.imported - bought), tariff.drawn)
  )
}

function faultOf(slots: readonly BilledSlot[]): BillFault | undefined {
  const seen = new Set<number>()
  for (const { start, tariff, metered, trades, alone, market } of slots) {
    if (seen.has(start)) return { code: 'bill.slot-twice', start }
    seen.add(start)
    const contracts = new Set<string>()
    const quantities: [string, bigint][] = [
      ...Object.entries({ ...tariff, ...metered, ...market }),
      ...Object.entries({ ...alone }),
    ]
    for (const { contract, delivered, price, fee, shortfall } of trades) {
      if (contracts.has(contract)) return { code: 'bill.contract-twice', start, contract }
      contracts.add(contract)
      quantities.push(...Object.entries({ delivered, price, fee, shortfall }))
    }
    const negative = quantities.find(([, value]) => value < 0n)
    if (negative !== undefined) return { code: 'bill.negative', start, what: negative[0], value: negative[1] }
    if (metered === undefined) continue
    for (const [side, counted] of [
      ['bought', metered.imported],
      ['sold', metered.exported],
    ] as const) {
      const contracted = sumOf(trades, side)
      if (contracted > counted) return { code: 'bill.overbooked', start, side, contracted, metered: counted }
    }
  }
  return undefined
}
