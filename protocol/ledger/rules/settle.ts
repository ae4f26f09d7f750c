/**
 * The end of a block: deals whose receipts are complete, or whose time is over by block time, give their escrow away.
 *
 *     receipts   when               delivered                         money
 *     both       at once            min(contracted, seller, buyer)    paid to the seller, the rest back to the buyer
 *     one        at settleBy        min(contracted, that one)         the same, marked as disputed
 *     none       at settleBy        0                                 all back to the buyer
 *
 * A side that withholds its receipt gains nothing by it: the other's counts alone once the dispute window is over.
 */
import { fromHex } from '../../bytes.ts'
import { costFloor, micros, type WattHours, wattHours } from '../../quantity.ts'
import type { Instant } from '../../time.ts'
import type { DealRecord } from '../deal-record.ts'
import { accountId, credit, type Draft } from '../state.ts'
import { DEALS } from '../tables.ts'
import { releaseBookings } from './commit.ts'

/** Settles a deal as soon as both receipts are there. */
export function settleComplete(draft: Draft, id: string, time: Instant): void {
  const deal = draft.get(DEALS, id)
  if (deal?.state !== 'locked') return
  if (deal.sellerReceipt !== undefined && deal.buyerReceipt !== undefined) closeDeal(draft, id, deal, time)
}

/** Settles a deal whose last moment has come by what is there. */
export function settleDue(draft: Draft, id: string, time: Instant): void {
  const deal = draft.get(DEALS, id)
  if (deal?.state === 'locked' && deal.settleBy <= time) closeDeal(draft, id, deal, time)
}

function closeDeal(draft: Draft, id: string, deal: DealRecord, at: Instant): void {
  const receipts = [deal.sellerReceipt, deal.buyerReceipt].filter(receipt => receipt !== undefined)
  const delivered = receipts.reduce(
    (least: WattHours, { energy }) => (energy < least ? energy : least),
    receipts.length === 0 ? wattHours(0n) : deal.energy,
  )
  // The escrow covers the whole contract, and no more than the contract is ever delivered.
  const paid = costFloor(delivered, deal.price)
  const refunded = micros(deal.escrow - paid)
  credit(draft, accountId(deal.seller), paid)
  credit(draft, accountId(deal.buyer), refunded)
  draft.put(DEALS, id, {
    ...deal,
    state: receipts.length === 0 ? 'refunded' : 'settled',
    outcome: { delivered, paid, refunded, disputed: receipts.length === 1, at },
  })
  releaseBookings(draft, deal, fromHex(id)!)
}
