/** What the bill keeps of a deal: found again by the end of its window, in the index of the journal. */
import { toHex } from '../../protocol/bytes.ts'
import { costFloor, microsPerKwh, type Price, type WattHours } from '../../protocol/quantity.ts'
import { big, bytes, type Codec, decodeAs, encodeAs, flag, integer, record, word } from '../../protocol/record.ts'
import type { Instant } from '../../protocol/time.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import { type Deal, isOver, overGrid } from '../../protocol/trade/deal-state.ts'

const wh = big<WattHours>(0n, 2n ** 63n - 1n)
const price = big<Price>(0n, 2n ** 63n - 1n)
const time = integer<Instant>(0, 253_402_300_799_999)

const billed = record(
  {
    hash: [1, bytes(32)],
    role: [2, word<Party>('seller', 'buyer')],
    start: [3, time],
    end: [4, time],
    energy: [5, wh],
    /** Per kWh, fee and all. */
    price: [6, price],
    /** The grid meter counted it; a direct line's energy passes that meter by. */
    overGrid: [7, flag],
    /** Whether money has moved for it, may still, or never will. */
    money: [8, word('moved', 'open', 'none')],
  },
  {
    /** By the ledger's own record; absent where that is not known. */
    delivered: [9, wh],
    /** What of the price went to the distributor, per kWh; absent while that is not known. */
    fee: [10, price],
  },
)
export type BilledDeal = typeof billed extends Codec<infer T> ? T : never

const NO_FEE = microsPerKwh(0n)

export function billedDeal(deal: Deal): BilledDeal {
  const { hash, role, contract, state, settlement, fee, feePaid } = deal
  const { start, end, energy, price } = contract
  const delivered = settlement?.delivered
  // What the ledger paid must be what follows from what it says was delivered; else nobody knows which is wrong.
  const sound = delivered !== undefined && costFloor(delivered, price) === settlement?.paid
  const charged = fee ? undefined : feePaid === undefined || feePaid.paid === 0n ? NO_FEE : feePaid.price
  const money = state === 'settled' ? ('moved' as const) : isOver(deal) ? ('none' as const) : ('open' as const)
  return {
    ...{ hash, role, start, end, energy, price, overGrid: overGrid(deal), money },
    ...(sound ? { delivered } : {}),
    ...(charged === undefined ? {} : { fee: charged }),
  }
}

/** Keys rise with the end of the window: milliseconds in twelve hexadecimal digits. */
export const billedFrom = (at: Instant): string => `deal.${at.toString(16).padStart(12, '0')}`

/** For the index of the journal. */
export const billedEntry = (deal: Deal): readonly [key: string, value: Uint8Array] => [
  `${billedFrom(deal.contract.end)}.${toHex(deal.hash)}`,
  encodeAs(billed, billedDeal(deal)),
]

export function readBilled(bytes: Uint8Array): BilledDeal | undefined {
  const read = decodeAs(billed, bytes, 'billed-deal', 512)
  return read.ok ? read.value : undefined
}
