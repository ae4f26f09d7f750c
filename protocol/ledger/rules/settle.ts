/**
 * The end of a block: deals whose receipts are complete, or whose time is over by block time, give their escrow away.
 *
 *     what is there           when            delivered                         money
 *     sealed receipt          at once         min(contracted, that)             paid to the seller, the rest back to the buyer
 *     both receipts           at once         min(contracted, seller, buyer)    the same
 *     one receipt             at settleBy     min(contracted, that one)         the same, marked as disputed
 *     both sides' quantities  at settleBy     min(contracted, seller, buyer)    the same
 *     buyer's quantity        at settleBy     min(contracted, that)             the same, marked as disputed
 *     seller's, or nothing    at settleBy     0                                 all back to the buyer
 *
 * A side that withholds its receipt gains nothing by it: the other's counts alone once the dispute window is over. A
 * quantity without envelopes is a side's word: it counts against that side, and not at all against a signed reading.
 */
import { fromHex } from '../../bytes.ts'
import { costFloor, micros, type WattHours, wattHours } from '../../quantity.ts'
import type { Instant } from '../../time.ts'
import type { DealRecord } from '../deal-record.ts'
import { accountId, credit, type Draft } from '../state.ts'
import { DEALS } from '../tables.ts'
import { releaseBookings } from './commit.ts'

/** Settles a deal as soon as both receipts, or the one that both signed, are there. */
export function settleComplete(draft: Draft, id: string, time: Instant): void {
  const deal = draft.get(DEALS, id)
  if (deal?.state !== 'locked') return
  const both = deal.sellerReceipt !== undefined && deal.buyerReceipt !== undefined
  if (both || deal.sealed !== undefined) closeDeal(draft, id, deal, time)
}

/** Settles a deal whose last moment has come by what is there. */
export function settleDue(draft: Draft, id: string, time: Instant): void {
  const deal = draft.get(DEALS, id)
  if (deal?.state === 'locked' && deal.settleBy <= time) closeDeal(draft, id, deal, time)
}

/** The quantities that count, by how well they are shown. */
function heard({ sealed, sellerReceipt, buyerReceipt, sellerQuantity, buyerQuantity }: DealRecord): WattHours[] {
  if (sealed !== undefined) return [sealed.energy]
  const receipts = [sellerReceipt?.energy, buyerReceipt?.energy].filter(energy => energy !== undefined)
  if (receipts.length > 0) return receipts
  if (buyerQuantity === undefined) return []
  return sellerQuantity === undefined ? [buyerQuantity] : [sellerQuantity, buyerQuantity]
}

function closeDeal(draft: Draft, id: string, deal: DealRecord, at: Instant): void {
  const voices = heard(deal)
  const delivered = voices.reduce(
    (least: WattHours, energy) => (energy < least ? energy : least),
    voices.length === 0 ? wattHours(0n) : deal.energy,
  )
  // The escrow covers the whole contract, and no more than the contract is ever delivered.
  const paid = costFloor(delivered, deal.price)
  const refunded = micros(deal.escrow - paid)
  credit(draft, accountId(deal.seller), paid)
  credit(draft, accountId(deal.buyer), refunded)
  draft.put(DEALS, id, {
    ...deal,
    state: voices.length === 0 ? 'refunded' : 'settled',
    outcome: { delivered, paid, refunded, disputed: voices.length === 1 && deal.sealed === undefined, at },
  })
  releaseBookings(draft, deal, fromHex(id)!)
}
