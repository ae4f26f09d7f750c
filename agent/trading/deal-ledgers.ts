/** What one deal does on the ledgers: hands its transactions in, and proves what became of them. */
import type { Clock, Log, Timers } from '../../drivers/ports.ts'
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { type DealRecord, dealKey, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { decodeReservation, type Reservation, reservationKey } from '../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../protocol/ledger/tx.ts'
import type { Money } from '../../protocol/quantity.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import {
  type Deal,
  type FeePaid,
  type Input,
  isOver,
  type Metered,
  type Output,
  overGrid,
  SETTLE_MARGIN_MS,
  settleBy,
} from '../../protocol/trade/deal-state.ts'
import type { LightAgent, Proven } from '../light/run.ts'
import type { LedgerView } from '../roles/part.ts'
import type { LedgerAccount } from './account.ts'
import { createAsker } from './asker.ts'

/** While power may flow the lock is proven anew this often: twice within the age that the permit allows a proof. */
const REPROVE_MS = 20_000
/** Whoever claims a fee, or brings the proof that frees it, looks as often. */
const FEE_MS = 5_000

/** What was last proven of this deal. */
export interface DealProof {
  readonly of: 'payment locked' | 'settlement' | 'refund'
  readonly height: bigint
  readonly headerTime: Instant
  readonly signed: number
  readonly validators: number
  readonly appHash: Uint8Array
}

/** The distribution ledger, and how each of the two is shown what the other says. */
export interface Across {
  readonly distribution: LedgerView
  /** What the distributor's fee for the whole contract may come to. */
  feeMost(deal: Deal): Money
  /** The distributor's signed offer for this contract; undefined where its tariffs hold. */
  feeOffer(deal: Deal): Promise<Result<Uint8Array | undefined>>
  toEnergy(key: Uint8Array, atLeast: bigint): Promise<Result<{ readonly height: bigint; readonly proof: Uint8Array }>>
  toDistribution: Across['toEnergy']
}

export interface DealLedgersOptions {
  readonly name: string
  deal(): Deal
  readonly around: {
    readonly light: LightAgent
    readonly account: LedgerAccount
    readonly across?: Across
    readonly clock: Pick<Clock, 'now'>
    readonly timers: Timers
    readonly log: Log
    onRefused(fault: Fault, bytes?: readonly Uint8Array[]): void
  }
  feed(input: Input): void
  /** Whether anything relies on the lock's proof being young. */
  relied(): boolean
}

export interface DealLedgers {
  submit(output: Extract<Output, { readonly kind: 'submit' }>): Promise<void>
  prove(what: Extract<Output, { readonly kind: 'prove' }>['what']): void
  proof(): DealProof | undefined
  lockProof(): DealProof | undefined
  /** The newest proof of what the ledger keeps of this deal. */
  proven(): Proven | undefined
  /** The deal has just expired: where its payment is proven to be missing, that proof is evidence. */
  noteExpired(): void
  asking(): boolean
  stop(): void
}

export function createDealLedgers({ name, deal, around, feed, relied }: DealLedgersOptions): DealLedgers {
  const { light, account, across, clock, timers, log } = around
  let proof: DealProof | undefined
  let lock: DealProof | undefined
  let kept: Proven | undefined
  /** The newest proof that the payment is not on the ledger, until it is. */
  let absence: Proven | undefined
  let stopped = false
  /** What is refused each second is evidence once. */
  let lastRefused: string | undefined
  function refused(fault: Fault): void {
    if (fault.code !== lastRefused) around.onRefused(fault)
    lastRefused = fault.code
  }

  // --- In

  /** The transaction, once what it has to prove is believed by the ledger that it goes to. */
  async function contentOf(output: Extract<Output, { readonly kind: 'submit' }>): Promise<Result<TxContent>> {
    const { bytes: contract, hash, role, ownHalf, peerHalf, begin, end } = deal()
    switch (output.tx) {
      case 'reserve':
        return reservation()
      case 'release': {
        const absent = await across!.toDistribution(utf8(dealKey(hash)), output.absence.height)
        return absent.ok ? ok({ kind: 'release', body: { deal: hash, ...absent.value } }) : absent
      }
      case 'commit': {
        const halves = {
          sellerSign1: (role === 'seller' ? ownHalf : peerHalf)!,
          buyerSign1: (role === 'buyer' ? ownHalf : peerHalf)!,
        }
        if (output.reservation === undefined) return ok({ kind: 'commit', body: { contract, ...halves } })
        const held = await across!.toEnergy(utf8(reservationKey(hash)), output.reservation.height)
        return held.ok ? ok({ kind: 'commit', body: { contract, ...halves, reservation: held.value } }) : held
      }
      case 'receipt':
        return ok({
          kind: 'receipt',
          body: { deal: hash, begin: begin!.envelope, end: end!.envelope, contexts: contextsOf(begin!, end!) },
        })
    }
  }

  async function reservation(): Promise<Result<TxContent>> {
    const offer = await across!.feeOffer(deal())
    if (!offer.ok) return offer
    const signed = offer.value === undefined ? {} : { offer: offer.value }
    return ok({ kind: 'reserve', body: { contract: deal().bytes, feeMost: across!.feeMost(deal()), ...signed } })
  }

  async function handIn(output: Extract<Output, { readonly kind: 'submit' }>): Promise<Result<Uint8Array>> {
    const { tx } = output
    const there = tx === 'reserve' || tx === 'release'
    if (across === undefined && (there || (tx === 'commit' && output.reservation !== undefined)))
      return fail({ code: 'deal.no-distribution-ledger', deal: name })
    const ahead = tx === 'commit' ? light.aheadOfLedger() : undefined
    if (ahead !== undefined) return fail(ahead)
    const content = await contentOf(output)
    if (!content.ok) return content
    if (stopped) return fail({ code: 'deal.runner-stopped' })
    return (there ? across!.distribution.account : account).submit(content.value)
  }

  // --- Out

  const energy = createAsker<'lock' | 'settlement'>(timers, async what => {
    const { hash, role } = deal()
    const proven = await light.prove(utf8(dealKey(hash)))
    if (stopped) return true
    if (!proven.ok) {
      if (!isRefusal(proven.fault, light)) return false
      refused(proven.fault)
      if (what === 'lock') feed({ kind: 'lock-refused', fault: proven.fault })
      // Over the grid nothing can be opened for it: the question stands until the deal has an end.
      return what === 'lock' && (!overGrid(deal()) || isOver(deal()))
    }
    const { value, stateHeight } = proven.value
    if (value === undefined) return missing(what, proven.value)
    const read = decodeDealRecord(value)
    if (!read.ok) {
      refused(read.fault)
      return false
    }
    kept = proven.value
    if (what === 'settlement') return settled(read.value, proven.value, stateHeight)
    lock = proofOf('payment locked', proven.value)
    proof = lock
    absence = undefined
    const { state, escrow } = read.value
    feed({ kind: 'lock', hash, record: { state, escrow }, height: proven.value.headerHeight })
    if (role === 'buyer') void account.refresh()
    return true
  })

  /** The ledger has no such deal: whether that is an answer, or when it can be one. */
  function missing(what: 'lock' | 'settlement', proven: Proven): boolean | number {
    if (what === 'lock') absence = proven
    const { headerTime, headerHeight, proof: bytes } = proven
    // Over the grid nothing is committed once the window is over, and a reservation waits for that word.
    const over = overGrid(deal())
    const tooLate = over ? headerTime >= deal().contract.end : headerTime > settleBy(deal()) + SETTLE_MARGIN_MS
    if (what === 'settlement' && tooLate) {
      const shown = over ? { proven: { height: headerHeight, proof: bytes } } : {}
      feed({ kind: 'settlement', outcome: { kind: 'absent', ...shown } })
    }
    if (isOver(deal())) return true
    return what === 'settlement' && (tooLate || (over ? deal().contract.end : settleBy(deal())) - clock.now())
  }

  function settled(found: DealRecord, proven: Proven, height: bigint): boolean | number {
    const { outcome } = found
    if (found.state === 'locked' || outcome === undefined) {
      // A line's two receipts settle in the block that takes the second. Over the grid nothing settles before the deadlines.
      return found.to !== undefined && (found.overdue ? found.settleBy : found.receiptBy) - clock.now()
    }
    proof = proofOf(found.state === 'settled' ? 'settlement' : 'refund', proven)
    feed({
      kind: 'settlement',
      outcome: {
        ...{ kind: found.state, paid: outcome.paid, disputed: outcome.disputed, height },
        delivered: outcome.delivered,
      },
    })
    // What was paid or given back changes the balance that is shown.
    void account.refresh()
    return true
  }

  const distribution = createAsker<'reservation' | 'fee'>(timers, async what => {
    if (across === undefined) return true
    const { hash, contract } = deal()
    const view = across.distribution
    const proven = await view.light.prove(utf8(reservationKey(hash)))
    if (stopped) return true
    if (!proven.ok) {
      if (!isRefusal(proven.fault, view.light)) return false
      refused(proven.fault)
      if (what === 'reservation') feed({ kind: 'reservation-refused', fault: proven.fault })
      return what === 'reservation'
    }
    const { value, headerHeight, headerTime, proof: bytes } = proven.value
    if (value === undefined) {
      if (what === 'reservation') return isOver(deal())
      if (headerTime < contract.end) return contract.end - clock.now()
      feed({ kind: 'fee-free' })
      return true
    }
    const read = decodeReservation(value)
    if (!read.ok) {
      refused(read.fault)
      return false
    }
    if (what === 'reservation') {
      feed({ kind: 'reservation', hash, record: read.value, height: headerHeight, proof: bytes })
      return true
    }
    if (read.value.state === 'held') return FEE_MS
    feed({ kind: 'fee-free', ...chargedBy(read.value) })
    void view.account.refresh()
    return true
  })

  const cancelReproof = timers.every(REPROVE_MS, () => {
    if (isOver(deal())) cancelReproof()
    else if (lock !== undefined && relied()) energy.put('lock')
  })

  return {
    async submit(output) {
      const { tx } = output
      const handed = await handIn(output)
      if (!handed.ok) log('warn', 'trading', `deal ${name}: its ${tx} was not handed in`, handed.fault)
      feed(
        handed.ok ? { kind: 'handed-in', tx, hash: handed.value } : { kind: 'not-handed-in', tx, fault: handed.fault },
      )
    },
    prove(what) {
      if (what === 'lock' || what === 'settlement') energy.put(what)
      else distribution.put(what)
    },
    proof: () => proof,
    lockProof: () => lock,
    proven: () => kept,
    noteExpired() {
      if (lock !== undefined || absence === undefined) return
      const { headerHeight: height, appHash } = absence
      const fault = { code: 'deal.payment-not-locked', deal: toHex(deal().hash), height, appHash: toHex(appHash) }
      around.onRefused(fault, [absence.proof])
    },
    asking: () => energy.asking() !== undefined || distribution.asking() !== undefined,
    stop() {
      stopped = true
      energy.stop()
      distribution.stop()
      cancelReproof()
    },
  }
}

const chargedBy = ({ price, outcome }: Reservation): { readonly charged?: FeePaid } =>
  outcome === undefined ? {} : { charged: { price, paid: outcome.paid } }

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
