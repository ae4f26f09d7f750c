/** What the interlock judges by: everything one line end knows at one moment, and the limits that are set for it. */
import type { Instant, Mono } from '../time.ts'
import type { LineReading } from './line-reading.ts'

/**
 * Where a contact sits. A line joins a seller to a separable circuit of the buyer:
 *
 *     seller's grid --upstream-- --line--[meter]=======[meter]--line-- circuit --own-- buyer's grid
 */
export type Role = 'seller.upstream' | 'seller.line' | 'buyer.line' | 'buyer.own'

export type Position = 'open' | 'closed'

/** What a contact was last seen to be; `unknown` where nothing was seen since it was last commanded, or not lately. */
export type Seen = Position | 'unknown'

export interface ContactFacts {
  readonly name: string
  readonly commanded: Position
  /** When it was commanded there; for one never closed, when this agent first commanded it open. */
  readonly since: Mono
  readonly seen: Seen
}

/** A line's contact onto a circuit, and when a reading last showed that line dead. */
export interface FeedFacts extends ContactFacts {
  readonly deadAt: Mono | undefined
}

/** How far the light client can be believed. `halted`: it saw evidence against the ledger, or no header it can use. */
export type LightState = 'healthy' | 'no-witness' | 'halted'

export interface DealFacts {
  /** Names the deal: another id starts another lease. */
  readonly id: string
  readonly start: Instant
  readonly end: Instant
}

/** The header under which the buyer's payment was last proven to be locked. */
export interface ProofFacts {
  readonly height: bigint
  readonly headerTime: Instant
}

export interface PeerFacts {
  /**
   * When its last heartbeat is known to have been said: the departure of our own heartbeat that it answers. Its arrival
   * is no such time, because a bus can deliver late.
   */
  readonly heard: Mono
  /** Its line contact, as that heartbeat gave it. */
  readonly line: Seen
  readonly welded: boolean
}

/** What trading and the light client know of a line's deal; whatever is undefined is unknown. */
export interface LineFacts {
  readonly deal: DealFacts | undefined
  readonly proof: ProofFacts | undefined
  readonly light: LightState | undefined
  /** When our own last heartbeat for this line left (or, better, was answered). */
  readonly ownHeartbeat: Mono | undefined
  readonly peer: PeerFacts | undefined
}

export interface EndFacts extends LineFacts {
  readonly now: Instant
  readonly mono: Mono
  /** A person has taken the contacts over. */
  readonly manual: boolean
  /** When the agent's watchdog was last fed. */
  readonly watchdogFed: Mono | undefined
  /** End of the deal on the monotonic clock: it can shrink, never grow. */
  readonly leaseUntil: Mono | undefined
  readonly reading: LineReading | undefined
  /** Since when every reading of a line that ought to be live lay outside the window. */
  readonly outsideSince: Mono | undefined
  /** Since when this buyer's closed line has been live although its seller reports open. */
  readonly strayLiveSince: Mono | undefined
  readonly contacts: {
    readonly line: FeedFacts
    readonly upstream: ContactFacts | undefined
    readonly own: ContactFacts | undefined
  }
  /** The contacts of other lines onto the same circuit. */
  readonly siblings: readonly FeedFacts[]
  /** Names of latched contacts among this end's and its circuit's. */
  readonly welds: readonly string[]
}

export interface Limits {
  readonly phases: 1 | 3
  /** Per phase. */
  readonly limitMa: number
  readonly heartbeatMs: number
  readonly readingMs: number
  readonly watchdogMs: number
  readonly maxProofAgeMs: number
  readonly clockDriftMs: number
  readonly deadMv: number
  readonly voltageMinMv: number
  readonly voltageMaxMv: number
  readonly frequencyMinMhz: number
  readonly frequencyMaxMhz: number
  readonly persistMs: number
  readonly settleMs: number
  readonly changeoverMs: number
  readonly minOffMs: number
  readonly readBackMs: number
  readonly weldMs: number
  readonly weldMa: number
}

/**
 * A window on voltage and frequency here is a permission to stay connected, never a certified protection: that is a
 * device of its own.
 */
export const DEFAULT_LIMITS: Omit<Limits, 'limitMa'> = {
  phases: 1,
  // Four missed at four a second: one lost message costs nothing, a silent peer opens the line within about a second.
  heartbeatMs: 1000,
  // The line meter is read once a second; half a second covers one repeated request.
  readingMs: 1500,
  // Ten rounds of the control loop.
  watchdogMs: 1000,
  // A dozen blocks of five seconds.
  maxProofAgeMs: 60_000,
  // CometBFT's customary bound on clock drift between honest parties.
  clockDriftMs: 10_000,
  // Extra-low voltage ends at 50 V a.c. (IEC 61140); above what a floating wire picks up from its neighbours.
  deadMv: 50_000,
  // EN 50549-1: 0.85 to 1.10 of 230 V, 47.5 to 51.5 Hz, here with 1.0 s of persistence.
  voltageMinMv: 195_500,
  voltageMaxMv: 253_000,
  frequencyMinMhz: 47_500,
  frequencyMaxMhz: 51_500,
  persistMs: 1000,
  // A contactor drops out within 50 ms. Raise it by the refresh interval of a meter that refreshes slower than this.
  settleMs: 200,
  // A contactor's make time with margin, so that break comes before make.
  changeoverMs: 100,
  // Contactor coils and compressors are rated for about a thousand operations an hour at most.
  minOffMs: 3000,
  // A coil board on a busy bus answers within a few hundred milliseconds.
  readBackMs: 1000,
  // Debounce of a contact that seems stuck, as in the charging-station controllers that people trust.
  weldMs: 1000,
  // Above the starting current of a class 1 meter by a factor of five.
  weldMa: 100,
}
