/** What the light client is told, and what it offers the rest of the agent. Types only. */
import type { Cancel, Clock, Disk, LedgerRpc, Log, Timers } from '../../drivers/ports.ts'
import type { HeaderStore } from '../../drivers/store/headers.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { LightOptions } from '../../protocol/light/predicates.ts'
import type { Anchor, VerifiedHeader } from '../../protocol/light/verify.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import type { LightHealth } from './decide.ts'
import type { ProvenTx } from './history.ts'
import type { Proven } from './proof.ts'
import type { SourceView } from './roster.ts'

export interface LightConfig extends LightOptions {
  /** Where trust begins; a block kept on disk is preferred when it is newer. */
  readonly trust: Anchor
  /** Between two looks at the head; the ledger makes a block a second. */
  readonly followMs?: number
  /** No answer of a node takes longer on a line that is of use. */
  readonly rpcDeadlineMs?: number
  /** A head that has not risen for this long is no ground for a payment. */
  readonly staleAfterMs?: number
  /** How long `prove` goes on asking for what is not there yet. */
  readonly proveWaitMs?: number
}

export interface Head {
  readonly height: bigint
  readonly time: Instant
  readonly hash: Uint8Array
  /** Addresses, hex, of the validators whose signatures were checked. */
  readonly signedBy: readonly string[]
  /** How many validators there are. */
  readonly validators: number
  readonly verifiedMono: Mono
  /** Whether a witness has confirmed it. */
  readonly witnessed: boolean
}

export interface LightAgent {
  /**
   * Finds the ground of trust and begins to follow. A fault says what is in the way, as a ground too old and how to anchor
   * trust anew; meanwhile nothing is believed, and what may pass by itself is tried again.
   */
  start(): Promise<Result<void>>
  stop(): Promise<void>
  /** The newest verified header; undefined before the first and after a divergence. */
  head(): Head | undefined
  /** Why no window of time may be agreed on: our wall clock is further ahead of the newest header than it may be. */
  aheadOfLedger(): Fault | undefined
  /** Advances to the primary's head; calls at the same time share one round. */
  follow(): Promise<Result<void>>
  /** Proves what stands under a key now; waits, within bounds, until the state is at least that of block `atLeast`. */
  prove(key: Uint8Array, atLeast?: bigint): Promise<Result<Proven>>
  /** A transaction that stands in the ledger, with its result; waits, within bounds, until both are there. */
  proveTx(hash: Uint8Array): Promise<Result<ProvenTx>>
  /** The header of a height that is past, however old. */
  headerAt(height: bigint): Promise<Result<VerifiedHeader>>
  /** How a block that was proven against is reached from where trust begins, block by block, for others to verify; itself at least. */
  pathTo(block: LightBlock): Promise<readonly LightBlock[]>
  health(): LightHealth
  onHealth(listener: (health: LightHealth) => void): Cancel
  /** Every node that was configured, and what it last said of a header. */
  sources(): readonly SourceView[]
  stats(): { readonly headersVerified: number; readonly proofsVerified: number; readonly refusals: number }
}

export interface LightPorts {
  readonly config: LightConfig
  readonly primary: LedgerRpc
  readonly witnesses: readonly LedgerRpc[]
  readonly clock: Clock
  readonly timers: Timers
  /** For evidence. */
  readonly disk: Disk
  readonly headers: HeaderStore
  readonly verifier: Verifier
  readonly log: Log
}
