/** What transactions about deals carry. */
import { bytes, list, record } from '../../record.ts'
import { energy, envelope, hash32 } from '../fields.ts'
import { proven } from './network.ts'

export const dealBodies = {
  /**
   * The buyer's commitment to pay: the contract with both signatures, and the proof that capacity is reserved where this
   * ledger asks for one. What the contract costs at most is locked.
   */
  commit: record(
    { contract: [1, bytes(1, 512)], sellerSign1: [2, envelope], buyerSign1: [3, envelope] },
    { reservation: [4, record(proven)] },
  ),
  /** One side's energy receipt: readings of its own line meter at begin and end, and the contexts they refer to. */
  receipt: record({ deal: [1, hash32], begin: [2, envelope], end: [3, envelope], contexts: [4, list(envelope, 1, 2)] }),
  /** Both sides' receipt over one quantity, in a contract with sealed receipts: it settles at once. */
  sealed: record({
    deal: [1, hash32],
    energy: [2, energy],
    evidence: [3, hash32],
    sellerSign1: [4, bytes(1, 512)],
    buyerSign1: [5, bytes(1, 512)],
  }),
  /** One side's own quantity, in a contract with sealed receipts. */
  quantity: record({ deal: [1, hash32], energy: [2, energy] }),
} as const
