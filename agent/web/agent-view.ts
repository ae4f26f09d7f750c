/** A running agent as the page shows it, and several of them joined to a street. Reads what the agent knows, changes nothing. */
import type { Clock, Log } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { faultLine } from '../../protocol/result.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import type { Instant } from '../../protocol/time.ts'
import type { ChargerView as ChargerControlView } from '../charging/run.ts'
import { chargerSentence } from '../charging/sentences.ts'
import type { SessionView } from '../charging/sessions.ts'
import type { Agent } from '../compose.ts'
import type { DirectLineConfig, SiteConfig } from '../config/site-config.ts'
import { decimalOf, registerName } from '../publish/registers.ts'
import { sentenceOf } from '../relays/sentences.ts'
import { type DealRunner, isFault } from '../trading/deal-runner.ts'
import type { CurveRing } from './curve-ring.ts'
import type {
  ChargerView,
  ChargingSessionView,
  ContactView,
  DealView,
  HealthItem,
  LedgerView,
  Level,
  LineView,
  LogLine,
  MeterView,
  SiteView,
  Snapshot,
} from './snapshot.ts'

/** One site's part of the street: itself, its ends of the direct lines, its deals and the head that it verified. */
export interface AgentView {
  readonly site: SiteView
  readonly ends: readonly LineEnd[]
  readonly deals: readonly DealView[]
  readonly ledger: LedgerView
}

/** A line as one end sees it; the other end's contact is what its last heartbeat said. */
export type LineEnd = LineView & { readonly side: 'seller' | 'buyer' }

/** All others are at `GET /api/sessions` and in the journal. */
const SHOWN_SESSIONS = 10
/** Health that stops trading at this site; the rest degrades. */
const STOPS = /^(weld|light\.(halted|diverged)|journal)/
/** A line at more than this is live (IEC 61140: the end of extra-low voltage). */
const LIVE_MV = 50_000
/** A curve point a minute is finer than a screen, and a day of them is 1,440. */
export const CURVE_STEP_MS = 60_000

/** The site's grid meter: the one named so, else the first that is no line's. */
export function gridMeter({ meters, directLines }: SiteConfig): string | undefined {
  const onLines = directLines.map(line => line.meter)
  return 'grid' in meters ? 'grid' : Object.keys(meters).find(name => !onLines.includes(name))
}

/** The meter of a site's own generation is the one named `solar`; generation counts as export there. */
const SOLAR = 'solar'

export const kindOfSite = ({ role, meters }: SiteConfig): SiteView['kind'] =>
  role === 'charger' ? 'charger' : role === 'storage' ? 'battery-home' : SOLAR in meters ? 'solar-home' : 'home'

function viewWear(agent: Agent): Pick<SiteView, 'wear'> {
  const { bytesPerReading: perReading, bytesPerDay: perDay } = agent.wear()
  return perReading === undefined || perDay === undefined ? {} : { wear: { perReading, perDay } }
}

const viewCharger = ({ name, hold, order, unsupervised }: ChargerControlView): ChargerView => ({
  ...{ name, unsupervised, toldMa: order.ma, heldMa: hold.ceilingMa },
  state: hold.look?.state ?? null,
  currentsMa: hold.look?.currentsMa ?? [],
  because: order.because.map(chargerSentence),
})

const viewSession = ({ id, port, state, began, energy, ocmf }: SessionView): ChargingSessionView => ({
  ...{ id, charger: port, state, began, hasRecords: ocmf.length > 0 },
  ...(energy === undefined ? {} : { energyMwh: String(energy) }),
})

/** Adds every reading of the grid meter to the curve for as long as the agent runs. */
export function recordCurve(agent: Agent, clock: Clock, ring: CurveRing): void {
  const grid = gridMeter(agent.config)
  agent.metering.onReading(name => {
    if (name === grid) ring.add(clock.now(), powerMw(agent, grid), solarMw(agent))
  })
}

export function viewAgent(agent: Agent, clock: Clock, ring: CurveRing, kind = kindOfSite(agent.config)): AgentView {
  const { config } = agent
  const grid = gridMeter(config)
  return {
    site: {
      name: config.site,
      kind,
      up: true,
      powerMw: grid === undefined ? null : powerMw(agent, grid),
      solarMw: solarMw(agent),
      chargePermille: null,
      meters: Object.keys(config.meters).map(name => viewMeter(agent, clock, name)),
      ...(grid === undefined ? {} : { grid }),
      curve: ring.view(),
      walletMicro: agent.account.balance()?.toString() ?? null,
      contacts: config.directLines.flatMap(line => viewContacts(agent, line)),
      ...(agent.charging === undefined ? {} : { chargers: agent.charging.views().map(viewCharger) }),
      ...(agent.sessions === undefined
        ? {}
        : { sessions: agent.sessions.list().slice(0, SHOWN_SESSIONS).map(viewSession) }),
      health: agent.health.items().map(
        (item): HealthItem => ({
          code: item.name,
          text: sentenceOf(item.fault),
          since: item.since,
          level: levelOf(item.name, item.fault.code),
        }),
      ),
      ...viewWear(agent),
    },
    ends: config.directLines.map(line => viewEnd(agent, line)),
    deals: agent.trading.deals().map(({ runner, peer }) => viewDeal(config.site, peer, runner)),
    ledger: viewLedger(agent),
  }
}

/** A site that does not run: it keeps its place on the street, and its curve. */
export const absentSite = (name: string, kind: SiteView['kind'], ring: CurveRing): SiteView => ({
  name,
  kind,
  up: false,
  powerMw: null,
  solarMw: null,
  chargePermille: null,
  meters: [],
  curve: ring.view(),
  walletMicro: null,
  contacts: [],
  health: [],
})

/** The street that several views make; what both ends of a line or a deal tell is shown once. */
export function joinViews(
  views: readonly AgentView[],
  around: Pick<Snapshot, 'title' | 'time' | 'speed' | 'zone' | 'violations' | 'log'>,
  absent: readonly SiteView[] = [],
  order: readonly string[] = [],
): Snapshot {
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
  return {
    ...around,
    // Agents verify at their own pace: the street is as far as the furthest.
    ledger: [...views].sort((a, b) => Number(b.ledger.height ?? 0) - Number(a.ledger.height ?? 0))[0]?.ledger ?? {
      chain: '',
      validators: 0,
      signed: 0,
    },
    sites: [...views.map(view => view.site), ...absent].sort((a, b) => place(a.name) - place(b.name)),
    lines: joinLines(views.flatMap(view => view.ends)),
    deals: joinDeals(views.flatMap(view => view.deals)),
  }
}

function joinLines(ends: readonly LineEnd[]): LineView[] {
  const ids = [...new Set(ends.map(end => end.id))].sort()
  return ids.map(id => {
    const seller = ends.find(end => end.id === id && end.side === 'seller')
    const buyer = ends.find(end => end.id === id && end.side === 'buyer')
    const { side: _, ...either } = (seller ?? buyer)!
    return {
      ...either,
      powerMw: seller?.powerMw ?? buyer?.powerMw ?? null,
      sellerContact: (seller ?? either).sellerContact,
      buyerContact: (buyer ?? either).buyerContact,
    }
  })
}

function joinDeals(deals: readonly DealView[]): DealView[] {
  const known = new Map<string, DealView>()
  for (const deal of deals) {
    const other = known.get(deal.id)
    if (other === undefined || deal.history.length > other.history.length) known.set(deal.id, deal)
  }
  const begun = (deal: DealView) => deal.history[0]?.at ?? 0
  return [...known.values()].sort((a, b) => begun(b) - begun(a))
}

const powerMw = (agent: Agent, meter: string): number | null => agent.metering.latest(meter)?.power ?? null

function solarMw(agent: Agent): number | null {
  const power = SOLAR in agent.config.meters ? powerMw(agent, SOLAR) : null
  return power === null ? null : Math.max(0, -power)
}

function viewMeter(agent: Agent, clock: Clock, name: string): MeterView {
  const config = agent.config.meters[name]!
  const latest = agent.metering.latest(name)
  return {
    name,
    speaks: 'page' in config ? config.page : config.protocol,
    ageMs: latest === undefined ? null : Math.max(0, clock.mono() - latest.reading.takenMono),
    // Metering gives out nothing stale.
    stale: latest === undefined,
    values: (latest?.reading.values ?? []).flatMap(value => {
      const label = registerName(value.obis)?.label
      return label === undefined ? [] : [{ label, text: textOf(value) }]
    }),
  }
}

/** Exactly the meter's own digits: nothing is rounded for show. */
export const textOf = (value: MeterValue): string => `${decimalOf(value).replace('-', '−')} ${value.unit}`

function viewContacts(agent: Agent, line: DirectLineConfig): ContactView[] {
  const end = agent.relays.view(line.id)
  if (end === undefined) return []
  const wished = end.wish === 'energise'
  return end.contacts.map(({ role, commanded, seen }) => ({
    line: line.id,
    role: role === 'seller.upstream' ? 'upstream' : role === 'buyer.own' ? 'own' : 'line',
    commanded,
    observed: seen,
    // Without a wish nothing is kept from closing; the own supply is closed when nobody trades.
    whyNot: wished && commanded === 'open' && role !== 'buyer.own' ? end.because.map(sentenceOf) : [],
  }))
}

function viewEnd(agent: Agent, line: DirectLineConfig): LineEnd {
  const end = agent.relays.view(line.id)
  const own = end?.contacts.find(({ role }) => role.endsWith('.line'))?.seen ?? 'unknown'
  const peer = agent.trading.facts(line.id).peer?.line ?? 'unknown'
  const latest = agent.metering.latest(line.meter)
  const seller = line.side === 'seller'
  // Into the line is export at the seller's meter and import at the buyer's.
  const power = latest?.power === undefined ? null : Math.max(0, seller ? -latest.power : latest.power)
  return {
    id: line.id,
    side: line.side,
    seller: seller ? agent.config.site : line.peer,
    buyer: seller ? line.peer : agent.config.site,
    powerMw: power,
    energised: (latest?.voltage ?? 0) > LIVE_MV,
    limitMa: line.limit,
    sellerContact: seller ? own : peer,
    buyerContact: seller ? peer : own,
  }
}

export function viewDeal(site: string, peer: string, runner: Pick<DealRunner, 'deal' | 'proof' | 'history'>): DealView {
  const deal = runner.deal()
  const proof = runner.proof()
  const sells = deal.role === 'seller'
  // What both line meters agree on is what will be paid for, until the ledger has said what was.
  const metered = [deal.ownWh, deal.peerWh].filter(wh => wh !== undefined)
  const agreed = metered.length === 0 ? undefined : metered.reduce((least, wh) => (wh < least ? wh : least))
  const delivered = deal.settlement?.delivered ?? agreed
  return {
    id: toHex(deal.hash),
    line: deal.contract.line,
    seller: sells ? site : peer,
    buyer: sells ? peer : site,
    state: deal.state,
    history: runner.history.map(({ state, at }) => ({ state, at })),
    energyWh: deal.contract.energy.toString(),
    priceMicroPerKwh: deal.contract.price.toString(),
    ...(delivered === undefined ? {} : { deliveredWh: delivered.toString() }),
    ...(deal.settlement === undefined ? {} : { paidMicro: deal.settlement.paid.toString() }),
    ...(proof === undefined
      ? {}
      : {
          proof: {
            of: proof.of,
            height: proof.height.toString(),
            signed: proof.signed,
            validators: proof.validators,
            appHash: toHex(proof.appHash),
          },
        }),
    ...(isFault(deal.cause) ? { note: sentenceOf(deal.cause) } : {}),
  }
}

function viewLedger({ config, light }: Agent): LedgerView {
  const head = light.head()
  return {
    chain: config.ledger?.chain ?? '',
    validators: head?.validators ?? 0,
    signed: head?.signedBy.length ?? 0,
    ...(head === undefined ? {} : { height: head.height.toString() }),
  }
}

const levelOf = (name: string, code: string): Level => (STOPS.test(name) || STOPS.test(code) ? 'fault' : 'warning')

/** The newest lines of the log for the page, newest first. */
export interface LogTail {
  add(line: LogLine): void
  lines(): readonly LogLine[]
}

export function createLogTail(capacity: number): LogTail {
  let lines: readonly LogLine[] = []
  return {
    add(line) {
      lines = [line, ...lines.slice(0, capacity - 1)]
    },
    lines: () => lines,
  }
}

/** The same log, whose lines go to the page as well; `now` is the clock that the page shows. */
export const logInto =
  (tail: LogTail, site: string, now: () => Instant, log: Log): Log =>
  (level, room, text, fault) => {
    log(level, room, text, fault)
    if (level === 'debug') return
    const said = fault === undefined ? text : `${text}: ${faultLine(fault)}`
    const shown = level === 'error' ? 'fault' : level === 'warn' ? 'warning' : 'info'
    tail.add({ at: now(), level: shown, site, text: `${room}: ${said}` })
  }
