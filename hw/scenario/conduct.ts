/** A deal in the lab, played to its end by parties that may withhold or misstate what is theirs to say. */
import type { DealRecord } from '../../protocol/ledger/deal-record.ts'
import { type Contract, encodeContract } from '../../protocol/trade/contract.ts'
import { lockedDeal } from './attacks.ts'
import { type Lab, type LabReceipt, labReceipt, openLab } from './lab.ts'

/** How both sides behave once their deal is locked. */
export interface Conduct {
  readonly seller?: Partial<LabReceipt>
  readonly buyer?: Partial<LabReceipt>
  readonly sellerSilent?: boolean
  readonly buyerSilent?: boolean
}

/** A deal of 2 kWh of which 1.5 are delivered, to its end. */
export async function played(conduct: Conduct): Promise<DealRecord> {
  const lab = await openLab()
  const contract = await lockedDeal(lab)
  await lab.until(contract.end + 1_000)
  for (const side of ['seller', 'buyer'] as const) {
    if (conduct[`${side}Silent`] === true) continue
    await lab.send(lab.energy, side, labReceipt(lab, contract, { side, wh: 1_500n, ...conduct[side] }))
  }
  await settle(lab, contract)
  return lab.deal(encodeContract(contract))!
}

/** Until its receipt and dispute windows are over. */
export async function settle(lab: Lab, { end, receiptWindowMs, disputeWindowMs }: Contract): Promise<void> {
  await lab.until(end + receiptWindowMs + 1_000)
  await lab.until(end + receiptWindowMs + disputeWindowMs + 1_000)
}
