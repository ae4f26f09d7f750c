/**
 * What one deal rests on, as a file for whoever must be shown it; `tieline verify FILE` checks it without this agent:
 *
 *     GET /api/deals/records?id=3fa9...     the contract with both signatures, both receipts, the ledger's record and its proof,
 *                                           over the grid the distribution ledger's reservation and its proof
 *
 * protocol/trade/deal-records-json.ts says what is in it. Of the deals that `GET /api/deals` lists; 410 of one whose record the
 * journal no longer keeps, 404 of any other, 503 where the journal cannot be read.
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import type { Timers } from '../../drivers/ports.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { writeDealRecords } from '../../protocol/trade/deal-records-json.ts'
import type { Agent } from '../compose.ts'
import { asKept, type Gatherable, gatherRecords } from '../trading/deal-records.ts'
import { runningDeals } from './deals-route.ts'

type RecordsAgent = Pick<Agent, 'trading' | 'grid' | 'light' | 'distribution' | 'pastDeals' | 'receipts'>

const UNKNOWN: Fault = { code: 'deal.unknown', hint: 'neither this agent nor its journal knows such a deal' }
const DROPPED: Fault = {
  code: 'deal.dropped',
  hint: 'the time or the size of the journal was over for it; the ledger keeps what it settled',
}

async function find(agent: RecordsAgent, id: string): Promise<Result<Gatherable>> {
  const running = runningDeals(agent).find(({ runner }) => toHex(runner.deal().hash) === id)
  if (running !== undefined) return ok(running.runner)
  const found = await agent.pastDeals.named(id, { limit: 1, except: () => false })
  if (!found.ok) return found
  const [past] = found.value.deals
  if (past === undefined) return fail(UNKNOWN)
  return past.deal === undefined ? fail(DROPPED) : ok(asKept(past.deal))
}

const statusOf = (fault: Fault): number => (fault === UNKNOWN ? 404 : fault === DROPPED ? 410 : 503)

export const dealRecordsRoute =
  (agent: RecordsAgent, timers: Timers): Handler =>
  async ({ query }) => {
    const id = query.get('id') ?? ''
    if (!/^[0-9a-f]{64}$/.test(id)) return refusal(400, { code: 'deal.id', hint: 'all 64 digits of its id' })
    const found = await find(agent, id)
    if (!found.ok) return refusal(statusOf(found.fault), found.fault)
    const { light, distribution, receipts } = agent
    return {
      kind: 'bytes',
      status: 200,
      type: 'application/json',
      bytes: utf8(writeDealRecords(await gatherRecords(found.value, { light, distribution, receipts, timers }))),
      headers: { 'content-disposition': `attachment; filename="deal-${id.slice(0, 16)}.json"` },
    }
  }

const refusal = (status: number, value: Fault): HttpReply => ({ kind: 'json', status, value })
