/**
 * The table's rules for contracts over the grid, where they are not a line's. No contact joins the parties: both grid meters
 * count from the window's start to its end whatever anybody says, and what a party decides is only what it switches for the
 * deal. So once the payment may be locked, a fault, a person or a peer's stop halts (nothing is switched on any longer), and
 * begin reading, end reading and receipt are made all the same: whoever could talk the other side out of its receipt would
 * have the settlement to himself. A lost heartbeat, broker or single reading halts nothing.
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { Fault } from '../result.ts'
import { later } from '../time.ts'
import { reserveHandedIn } from './deal-reserve.ts'
import { commitHandedIn, endTimer, heardCommitted, lockFault } from './deal-start.ts'
import {
  type Deal,
  type Input,
  isDispatched,
  type Now,
  type Output,
  RETRY_MS,
  type Step,
  stopBody,
} from './deal-state.ts'
import {
  andThen,
  faultOf,
  giveUp,
  type InputOf,
  ignore,
  monoAt,
  no,
  type Peer,
  peerStop,
  type Rule,
  receiptTimers,
  refuse,
  startBy,
  timer,
  to,
  withdraw,
} from './deal-step.ts'
import { heardDecline, restoredSigned, restoredStopped, restoredUnsigned, takeSettlement } from './deal-stop.ts'
import type { StopReason } from './message.ts'

// --- Capacity and payment

export const handedIn: Rule<InputOf<'handed-in'>> = (deal, input, given) => {
  if (input.tx === 'commit' && deal.escrow) return commitHandedIn(deal, input, given)
  const reserving = input.tx === 'reserve' && deal.state === 'signed' && deal.fee
  return reserving ? reserveHandedIn(deal, input.hash, given.now) : refuse(deal, input)
}

export const notHandedIn: Rule<InputOf<'not-handed-in'>> = (deal, { tx, fault }, { now }) =>
  (tx === 'commit' && deal.escrow) || (tx === 'reserve' && deal.state === 'signed' && deal.fee)
    ? giveUp(deal, 'aborted', fault, now)
    : ignore(deal)

/** Before capacity is reserved a buyer has nothing to commit with. */
export const committedUnreserved: Rule<Peer<'committed'>> = (deal, body, given) =>
  deal.reserve === undefined ? heardCommitted(deal, body, given) : refuse(deal, body)

export const judgeLockOverGrid: Rule<InputOf<'lock'>> = (deal, { hash, record, height }, { now }) => {
  if (!equalBytes(hash, deal.hash)) {
    return no(deal, { code: 'deal.other-lock', expected: toHex(deal.hash), received: toHex(hash) })
  }
  const fault = lockFault(deal, record)
  if (fault !== undefined) return giveUp(deal, 'aborted', fault, now)
  return andThen(to(deal, { state: 'armed', phase: 'waiting', lockHeight: height }), one => beginAtStart(one, now))
}

/** A proof that does not hold says nothing of the payment: it is asked for again until `start-by`. */
export const lockRefused: Rule<InputOf<'lock-refused'>> = (deal, { fault }) =>
  andThen(halt(deal, fault, 'fault'), one => to(one, {}, { kind: 'prove', what: 'lock' }))

export const lockGone: Rule<InputOf<'lock'>> = (deal, { hash, record }) =>
  !equalBytes(hash, deal.hash) || record.state === 'locked'
    ? ignore(deal)
    : andThen(halt(deal, { code: 'deal.payment-gone', state: record.state }, 'fault'), one =>
        to(one, {}, { kind: 'prove', what: 'settlement' }),
      )

// --- What is switched for the deal

const dispatch = (on: boolean): Output => ({ kind: 'dispatch', on })

/** Nothing is switched for the deal any more, or will be; the first reason stands. `tell`: the other side hears of it. */
function halt(deal: Deal, cause: Fault, tell?: StopReason): Step {
  if (deal.cause !== undefined) return ignore(deal)
  return to(
    deal,
    { cause },
    ...(isDispatched(deal) ? [dispatch(false)] : []),
    ...(tell === undefined ? [] : [{ kind: 'send', body: stopBody(deal, tell, cause) } as const]),
  )
}

/** By an input of this end. */
export const haltNow: Rule<Input> = (deal, input) =>
  input.kind === 'stop' ? halt(deal, { code: 'deal.stop-operator' }, 'operator') : halt(deal, faultOf(input), 'fault')
export const heardHalt: Rule<Peer<'stop'>> = (deal, body) => halt(deal, peerStop(body))
export const declinedLate: Rule<Peer<'decline'>> = (deal, { id, reason }) =>
  equalBytes(id, deal.contract.nonce)
    ? halt(deal, { code: 'deal.declined', reason })
    : no(deal, { code: 'deal.other-negotiation', expected: toHex(deal.contract.nonce), received: toHex(id) })

/** Whoever has handed its payment in makes its receipt, whatever the other side says. */
export const declinedOrAborted: Rule<Peer<'decline'>> = (deal, body, given) =>
  deal.escrow ? declinedLate(deal, body, given) : heardDecline(deal, body, given)

/** A buyer whose payment may be on its way makes its receipt; everybody else has nothing to lose yet. */
export const haltOrAbort: Rule<Input> = (deal, input, given) =>
  deal.escrow ? haltNow(deal, input, given) : withdraw(deal, faultOf(input), given.now)
export const heardHaltOrAbort: Rule<Peer<'stop'>> = (deal, body, { now }) =>
  deal.escrow ? halt(deal, peerStop(body)) : withdraw(deal, peerStop(body), now, false)

export const meteredOverGrid: Rule<InputOf<'metered'>> = (deal, { side, energy }) => {
  if (side === 'peer') return ignore(deal)
  const counted = to(deal, { ownWh: energy })
  return energy >= deal.contract.energy ? andThen(counted, one => halt(one, { code: 'deal.stop-energy' })) : counted
}

// --- The window: its boundaries are readings

/** A wall clock that was set back meanwhile makes the timer early. */
export const startOverGrid: Rule<InputOf<'timer'>> = (deal, _, { now }) => beginAtStart(deal, now)

function beginAtStart(deal: Deal, now: Now): Step {
  const { start } = deal.contract
  if (deal.phase !== 'waiting') return ignore(deal)
  if (now.wall < start) return to(deal, {}, timer('start', monoAt(start, now)))
  if (now.wall >= startBy(deal)) {
    return giveUp(deal, 'expired', { code: 'deal.not-started', startBy: startBy(deal), now: now.wall }, now)
  }
  return to(deal, { phase: 'reading' }, { kind: 'sign-reading', which: 'begin' })
}

export const takeBeginOverGrid: Rule<InputOf<'signed-reading'>> = (deal, input, { now }) => {
  if (input.which !== 'begin' || deal.phase !== 'reading') return refuse(deal, input)
  return to(
    deal,
    { state: 'started', phase: 'idle', begin: input.reading },
    ...(deal.cause === undefined ? [dispatch(true)] : []),
    endTimer(deal, 0, now),
  )
}

/** A meter that does not answer is asked again until `start-by`. */
export const noBeginYet: Rule<InputOf<'no-reading'>> = (deal, _, { now }) =>
  to(deal, {}, timer('retry', later(now.mono, RETRY_MS)))

export const beginAgain: Rule<InputOf<'timer'>> = deal =>
  deal.phase === 'reading' ? to(deal, {}, { kind: 'sign-reading', which: 'begin' }) : ignore(deal)

export const endOverGrid: Rule<InputOf<'timer'>> = (deal, _, { now }) =>
  to(
    deal,
    { state: 'stopped', phase: 'reading', cause: deal.cause ?? { code: 'deal.stop-window' } },
    { kind: 'sign-reading', which: 'end' },
    ...(isDispatched(deal) ? [dispatch(false)] : []),
    ...receiptTimers(deal, now),
  )

/** The ledger closed the deal before its window was over. That it never had it was proven to be otherwise. */
export const closedEarly: Rule<InputOf<'settlement'>> = (deal, input, given) => {
  if (input.outcome.kind === 'absent') return refuse(deal, input)
  return andThen(to(deal, {}, ...(isDispatched(deal) ? [dispatch(false)] : [])), one =>
    takeSettlement(one, input, given),
  )
}

// --- Back from the journal: the meters have counted meanwhile, and what is switched is said again

/** While capacity is to be reserved the buyer has nothing to commit with: nothing is lost but the reservation. */
export const restoredSignedOverGrid: Rule<InputOf<'restored'>> = (deal, input, given) =>
  deal.reserve === undefined ? restoredSigned(deal, input, given) : restoredUnsigned(deal, input, given)

export const restoredStartedOverGrid: Rule<InputOf<'restored'>> = (deal, _, { now }) =>
  to(deal, {}, dispatch(isDispatched(deal)), endTimer(deal, 0, now))

export const restoredStoppedOverGrid: Rule<InputOf<'restored'>> = (deal, input, given) =>
  deal.end === undefined
    ? to(deal, {}, dispatch(false), { kind: 'sign-reading', which: 'end' }, ...receiptTimers(deal, given.now))
    : restoredStopped(deal, input, given)
