/** The contract of a deal over the grid in the tests of both ledgers, and what is to go wrong with it. */
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import type { Contract, Party as Role } from '../../../protocol/trade/contract.ts'
import type { Body } from '../../../protocol/trade/message.ts'
import { BEGIN, buyer, CHAIN_ID, seller } from '../ledger/parties.ts'
import { MARGIN_MS } from './grid-chains.ts'

/** 400 Wh at 0.25 a kWh from node L1 to node L2, within a minute. */
export const GRID_CONTRACT: Contract = {
  chainId: CHAIN_ID,
  line: 'L1',
  to: 'L2',
  seller: seller.address,
  buyer: buyer.address,
  sellerMeter: 'GS-1',
  buyerMeter: 'GB-1',
  start: instant(BEGIN + 60_000),
  end: instant(BEGIN + 120_000),
  energy: wattHours(400n),
  price: microsPerKwh(250_000n),
  lossPermille: 0,
  receiptWindowMs: 30_000,
  disputeWindowMs: 30_000,
  nonce: new Uint8Array(16).fill(5),
}
export const RECEIPT_BY = GRID_CONTRACT.end + GRID_CONTRACT.receiptWindowMs
export const GRID_SETTLE_BY = RECEIPT_BY + GRID_CONTRACT.disputeWindowMs
/** Everything that anybody holds is free by then. */
export const ALL_OVER = GRID_SETTLE_BY + MARGIN_MS + 120_000
/** The whole contract, and its fee over L1, F1 and L2. */
export const PRICE = 100_000n

export type Actor = Role | 'distributor'

/** What may be false in a street, each the work of one cheat. */
export interface Cheats {
  /** The reservation's proof as it is shown to the buyer. */
  readonly proof?: (proof: Uint8Array) => Uint8Array
  /** A message as it arrives. */
  readonly message?: (body: Body) => Body | undefined
  /** The judge does not look: the defence is switched off. */
  readonly trusting?: boolean
}

export interface Plan {
  /** This actor dies just before its nth output is carried out, and comes back after so long, or never. */
  readonly crash?: { readonly actor: Actor; readonly output: number; readonly backAfterMs?: number }
  readonly contract?: Partial<Contract>
  readonly feeMost?: bigint
  /** The parties reserve nothing. */
  readonly unreserved?: boolean
  /** The energy ledger does not ask for a reservation. */
  readonly lax?: boolean
  readonly cheats?: Cheats
}
