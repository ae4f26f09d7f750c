/**
 * Carries one deal's table out: feeds it what happens, does what it asks for in the order it asks, and keeps it in the
 * journal. Opening a contact waits for nothing; everything after a `record` waits until the deal is on disk.
 */
import type { Cancel, Clock, Log, Signer, Timers } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import { assembleSignedContract, contractToSign } from '../../protocol/trade/contract.ts'
import { step } from '../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../protocol/trade/deal-codec.ts'
import {
  type Deal,
  type HealthName,
  type Input,
  isOver,
  type Metered,
  type Output,
  overGrid,
  type State,
  type TimerName,
} from '../../protocol/trade/deal-state.ts'
import type { Body, Receipt } from '../../protocol/trade/message.ts'
import type { LightAgent, Proven } from '../light/run.ts'
import type { LedgerAccount } from './account.ts'
import { type Across, createDealLedgers, type DealProof } from './deal-ledgers.ts'

export type { DealProof }

/** As long as a journal waits before it tries a full disk anew. */
const RECORD_RETRY_MS = 10_000

/** What a deal needs of its surroundings; all but the signer are about its one line and peer. */
export interface DealSurroundings {
  readonly clock: Clock
  readonly timers: Timers
  readonly verifier: Verifier
  readonly log: Log
  readonly signer: Signer
  readonly light: LightAgent
  readonly account: LedgerAccount
  /** The distribution ledger, for a deal over the grid that needs it. */
  readonly across?: Across
  /** Reliably, to the other party. */
  send(body: Body): void
  /** `because` is undefined for an orderly stop; then the other end is waited for. */
  open(contact: 'line' | 'own', because: Fault | undefined): void
  close(contact: 'line' | 'own'): void
  /** Over the grid: loads, generation or storage of this end against the contract. */
  dispatch?(on: boolean): void
  signReading(which: 'begin' | 'end'): Promise<Result<Metered>>
  /** Durable on success. */
  record(bytes: Uint8Array): Promise<Result<unknown>>
  health(what: HealthName, fault: Fault | undefined): void
  /** Saves what was refused, for a person or a judge. */
  onRefused(fault: Fault, bytes?: readonly Uint8Array[]): void
  onChange(): void
}

export interface DealRunner {
  deal(): Deal
  readonly history: readonly { readonly state: State; readonly at: number; readonly mono: number }[]
  proof(): DealProof | undefined
  /** The proof that this deal's payment is locked, as long as the permit may use it. */
  lockProof(): DealProof | undefined
  /** The newest proof of what the ledger keeps of this deal. */
  proven(): Proven | undefined
  /** The other side's receipt, as it handed it over, after it was judged and once the journal has it. */
  peerReceipt(): Receipt | undefined
  /** It was read back from the journal: what came from the other side before is not known. */
  wasRestored(): boolean
  feed(input: Input): void
  /** Nothing is left to do. */
  over(): boolean
  stop(): void
}

export function createDealRunner(first: Deal, outputs: readonly Output[], around: DealSurroundings): DealRunner {
  const { clock, timers, log } = around
  const name = toHex(first.hash).slice(0, 8)
  const history: { state: State; at: number; mono: number }[] = []
  const running = new Map<TimerName, Cancel>()
  let deal = first
  let queue: Promise<void> = Promise.resolve()
  let stopped = false
  let restored = false
  /** As the journal has it, or as it was begun. */
  let kept = first
  /** The deal could not be kept: until it can, its contacts are open and it does nothing, as if this process were dead. */
  let suspended = false

  function feed(input: Input): void {
    if (stopped) return
    const result = step(deal, input, { wall: clock.now(), mono: clock.mono() }, around.verifier)
    take(result.deal, result.outputs)
  }

  function take(next: Deal, wanted: readonly Output[]): void {
    deal = next
    if (history.at(-1)?.state !== deal.state) {
      history.push({ state: deal.state, at: clock.now(), mono: clock.mono() })
      log('info', 'trading', `deal ${name} is ${deal.state}`, deal.cause)
      if (deal.state === 'expired') ledgers.noteExpired()
    }
    // An opening comes before all else and waits for nothing, not even for outputs of an earlier input.
    for (const output of wanted) {
      if (output.kind === 'open') around.open(output.contact, isFault(deal.cause) ? deal.cause : undefined)
    }
    const rest = wanted.filter(output => output.kind !== 'open')
    if (rest.length > 0) {
      const snapshot = deal
      queue = queue.then(() => carryOut(rest, snapshot))
    }
    around.onChange()
  }

  async function carryOut(wanted: readonly Exclude<Output, { kind: 'open' }>[], at: Deal): Promise<void> {
    for (const output of wanted) {
      if (stopped || suspended) return
      if (output.kind === 'record') {
        const recorded = await around.record(encodeDeal(at))
        if (!recorded.ok) {
          // What cannot be kept must not be acted upon: after a restart nobody would know of it.
          suspended = true
          feed({ kind: 'fault', fault: recorded.fault })
          void resume()
          return
        }
        kept = at
      } else await act(output)
    }
  }

  /** Goes on as after a restart, once the deal as it stands is kept. */
  async function resume(): Promise<void> {
    do {
      await timers.sleep(RECORD_RETRY_MS)
      if (stopped) return
    } while (!(await around.record(encodeDeal(deal))).ok)
    if (stopped) return
    const again = decodeDeal(encodeDeal(deal))
    if (!again.ok) throw new Error(`a deal that cannot be read back: ${again.fault.code}`)
    suspended = false
    deal = again.value
    kept = deal
    if (!isOver(deal)) feed({ kind: 'restored' })
  }

  async function act(output: Exclude<Output, { kind: 'open' | 'record' }>): Promise<void> {
    switch (output.kind) {
      case 'close':
        // A wish of an input that was overtaken by an opening is void.
        if (output.contact === 'own' || stillWanted(deal)) around.close(output.contact)
        return
      case 'send':
        around.send(output.body)
        return
      case 'sign-contract': {
        const key = around.signer.publicKey
        const signature = await around.signer.sign(contractToSign(deal.bytes, key))
        if (!signature.ok) feed({ kind: 'fault', fault: signature.fault })
        else feed({ kind: 'half', sign1: assembleSignedContract(deal.bytes, key, signature.value) })
        return
      }
      case 'submit':
        // Not awaited: the ledger may take its time, and a stop must not queue behind it.
        void ledgers.submit(output)
        return
      case 'prove':
        ledgers.prove(output.what)
        return
      case 'dispatch':
        around.dispatch?.(output.on)
        return
      case 'sign-reading': {
        const { which } = output
        void around
          .signReading(which)
          .then(signed =>
            feed(
              signed.ok
                ? { kind: 'signed-reading', which, reading: signed.value }
                : { kind: 'no-reading', which, fault: signed.fault },
            ),
          )
        return
      }
      case 'timer': {
        const { name: timer, at } = output
        running.get(timer)?.()
        running.set(
          timer,
          timers.after(at - clock.mono(), () => feed({ kind: 'timer', name: timer })),
        )
        return
      }
      case 'health':
        around.health(output.what, output.fault)
        return
      case 'refused':
        log('debug', 'trading', `deal ${name} refused an input`, output.fault)
        around.onRefused(output.fault)
    }
  }

  const ledgers = createDealLedgers({
    name,
    deal: () => deal,
    around,
    feed,
    /** A proof ages: what it said of the escrow is asked again under a newer header while the permit relies on it. */
    relied: () => stillWanted(deal) && !overGrid(deal),
  })

  take(first, outputs)
  return {
    deal: () => deal,
    history,
    proof: ledgers.proof,
    lockProof: ledgers.lockProof,
    proven: ledgers.proven,
    peerReceipt: () => kept.peerReceipt,
    wasRestored: () => restored,
    feed(input) {
      restored ||= input.kind === 'restored'
      feed(input)
    },
    over: () => isOver(deal) && !ledgers.asking(),
    stop() {
      stopped = true
      ledgers.stop()
      for (const cancel of running.values()) cancel()
    },
  }
}

/** The close of a deal that has since stopped, or given up, must not come after its opening. */
const stillWanted = (deal: Deal): boolean => deal.state === 'armed' || deal.state === 'started'

/**
 * A stop that both sides wanted is a cause, but no fault: `deal.stop-window`, `deal.peer-stop-energy`. A seller's heartbeat that
 * says open may come before its word that it stopped.
 */
export const isFault = (cause: Fault | undefined): cause is Fault =>
  cause !== undefined && !/^deal\.(peer-opened|(peer-)?stop(ped|-(window|energy|operator)))$/.test(cause.code)
