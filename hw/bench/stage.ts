/** What a named fault is struck on: a street, real or simulated, and the places where its ports can be made to lie. */
import type { SiteConfig } from '../../agent/config/site-config.ts'
import type { World } from '../../agent/world.ts'
import type { MemorySigner } from '../../drivers/crypto/signer.ts'
import type { Clock, Disk, Timers } from '../../drivers/ports.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { parseTx, type TxKind } from '../../protocol/ledger/tx.ts'
import { done, ok, type Result } from '../../protocol/result.ts'
import type { NodeFaults } from '../sim/ledger-rpc.ts'
import type { RunningStreet } from '../sim/street-run.ts'

/** What can be struck in the ports of one site. */
export interface PortFaults {
  /** The node that the site follows, and its witnesses. */
  readonly primary: NodeFaults
  readonly witnesses: NodeFaults
  /** Nothing that this site says reaches a broker any more. */
  mute: boolean
  /** Transactions of this kind are taken and never handed in, as by an owner who means to cheat. */
  swallow: TxKind | undefined
}

export const noPortFaults = (primary: NodeFaults = {}, witnesses: NodeFaults = {}): PortFaults => ({
  primary,
  witnesses,
  mute: false,
  swallow: undefined,
})

/** A world whose bus and ledger obey `struck`; what its nodes answer is left to whoever opens them. */
export const struckWorld = (world: World, struck: PortFaults): World => ({
  ...world,
  openLedger: url => {
    const node = world.openLedger(url)
    return {
      ...node,
      submit: async tx => (isSwallowed(tx, struck) ? ok({ code: 0, log: '', hash: sha256(tx) }) : node.submit(tx)),
    }
  },
  openBus: async (urls, how) => {
    const bus = await world.openBus(urls, how)
    if (!bus.ok) return bus
    const { value } = bus
    return ok({ ...value, publish: async (...message) => (struck.mute ? done : value.publish(...message)) })
  },
})

function isSwallowed(tx: Uint8Array, { swallow }: PortFaults): boolean {
  const parsed = swallow === undefined ? undefined : parseTx(tx)
  return parsed?.ok === true && parsed.value.tx.kind === swallow
}

/** One life of an agent that can be ended without a word. */
export interface Life {
  /** This start of the site's journal, counted from 1. */
  readonly boot: number
  kill(): Promise<unknown>
  stop(): Promise<unknown>
}

export interface Stage {
  readonly running: RunningStreet
  readonly seed: number
  readonly clock: Clock
  readonly timers: Timers
  readonly verifier: Verifier
  readonly signer: (seed: Uint8Array) => MemorySigner
  readonly brokers: readonly { stop(): Promise<unknown>; restart(): Promise<unknown> }[]
  struck(site: string): PortFaults
  /** Starts a site that the street left out, so that it can be killed. */
  live(site: string, config: SiteConfig): Promise<Result<Life>>
  /** Where a site keeps evidence, and its journal, as they lie on its disk. */
  stateOf(site: string): Promise<Result<Disk & { close?(): Promise<void> }>>
  journalOf(site: string): Promise<Result<Disk & { close?(): Promise<void> }>>
  /** Takes a site's journal away while its agent is dead. */
  loseJournal(site: string): void
}
