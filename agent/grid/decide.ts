/**
 * What a site wants to buy and is ready to sell over the grid, decided from what is known; the files beside this one carry
 * it out. Its own use comes first: only what the grid meter would exchange with the grid anyway is traded.
 */
import type { Power, Price, WattHours } from '../../protocol/quantity.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import type { BodyOf } from '../../protocol/trade/message.ts'
import type { GridConfig } from '../config/site-config.ts'

/** Before its start a window needs a contract, a reservation and a payment: some blocks of two ledgers of one second. */
const LEAST_LEAD_MS = 5_000
/** An ad hoc deal is made for the slots that come next; what is further ahead is a standing agreement's. */
const MOST_AHEAD_MS = 2 * 3_600_000
/** A day, as for every contract. */
const LONGEST_MS = 86_400_000
/** Of the lead, in twelfths: bids are in by two, open by three, awarded by four; what is left is for the ledgers. */
const SEAL_TWELFTHS = 2
const REVEAL_TWELFTHS = 3
const AWARD_TWELFTHS = 4
/** Of the lead, in twelfths: what is left of it when requests for quotes are over. */
export const AFTER_AWARDS = 7

export interface Window {
  readonly start: Instant
  readonly end: Instant
}

/** What this site has agreed for a window, on whichever side. */
export interface Contracted extends Window {
  readonly role: Party
  readonly energy: WattHours
}

/** One that both have signed, under the id of its negotiation. */
export interface Agreed extends Contracted {
  readonly id: Uint8Array
}

export const overlaps = (a: Window, b: Window): boolean => a.start < b.end && b.start < a.end
const equal = (a: Window, b: Window): boolean => a.start === b.start && a.end === b.end

// --- What the meter will show

/** Import positive; the mean of what was seen, the last slot's share of it the greatest. */
export interface Outlook {
  readonly meanMw: number
  readonly seenMs: number
}

/** One more look at the grid meter: persistence, smoothed over a slot. */
export function look(before: Outlook | undefined, power: Power, sinceMs: number, slotMs: number): Outlook {
  if (before === undefined) return { meanMw: power, seenMs: 0 }
  const seenMs = Math.min(slotMs, before.seenMs + sinceMs)
  const share = seenMs === 0 ? 1 : Math.min(1, sinceMs / seenMs)
  return { meanMw: Math.round(before.meanMw + (power - before.meanMw) * share), seenMs }
}

/** Whole watt-hours of a power over a window, rounded down; a negative power is none. */
function energyOf(powerMw: number, { start, end }: Window): WattHours {
  return wattHours((BigInt(Math.max(0, Math.trunc(powerMw))) * BigInt(end - start)) / 3_600_000_000n)
}

/** What the meter is expected to count over a window, whole watt-hours towards 0; import positive. */
export const netOf = ({ meanMw }: Outlook, { start, end }: Window): bigint =>
  (BigInt(Math.trunc(meanMw)) * BigInt(end - start)) / 3_600_000_000n

const atLeastNone = (energy: bigint): WattHours => wattHours(energy > 0n ? energy : 0n)

/**
 * A meter's contracts of a window are all on one side, and its windows are equal or apart (protocol/ledger/rules/windows.ts):
 * undefined where one more on this side would not be; otherwise what is contracted already.
 */
function taken(contracts: readonly Contracted[], window: Window, role: Party): WattHours | undefined {
  const others = contracts.filter(one => overlaps(one, window))
  if (others.some(one => one.role !== role || !equal(one, window))) return undefined
  return wattHours(others.reduce((sum, { energy }) => sum + energy, 0n))
}

/** What is left to sell in a window. None where the surplus is not known: an absent reading is no zero and no plenty. */
export function leftToSell(
  { sell, store }: Pick<GridConfig, 'sell' | 'store'>,
  outlook: Outlook | undefined,
  contracts: readonly Contracted[],
  promised: WattHours,
  window: Window,
): WattHours {
  const before = taken(contracts, window, 'seller')
  const surplusMw = sell?.capacity ?? (outlook === undefined ? undefined : -outlook.meanMw)
  // A standing agreement is a wish to sell by itself: its owner need not bid.
  const sells = sell !== undefined || store !== undefined
  if (!sells || before === undefined || surplusMw === undefined) return wattHours(0n)
  return atLeastNone(energyOf(surplusMw, window) - before - promised)
}

/** What is left to buy in a window; `promised` comes over a direct line. */
export function leftToBuy(
  { buy, store }: Pick<GridConfig, 'buy' | 'store'>,
  outlook: Outlook | undefined,
  contracts: readonly Contracted[],
  promised: WattHours,
  window: Window,
): WattHours {
  const before = taken(contracts, window, 'buyer')
  if ((buy === undefined && store === undefined) || before === undefined) return wattHours(0n)
  const need = buy?.energy ?? (outlook === undefined ? undefined : energyOf(outlook.meanMw, window))
  if (need === undefined) return wattHours(0n)
  const left = atLeastNone(need - before - promised)
  return left < (buy?.least ?? 1n) ? wattHours(0n) : left
}

// --- Which window, and until when

/** The slot whose gate is open: it starts within the lead, and not too soon. */
export function openSlot({ slotMs, leadMs }: Pick<GridConfig, 'slotMs' | 'leadMs'>, now: Instant): Window | undefined {
  const start = Math.floor((now + leadMs) / slotMs) * slotMs
  // Who comes late, after a restart say, still has the ledgers' part of the lead.
  const latest = start - (leadMs * (12 - AWARD_TWELFTHS)) / 12
  return now > latest ? undefined : { start: instant(start), end: instant(start + slotMs) }
}

/** The deadlines of a request that goes out now. */
export function deadlines(
  window: Window,
  now: Instant,
): { readonly sealBy: Instant; readonly revealBy: Instant; readonly awardBy: Instant } {
  const by = (twelfths: number) => instant(now + Math.floor(((window.start - now) * twelfths) / 12))
  return { sealBy: by(SEAL_TWELFTHS), revealBy: by(REVEAL_TWELFTHS), awardBy: by(AWARD_TWELFTHS) }
}

// --- What others want

/** Why a request is refused before anything is looked up; undefined where it is not. */
export function wantFault(want: BodyOf<'want'>, now: Instant): string | undefined {
  const { start, end, energy, least, sealBy, awardBy } = want
  if (start < now + LEAST_LEAD_MS) return 'grid.too-late'
  if (start > now + MOST_AHEAD_MS) return 'grid.too-far'
  if (end <= start || end - start > LONGEST_MS) return 'grid.window'
  if (least > energy) return 'grid.least'
  if (sealBy <= now || awardBy < sealBy || awardBy >= start) return 'grid.deadlines'
  // What both sign is only their word, and over the grid a meter's count is shared with contracts of others.
  return want.receipts === undefined ? undefined : 'grid.sealed-receipts'
}

// --- Prices

/** Of the way from the reserve price to the opening one, in permille; a newcomer asks for its opening price. */
export const FIRST_MARGIN = 1000
/** A seller that is not taken comes down by a quarter of what it asks beyond its reserve; one that is goes up again slowly. */
export const nextMargin = (margin: number, won: boolean): number =>
  won ? Math.min(1000, margin + 100) : Math.floor((margin * 3) / 4)

/** What the seller asks for itself; never below its reserve. */
export const askedPrice = ({ reserve, opening }: NonNullable<GridConfig['sell']>, margin: number): Price =>
  microsPerKwh(reserve + ((opening - reserve) * BigInt(margin)) / 1000n)

/** What a broken promise costs a buyer beyond the price: a tenth of the most that it pays. */
export const stakeOf = (limit: Price): Price => microsPerKwh(limit / 10n)
