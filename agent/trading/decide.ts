/**
 * What this site wants to buy and is ready to sell, decided from what is known; agent/trading/run.ts carries it out.
 *
 * A buyer asks for its circuit's next window on one of the lines that can feed it, the one it used least recently first. A seller
 * offers no more than the surplus its grid meter shows, less what it has already promised.
 */
import type { SellConfig, TradeConfig } from '../../agent/config/site-config.ts'
import type { Power, WattHours } from '../../protocol/quantity.ts'
import { wattHours } from '../../protocol/quantity.ts'
import { type Instant, instant, type Mono } from '../../protocol/time.ts'
import type { Aim } from '../../protocol/trade/bargain.ts'

/**
 * From request to the window's start: four messages, the buyer's transaction in the next block, its proof under the
 * header after that, and the buyer's changeover, at blocks of one second.
 */
const LEAD_MS = 10_000
/** Offers one side makes: with two, a deal that takes the longest bargaining still needs no more than twelve messages. */
const ROUNDS = 2
/** Bargaining is over well before the lead time is; what is left is for the ledger. */
const BARGAIN_MS = 4_000
/** After a refusal or a fault the same line is left alone this long, so that a peer in trouble is not pestered. */
export const RETRY_MS = 15_000

/** One line that can feed the circuit, as its buyer sees it. */
export interface BuyerLine {
  readonly id: string
  /** A contact of this end or its circuit is latched as welded. */
  readonly latched: boolean
  readonly lastUsed: Mono | undefined
  /** Not asked again before this. */
  readonly notBefore: Mono
  /** The ledger sells no time of this line before this again. */
  readonly soldUntil: Instant
}

export interface Ask {
  readonly line: string
  readonly start: Instant
  readonly end: Instant
}

/** The next window to ask for, or undefined: the circuit is in a deal, or no line may be asked now. */
export function decideAsk(
  lines: readonly BuyerLine[],
  circuitBusy: boolean,
  trade: TradeConfig,
  now: Instant,
  mono: Mono,
): Ask | undefined {
  if (circuitBusy || trade.buy === undefined) return undefined
  const open = lines.filter(line => !line.latched && mono >= line.notBefore)
  const line = open.sort((a, b) => (a.lastUsed ?? -1) - (b.lastUsed ?? -1) || (a.id < b.id ? -1 : 1))[0]
  if (line === undefined) return undefined
  const start = instant(Math.ceil(Math.max(now + LEAD_MS, line.soldUntil) / 1000) * 1000)
  // Asked too early, the deal would only wait, and the surplus that it is offered from may be gone by then.
  if (start > now + 2 * LEAD_MS) return undefined
  return { line: line.id, start, end: instant(start + trade.slotMs) }
}

export function buyerAim(trade: TradeConfig & { readonly buy: NonNullable<TradeConfig['buy']> }, mono: Mono): Aim {
  return {
    side: 'buyer',
    opening: trade.buy.opening,
    limit: trade.buy.limit,
    most: trade.energy,
    // Half of what was wanted still runs the circuit for a while; less is not worth a changeover.
    least: wattHours((trade.energy + 1n) / 2n),
    rounds: ROUNDS,
    from: mono,
    deadline: (mono + BARGAIN_MS) as Mono,
    firmness: 2,
  }
}

export function sellerAim(sell: SellConfig, available: WattHours, mono: Mono): Aim {
  return {
    side: 'seller',
    opening: sell.opening,
    limit: sell.reserve,
    most: available,
    least: wattHours(1n),
    rounds: ROUNDS,
    from: mono,
    deadline: (mono + BARGAIN_MS) as Mono,
    firmness: 2,
  }
}

/** What a seller has promised on another line. */
export interface Promised {
  readonly energy: WattHours
  readonly start: Instant
  readonly end: Instant
  /** The line meter shows it flowing, so the grid meter's surplus is already net of it. */
  readonly flowing: boolean
}

/**
 * Watt-hours on hand for a window: the surplus now, held for the window, less what is promised in it and not yet flowing;
 * rounded down. None where the surplus is not known: an absent reading is no zero and no plenty.
 */
export function available(
  sell: SellConfig,
  gridPower: Power | undefined,
  promised: readonly Promised[],
  start: Instant,
  end: Instant,
): WattHours {
  const surplusMw = sell.capacity ?? (gridPower === undefined ? undefined : -gridPower)
  if (surplusMw === undefined) return wattHours(0n)
  const overlapping = promised.filter(one => one.start < end && start < one.end)
  const taken = overlapping
    .filter(one => sell.capacity !== undefined || !one.flowing)
    .reduce((sum, one) => sum + one.energy, 0n)
  const onHand = (BigInt(Math.max(0, surplusMw)) * BigInt(end - start)) / 3_600_000_000n - taken
  return wattHours(onHand > 0n ? onHand : 0n)
}
