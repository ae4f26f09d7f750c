/** What transactions about other ledgers, lines and reservations carry. */
import { bytes, record, word } from '../../record.ts'
import { energy, hash32, money, name, time } from '../fields.ts'
import { anchor, height, lightBlockBytes, tariffPrice } from '../network-tables.ts'

/** About 2 kB at a million keys; an absence has two paths. */
const proof = bytes(1, 12 * 1024)

/** Something that another ledger's state proves under a header that this ledger follows. */
export const proven = { height: [2, height], proof: [3, proof] } as const

export const networkBodies = {
  /** A light block of another ledger. Anybody may bring it: it proves itself. */
  follow: record({ block: [1, lightBlockBytes] }),
  /** The operator's word where to begin to believe another ledger, or to begin again. */
  anchor: record({ chainId: [1, name], anchor: [2, anchor] }),
  /**
   * The distributor's word what a line carries in a quarter of an hour, which line it hangs from, and whether its use needs
   * a signed offer, as where its price depends on what is reserved already; else its tariffs hold.
   */
  capacity: record({ line: [1, name], energy: [2, energy] }, { feeder: [3, name], offer: [4, word('required')] }),
  /** What the use of a line costs from a block time on. */
  tariff: record({ line: [1, name], from: [2, time], price: [3, tariffPrice] }),
  /**
   * Capacity for a contract on another ledger; its fee, at most so much, is locked. By either party to the contract. With
   * the distributor's signed offer for it (protocol/trade/fee-offer.ts) at that price, else by the tariffs, where every line
   * of the path lets them hold.
   */
  reserve: record({ contract: [1, bytes(1, 512)], feeMost: [2, money] }, { offer: [3, bytes(1, 512)] }),
  /** Proof that the deal is closed: its fee is paid for what was delivered. Anybody may bring it. */
  claim: record({ deal: [1, hash32], ...proven }),
  /** Proof that there is no such deal and will be none: the fee goes back. Anybody may bring it. */
  release: record({ deal: [1, hash32], ...proven }),
} as const
