/** What `tieline doctor` asks the nodes of a ledger: who each says it is, how far it is, and its header at a height that all have. */
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { LedgerConfig } from '../../config/site-config.ts'
import type { LedgerFacts } from './decide.ts'

/** Sources that are reached over brokers are left to the agent, which has the connection. */
export async function askLedger(
  { chain, primary, witnesses }: LedgerConfig,
  open: (url: string) => LedgerRpc,
): Promise<LedgerFacts> {
  const sources = [primary, ...witnesses]
  const asked = sources.filter(source => source.startsWith('http')).map(name => ({ name, rpc: open(name) }))
  const statuses = await Promise.all(
    asked.map(async ({ name, rpc }) => {
      const said = await rpc.status()
      return { name, rpc, status: said.ok ? { found: said.value } : { fault: said.fault } }
    }),
  )
  const heights = statuses.flatMap(({ status }) =>
    'found' in status && status.found.chainId === chain ? [status.found.height] : [],
  )
  const height = heights.reduce((a, b) => (a < b ? a : b), heights[0] ?? 0n)
  const nodes = await Promise.all(
    statuses.map(async ({ name, rpc, status }) => {
      if (height === 0n || !('found' in status) || status.found.chainId !== chain) return { name, status }
      const block = await rpc.lightBlock(height)
      return {
        name,
        status,
        header: block.ok ? { found: toHex(hashHeader(block.value.header)) } : { fault: block.fault },
      }
    }),
  )
  return { chain, height, nodes, overBrokers: sources.filter(source => !source.startsWith('http')) }
}
