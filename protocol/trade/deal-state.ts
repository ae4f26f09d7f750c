/** What a deal is made of, what can happen to it and what it asks for: the words of the table in deal.ts. */
import type { Energy, Money, WattHours } from '../quantity.ts'
import type { Fault } from '../result.ts'
import type { Position, Seen } from '../safety/facts.ts'
import type { Instant, Mono } from '../time.ts'
import type { Contract, Party } from './contract.ts'
import type { Body, BodyOf, SignedReading, StopReason } from './message.ts'

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
] as const
export type State = (typeof STATES)[number]

/**
 * Where in a state a deal stands.
 *
 *     armed     waiting -> isolating -> closing -> reading -> ready        the buyer's end
 *               waiting -> reading -> closing                              the seller's end
 *     stopped   unloading -> opening -> reading -> receipt                 only a buyer without a fault unloads
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
  readonly peerReady: boolean
  /** The line contact was asked to close and has not been seen open since. */
  readonly engaged: boolean
  /** The circuit's own supply was asked to open, and not yet to close again. */
  readonly isolated: boolean
  readonly begin?: Metered
  readonly end?: Metered
  /** Why it stopped, was aborted or expired. */
  readonly cause?: Fault
  readonly settlement?: Settlement
  /** By the line meters since begin; not a reason to write the journal. */
  readonly ownWh?: WattHours
  readonly peerWh?: WattHours
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
  | { readonly kind: 'handed-in'; readonly tx: 'commit' | 'receipt'; readonly hash: Uint8Array }
  | { readonly kind: 'not-handed-in'; readonly tx: 'commit' | 'receipt'; readonly fault: Fault }
  /** The ledger's record under `deal/<hash>`, proven against a verified header at `height`. */
  | {
      readonly kind: 'lock'
      readonly hash: Uint8Array
      readonly record: { readonly state: string; readonly escrow: Money }
      readonly height: bigint
    }
  /** What was offered as proof is wrong, or the light client has stopped trusting. */
  | { readonly kind: 'lock-refused'; readonly fault: Fault }
  /** Proven: how the escrow went, or that the ledger never had it at a header after its last moment. */
  | { readonly kind: 'settlement'; readonly outcome: Settlement | { readonly kind: 'absent' } }
  | { readonly kind: 'facts'; readonly facts: Facts }
  | { readonly kind: 'signed-reading'; readonly which: 'begin' | 'end'; readonly reading: Metered }
  | { readonly kind: 'no-reading'; readonly which: 'begin' | 'end'; readonly fault: Fault }
  /** Energy since begin by a verified reading of that side's line meter. */
  | { readonly kind: 'metered'; readonly side: 'own' | 'peer'; readonly energy: WattHours }
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
  | { readonly kind: 'submit'; readonly tx: 'commit' | 'receipt' }
  /** Ask at every new header until the answer can be given; asking twice is one question. */
  | { readonly kind: 'prove'; readonly what: 'lock' | 'settlement' }
  | { readonly kind: 'sign-reading'; readonly which: 'begin' | 'end' }
  /** Replaces the timer of that name. One that falls due when nobody waits for it is ignored. */
  | { readonly kind: 'timer'; readonly name: TimerName; readonly at: Mono }
  /** Raised with a fault, cleared without. */
  | { readonly kind: 'health'; readonly what: HealthName; readonly fault?: Fault }
  | { readonly kind: 'refused'; readonly fault: Fault }

export type HealthName = 'deal.contact-stuck' | 'deal.receipt-refused' | 'deal.settlement-differs'

export interface Step {
  readonly deal: Deal
  readonly outputs: readonly Output[]
}

/** Only negotiated by machines: five seconds is a hundred round trips. */
export const SIGN_MS = 5000
/** A deal whose lock, readiness or closing is not there this long after its start is given up; half of a short window. */
export const START_GRACE_MS = 60_000
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

/** Whether this deal still needs the line's contacts; faults and facts of the line are inputs to the deals that do. */
export const holdsLine = (deal: Deal): boolean =>
  deal.state === 'armed' ||
  deal.state === 'started' ||
  (deal.state === 'stopped' && deal.phase !== 'receipt') ||
  deal.engaged ||
  deal.isolated

/** Where the deal wants this end's contacts. `own` means nothing at a seller's end. */
export function wishOf(deal: Deal): { readonly line: Position; readonly own: Position } {
  const { state, phase, role } = deal
  const closed =
    state === 'started' ||
    phase === 'unloading' ||
    (state === 'armed' && (phase === 'closing' || phase === 'ready' || (phase === 'reading' && role === 'buyer')))
  return { line: closed ? 'closed' : 'open', own: deal.isolated ? 'open' : 'closed' }
}

export const heartbeatsDue = (deal: Deal, wall: Instant): boolean =>
  deal.state === 'started' ||
  (deal.state === 'armed' && wall >= deal.contract.start - HEARTBEAT_LEAD_MS) ||
  (deal.state === 'stopped' && deal.phase !== 'receipt')

/** Nothing of this deal is left to do, on the line or on the ledger. */
export const isOver = (deal: Deal): boolean =>
  !deal.isolated &&
  !deal.engaged &&
  (deal.state === 'settled' ||
    deal.state === 'refunded' ||
    ((deal.state === 'aborted' || deal.state === 'expired') && !deal.escrow))

/** Why it stopped, as the other side is told. */
export const stopBody = (deal: Deal, reason: StopReason, fault?: Fault): Body => ({
  kind: 'stop',
  hash: deal.hash,
  reason,
  ...(fault === undefined ? {} : { code: wireCode(fault) }),
})

/** A fault's code in the form that a message carries. */
export const wireCode = (fault: Fault): string => (/^[a-z0-9.-]{1,64}$/.test(fault.code) ? fault.code : 'fault.unnamed')
