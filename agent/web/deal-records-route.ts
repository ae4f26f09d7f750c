/**
 * What one deal rests on, as a file for whoever must be shown it; `tieline verify FILE` checks it without this agent:
 *
 *     GET /api/deals/records?id=3fa9...     the contract with both signatures, both receipts, the ledger's record and its proof
 *
 * protocol/trade/deal-records-json.ts says what is in it. Of the deals that `GET /api/deals` lists; 404 of any other.
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import type { Fault } from '../../protocol/result.ts'
import { writeDealRecords } from '../../protocol/trade/deal-records-json.ts'
import type { Agent } from '../compose.ts'
import { gatherRecords } from '../trading/deal-records.ts'

export const dealRecordsRoute =
  ({ trading, grid, light }: Pick<Agent, 'trading' | 'grid' | 'light'>): Handler =>
  async ({ query }) => {
    const id = query.get('id') ?? ''
    if (!/^[0-9a-f]{64}$/.test(id)) return refusal(400, { code: 'deal.id', hint: 'all 64 digits of its id' })
    const found = [...trading.deals(), ...(grid?.deals() ?? [])].find(({ runner }) => toHex(runner.deal().hash) === id)
    if (found === undefined) {
      const hint = 'deals that were over before the agent was started are only in its journal, and on the ledger'
      return refusal(404, { code: 'deal.unknown', hint })
    }
    return {
      kind: 'bytes',
      status: 200,
      type: 'application/json',
      bytes: utf8(writeDealRecords(await gatherRecords(found.runner, light))),
      headers: { 'content-disposition': `attachment; filename="deal-${id.slice(0, 16)}.json"` },
    }
  }

const refusal = (status: number, value: Fault): HttpReply => ({ kind: 'json', status, value })
