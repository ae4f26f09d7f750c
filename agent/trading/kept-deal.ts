/** Of each deal a restart needs the newest record, until it is over. */
import type { Keep } from '../../drivers/store/journal-state.ts'
import { toHex } from '../../protocol/bytes.ts'
import { decodeDeal } from '../../protocol/trade/deal-codec.ts'
import { isOver } from '../../protocol/trade/deal-state.ts'

export function keepDeal(bytes: Uint8Array): Keep {
  const deal = decodeDeal(bytes)
  // Whatever it is, trading must hear of it after a restart and say so.
  if (!deal.ok) return { as: 'deal' }
  const name = `deal/${toHex(deal.value.hash)}`
  return isOver(deal.value) ? { over: [name] } : { as: name }
}
