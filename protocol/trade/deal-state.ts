/** What a deal is made of, what can happen to it and what it asks for: the words of the table in deal.ts. */
import type { Energy, Money, Price, WattHours } from '../quantity.ts'
import type { Fault } from '../result.ts'
import type { Position, Seen } from '../safety/facts.ts'
import type { Instant, Mono } from '../time.ts'
import type { Contract, Party } from './contract.ts'
import type { Body, BodyOf, Receipt, SignedReading, StopReason } from './message.ts'

/** Written as the place in this list: append, never reorder. */
export const STATES = [
  'proposed',
  'signed',
  'escrowed',
  'armed',
  'started',
  'stopped',
  'receipted',
  'disputed',
  'settled',
  'aborted',
  'expired',
  'refunded',
  'reserved',
] as const
export type State = (typeof STATES)[number]

/**
 * Where in a state a deal stands.
 *
 *     armed     waiting -> isolating -> closing -> reading -> ready        the buyer's end
 *               waiting -> reading -> closing                              the seller's end
 *     stopped   unloading -> opening -> reading -> receipt                 only a buyer without a fault unloads
 *
 * Over the grid there are no contacts to move:
 *
 *     armed     waiting -> reading
 *     stopped   reading -> receipt
 *
 * Written as the place in this list: append, never reorder.
 */
export const PHASES = [
  'idle',
  'waiting',
  'isolating',
  'closing',
  'reading',
  'ready',
  'unloading',
  'opening',
  'receipt',
] as const
export type Phase = (typeof PHASES)[number]

/** A signed reading, and what the register that counts for this deal stood at in it. */
export interface Metered extends SignedReading {
  readonly register: Energy
}

/** This end of the line as the interlock sees it; `own` is the circuit's own supply, at the buyer's end. */
export interface Facts {
  readonly contact: Seen
  readonly own: Seen
  readonly line: 'dead' | 'live' | 'unknown'
}
export const NO_FACTS: Facts = { contact: 'unknown', own: 'unknown', line: 'unknown' }

export interface Settlement {
  readonly kind: 'settled' | 'refunded'
  readonly paid: Money
  readonly disputed: boolean
  /** Header height of the proof. */
  readonly height: bigint
  /** Whole watt-hours that were paid for, as the ledger has them; absent in records that were written before they were kept. */
  readonly delivered?: WattHours
}

/** What the distributor took of a seller's fee, once its reservation is closed: the ledger's own numbers. */
export interface FeePaid {
  /** Per kWh over the path; what was paid is this on what was delivered, rounded down, or nothing where nobody claimed it. */
  readonly price: Price
  readonly paid: Money
}

/** A key's value in a ledger's state, or that it has none, under the header of that height. */
export interface Proven {
  readonly height: bigint
  readonly proof: Uint8Array
}

/** What a reservation on the distribution ledger says. */
export interface ReservationRecord {
  readonly state: string
  readonly chainId: string
  readonly start: Instant
  readonly end: Instant
  readonly energy: WattHours
  /** From here on it is held for nobody. */
  readonly expires: Instant
}

/** Capacity has to be reserved, for so long beyond the deal's last moment. */
export interface ReserveTerms {
  readonly relayMarginMs: number
}

export interface Deal {
  readonly role: Party
  readonly bytes: Uint8Array
  readonly contract: Contract
  /** SHA-256 of `bytes`: the deal's name. */
  readonly hash: Uint8Array
  readonly sellerKey: Uint8Array
  readonly buyerKey: Uint8Array
  readonly state: State
  readonly phase: Phase
  readonly ownHalf?: Uint8Array
  readonly peerHalf?: Uint8Array
  /** The buyer's payment may be on the ledger, so the deal is followed there to its end. */
  readonly escrow: boolean
  /** Height of the header under which the payment was proven to be locked. */
  readonly lockHeight?: bigint
  /** A contract over the grid for which the distribution ledger has to hold capacity; absent where none is configured. */
  readonly reserve?: ReserveTerms
  /** The seller's fee may be held on the distribution ledger, so it is followed there to its end. */
  readonly fee: boolean
  /** Of a seller, in the end: absent while it is not known, and where nothing was reserved. */
  readonly feePaid?: FeePaid
  /** Height of the distribution ledger's header under which the buyer has seen the reservation proven. */
  readonly reservedHeight?: bigint
  /** The buyer's end is closed onto the dead line; over the grid: the seller has reserved. */
  readonly peerReady: boolean
  /** The line contact was asked to close and has not been seen open since. */
  readonly engaged: boolean
  /** The circuit's own supply was asked to open, and not yet to close again. */
  readonly isolated: boolean
  readonly begin?: Metered
  readonly end?: Metered
  /** Why it stopped, was aborted or expired; over the grid also why nothing is switched for it although the meters count. */
  readonly cause?: Fault
  readonly settlement?: Settlement
  /** By the line meters since begin; not a reason to write the journal. */
  readonly ownWh?: WattHours
  readonly peerWh?: WattHours
  /** `peerWh` is all of it: by the other side's end reading. */
  readonly peerEnded?: boolean
  /** The other side's, as it handed it over; absent in records that were written before it was kept. */
  readonly peerReceipt?: Receipt
  /** Below: not in the journal, for after a restart nothing of it is known. */
  readonly facts: Facts
  readonly peer?: { readonly sequence: number; readonly contact: Seen; readonly wasClosed: boolean }
}

/** Both clocks: wall time for the contract's window, monotonic for everything that waits. */
export interface Now {
  readonly wall: Instant
  readonly mono: Mono
}

export type TimerName =
  | 'sign'
  | 'reserve-by'
  | 'commit-by'
  | 'start'
  | 'start-by'
  | 'end'
  | 'unload'
  | 'opening'
  | 'retry'
  | 'receipt-by'
  | 'settle-by'

/** The messages that the table itself judges; readings of the peer are verified first and come as `metered`. */
export type DealKind =
  | 'accept'
  | 'countersign'
  | 'decline'
  | 'reserved'
  | 'committed'
  | 'ready'
  | 'started'
  | 'heartbeat'
  | 'stop'
  | 'stopped'

export type Input =
  /** From the other party of this deal, as authenticated by the post office. */
  | { readonly kind: 'message'; readonly body: BodyOf<DealKind> }
  /** Our own signature over the contract: a COSE_Sign1. */
  | { readonly kind: 'half'; readonly sign1: Uint8Array }
  /** A node's mempool took it, or none did. */
  | { readonly kind: 'handed-in'; readonly tx: DealTx; readonly hash: Uint8Array }
  | { readonly kind: 'not-handed-in'; readonly tx: DealTx; readonly fault: Fault }
  /** The distribution ledger's record under `reservation/<hash>`, proven against a verified header of that ledger. */
  | ({ readonly kind: 'reservation'; readonly hash: Uint8Array; readonly record: ReservationRecord } & Proven)
  /** What was offered as proof is wrong, or the distribution ledger's light client has stopped trusting. */
  | { readonly kind: 'reservation-refused'; readonly fault: Fault }
  /** Proven: no reservation holds the seller's fee, and none will; what was paid of it, where there was one. */
  | { readonly kind: 'fee-free'; readonly charged?: FeePaid }
  /** The ledger's record under `deal/<hash>`, proven against a verified header at `height`. */
  | {
      readonly kind: 'lock'
      readonly hash: Uint8Array
      readonly record: { readonly state: string; readonly escrow: Money }
      readonly height: bigint
    }
  /** What was offered as proof is wrong, or the light client has stopped trusting. */
  | { readonly kind: 'lock-refused'; readonly fault: Fault }
  /**
   * Proven: how the escrow went, or that the ledger never had it: on a line at a header after its last moment, over the grid at
   * the first header from the window's end on, with the proof.
   */
  | {
      readonly kind: 'settlement'
      readonly outcome: Settlement | { readonly kind: 'absent'; readonly proven?: Proven }
    }
  | { readonly kind: 'facts'; readonly facts: Facts }
  | { readonly kind: 'signed-reading'; readonly which: 'begin' | 'end'; readonly reading: Metered }
  | { readonly kind: 'no-reading'; readonly which: 'begin' | 'end'; readonly fault: Fault }
  /** Energy since begin by a verified reading of that side's line meter; `ended` where it is the peer's end reading. */
  | { readonly kind: 'metered'; readonly side: 'own' | 'peer'; readonly energy: WattHours; readonly ended?: boolean }
  /** The other side's receipt, both readings of which were verified; what they say comes behind it as `metered`. */
  | { readonly kind: 'peer-receipt'; readonly receipt: Receipt }
  | { readonly kind: 'heartbeat-lost'; readonly ageMs: number }
  | { readonly kind: 'meter-stale'; readonly ageMs: number }
  /** No broker is up. */
  | { readonly kind: 'broker-down' }
  /** Anything else at this end: a limit, a weld, a permit withdrawn. */
  | { readonly kind: 'fault'; readonly fault: Fault }
  /** A person, or the decision that the energy is needed elsewhere. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'timer'; readonly name: TimerName }
  /** The deal was just read back from the journal. */
  | { readonly kind: 'restored' }

/**
 * In a list of outputs every `open` comes first and waits for nothing; then `record`, which must be durable before
 * anything after it is done.
 */
export type Output =
  | { readonly kind: 'open'; readonly contact: 'line' | 'own' }
  | { readonly kind: 'record' }
  /** A wish that stands until an `open` of that contact: the permit decides whether and when. */
  | { readonly kind: 'close'; readonly contact: 'line' | 'own' }
  /** Reliably, to the other party. */
  | { readonly kind: 'send'; readonly body: Body }
  | { readonly kind: 'sign-contract' }
  | { readonly kind: 'submit'; readonly tx: 'receipt' }
  /** With the reservation's proof where one is asked for; the energy ledger has to follow that header first. */
  | { readonly kind: 'submit'; readonly tx: 'commit'; readonly reservation?: Proven }
  /** To the distribution ledger: capacity for this contract, its fee from the seller's balance. */
  | { readonly kind: 'submit'; readonly tx: 'reserve' }
  /** To the distribution ledger: the proof that there is no such deal; it has to follow that header first. */
  | { readonly kind: 'submit'; readonly tx: 'release'; readonly absence: Proven }
  /**
   * Ask at every new header until the answer can be given; asking twice is one question. Of the energy ledger: `lock`, or
   * `settlement`, whichever was asked last. Of the distribution ledger: `reservation`, answered once it is there, or `fee`,
   * answered once it is there and no longer held, or is not there at a header from the window's end on.
   */
  | { readonly kind: 'prove'; readonly what: 'lock' | 'settlement' | 'reservation' | 'fee' }
  /** Over the grid: loads, generation or storage of this end against the contract. Saying it again changes nothing. */
  | { readonly kind: 'dispatch'; readonly on: boolean }
  | { readonly kind: 'sign-reading'; readonly which: 'begin' | 'end' }
  /** Replaces the timer of that name. One that falls due when nobody waits for it is ignored. */
  | { readonly kind: 'timer'; readonly name: TimerName; readonly at: Mono }
  /** Raised with a fault, cleared without. */
  | { readonly kind: 'health'; readonly what: HealthName; readonly fault?: Fault }
  | { readonly kind: 'refused'; readonly fault: Fault }

export type DealTx = 'reserve' | 'commit' | 'receipt' | 'release'

export type HealthName = 'deal.contact-stuck' | 'deal.receipt-refused' | 'deal.settlement-differs'

export interface Step {
  readonly deal: Deal
  readonly outputs: readonly Output[]
}

/** Only negotiated by machines: five seconds is a hundred round trips. */
export const SIGN_MS = 5000
/** From both halves to the proven reservation: a block, the header after it, a proof; ten times what that takes. */
export const RESERVE_MS = 30_000
/** Until a buyer that has what it needs has committed: its proof, two transactions, and its word. */
export const COMMIT_MS = 60_000
/** Between two attempts to bring the proof that frees the seller's fee; it comes free by itself at the reservation's expiry. */
export const RELEASE_RETRY_MS = 60_000
/** A deal whose lock, readiness or closing is not there this long after its start is given up; half of a short window. */
export const START_GRACE_MS = 60_000
/** Over the grid the begin reading bounds the window: the ledger takes none that is farther than this from its start. */
export const BOUNDARY_GRACE_MS = 30_000
/** The seller stops before the window ends, the buyer shortly after it, so that neither contact breaks the other's load. */
export const SELLER_STOP_LEAD_MS = 2000
export const BUYER_STOP_LEAD_MS = 1000
/** How long a buyer waits, after a stop without a fault, for the seller to open first. */
export const UNLOAD_MS = 1000
/** A contactor opens within 50 ms and a meter confirms within 1.5 s; beyond this the contact counts as stuck. */
export const OPENING_MS = 3000
/** Between two attempts to sign an end reading or to hand in a receipt. */
export const RETRY_MS = 2000
/** The ledger settles in the first block after `settleBy`, and header H+1 proves it. */
export const SETTLE_MARGIN_MS = 15_000
/**
 * What two readings of a line may differ by because they were not taken together: 11 kW for 15 s is 46 Wh. Readings are
 * exchanged every ten seconds.
 */
export const APART_WH = 50n
/** Heartbeats begin this long before a deal's start, so that they are fresh when it comes. */
const HEARTBEAT_LEAD_MS = 5000

export const receiptBy = ({ contract }: Deal): Instant => (contract.end + contract.receiptWindowMs) as Instant
export const settleBy = (deal: Deal): Instant => (receiptBy(deal) + deal.contract.disputeWindowMs) as Instant

/** From node to node over the grid: grid meters count, and no contact joins the parties. */
export const overGrid = ({ contract }: Deal): boolean => contract.to !== undefined

/** Whether this end's loads, generation or storage are switched on for the deal. */
export const isDispatched = (deal: Deal): boolean =>
  overGrid(deal) && deal.state === 'started' && deal.cause === undefined

/** Whether this deal still needs the line's contacts; faults and facts of the line are inputs to the deals that do. */
export const holdsLine = (deal: Deal): boolean =>
  !overGrid(deal) &&
  (deal.state === 'armed' ||
    deal.state === 'started' ||
    (deal.state === 'stopped' && deal.phase !== 'receipt') ||
    deal.engaged ||
    deal.isolated)

/** Where the deal wants this end's contacts. `own` means nothing at a seller's end. */
export function wishOf(deal: Deal): { readonly line: Position; readonly own: Position } {
  const { state, phase, role } = deal
  if (overGrid(deal)) return { line: 'open', own: 'closed' }
  const closed =
    state === 'started' ||
    phase === 'unloading' ||
    (state === 'armed' && (phase === 'closing' || phase === 'ready' || (phase === 'reading' && role === 'buyer')))
  return { line: closed ? 'closed' : 'open', own: deal.isolated ? 'open' : 'closed' }
}

export const heartbeatsDue = (deal: Deal, wall: Instant): boolean =>
  !overGrid(deal) &&
  (deal.state === 'started' ||
    (deal.state === 'armed' && wall >= deal.contract.start - HEARTBEAT_LEAD_MS) ||
    (deal.state === 'stopped' && deal.phase !== 'receipt'))

/** Nothing of this deal is left to do or to learn, on the line or on the ledgers. */
export const isOver = (deal: Deal): boolean =>
  !deal.isolated &&
  !deal.engaged &&
  ((deal.state === 'settled' && !deal.fee) ||
    deal.state === 'refunded' ||
    ((deal.state === 'aborted' || deal.state === 'expired') && !deal.escrow && !deal.fee))

/** Why it stopped, as the other side is told. */
export const stopBody = (deal: Deal, reason: StopReason, fault?: Fault): Body => ({
  kind: 'stop',
  hash: deal.hash,
  reason,
  ...(fault === undefined ? {} : { code: wireCode(fault) }),
})

/** A fault's code in the form that a message carries. */
export const wireCode = (fault: Fault): string => (/^[a-z0-9.-]{1,64}$/.test(fault.code) ? fault.code : 'fault.unnamed')
