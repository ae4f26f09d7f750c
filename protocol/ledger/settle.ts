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
import { fromHex } from '../bytes.ts'
import { costFloor, micros, type WattHours, wattHours } from '../quantity.ts'
import type { Instant } from '../time.ts'
import { releaseBookings } from './commit.ts'
import type { DealRecord } from './deal-record.ts'
import { accountId, credit, DEALS, type Draft } from './state.ts'

/** Deals that wait for their last moment, the latest first, so that the next one due is at the end. */
interface DueDeals {
  add(settleBy: Instant, id: string): void
  /** Takes every deal due at `now`, the earliest first. */
  takeDue(now: Instant): readonly string[]
}

export function createDueDeals(): DueDeals {
  const waiting: { readonly settleBy: Instant; readonly id: string }[] = []
  return {
    add(settleBy, id) {
      let low = 0
      let high = waiting.length
      while (low < high) {
        const middle = (low + high) >> 1
        const other = waiting[middle]!
        if (other.settleBy > settleBy || (other.settleBy === settleBy && other.id > id)) low = middle + 1
        else high = middle
      }
      waiting.splice(low, 0, { settleBy, id })
    },
    takeDue(now) {
      const due: string[] = []
      while (waiting.length > 0 && waiting.at(-1)!.settleBy <= now) due.push(waiting.pop()!.id)
      return due
    },
  }
}

/** Settles what this block completed and what is due at its time. */
export function settleBlock(draft: Draft, due: DueDeals, height: bigint, time: Instant): void {
  for (const id of draft.changed(DEALS)) {
    const deal = draft.get(DEALS, id)!
    if (deal.height === height) due.add(deal.settleBy, id)
    if (deal.sellerReceipt !== undefined && deal.buyerReceipt !== undefined) closeDeal(draft, id, deal, time)
  }
  for (const id of due.takeDue(time)) {
    const deal = draft.get(DEALS, id)!
    if (deal.state === 'locked') closeDeal(draft, id, deal, time)
  }
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
