/** What trading keeps of one line end from moment to moment. */
import type { Entropy } from '../../drivers/ports.ts'
import type { Limits } from '../../protocol/safety/facts.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import type { Pulse } from '../../protocol/trade/heartbeat.ts'
import type { DealRunner } from './deal-runner.ts'
import type { TradeEnd } from './negotiate.ts'

export interface EndRun {
  readonly trade: TradeEnd
  readonly limits: Limits
  readonly peer: string
  runner: DealRunner | undefined
  pulse: Pulse
  /** When our last heartbeat left. */
  beatAt: Mono | undefined
  peerContact: 'open' | 'closed' | 'unknown'
  peerWelded: boolean
  exchangedAt: Mono
  lastUsed: Mono | undefined
  notBefore: Mono
  /** The ledger has this line's time sold up to here, whatever became of the deal. */
  soldUntil: Instant
  /** The buyer's circuit asks for nothing before. */
  pausedUntil: Mono
  /** When the line was last in a deal or in negotiation. */
  wantedAt: Mono
  /** Its meter is read at its rest period. */
  resting: boolean
}

/** Heartbeats of one deal are numbered from a random place, so that an echo of another deal names none of them. */
export function firstBeat(entropy: Entropy): number {
  const [a, b, c, d] = entropy.bytes(4)
  return 1 + a! + 256 * (b! + 256 * (c! + 256 * d!))
}
