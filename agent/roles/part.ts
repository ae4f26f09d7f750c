/** One part of an agent beside its direct lines, as agent/compose.ts starts it: what it may ask of the rest, and what it offers. */
import type { Clock, Entropy, LedgerRpc, Log, Signer, Timers } from '../../drivers/ports.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import type { Message } from '../../protocol/trade/message.ts'
import type { SiteConfig } from '../config/site-config.ts'
import type { LightAgent } from '../light/run.ts'
import type { Metering } from '../metering/run.ts'
import type { LedgerAccount } from '../trading/account.ts'
import type { Post } from '../trading/post.ts'

/** A ledger as an agent sees it: what is proven, and its own account there. */
export interface LedgerView {
  readonly chainId: string
  readonly light: LightAgent
  readonly account: LedgerAccount
  /** For what another ledger is to be shown: agent/grid/bring.ts. */
  readonly nodes: readonly LedgerRpc[]
}

/** Loads, generators and stores of a site that follow what it has agreed. */
export interface Dispatch {
  /** For a deal over the grid: what it sells is to be given, what it buys to be taken, or no longer. */
  deal(deal: Deal, on: boolean): void
  /** These loads stand still from now on, all others may run. */
  standStill(loads: readonly string[]): void
}

export interface PartOptions {
  readonly config: SiteConfig
  readonly signer: Signer
  readonly energy: LedgerView
  /** Absent where the site names no distribution ledger. */
  readonly distribution: LedgerView | undefined
  readonly post: Post
  readonly metering: Metering
  readonly clock: Clock
  readonly timers: Timers
  readonly entropy: Entropy
  readonly verifier: Verifier
  readonly log: Log
  /** Durable on success; given back by `restore` after a restart. */
  record(bytes: Uint8Array): Promise<Result<unknown>>
  /** Raises with a fault, clears without. */
  health(what: string, fault: Fault | undefined): void
  saveEvidence(fault: Fault, bytes: readonly Uint8Array[]): void
}

export interface Part {
  /** The newest records of an earlier life; called once before `start`. */
  restore?(records: Iterable<Uint8Array>): void
  start(): void
  /** Every message of a configured peer comes by; a part takes what is its own. */
  onMessage?(peer: string, message: Message): void
  /** Nothing new is begun; what is agreed goes to its end. */
  windDown?(): void
  stop(): void
}
