/**
 * The table's rules for capacity on the distribution ledger: held for the seller's fee before the buyer commits to pay, and
 * given back where no deal came of it. A buyer commits only with the proof that capacity is held for this very contract
 * until both ledgers can have spoken of its end; a seller that gave up follows its fee until nothing holds it.
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { Fault } from '../result.ts'
import { later } from '../time.ts'
import {
  COMMIT_MS,
  type Deal,
  type Now,
  RELEASE_RETRY_MS,
  RESERVE_MS,
  type ReservationRecord,
  type Step,
  settleBy,
} from './deal-state.ts'
import {
  giveUp,
  type InputOf,
  ignore,
  monoAt,
  no,
  type Peer,
  type Rule,
  refuse,
  startBy,
  timer,
  timerBy,
  to,
} from './deal-step.ts'

/** Both halves are there: the seller reserves, the buyer waits to hear of it. */
export function reserveFirst(deal: Deal, now: Now): Step {
  const timers = [timer('start-by', monoAt(startBy(deal), now)), timerBy('reserve-by', RESERVE_MS, deal, now)]
  if (deal.role === 'seller') {
    return to(deal, { state: 'signed', fee: true }, ...timers, { kind: 'submit', tx: 'reserve' })
  }
  // The seller's word may have overtaken its half: the bus keeps no order.
  return to(
    deal,
    { state: 'signed' },
    ...timers,
    ...(deal.peerReady ? ([{ kind: 'prove', what: 'reservation' }] as const) : []),
  )
}

export const reservedEarly: Rule<Peer<'reserved'>> = (deal, body) =>
  deal.role === 'buyer' && deal.reserve !== undefined ? to(deal, { peerReady: true }) : refuse(deal, body)

export const heardReserved: Rule<Peer<'reserved'>> = (deal, body) =>
  deal.role === 'buyer' && deal.reserve !== undefined
    ? to(deal, { peerReady: true }, { kind: 'prove', what: 'reservation' })
    : refuse(deal, body)

/** From here on the buyer can commit, and the ledger knows of it before, or without, the buyer's word. */
export const reserveHandedIn = (deal: Deal, hash: Uint8Array, now: Now): Step =>
  to(
    deal,
    { state: 'reserved' },
    { kind: 'send', body: { kind: 'reserved', hash: deal.hash, tx: hash } },
    { kind: 'prove', what: 'lock' },
    timerBy('commit-by', COMMIT_MS, deal, now),
  )

export const judgeReservation: Rule<InputOf<'reservation'>> = (deal, input, { now }) => {
  if (deal.role !== 'buyer' || !deal.peerReady) return refuse(deal, input)
  const { hash, record, height, proof } = input
  if (!equalBytes(hash, deal.hash)) {
    return no(deal, { code: 'deal.other-reservation', expected: toHex(deal.hash), received: toHex(hash) })
  }
  const fault = reservationFault(deal, record)
  if (fault !== undefined) return giveUp(deal, 'aborted', fault, now)
  return to(
    deal,
    { state: 'reserved', escrow: true, reservedHeight: height },
    { kind: 'submit', tx: 'commit', reservation: { height, proof } },
  )
}

/** Why a reservation is not what this contract needs. */
function reservationFault(deal: Deal, record: ReservationRecord): Fault | undefined {
  const { chainId, start, end, energy } = deal.contract
  if (record.state !== 'held') return { code: 'deal.not-reserved', state: record.state }
  if (record.chainId !== chainId) {
    return { code: 'deal.reservation-chain', expected: chainId, received: record.chainId }
  }
  if (record.start > start || record.end < end || record.energy < energy) {
    const { start: from, end: until, energy: held } = record
    return { code: 'deal.reservation-small', from, until, held, start, end, energy }
  }
  const least = later(settleBy(deal), deal.reserve?.relayMarginMs ?? 0)
  return record.expires < least ? { code: 'deal.reservation-short', expires: record.expires, least } : undefined
}

// --- No deal came of it: the fee comes back by the proof of that, or by itself at the reservation's expiry

/** The energy ledger has no such deal and takes none any more. */
export const dealAbsent = (deal: Deal, { outcome }: InputOf<'settlement'>): Step =>
  to(
    deal,
    { escrow: false },
    ...(deal.fee && outcome.kind === 'absent' && outcome.proven !== undefined
      ? ([{ kind: 'submit', tx: 'release', absence: outcome.proven }] as const)
      : []),
  )

export const releaseFailed: Rule<InputOf<'not-handed-in'>> = (deal, { tx }, { now }) =>
  tx === 'release' && deal.fee ? to(deal, {}, timer('retry', later(now.mono, RELEASE_RETRY_MS))) : ignore(deal)

export const releaseAgain: Rule<InputOf<'timer'>> = deal =>
  deal.fee ? to(deal, {}, { kind: 'prove', what: 'settlement' }) : ignore(deal)

export const feeIsFree: Rule<InputOf<'fee-free'>> = (deal, { charged }) =>
  to(deal, { fee: false, ...(charged === undefined ? {} : { feePaid: charged }) })

/** A settled seller's fee is the distributor's to claim: what it comes to is only asked for. */
export const restoredSettled: Rule<InputOf<'restored'>> = deal =>
  to(deal, {}, ...(deal.fee ? ([{ kind: 'prove', what: 'fee' }] as const) : []))
