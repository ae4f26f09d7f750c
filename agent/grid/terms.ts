/** The contract over the grid that follows from a request and its award: both sides build it, and sign only their own. */
import { toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Price, WattHours } from '../../protocol/quantity.ts'
import type { Contract, Party } from '../../protocol/trade/contract.ts'
import type { GridConfig } from '../config/site-config.ts'
import type { Window } from './decide.ts'

/** Between two grid meters there is no line of which anybody knows the loss: each is counted by itself. */
const LOSS_PERMILLE = 0

export interface GridTerms extends Window {
  /** Of the negotiation; the contract's nonce. */
  readonly id: Uint8Array
  readonly role: Party
  readonly energy: WattHours
  readonly price: Price
  /** Node and meter of this side and of the other. */
  readonly own: { readonly key: Uint8Array; readonly node: string; readonly meter: string }
  readonly peer: { readonly key: Uint8Array; readonly node: string; readonly meter: string }
}

export function contractOf(
  chainId: string,
  { receiptWindowMs, disputeWindowMs }: Pick<GridConfig, 'receiptWindowMs' | 'disputeWindowMs'>,
  { id, role, start, end, energy, price, own, peer }: GridTerms,
): Contract {
  const [seller, buyer] = role === 'seller' ? [own, peer] : [peer, own]
  return {
    chainId,
    line: seller.node,
    to: buyer.node,
    seller: addressOf(seller.key),
    buyer: addressOf(buyer.key),
    sellerMeter: seller.meter,
    buyerMeter: buyer.meter,
    start,
    end,
    energy,
    price,
    lossPermille: LOSS_PERMILLE,
    receiptWindowMs,
    disputeWindowMs,
    nonce: id,
  }
}

/** The first term that differs, for the log. */
export function differing(
  expected: Contract,
  received: Contract,
): { term?: string; expected?: string; received?: string } {
  const show = (value: unknown) => (value instanceof Uint8Array ? toHex(value) : String(value))
  for (const term of new Set([...Object.keys(expected), ...Object.keys(received)]) as Set<keyof Contract>) {
    const [ours, theirs] = [show(expected[term]), show(received[term])]
    if (ours !== theirs) return { term, expected: ours, received: theirs }
  }
  return {}
}
