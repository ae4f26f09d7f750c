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
 * Over the grid a meter's count is parted among all its contracts of the window, so none settles before all counts that
 * are in time are there:
 *
 *     both meters counted     at receiptBy    min(contracted, seller's share, buyer's share)    as above
 *     one meter counted       at settleBy     min(contracted, its share)                        the same, marked as disputed
 *     the buyer's alone,
 *     where sellers prove     at settleBy     0                                                 all back to the buyer
 *     none                    at settleBy     0                                                 all back to the buyer
 *
 * A side that withholds its receipt gains nothing by it: the other's counts alone once the dispute window is over. Over the
 * grid that holds for a seller only where genesis says `sellerProves`: a buyer's grid meter counts what comes from whomever,
 * so alone it would pay a silent seller for what others sent. A
 * quantity without envelopes is a side's word: it counts against that side, and not at all against a signed reading.
 */
import { fromHex } from '../../bytes.ts'
import { costFloor, micros, type WattHours, wattHours } from '../../quantity.ts'
import type { Instant } from '../../time.ts'
import type { DealRecord } from '../deal-record.ts'
import { accountId, credit, type Draft } from '../state.ts'
import { DEALS, type Rules } from '../tables.ts'
import { releaseBookings } from './commit.ts'
import { sharesOfDeal } from './windows.ts'

/** Settles a deal as soon as both receipts, or the one that both signed, are there. */
export function settleComplete(draft: Draft, id: string, time: Instant): void {
  const deal = draft.get(DEALS, id)
  if (deal?.state !== 'locked' || deal.to !== undefined) return
  const both = deal.sellerReceipt !== undefined && deal.buyerReceipt !== undefined
  if (both || deal.sealed !== undefined) closeDeal(draft, id, deal, heard(deal), time)
}

/** Settles a deal whose last moment has come by what is there. */
export function settleDue(draft: Draft, id: string, rules: Rules, time: Instant): void {
  const deal = draft.get(DEALS, id)
  if (deal?.state !== 'locked') return
  if (deal.to !== undefined) settleShares(draft, id, deal, rules, time)
  else if (deal.settleBy <= time) closeDeal(draft, id, deal, heard(deal), time)
}

/** A deal over the grid at its receiptBy, and where it waits for a meter, at its settleBy. */
function settleShares(draft: Draft, id: string, deal: DealRecord, { sellerProves }: Rules, time: Instant): void {
  if (time < deal.receiptBy) return
  const { inTime, ...shares } = sharesOfDeal(draft, id, deal)
  if (!inTime && time < deal.settleBy) return draft.put(DEALS, id, { ...deal, overdue: true })
  const unproven = sellerProves === true && shares.sellerShare === undefined
  const voices = unproven ? [] : [shares.sellerShare, shares.buyerShare].filter(share => share !== undefined)
  closeDeal(draft, id, deal, voices, time, shares)
}

/** The quantities that count, by how well they are shown. */
function heard({ sealed, sellerReceipt, buyerReceipt, sellerQuantity, buyerQuantity }: DealRecord): WattHours[] {
  if (sealed !== undefined) return [sealed.energy]
  const receipts = [sellerReceipt?.energy, buyerReceipt?.energy].filter(energy => energy !== undefined)
  if (receipts.length > 0) return receipts
  if (buyerQuantity === undefined) return []
  return sellerQuantity === undefined ? [buyerQuantity] : [sellerQuantity, buyerQuantity]
}

function closeDeal(
  draft: Draft,
  id: string,
  deal: DealRecord,
  voices: readonly WattHours[],
  at: Instant,
  shares: { readonly sellerShare?: WattHours; readonly buyerShare?: WattHours } = {},
): void {
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
    outcome: { delivered, paid, refunded, disputed: voices.length === 1 && deal.sealed === undefined, at, ...shares },
  })
  releaseBookings(draft, deal, fromHex(id)!)
}
