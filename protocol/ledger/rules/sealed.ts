/**
 * Receipts that keep the meters' readings off the ledger, for contracts that say so.
 *
 *     sealed      the quantity, signed by both: settles at once
 *     quantity    one side's own word, where the other does not sign; until the receipt window is over
 *     receipt     the envelopes opened, as for any contract; until the dispute window is over
 *
 * Words come first and envelopes last, so whoever reads a word that is too low still has the whole dispute window to open
 * its own envelopes against it.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { ok, type Result } from '../../result.ts'
import { verifySealed } from '../../trade/sealed.ts'
import type { DealRecord } from '../deal-record.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying } from '../kind.ts'
import { accountId, type Draft } from '../state.ts'
import { ACCOUNTS, DEALS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'

/** A deal that is still open, whose contract allows sealed receipts, for a party to it. */
function sealedDeal(draft: Draft, hash: Uint8Array, sender: Uint8Array): Result<DealRecord, LedgerFault> {
  const id = toHex(hash)
  const deal = draft.get(DEALS, id)
  if (deal === undefined) return refuse('ledger.no-deal', { deal: id })
  if (!equalBytes(sender, deal.seller) && !equalBytes(sender, deal.buyer)) {
    return refuse('ledger.not-a-party', { deal: id })
  }
  if (deal.receipts !== 'sealed') return refuse('ledger.not-sealed', { deal: id })
  // One that was sealed in this very block closes at its end.
  if (deal.state !== 'locked' || deal.sealed !== undefined) {
    return refuse('ledger.deal-closed', { deal: id, state: deal.state })
  }
  return ok(deal)
}

export function applySealed(
  draft: Draft,
  sender: Uint8Array,
  { sellerSign1, buyerSign1, ...receipt }: BodyOf<'sealed'>,
  { time, verifier }: Applying,
): Result<Uint8Array, LedgerFault> {
  const found = sealedDeal(draft, receipt.deal, sender)
  if (!found.ok) return found
  const deal = found.value
  if (time >= deal.settleBy) return refuse('ledger.receipt-late', { settleBy: deal.settleBy, now: time })
  for (const [party, sign1] of [
    ['seller', sellerSign1],
    ['buyer', buyerSign1],
  ] as const) {
    const { publicKey } = draft.get(ACCOUNTS, accountId(deal[party]))!
    const signed = verifySealed(receipt, sign1, publicKey, verifier)
    if (!signed.ok) return refuse('ledger.sealed-signature', { party, reason: signed.fault.code })
  }
  const { energy, evidence } = receipt
  draft.put(DEALS, toHex(receipt.deal), { ...deal, sealed: { energy, evidence } })
  return ok(receipt.deal)
}

export function applyQuantity(
  draft: Draft,
  sender: Uint8Array,
  { deal: hash, energy }: BodyOf<'quantity'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const found = sealedDeal(draft, hash, sender)
  if (!found.ok) return found
  const deal = found.value
  const slot = equalBytes(sender, deal.seller) ? 'sellerQuantity' : 'buyerQuantity'
  if (deal[slot] !== undefined) return refuse('ledger.quantity-taken', { quantity: deal[slot] })
  if (time >= deal.receiptBy) return refuse('ledger.quantity-late', { receiptBy: deal.receiptBy, now: time })
  draft.put(DEALS, toHex(hash), { ...deal, [slot]: energy })
  return ok(hash)
}
