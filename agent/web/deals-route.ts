/**
 * This site's deals, the newest first:
 *
 *     GET /api/deals?since=&before=&limit=&id=
 *                         {site, deals: [{id, model, line, role, peer, seller, buyer, state, phase, history, start, end,
 *                          energyWh, priceMicroPerKwh, lock: {height}, proof: {of, height, signed, validators, appHash},
 *                          receipts: {begin, end}, deliveredWh, paidMicro, note}],
 *                          dropped: [{id, start, end}], more, unread: {code, hint}}
 *
 * First those that this agent has carried since it was started, and those it found unfinished then, as they were asked for;
 * behind them those that its journal has, by the begin of their windows. `since` and `before` are of that begin, `id` is how
 * an id begins; `limit` is 50 where it is not given. `more`: there are older ones; whoever goes on from the last begin plus 1
 * gets those that began together again. Of a deal in `dropped` the journal keeps no record any longer. `unread` says why those
 * of the journal cannot be told.
 *
 * What is not known is absent: of a deal from the journal the times of its steps, and what was proven in an earlier life. Energies
 * are watt-hours, those of a receipt milliwatt-hours, money micro-units, all as text; times Unix milliseconds.
 */
import type { Handler } from '../../drivers/http/server.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import { type Deal, type Metered, overGrid } from '../../protocol/trade/deal-state.ts'
import type { Agent } from '../compose.ts'
import type { SiteConfig } from '../config/site-config.ts'
import type { DealRunner } from '../trading/deal-runner.ts'
import type { PastDeal } from '../trading/past-deals.ts'
import type { DealInfo } from '../trading/trading.ts'
import { viewDeal } from './agent-view.ts'
import type { DealSaid, DealsSaid } from './answers.ts'

/** Half a day of quarter hours: a page of it is read at a glance, and read from the journal in some milliseconds. */
const SHOWN = 50
/** Two days of quarter hours: the whole answer stays below a quarter of a megabyte. */
const MOST = 200

type DealsAgent = Pick<Agent, 'config' | 'trading' | 'grid' | 'pastDeals'>

const receipt = (which: 'begin' | 'end', metered: Metered | undefined): DealSaid['receipts'] =>
  metered === undefined ? {} : { [which]: { registerMwh: metered.register.toString() } }

const lockOf = ({ lockHeight }: Deal): Pick<DealSaid, 'lock'> =>
  lockHeight === undefined ? {} : { lock: { height: lockHeight.toString() } }

function viewOwnDeal(site: string, peer: string, runner: Pick<DealRunner, 'deal' | 'proof' | 'history'>): DealSaid {
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

/** By its name in the configuration, or by its address where it has left that. */
function peerOf({ role, contract }: Deal, { peers }: SiteConfig): string {
  const address = role === 'seller' ? contract.buyer : contract.seller
  const known = Object.entries(peers).find(([, { account }]) => equalBytes(addressOf(account), address))
  return known?.[0] ?? toHex(address)
}

const viewPastDeal = (config: SiteConfig, deal: Deal): DealSaid =>
  viewOwnDeal(config.site, peerOf(deal, config), { deal: () => deal, proof: () => undefined, history: [] })

/** Those in memory, the newest first. */
export const runningDeals = ({ trading, grid }: Pick<Agent, 'trading' | 'grid'>): readonly DealInfo[] =>
  [...trading.deals(), ...(grid?.deals() ?? [])].sort((a, b) => b.requested - a.requested)

interface Asked {
  readonly since?: Instant
  readonly before?: Instant
  readonly limit: number
  readonly id: string
}

async function dealsSaid(agent: DealsAgent, { id, limit, ...window }: Asked): Promise<DealsSaid> {
  const { config, pastDeals } = agent
  const running = runningDeals(agent)
  const isRunning = (hash: Uint8Array) => running.some(({ runner }) => equalBytes(runner.deal().hash, hash))
  const isMeant = ({ hash, contract: { start } }: Deal): boolean =>
    toHex(hash).startsWith(id) &&
    (window.since === undefined || start >= window.since) &&
    (window.before === undefined || start < window.before)
  const meant = running.filter(({ runner }) => isMeant(runner.deal()))
  const shown = meant.slice(0, limit).map(({ runner, peer }) => viewOwnDeal(config.site, peer, runner))
  const left = limit - shown.length
  const wanted = { ...window, limit: left, except: isRunning }
  const past = id === '' ? await pastDeals.newest(wanted) : await pastDeals.named(id, wanted)
  const told: readonly PastDeal[] = past.ok ? past.value.deals : []
  return {
    site: config.site,
    deals: [...shown, ...told.flatMap(({ deal }) => (deal === undefined ? [] : [viewPastDeal(config, deal)]))],
    dropped: told.flatMap(({ hash, start, end, deal }) =>
      deal === undefined ? [{ id: toHex(hash), start, end }] : [],
    ),
    more: meant.length > limit || (past.ok && past.value.more),
    ...(past.ok ? {} : { unread: past.fault }),
  }
}

function readQuery(query: URLSearchParams): Asked | Fault {
  const wrong = (parameter: string, hint: string): Fault => ({ code: 'deals.query', parameter, hint })
  const time = (name: 'since' | 'before'): { readonly [N in typeof name]?: Instant } | undefined => {
    const text = query.get(name)
    if (text === null) return {}
    return /^\d{1,14}$/.test(text) ? { [name]: instant(Number(text)) } : undefined
  }
  const [since, before] = [time('since'), time('before')]
  if (since === undefined) return wrong('since', 'Unix milliseconds')
  if (before === undefined) return wrong('before', 'Unix milliseconds')
  const limit = query.get('limit') ?? String(SHOWN)
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST) return wrong('limit', `from 1 to ${MOST}`)
  const id = query.get('id') ?? ''
  if (!/^[0-9a-f]{0,64}$/.test(id)) return wrong('id', 'its first digits')
  return { ...since, ...before, limit: Number(limit), id }
}

export const dealsRoute =
  (agent: DealsAgent): Handler =>
  async ({ query }) => {
    const asked = readQuery(query)
    return 'code' in asked
      ? { kind: 'json', status: 400, value: asked }
      : { kind: 'json', status: 200, value: await dealsSaid(agent, asked) }
  }
