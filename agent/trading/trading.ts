/** What trading needs of the rest of the agent, and what it offers: types only. */
import type { Bus, Clock, Entropy, Log, Signer, Timers } from '../../drivers/ports.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { WattHours } from '../../protocol/quantity.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import type { Limits, LineFacts } from '../../protocol/safety/facts.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import type { DirectLineConfig, SiteConfig } from '../config/site-config.ts'
import type { LightAgent } from '../light/run.ts'
import type { Metering } from '../metering/run.ts'
import type { ControlEvent } from '../relays/decide.ts'
import type { RelayControl } from '../relays/run.ts'
import type { LedgerAccount } from './account.ts'
import type { DealRunner } from './deal-runner.ts'
import type { Post } from './post.ts'

export interface TradingOptions {
  readonly config: SiteConfig
  limitsOf(line: DirectLineConfig): Limits
  readonly account: LedgerAccount
  readonly signer: Signer
  readonly post: Post
  readonly bus: Bus
  readonly light: LightAgent
  readonly metering: Metering
  readonly relays: () => RelayControl
  readonly clock: Clock
  readonly timers: Timers
  readonly entropy: Entropy
  readonly verifier: Verifier
  readonly log: Log
  /** What is sold over the grid in a window: the same surplus is not sold again over a line. */
  soldOverGrid(window: { readonly start: Instant; readonly end: Instant }): WattHours
  /** What the site's battery spares; absent where none limits what is sold, undefined where nobody knows. */
  readonly spare?: () => WattHours | undefined
  record(bytes: Uint8Array): Promise<Result<unknown>>
  health(what: string, fault: Fault | undefined): void
  /** Saves what was refused, with the bytes where there are any. */
  saveEvidence(fault: Fault, bytes: readonly Uint8Array[]): void
}

export interface DealInfo {
  readonly runner: DealRunner
  readonly peer: string
  readonly requested: Mono
}

export interface Trading {
  /** The newest record of each deal that is not over; called once before `start`. */
  restore(records: Iterable<Uint8Array>): void
  start(): void
  facts(line: string): LineFacts
  onRelayEvent(event: ControlEvent): void
  /** A source of headers was caught in a lie: whatever relies on a proof of that time opens. */
  onLightRefusal(fault: Fault): void
  /** Nothing can be written: whatever is closed opens, and nothing is begun until it is called without a fault. */
  onJournal(fault: Fault | undefined): void
  /** Newest first. */
  deals(): readonly DealInfo[]
  stats(): { readonly proposed: number }
  /** Nothing new is begun; what is agreed goes to its end. */
  windDown(): void
  /** The same while it is on. */
  pause(on: boolean): void
  stop(): void
}
