/**
 * Carries one deal's table out: feeds it what happens, does what it asks for in the order it asks, and keeps it in the
 * journal. Opening a contact waits for nothing; everything after a `record` waits until the deal is on disk.
 */
import type { Cancel, Clock, Log, Signer, Timers } from '../../drivers/ports.ts'
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type DealRecord, dealKey, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
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
  SETTLE_MARGIN_MS,
  type State,
  settleBy,
  type TimerName,
} from '../../protocol/trade/deal-state.ts'
import type { Body } from '../../protocol/trade/message.ts'
import type { LightAgent, Proven } from '../light/run.ts'
import type { LedgerAccount } from './account.ts'

/** Asked again at every new header, which comes about once a second. */
const PROVE_MS = 1000
/** While power may flow the lock is proven anew this often: twice within the age that the permit allows a proof. */
const REPROVE_MS = 20_000

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
  /** Reliably, to the other party. */
  send(body: Body): void
  /** `because` is undefined for an orderly stop; then the other end is waited for. */
  open(contact: 'line' | 'own', because: Fault | undefined): void
  close(contact: 'line' | 'own'): void
  signReading(which: 'begin' | 'end'): Promise<Result<Metered>>
  /** Durable on success. */
  record(bytes: Uint8Array): Promise<Result<unknown>>
  health(what: HealthName, fault: Fault | undefined): void
  /** Saves what was refused, for a person or a judge. */
  onRefused(fault: Fault, bytes?: readonly Uint8Array[]): void
  onChange(): void
}

/** What was last proven of this deal. */
export interface DealProof {
  readonly of: 'payment locked' | 'settlement' | 'refund'
  readonly height: bigint
  readonly headerTime: Instant
  readonly signed: number
  readonly validators: number
  readonly appHash: Uint8Array
}

export interface DealRunner {
  deal(): Deal
  readonly history: readonly { readonly state: State; readonly at: number; readonly mono: number }[]
  proof(): DealProof | undefined
  /** The proof that this deal's payment is locked, as long as the permit may use it. */
  lockProof(): DealProof | undefined
  feed(input: Input): void
  /** Nothing is left to do. */
  over(): boolean
  stop(): void
}

export function createDealRunner(first: Deal, outputs: readonly Output[], around: DealSurroundings): DealRunner {
  const { clock, timers, light, log } = around
  const name = toHex(first.hash).slice(0, 8)
  const history: { state: State; at: number; mono: number }[] = []
  const running = new Map<TimerName, Cancel>()
  let deal = first
  let proof: DealProof | undefined
  let lock: DealProof | undefined
  let proving: 'lock' | 'settlement' | undefined
  let cancelProving: Cancel = () => {}
  /** The newest proof that the payment is not on the ledger. */
  let absence: Proven | undefined
  let queue: Promise<void> = Promise.resolve()
  let stopped = false
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
      if (deal.state === 'expired' && lock === undefined && absence !== undefined) {
        const { headerHeight, appHash } = absence
        const fault = {
          code: 'deal.payment-not-locked',
          deal: toHex(deal.hash),
          height: headerHeight,
          appHash: toHex(appHash),
        }
        around.onRefused(fault, [absence.proof])
      }
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
        const kept = await around.record(encodeDeal(at))
        if (!kept.ok) {
          // What cannot be kept must not be acted upon: after a restart nobody would know of it.
          suspended = true
          feed({ kind: 'fault', fault: kept.fault })
          void resume()
          return
        }
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
        void submit(output.tx)
        return
      case 'prove':
        prove(output.what)
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

  async function submit(tx: 'commit' | 'receipt'): Promise<void> {
    const ahead = tx === 'commit' ? light.aheadOfLedger() : undefined
    if (ahead !== undefined) return feed({ kind: 'not-handed-in', tx, fault: ahead })
    const handed = await around.account.submit(
      tx === 'commit'
        ? {
            kind: 'commit',
            body: {
              contract: deal.bytes,
              sellerSign1: (deal.role === 'seller' ? deal.ownHalf : deal.peerHalf)!,
              buyerSign1: (deal.role === 'buyer' ? deal.ownHalf : deal.peerHalf)!,
            },
          }
        : {
            kind: 'receipt',
            body: {
              deal: deal.hash,
              begin: deal.begin!.envelope,
              end: deal.end!.envelope,
              contexts: contextsOf(deal.begin!, deal.end!),
            },
          },
    )
    if (!handed.ok) log('warn', 'trading', `deal ${name}: its ${tx} was not handed in`, handed.fault)
    feed(handed.ok ? { kind: 'handed-in', tx, hash: handed.value } : { kind: 'not-handed-in', tx, fault: handed.fault })
  }

  function prove(what: 'lock' | 'settlement'): void {
    const asking = proving !== undefined
    proving = what
    if (!asking) void ask()
  }

  async function ask(): Promise<void> {
    if (stopped || proving === undefined) return
    const answered = await askOnce(proving)
    if (answered) proving = undefined
    if (stopped || proving === undefined) return
    cancelProving = timers.after(PROVE_MS, () => void ask())
  }

  /** Whether the question is answered, one way or the other. */
  async function askOnce(what: 'lock' | 'settlement'): Promise<boolean> {
    const proven = await light.prove(utf8(dealKey(deal.hash)))
    if (stopped) return true
    if (!proven.ok) {
      if (!isRefusal(proven.fault, light)) return false
      around.onRefused(proven.fault)
      if (what === 'lock') feed({ kind: 'lock-refused', fault: proven.fault })
      return what === 'lock'
    }
    const { value, stateHeight, headerTime } = proven.value
    if (value === undefined) {
      if (what === 'lock') absence = proven.value
      const tooLate = headerTime > settleBy(deal) + SETTLE_MARGIN_MS
      if (what === 'settlement' && tooLate) feed({ kind: 'settlement', outcome: { kind: 'absent' } })
      return (what === 'settlement' && tooLate) || isOver(deal)
    }
    const read = decodeDealRecord(value)
    if (!read.ok) {
      around.onRefused(read.fault)
      return false
    }
    if (what === 'lock') {
      lock = proofOf('payment locked', proven.value)
      proof = lock
      const { state, escrow } = read.value
      feed({ kind: 'lock', hash: deal.hash, record: { state, escrow }, height: proven.value.headerHeight })
      if (deal.role === 'buyer') void around.account.refresh()
      return true
    }
    return settled(read.value, proven.value, stateHeight)
  }

  function settled(found: DealRecord, proven: Proven, height: bigint): boolean {
    const { outcome } = found
    if (found.state === 'locked' || outcome === undefined) return false
    proof = proofOf(found.state === 'settled' ? 'settlement' : 'refund', proven)
    feed({
      kind: 'settlement',
      outcome: { kind: found.state, paid: outcome.paid, disputed: outcome.disputed, height },
    })
    // What was paid or given back changes the balance that is shown.
    void around.account.refresh()
    return true
  }

  /** A proof ages: what it said of the escrow is asked again under a newer header while the permit relies on it. */
  const cancelReproof = timers.every(REPROVE_MS, () => {
    if (lock !== undefined && stillWanted(deal)) prove('lock')
  })

  take(first, outputs)
  return {
    deal: () => deal,
    history,
    proof: () => proof,
    lockProof: () => lock,
    feed,
    over: () => isOver(deal) && proving === undefined,
    stop() {
      stopped = true
      cancelProving()
      cancelReproof()
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

/** A proof that does not hold, or a light client that has stopped trusting, as opposed to an answer not yet there. */
const isRefusal = (fault: Fault, light: LightAgent): boolean =>
  light.health().state === 'diverged' || fault.code === 'light.refused' || fault.code.startsWith('ics23.')

const proofOf = (
  of: DealProof['of'],
  { headerHeight, headerTime, signedBy, validators, appHash }: Proven,
): DealProof => ({
  of,
  height: headerHeight,
  headerTime,
  signed: signedBy.length,
  validators,
  appHash,
})

/** The context records of both readings, each once. */
function contextsOf(begin: Metered, end: Metered): readonly Uint8Array[] {
  return equalBytes(begin.context, end.context) ? [begin.context] : [begin.context, end.context]
}
