/**
 * Capacity on the distribution ledger for a deal on the energy ledger: both, or neither.
 *
 *     here      reserve   fee and capacity are held                        (either party, before the window is over)
 *     there     commit    with the proof that they are                     checkReservation
 *     there     settled or refunded
 *     here      claim     with the proof of that: the fee by what was delivered, the rest goes back
 *               release   with the proof that there is no deal after its window: all goes back
 *               expiry    the deal's last moment and the relay margin are over: all goes back
 *
 * The fee is the sum of the path's tariffs at the window's start, or the price in the distributor's own signed offer for this
 * very contract, without which nothing is reserved where a line of the path requires one: see lines.ts for the path.
 *
 * Nothing ends a reservation before its contract's window is over but the deal's own end, so a proof that it was held
 * is good for a commitment however old it is: commitments end with the window. Who has to be paid has the relay margin
 * to say so; money and capacity of a deal that nobody speaks of, or of a ledger that is not believed, come free at expiry.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { costCeil, costFloor, micros, type Price, type WattHours, wattHours } from '../../quantity.ts'
import { ok, type Result } from '../../result.ts'
import { type Instant, later } from '../../time.ts'
import { contractHash, decodeContract } from '../../trade/contract.ts'
import { verifyFeeOffer } from '../../trade/fee-offer.ts'
import { dealKey, decodeDealRecord } from '../deal-record.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying } from '../kind.ts'
import { decodeReservation, PEERS, RESERVATIONS, type Reservation, reservationKey } from '../network-tables.ts'
import { accountId, credit, type Draft, debit, type State } from '../state.ts'
import { ACCOUNTS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { distributorOf, giveCapacity, offerRequiredBy, pathBetween, pathOf, priceOf, takeCapacity } from './lines.ts'
import { provenAbsence, provenValue } from './peers.ts'

/**
 * Eight days: a week ahead, from any hour of its first day. Farther slots would be records that nobody needs yet, and
 * whoever sold a line for the year 9999, to himself, would have closed it for all.
 */
export const MAX_AHEAD_MS = 8 * 86_400_000

export function applyReserve(
  draft: Draft,
  sender: Uint8Array,
  { contract: bytes, feeMost, offer }: BodyOf<'reserve'>,
  applying: Applying,
): Result<Uint8Array, LedgerFault> {
  const { time } = applying
  const decoded = decodeContract(bytes)
  if (!decoded.ok) return refuse('ledger.contract', { reason: decoded.fault.code })
  const { chainId, line, to, seller, buyer, start, end, energy, ...windows } = decoded.value
  const peer = draft.get(PEERS, chainId)
  if (peer === undefined) return refuse('ledger.peer-unknown', { chainId })
  const hash = contractHash(bytes)
  const id = toHex(hash)
  // Else a stranger could take the place of the reservation that the parties mean to make.
  if (!equalBytes(sender, seller) && !equalBytes(sender, buyer)) return refuse('ledger.not-a-party', { deal: id })
  if (end <= time) return refuse('ledger.window-over', { end, now: time })
  if (end > time + MAX_AHEAD_MS) return refuse('ledger.window-far', { end, latest: time + MAX_AHEAD_MS })
  if (draft.get(RESERVATIONS, id) !== undefined) return refuse('ledger.reserved', { deal: id })

  const way = wayOf(draft, line, to)
  if (!way.ok) return way
  const paidTo = distributorOf(draft, way.value.path, line)
  if (!paidTo.ok) return paidTo
  const distributor = paidTo.value
  const requiredBy = offerRequiredBy(draft, way.value.path)
  if (requiredBy !== undefined && offer === undefined)
    return refuse('ledger.offer-required', { deal: id, line: requiredBy, distributor: toHex(distributor) })
  const cost: Result<{ readonly price: Price; readonly until?: Instant }, LedgerFault> =
    offer === undefined
      ? priceOf(draft, way.value.path, start)
      : offeredPrice(draft, offer, hash, distributor, applying)
  if (!cost.ok) return cost
  const { price, until } = cost.value
  const escrow = costCeil(energy, price)
  if (escrow > feeMost) return refuse('ledger.fee-limit', { fee: escrow, most: feeMost })
  const taken = { ...way.value, start, end, energy }
  const room = takeCapacity(draft, taken, time)
  if (!room.ok) return room
  const paid = debit(draft, accountId(sender), escrow)
  if (!paid.ok) return paid
  const settleBy = later(end, windows.receiptWindowMs + windows.disputeWindowMs)
  const expires = later(settleBy, peer.relayMarginMs)
  const offered = requiredBy === undefined || until === undefined ? {} : { offered: until }
  const terms = { chainId, ...taken, price, escrow, payer: sender, distributor, expires, ...offered }
  draft.put(RESERVATIONS, id, { state: 'held', ...terms })
  return ok(hash)
}

function heldReservation(state: State, id: string): Result<Reservation, LedgerFault> {
  const reservation = state.get(RESERVATIONS, id)
  if (reservation === undefined) return refuse('ledger.no-reservation', { deal: id })
  if (reservation.state !== 'held') return refuse('ledger.reservation-closed', { deal: id, state: reservation.state })
  return ok(reservation)
}

export function applyClaim(
  draft: Draft,
  _sender: Uint8Array,
  body: BodyOf<'claim'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const id = toHex(body.deal)
  const held = heldReservation(draft, id)
  if (!held.ok) return held
  const value = provenValue(draft, held.value.chainId, body, dealKey(body.deal))
  if (!value.ok) return value
  const deal = decodeDealRecord(value.value)
  if (!deal.ok) return refuse('ledger.proof', { reason: deal.fault.code })
  const { state, outcome } = deal.value
  if (outcome === undefined) return refuse('ledger.proof', { reason: `the deal is ${state}` })
  // The other ledger keeps to the contract; should it ever not, the payer's loss still ends at the escrow.
  const { energy } = held.value
  const delivered = outcome.delivered < energy ? outcome.delivered : energy
  closeReservation(draft, id, held.value, state === 'settled' ? 'claimed' : 'released', delivered, time)
  return ok(body.deal)
}

export function applyRelease(
  draft: Draft,
  _sender: Uint8Array,
  body: BodyOf<'release'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const id = toHex(body.deal)
  const held = heldReservation(draft, id)
  if (!held.ok) return held
  const absentAt = provenAbsence(draft, held.value.chainId, body, dealKey(body.deal))
  if (!absentAt.ok) return absentAt
  // The state under a header is that before its block; from the window's end on no block commits to the contract.
  const { end } = held.value
  if (absentAt.value < end) return refuse('ledger.proof-early', { header: absentAt.value, end })
  closeReservation(draft, id, held.value, 'released', wattHours(0n), time)
  return ok(body.deal)
}

/** A reservation whose last moment has come. */
export function expireReservation(draft: Draft, id: string, time: Instant): void {
  const reservation = draft.get(RESERVATIONS, id)
  if (reservation?.state !== 'held' || reservation.expires > time) return
  closeReservation(draft, id, reservation, 'released', wattHours(0n), time)
}

/** A contract's lines: all above a direct line, over the grid those between two nodes. */
function wayOf(
  state: State,
  line: string,
  to: string | undefined,
): Result<Pick<Reservation, 'path' | 'up'>, LedgerFault> {
  if (to !== undefined) return pathBetween(state, line, to)
  const path = pathOf(state, line)
  return path.ok ? ok({ path: path.value }) : path
}

/** The price that the path's own distributor signed for this contract. */
function offeredPrice(
  state: State,
  bytes: Uint8Array,
  hash: Uint8Array,
  distributor: Uint8Array,
  { time, verifier }: Applying,
): Result<{ readonly price: Price; readonly until: Instant }, LedgerFault> {
  const { publicKey } = state.get(ACCOUNTS, accountId(distributor))!
  const offer = verifyFeeOffer(bytes, publicKey, verifier)
  if (!offer.ok) {
    return refuse('ledger.fee-offer-signature', { distributor: toHex(distributor), reason: offer.fault.code })
  }
  const { contract, price, until } = offer.value
  if (!equalBytes(contract, hash)) return refuse('ledger.fee-offer', { deal: toHex(hash), offered: toHex(contract) })
  if (until <= time) return refuse('ledger.fee-offer', { deal: toHex(hash), until, now: time })
  return ok({ price, until })
}

function closeReservation(
  draft: Draft,
  id: string,
  reservation: Reservation,
  state: 'claimed' | 'released',
  delivered: WattHours,
  at: Instant,
): void {
  const paid = costFloor(delivered, reservation.price)
  const refunded = micros(reservation.escrow - paid)
  credit(draft, accountId(reservation.distributor), paid)
  credit(draft, accountId(reservation.payer), refunded)
  giveCapacity(draft, reservation, at)
  draft.put(RESERVATIONS, id, { ...reservation, state, outcome: { delivered, paid, refunded, at } })
}

/** On the energy ledger: whether the distribution ledger holds capacity for this contract until after its deal's end. */
export function checkReservation(
  state: State,
  chainId: string,
  hash: Uint8Array,
  settleBy: Instant,
  proven: BodyOf<'commit'>['reservation'],
): Result<void, LedgerFault> {
  if (proven === undefined) return refuse('ledger.no-reservation', { deal: toHex(hash), on: chainId })
  const value = provenValue(state, chainId, proven, reservationKey(hash))
  if (!value.ok) return value
  const reservation = decodeReservation(value.value)
  if (!reservation.ok) return refuse('ledger.proof', { reason: reservation.fault.code })
  if (reservation.value.state !== 'held') {
    return refuse('ledger.reservation-closed', { deal: toHex(hash), state: reservation.value.state })
  }
  const least = later(settleBy, state.get(PEERS, chainId)!.relayMarginMs)
  const { expires } = reservation.value
  return expires < least ? refuse('ledger.reservation-short', { expires, least }) : ok(undefined)
}
