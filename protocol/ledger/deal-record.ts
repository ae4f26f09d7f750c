/**
 * What the ledger keeps of a deal, under `deal/<contract hash>`: this record, proven against a header, is "the payment is
 * locked" and later "the payment is settled".
 *
 *     locked --both receipts--> settled
 *     locked --settleBy, one receipt--> settled (disputed)
 *     locked --settleBy, no receipt--> refunded
 *
 * Over the grid (`to` is there) both receipts settle at receiptBy, by each meter's share of what it counted in the window.
 *
 * It repeats from the contract what a reader needs that does not hold the contract.
 */
import { toHex } from '../bytes.ts'
import { big, type Codec, decodeAs, flag, type RecordFault, record, text } from '../record.ts'
import type { Result } from '../result.ts'
import { receiptMode } from '../trade/contract.ts'
import { address, energy, hash32, meterId, money, name, price, time } from './fields.ts'

export type DealState = 'locked' | 'settled' | 'refunded'

/** One side's receipt: what its own line meter counted between begin and end. */
const receipt = record({
  energy: [1, energy],
  /** Hashes of the two readings' signed bytes, to find them by in a dispute. */
  begin: [2, hash32],
  end: [3, hash32],
  /** When the end reading was taken. */
  stopped: [4, time],
})

/** How the escrow left the ledger's hands: paid + refunded = escrow. */
const outcome = record(
  {
    delivered: [1, energy],
    paid: [2, money],
    refunded: [3, money],
    /** Settled at the end of the dispute window by one side's receipt or word alone. */
    disputed: [4, flag],
    /** Block time. */
    at: [5, time],
  },
  {
    /**
     * Over the grid: this contract's part of what each meter counted in the window, absent where it gave no receipt. What a
     * side's share is below the contract is that side's own shortfall.
     */
    sellerShare: [6, energy],
    buyerShare: [7, energy],
  },
)

export const dealRecord = record(
  {
    state: [1, text(/^(?:locked|settled|refunded)$/) as Codec<DealState>],
    line: [2, name],
    seller: [3, address],
    buyer: [4, address],
    sellerMeter: [5, meterId],
    buyerMeter: [6, meterId],
    start: [7, time],
    end: [8, time],
    energy: [9, energy],
    price: [10, price],
    /** Locked from the buyer's balance at commit: what the whole contract costs, rounded up. */
    escrow: [11, money],
    /** Both receipts should stand by now; from here one receipt only is a dispute. Block time. */
    receiptBy: [12, time],
    /** The first block at or after this time settles by what is there. */
    settleBy: [13, time],
    /** Height of the block that locked it. */
    height: [14, big(0n, 2n ** 63n - 1n)],
  },
  {
    sellerReceipt: [15, receipt],
    buyerReceipt: [16, receipt],
    outcome: [17, outcome],
    /** Absent where receipts are open. */
    receipts: [18, receiptMode],
    /** What both sides signed, and the hash of the envelopes that they have seen. */
    sealed: [19, record({ energy: [1, energy], evidence: [2, hash32] })],
    /** One side's word, without its envelopes. */
    sellerQuantity: [20, energy],
    buyerQuantity: [21, energy],
    /** A contract over the grid: the node of the buyer's meter; `line` is that of the seller's. */
    to: [22, name],
    /** Over the grid: receiptBy passed without both meters' receipts. The deal waits for settleBy. */
    overdue: [23, flag],
  },
)

export type DealRecord = typeof dealRecord extends Codec<infer T> ? T : never
export type ReceiptRecord = NonNullable<DealRecord['sellerReceipt']>

/** The state key of a deal: utf8 of this text. */
export const dealKey = (contractHash: Uint8Array): string => `deal/${toHex(contractHash)}`

/** A deal's record from the value that a proof vouches for. */
export const decodeDealRecord = (value: Uint8Array): Result<DealRecord, RecordFault> =>
  decodeAs(dealRecord, value, 'deal', 2048)
