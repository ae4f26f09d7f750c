/** The table's rules from the first signature to the moment when power may flow. A rule that cannot use an input refuses it by name. */
import { equalBytes, toHex } from '../bytes.ts'
import { costCeil } from '../quantity.ts'
import type { Fault } from '../result.ts'
import { later } from '../time.ts'
import { verifyHalf } from './contract.ts'
import { reserveFirst } from './deal-reserve.ts'
import { BUYER_STOP_LEAD_MS, type Deal, type Now, type Output, SELLER_STOP_LEAD_MS, type Step } from './deal-state.ts'
import {
  andThen,
  close,
  giveUp,
  type InputOf,
  ignore,
  keyOf,
  monoAt,
  no,
  open,
  other,
  type Peer,
  type Rule,
  refuse,
  signedCopy,
  startBy,
  timer,
  to,
  withdraw,
} from './deal-step.ts'

// --- Both sign

export const takeOwnHalf: Rule<InputOf<'half'>> = (deal, { sign1 }, { now, verifier }) => {
  const half = verifyHalf(deal.bytes, deal.role, sign1, keyOf(deal, deal.role), verifier)
  if (!half.ok) return no(deal, half.fault)
  const { hash, bytes, contract } = deal
  if (deal.peerHalf === undefined) {
    const body = { kind: 'accept', id: contract.nonce, contract: bytes, half: sign1 } as const
    return to(deal, { ownHalf: sign1 }, { kind: 'send', body })
  }
  const signed = to(deal, { ownHalf: sign1 }, { kind: 'send', body: { kind: 'countersign', hash, half: sign1 } })
  return andThen(signed, both => sign(both, now))
}

export const takeCountersign: Rule<Peer<'countersign'>> = (deal, { half: sign1 }, { now, verifier }) => {
  const party = other(deal.role)
  const half = verifyHalf(deal.bytes, party, sign1, keyOf(deal, party), verifier)
  if (!half.ok) return no(deal, half.fault)
  if (deal.ownHalf === undefined) return no(deal, { code: 'deal.own-half-missing', state: deal.state })
  return sign(to(deal, { peerHalf: sign1 }).deal, now)
}

/** Both halves are there; the buyer's payment goes to the ledger; over the grid capacity is reserved first. */
function sign(deal: Deal, now: Now): Step {
  if (deal.reserve !== undefined) return reserveFirst(deal, now)
  const buying = deal.role === 'buyer'
  return to(
    deal,
    { state: 'signed', escrow: buying },
    timer('start-by', monoAt(startBy(deal), now)),
    ...(buying ? ([{ kind: 'submit', tx: 'commit' }] as const) : []),
  )
}

// --- The payment is locked

export const commitHandedIn: Rule<InputOf<'handed-in'>> = (deal, input) => {
  if (input.tx !== 'commit' || deal.role !== 'buyer') return refuse(deal, input)
  const tell = { kind: 'send', body: { kind: 'committed', hash: deal.hash, tx: input.hash } } as const
  return to(deal, { state: 'escrowed' }, tell, { kind: 'prove', what: 'lock' })
}

export const commitFailed: Rule<InputOf<'not-handed-in'>> = (deal, { tx, fault }, { now }) =>
  tx === 'commit' ? giveUp(deal, 'aborted', fault, now) : ignore(deal)

export const heardCommitted: Rule<Peer<'committed'>> = (deal, body) =>
  deal.role === 'seller' ? to(deal, { state: 'escrowed' }, { kind: 'prove', what: 'lock' }) : refuse(deal, body)

/** `ready` may overtake `committed`: the bus keeps no order. */
export const readyBeforeCommitted: Rule<Peer<'ready'>> = (deal, body) =>
  deal.role === 'seller'
    ? to(deal, { state: 'escrowed', peerReady: true }, { kind: 'prove', what: 'lock' })
    : refuse(deal, body)

export const noteReady: Rule<Peer<'ready'>> = (deal, body, { now }) => {
  if (deal.role !== 'seller') return refuse(deal, body)
  const noted = to(deal, { peerReady: true })
  return deal.state === 'armed' ? andThen(noted, one => prepare(one, now)) : noted
}

/** Why a record of the ledger is not this deal's locked payment. */
export function lockFault({ contract }: Deal, { state, escrow }: InputOf<'lock'>['record']): Fault | undefined {
  const needed = costCeil(contract.energy, contract.price)
  return state !== 'locked' || escrow < needed ? { code: 'deal.not-locked', state, escrow, needed } : undefined
}

export const judgeLock: Rule<InputOf<'lock'>> = (deal, { hash, record, height }, { now }) => {
  if (!equalBytes(hash, deal.hash)) {
    return no(deal, { code: 'deal.other-lock', expected: toHex(deal.hash), received: toHex(hash) })
  }
  const fault = lockFault(deal, record)
  if (fault !== undefined) return giveUp(deal, 'aborted', fault, now)
  const armed = to(
    deal,
    { state: 'armed', phase: 'waiting', lockHeight: height },
    timer('start', monoAt(deal.contract.start, now)),
  )
  return andThen(armed, one => prepare(one, now))
}

// --- Armed: the buyer's end, then the seller's

/** A wall clock that was set back meanwhile makes the timer early. */
export const start: Rule<InputOf<'timer'>> = (deal, _, { now }) =>
  deal.phase === 'waiting' && now.wall < deal.contract.start
    ? to(deal, {}, timer('start', monoAt(deal.contract.start, now)))
    : prepare(deal, now)

/** The next step towards the closing of this end, if the facts allow one now. */
function prepare(deal: Deal, now: Now): Step {
  const { contract, facts, phase } = deal
  if (phase === 'waiting') {
    if (now.wall < contract.start) return ignore(deal)
    if (now.wall >= startBy(deal)) {
      const by = startBy(deal)
      return giveUp(deal, 'expired', { code: 'deal.not-started', startBy: by, now: now.wall }, now)
    }
  }
  return deal.role === 'buyer' ? prepareBuyer(deal, facts, now) : prepareSeller(deal, facts, now)
}

function prepareBuyer(deal: Deal, { contact, own, line }: Deal['facts'], now: Now): Step {
  if (deal.phase === 'waiting') {
    if (contact !== 'open') return ignore(deal)
    return to(deal, { phase: 'isolating', isolated: true }, open('own'), endTimer(deal, BUYER_STOP_LEAD_MS, now))
  }
  // From here on our circuit has no supply, and until the seller is told `ready` nothing may feed the line.
  if (deal.phase !== 'ready' && line === 'live')
    return withdraw(deal, { code: 'deal.line-live', phase: deal.phase }, now)
  if (deal.phase === 'isolating' && own === 'open' && contact === 'open' && line === 'dead') {
    return to(deal, { phase: 'closing', engaged: true }, close('line'))
  }
  // An interlock that makes the changeover one movement may have closed, under its own permit, before it was asked.
  const closed = contact === 'closed' && (deal.phase === 'closing' || (deal.phase === 'isolating' && own === 'open'))
  if (closed) {
    return to(deal, { phase: 'reading', engaged: true }, { kind: 'sign-reading', which: 'begin' })
  }
  if (deal.phase === 'reading' && deal.begin !== undefined) {
    return to(
      deal,
      { phase: 'ready' },
      { kind: 'send', body: { kind: 'ready', hash: deal.hash, begin: signedCopy(deal.begin) } },
    )
  }
  // The seller's word may be late; a line that is live behind our closed contact is as good.
  if (deal.phase === 'ready' && line === 'live' && contact === 'closed') return begin(deal)
  return ignore(deal)
}

function prepareSeller(deal: Deal, { contact, line }: Deal['facts'], now: Now): Step {
  if (deal.phase === 'waiting' && deal.peerReady && contact === 'open' && line === 'dead') {
    const asked = { kind: 'sign-reading', which: 'begin' } as const
    return to(deal, { phase: 'reading' }, asked, endTimer(deal, SELLER_STOP_LEAD_MS, now))
  }
  if (deal.phase === 'reading' && deal.begin !== undefined) {
    return to(deal, { phase: 'closing', engaged: true }, close('line'))
  }
  if (deal.phase === 'closing' && contact === 'closed' && deal.begin !== undefined) {
    const body = { kind: 'started', hash: deal.hash, begin: signedCopy(deal.begin) } as const
    return andThen(begin(deal), on => to(on, {}, { kind: 'send', body }))
  }
  return ignore(deal)
}

/** The window's end on the monotonic clock: a wall clock that is set back cannot prolong it. */
export function endTimer({ contract: { start, end } }: Deal, leadMs: number, now: Now): Output {
  const left = Math.min(end - now.wall, end - start)
  // A window of a few seconds, as in a test, still gets nine tenths of itself.
  return timer('end', later(now.mono, Math.max(0, left - Math.min(leadMs, Math.floor((end - start) / 10)))))
}

const begin = (deal: Deal): Step => to(deal, { state: 'started', phase: 'idle' })

export const heardStarted: Rule<Peer<'started'>> = (deal, body) =>
  deal.role === 'buyer' && deal.phase === 'ready' ? begin(deal) : refuse(deal, body)

export const takeBegin: Rule<InputOf<'signed-reading'>> = (deal, input, { now }) =>
  input.which === 'begin' && deal.phase === 'reading'
    ? andThen(to(deal, { begin: input.reading }), one => prepare(one, now))
    : refuse(deal, input)

export const noBegin: Rule<InputOf<'no-reading'>> = (deal, { fault }, { now }) => withdraw(deal, fault, now)

export const factsArmed: Rule<InputOf<'facts'>> = (deal, { facts }, { now }) => prepare({ ...deal, facts }, now)

/** Proven again, for the permit wants a fresh header; it must still be locked. */
export const lockAgain: Rule<InputOf<'lock'>> = (deal, { hash, record }, { now }) =>
  !equalBytes(hash, deal.hash) || record.state === 'locked'
    ? ignore(deal)
    : withdraw(deal, { code: 'deal.payment-gone', state: record.state }, now)
