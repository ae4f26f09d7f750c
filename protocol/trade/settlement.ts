/**
 * Whether what the ledger keeps of a deal is what its contract says, and what it paid the sum that follows: made again from the
 * contract, by other code than the ledger's own (ledger/rules/settle.ts says when each of them counts).
 */
import { equalBytes } from '../bytes.ts'
import type { DealRecord } from '../ledger/deal-record.ts'
import type { Reservation } from '../ledger/network-tables.ts'
import { costCeil, costFloor, type WattHours, wattHours } from '../quantity.ts'
import type { Fault, FaultDetail } from '../result.ts'
import type { Contract } from './contract.ts'

/** The first field that differs. */
export function recordFault(contract: Contract, record: DealRecord): Fault | undefined {
  const { line, seller, buyer, sellerMeter, buyerMeter, start, end, energy, price, receipts, to } = contract
  const terms = { line, sellerMeter, buyerMeter, start, end, energy, price, receipts, to }
  for (const [field, expected] of Object.entries(terms)) {
    const received = record[field as keyof typeof terms]
    if (received !== expected) return differs(field, expected, received)
  }
  if (!equalBytes(record.seller, seller) || !equalBytes(record.buyer, buyer)) return { code: 'records.other-party' }
  const receiptBy = end + contract.receiptWindowMs
  return (
    unlike('receiptBy', receiptBy, record.receiptBy) ??
    unlike('settleBy', receiptBy + contract.disputeWindowMs, record.settleBy) ??
    unlike('escrow', costCeil(energy, price), record.escrow) ??
    outcomeFault(contract, record)
  )
}

/** The same of the distribution ledger's record; `record` is the energy ledger's, by which a fee is claimed. */
export function reservationFault(
  contract: Contract,
  { state, outcome, payer, ...reservation }: Reservation,
  record: DealRecord | undefined,
): Fault | undefined {
  const { chainId, seller, buyer, start, end, energy } = contract
  if (!equalBytes(payer, seller) && !equalBytes(payer, buyer)) return { code: 'records.other-party' }
  const settleBy = end + contract.receiptWindowMs + contract.disputeWindowMs
  const { escrow, price, expires } = reservation
  const terms =
    unlike('chainId', chainId, reservation.chainId) ??
    unlike('start', start, reservation.start) ??
    unlike('end', end, reservation.end) ??
    unlike('energy', energy, reservation.energy) ??
    unlike('escrow', costCeil(energy, price), escrow) ??
    (expires < settleBy ? differs('expires', settleBy, expires) : undefined)
  if (terms !== undefined || state === 'held' || outcome === undefined)
    return terms ?? unlike('outcome', state === 'held' ? 'none' : 'some', outcome === undefined ? 'none' : 'some')
  const { delivered, paid, refunded } = outcome
  const settled = record?.outcome?.delivered
  return (
    (state === 'released' ? unlike('delivered', 0n, delivered) : undefined) ??
    (state === 'claimed' && settled !== undefined ? unlike('delivered', settled, delivered) : undefined) ??
    unlike('paid', costFloor(delivered, price), paid) ??
    unlike('refunded', escrow - paid, refunded)
  )
}

const differs = (field: string, expected: FaultDetail, received: FaultDetail): Fault => ({
  ...{ code: 'records.differs', field, expected, received },
})
const unlike = (field: string, expected: FaultDetail, received: FaultDetail): Fault | undefined =>
  expected === received ? undefined : differs(field, expected, received)

function outcomeFault(contract: Contract, record: DealRecord): Fault | undefined {
  const { state, outcome, escrow } = record
  if (state === 'locked' || outcome === undefined)
    return unlike('outcome', state === 'locked' ? 'none' : 'some', outcome === undefined ? 'none' : 'some')
  const counts = countsOf(record)
  const least = counts.reduce((a, b) => (b < a ? b : a), contract.energy)
  // Over the grid a buyer's count alone pays nothing where the ledger wants the seller's, which its genesis says and no contract.
  const unheard = counts.length === 0 || (state === 'refunded' && record.to !== undefined && !hasSellers(record))
  const delivered = unheard ? wattHours(0n) : least
  return (
    unlike('state', unheard ? 'refunded' : 'settled', state) ??
    unlike('delivered', delivered, outcome.delivered) ??
    unlike('paid', costFloor(delivered, contract.price), outcome.paid) ??
    unlike('refunded', escrow - outcome.paid, outcome.refunded)
  )
}

const hasSellers = ({ outcome }: DealRecord): boolean => outcome?.sellerShare !== undefined

/** The quantities that count, by how well they are shown: what both signed, readings, over the grid shares of them, words. */
function countsOf(record: DealRecord): readonly WattHours[] {
  const { sealed, sellerReceipt, buyerReceipt, sellerQuantity, buyerQuantity, outcome } = record
  const there = (...counts: readonly (WattHours | undefined)[]) => counts.filter(count => count !== undefined)
  if (sealed !== undefined) return [sealed.energy]
  if (record.to !== undefined) return there(outcome?.sellerShare, outcome?.buyerShare)
  const receipts = there(sellerReceipt?.energy, buyerReceipt?.energy)
  if (receipts.length > 0) return receipts
  return buyerQuantity === undefined ? [] : there(sellerQuantity, buyerQuantity)
}
