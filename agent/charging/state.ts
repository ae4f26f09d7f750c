/** What a site's charging control remembers from one step to the next. */
import { type ChargerTraits, type Hold, unknownHold } from '../../protocol/safety/charger-hold.ts'
import type { DealFacts } from '../../protocol/safety/facts.ts'
import type { Fuse } from '../../protocol/safety/site-guard.ts'
import type { Mono } from '../../protocol/time.ts'
import type { ChargingMode } from '../config/charging-config.ts'

export interface ChargerSpec {
  readonly traits: ChargerTraits
  readonly priority: number
  readonly mode: ChargingMode
  readonly switchesPhases: boolean
  /** The line that it shares with others. */
  readonly line: string
}

export interface SiteSpec {
  readonly fuses: ReadonlyMap<string, Fuse>
  readonly chargers: readonly ChargerSpec[]
}

export interface ChargerState {
  readonly hold: Hold
  /** The limit that it is to have. */
  readonly aimMa: number
  /** Since when it has been told to stop; undefined while it charges, and before it first did. */
  readonly offSince: Mono | undefined
  readonly onSince: Mono | undefined
  /** When it was last told less, and not 0. */
  readonly loweredAt: Mono | undefined
  /** A car that draws less than it may: no more than this is kept for it. */
  readonly needsMa: number
  readonly lessSince: Mono | undefined
  readonly surplus: SurplusState
}

/** What is left over has to last before anything starts, stops or switches by it. */
export interface SurplusState {
  readonly on: boolean
  readonly enoughSince: Mono | undefined
  readonly shortSince: Mono | undefined
  readonly phases: 1 | 3
  readonly otherSince: Mono | undefined
}

export interface BoughtDeal {
  readonly facts: DealFacts
  /** Its end on the monotonic clock. */
  readonly leaseUntil: Mono
  /** The payment is proven to be locked. */
  readonly paid: boolean
}

/** What this site has agreed with others, as far as charging follows it. */
export interface Agreed {
  /** Deals over the grid that buy. */
  readonly buying: ReadonlyMap<string, BoughtDeal>
  readonly selling: ReadonlySet<string>
  readonly standStill: ReadonlySet<string>
}

export const NOTHING_AGREED: Agreed = { buying: new Map(), selling: new Set(), standStill: new Set() }

export interface ChargingState {
  readonly chargers: ReadonlyMap<string, ChargerState>
}

/** Of each charger nothing is known, and none has been told anything. */
export function startState(site: SiteSpec, mono: Mono): ChargingState {
  const chargers = site.chargers.map(({ traits }): [string, ChargerState] => {
    const hold = unknownHold(traits, mono)
    const surplus = {
      on: false,
      enoughSince: undefined,
      shortSince: undefined,
      phases: hold.phases,
      otherSince: undefined,
    }
    const idle = { aimMa: 0, offSince: undefined, onSince: undefined, loweredAt: undefined }
    return [traits.name, { hold, ...idle, needsMa: traits.mostMa, lessSince: undefined, surplus }]
  })
  return { chargers: new Map(chargers) }
}

export function withHold(state: ChargingState, name: string, change: (hold: Hold) => Hold): ChargingState {
  const charger = state.chargers.get(name)!
  return { chargers: new Map(state.chargers).set(name, { ...charger, hold: change(charger.hold) }) }
}
