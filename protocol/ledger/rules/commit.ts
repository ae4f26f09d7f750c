/**
 * The buyer's commitment to pay: the contract's cost moves from the buyer's balance into the deal. Over a direct line the
 * time on the line and on both meters is taken, so that nothing is sold twice. Over the grid (`to`: the node of the buyer's
 * meter, `line` that of the seller's) each meter's window is shared by its contracts: see windows.ts; the commitment comes
 * before the window begins, as nobody buys what has flowed already.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { costCeil } from '../../quantity.ts'
import { done, ok, type Result } from '../../result.ts'
import { type Instant, later } from '../../time.ts'
import { type Contract, contractHash, decodeContract, verifySignatures } from '../../trade/contract.ts'
import type { DealRecord } from '../deal-record.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying } from '../kind.ts'
import { accountId, type Draft, debit } from '../state.ts'
import type { Table } from '../table.ts'
import { ACCOUNTS, BOOKED_LINES, BOOKED_METERS, type Bookings, DEALS, MAX_WINDOWS_AHEAD, METERS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { bandAt } from './band.ts'
import { suspendedAt } from './registry.ts'
import { checkReservation, MAX_AHEAD_MS } from './reservation.ts'
import { bookWindows, checkLineMeters, checkWindows, releaseWindows } from './windows.ts'

/** The three things whose time a deal takes. */
const takenBy = (deal: { line: string; sellerMeter: string; buyerMeter: string }) =>
  [
    [BOOKED_LINES, deal.line],
    [BOOKED_METERS, deal.sellerMeter],
    [BOOKED_METERS, deal.buyerMeter],
  ] as const satisfies readonly (readonly [Table<Bookings>, string])[]

export function applyCommit(
  draft: Draft,
  sender: Uint8Array,
  body: BodyOf<'commit'>,
  { chainId, rules, height, time, verifier }: Applying,
): Result<Uint8Array, LedgerFault> {
  const decoded = decodeContract(body.contract)
  if (!decoded.ok) return refuse('ledger.contract', { reason: decoded.fault.code })
  const contract = decoded.value
  if (contract.chainId !== chainId) {
    return refuse('ledger.contract-chain-id', { expected: chainId, received: contract.chainId })
  }
  if (!equalBytes(contract.buyer, sender)) {
    return refuse('ledger.not-the-buyer', { buyer: toHex(contract.buyer), sender: toHex(sender) })
  }
  if (contract.end <= time) return refuse('ledger.window-over', { end: contract.end, now: time })
  if (contract.end > time + MAX_AHEAD_MS) {
    return refuse('ledger.window-far', { end: contract.end, latest: time + MAX_AHEAD_MS })
  }
  const { price, to } = contract
  if (to !== undefined && contract.start < time) {
    return refuse('ledger.window-begun', { start: contract.start, now: time })
  }
  // What both sign is only their word, and over the grid a meter's count is shared with contracts of others.
  if (to !== undefined && contract.receipts === 'sealed')
    return refuse('ledger.sealed-grid', { line: contract.line, to })
  const band = bandAt(draft, time)
  if (band !== undefined && (price < band.floor || price > band.ceiling)) {
    return refuse('ledger.price-band', { price, floor: band.floor, ceiling: band.ceiling })
  }
  const hash = contractHash(body.contract)
  const id = toHex(hash)
  if (draft.get(DEALS, id) !== undefined) return refuse('ledger.deal-taken', { deal: id })

  const seller = draft.get(ACCOUNTS, accountId(contract.seller))
  const buyer = draft.get(ACCOUNTS, accountId(contract.buyer))
  if (seller === undefined || buyer === undefined)
    return refuse('ledger.no-account', { seller: toHex(contract.seller) })
  for (const [meterId, owner, line] of [
    [contract.sellerMeter, contract.seller, contract.line],
    [contract.buyerMeter, contract.buyer, to ?? contract.line],
  ] as const) {
    const meter = draft.get(METERS, meterId)
    if (meter === undefined) return refuse('ledger.meter-unknown', { meterId })
    if (meter.revoked !== undefined) return refuse('ledger.meter-revoked', { meterId, revoked: meter.revoked })
    if (!equalBytes(meter.owner, owner)) {
      return refuse('ledger.meter-owner', { meterId, enrolled: toHex(meter.owner), contract: toHex(owner) })
    }
    if (meter.line !== line) return refuse('ledger.meter-line', { meterId, enrolled: meter.line, contract: line })
    const suspended = suspendedAt(meter, contract.start)
    if (suspended !== undefined)
      return refuse('ledger.meter-suspended', { meterId, start: contract.start, ...suspended })
  }
  const free = to === undefined ? checkFree(draft, contract) : checkWindows(draft, contract)
  if (!free.ok) return free
  const receiptBy = later(contract.end, contract.receiptWindowMs)
  const settleBy = later(receiptBy, contract.disputeWindowMs)
  if (rules.reserveOn !== undefined) {
    const reserved = checkReservation(draft, rules.reserveOn, hash, settleBy, body.reservation)
    if (!reserved.ok) return reserved
  }

  // The dearest check comes last: two signatures, after everything that a look-up can refuse.
  const { contract: bytes, sellerSign1, buyerSign1 } = body
  const signed = verifySignatures(bytes, sellerSign1, buyerSign1, seller.publicKey, buyer.publicKey, verifier)
  if (!signed.ok) return refuse('ledger.contract-signature', { reason: signed.fault.code })

  const escrow = costCeil(contract.energy, contract.price)
  const paid = debit(draft, accountId(contract.buyer), escrow)
  if (!paid.ok) return paid
  const { line, start, end, energy, sellerMeter, buyerMeter } = contract
  const terms = {
    line,
    seller: contract.seller,
    buyer: contract.buyer,
    sellerMeter,
    buyerMeter,
    start,
    end,
    energy,
    price,
  }
  const mode = contract.receipts === undefined ? {} : { receipts: contract.receipts }
  const over = to === undefined ? {} : { to }
  draft.put(DEALS, id, { state: 'locked', ...terms, escrow, receiptBy, settleBy, height, ...mode, ...over })
  if (to !== undefined) {
    bookWindows(draft, contract, hash)
    return ok(hash)
  }
  for (const [table, key] of takenBy(contract)) {
    const { free, windows } = bookingsOf(draft, table, key)
    draft.put(table, key, { free, windows: [...windows, { deal: hash, start, end }] })
  }
  return ok(hash)
}

const bookingsOf = (draft: Draft, table: Table<Bookings>, key: string): Bookings =>
  draft.get(table, key) ?? { free: 0 as Instant, windows: [] }

function checkFree(draft: Draft, contract: Contract): Result<void, LedgerFault> {
  const meters = checkLineMeters(draft, contract)
  if (!meters.ok) return meters
  for (const [table, key] of takenBy(contract)) {
    const { free, windows } = bookingsOf(draft, table, key)
    if (contract.start < free) return refuse('ledger.sold', { what: key, start: contract.start, free })
    const other = windows.find(window => contract.start < window.end && window.start < contract.end)
    if (other !== undefined) {
      return refuse('ledger.sold', { what: key, start: contract.start, end: contract.end, deal: toHex(other.deal) })
    }
    if (windows.length >= MAX_WINDOWS_AHEAD) return refuse('ledger.sold', { what: key, windows: windows.length })
  }
  return done
}

/**
 * A closed deal no longer stands in the bookings, but its time stays sold: nobody sells the past again, nor what is left
 * of a window that was stopped early.
 */
export function releaseBookings(draft: Draft, deal: DealRecord, hash: Uint8Array): void {
  if (deal.to !== undefined) return releaseWindows(draft, deal)
  for (const [table, key] of takenBy(deal)) {
    const { free, windows } = bookingsOf(draft, table, key)
    draft.put(table, key, {
      free: deal.end > free ? deal.end : free,
      windows: windows.filter(window => !equalBytes(window.deal, hash)),
    })
  }
}
