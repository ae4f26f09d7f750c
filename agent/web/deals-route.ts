/**
 * This site's deals, those over direct lines and those over the grid, the newest first:
 *
 *     GET /api/deals      {site, deals: [{id, model, line, role, peer, seller, buyer, state, phase, history, start, end,
 *                          energyWh, priceMicroPerKwh, lock: {height}, proof: {of, height, signed, validators, appHash},
 *                          receipts: {begin, end}, deliveredWh, paidMicro, note}]}
 *
 * Those that this agent has carried since it was started, and those it found unfinished then. What is not known is absent.
 * Energies are watt-hours, those of a receipt milliwatt-hours, money micro-units, all as text; times Unix milliseconds.
 */
import type { Handler } from '../../drivers/http/server.ts'
import { type Deal, type Metered, overGrid } from '../../protocol/trade/deal-state.ts'
import type { Agent } from '../compose.ts'
import type { DealInfo } from '../trading/trading.ts'
import { viewDeal } from './agent-view.ts'
import type { DealSaid, DealsSaid } from './answers.ts'

const receipt = (which: 'begin' | 'end', metered: Metered | undefined): DealSaid['receipts'] =>
  metered === undefined ? {} : { [which]: { registerMwh: metered.register.toString() } }

const lockOf = ({ lockHeight }: Deal): Pick<DealSaid, 'lock'> =>
  lockHeight === undefined ? {} : { lock: { height: lockHeight.toString() } }

function viewOwnDeal(site: string, { runner, peer }: DealInfo): DealSaid {
  const deal = runner.deal()
  const { role, phase, contract, begin, end } = deal
  return {
    ...viewDeal(site, peer, runner),
    ...{ role, peer, phase, start: contract.start, end: contract.end },
    model: overGrid(deal) ? 'grid' : 'direct line',
    ...(contract.to === undefined ? {} : { to: contract.to }),
    ...lockOf(deal),
    receipts: { ...receipt('begin', begin), ...receipt('end', end) },
  }
}

function viewDeals({ config, trading, grid }: Pick<Agent, 'config' | 'trading' | 'grid'>): DealsSaid {
  const all = [...trading.deals(), ...(grid?.deals() ?? [])].sort((a, b) => b.requested - a.requested)
  return { site: config.site, deals: all.map(deal => viewOwnDeal(config.site, deal)) }
}

export const dealsRoute =
  (agent: Pick<Agent, 'config' | 'trading' | 'grid'>): Handler =>
  () => ({ kind: 'json', status: 200, value: viewDeals(agent) })
