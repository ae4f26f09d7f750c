/**
 * An office with a roof, and homes: the same market in the morning, at noon and in the evening, and two calls to take less. Each
 * of the three homes that answer trades in another way: over a cable, ad hoc, and with a store.
 *
 * A baseline is worked out from five like days, so that the district lives for more than a week. Between the moments that count
 * all machines are suspended; what flows meanwhile is counted.
 */
import { toHex } from '../../protocol/bytes.ts'
import { PARTICIPANTS, type Participant } from '../../protocol/ledger/service-tables.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { constantProfile, type Profile, solarGeneration } from '../sim/profile.ts'
import { awaited } from '../sim/run-seed.ts'
import { ORIGIN_MS } from '../sim/street-run.ts'
import { type District, type DistrictSite, gridMeterId, SLOT_MS } from './district.ts'
import { createFlexible, type FlexibleLoads } from './flexible.ts'
import { judgeDistrict } from './judge-district.ts'
import { dealsOf, type LedgerDeal, recordsOf } from './ledger-view.ts'
import { createPlant } from './plant.ts'
import { type DistrictRun, openDistrict } from './run-district.ts'
import type { Scenario, ScenarioResult, ScenarioSettings } from './scenario.ts'

const W = (watts: number) => constantProfile(watts * 1000)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A Sunday. */
const MIDNIGHT = ORIGIN_MS - (ORIGIN_MS % DAY_MS)
/** Workdays: as many as a baseline wants. */
const LIKE_DAYS = [1, 2, 3, 4, 5]
const EVENT_DAY = 8

const at = (day: number, hour: number): number => MIDNIGHT + day * DAY_MS + hour * HOUR_MS

/** One slot in the morning, two in the evening. */
const BALANCING = { from: 8, to: 8.25 }
const PEAK = { from: 18, to: 18.5 }
/** Of each window its own hours, and those of the same-day adjustment before. */
const boundaries = ({ from, to }: { readonly from: number; readonly to: number }) => [from - 4, from - 1, from, to]
/** Of a kWh that is not taken. */
const PAID = microsPerKwh(400_000n)
const MOST = wattHours(4_000n)
const REPORT_MS = 2 * HOUR_MS

const BOILER_W = 1_200
const BOILER = {
  demand_response: { loads: { boiler: { power: `${BOILER_W}W`, comfort: '0.10', level: 'moderate', longest: '4' } } },
}
/** The three that are called, by how else they trade. */
const CALLED = { direct: 'dot', ad_hoc: 'ada', storage: 'cat' } as const
type Called = keyof typeof CALLED
const HOMES = ['ada', 'bea']
/** A cable's deals of five minutes. */
const CABLE_DEAL = { slot: '5min', receipt_window: '30s', dispute_window: '30s', energy: '150Wh', loss: '3%' }
const MARKET = { way: 'auction' }
/** Nobody sells at that: these two are there for their cable. */
const NOTHING = { way: 'auction', buy: { limit: '0.001', opening: '0.001', least: '20Wh' } }
const STORE = { store_price: '0.06', return_price: '0.20', most: '2kWh' }

/** People work in it from eight to five. */
const officeLoad: Profile = moment => {
  const hour = (moment % DAY_MS) / HOUR_MS
  return hour >= 8 && hour < 17 ? 50_000_000 : 2_000_000
}

/** Calm for a week; on the last evening it blows for half an hour. */
const wind: Profile = moment => (moment >= at(EVENT_DAY, 17.48) && moment < at(EVENT_DAY, 17.85) ? 4_000_000 : 0)

function sitesOf(seed: number, loads: ReadonlyMap<string, FlexibleLoads>): readonly DistrictSite[] {
  const flexible = (name: string) => ({ load: loads.get(name)!.load, generation: W(0) })
  return [
    {
      name: 'town',
      role: 'aggregator',
      node: 'main',
      peers: Object.values(CALLED),
      profile: { load: W(50), generation: W(0) },
    },
    {
      ...{ name: 'office', role: 'household', node: 'park', source: 'solar', peers: HOMES },
      profile: { load: officeLoad, generation: solarGeneration(seed, 30_000) },
      grid: { ...MARKET, sell: { reserve: '0.06', opening: '0.12' }, buy: buy('0.28') },
    },
    {
      ...{ name: 'ada', role: 'household', node: 'lane', peers: ['town', 'office', 'bea'], profile: flexible('ada') },
      grid: { ...MARKET, buy: buy('0.30') },
      sections: BOILER,
    },
    {
      ...{ name: 'bea', role: 'household', node: 'lane', source: 'solar', peers: ['office', 'ada'] },
      profile: { load: W(900), generation: solarGeneration(seed + 1, 3_000) },
      grid: { ...MARKET, sell: { reserve: '0.06', opening: '0.12' }, buy: buy('0.30') },
    },
    {
      ...{ name: 'oak', role: 'household', node: 'yard', source: 'wind', peers: ['dot'] },
      profile: { load: W(300), generation: wind },
      sections: { trade: { ...CABLE_DEAL, sell: { reserve: '0.09', opening: '0.24' } } },
    },
    {
      ...{ name: 'dot', role: 'household', node: 'yard', peers: ['town', 'oak'], profile: flexible('dot') },
      circuit: { name: 'heat pump', demandW: 1_800 },
      grid: NOTHING,
      sections: { ...BOILER, trade: { ...CABLE_DEAL, buy: { limit: '0.28', opening: '0.08' } } },
    },
    {
      ...{ name: 'cat', role: 'household', node: 'mews', peers: ['town', 'barn'], profile: flexible('cat') },
      grid: { buy: { limit: '0.01', opening: '0.01', least: '20Wh' }, store: { peer: 'barn', ...STORE } },
      sections: BOILER,
    },
    {
      ...{ name: 'barn', role: 'storage', node: 'mews', source: 'battery', peers: ['cat'] },
      profile: { load: W(0), generation: W(0) },
      sections: { storage: { capacity: '40kWh', stored: '20kWh', charge: '4kWh', discharge: '4kWh', ...STORE } },
      grid: {},
    },
  ]
}

function buy(limit: string) {
  return { limit, opening: '0.10', least: '20Wh' }
}

interface Flow {
  readonly toHomes: number
  readonly toOffice: number
}

interface Reduced {
  /** The evening with its call alone. */
  readonly eveningOnly?: boolean
  /** Sites whose loads do not do what their agents say. */
  readonly deaf?: readonly string[]
}

export async function runOfficeHomes(
  { seed, realSigner, onProgress, logOf }: ScenarioSettings,
  { eveningOnly = false, deaf = [] }: Reduced = {},
): Promise<ScenarioResult> {
  const loads = new Map(
    Object.values(CALLED).map((name, i) => [name as string, createFlexible(W(400 + 50 * i), { boiler: BOILER_W })]),
  )
  const sites = sitesOf(seed, loads).map((site, _, all): DistrictSite => {
    if (site.name !== 'town') return site
    const meterOf = (name: string) => gridMeterId(all.findIndex(one => one.name === name))
    const customers = Object.fromEntries(Object.values(CALLED).map(name => [name, meterOf(name)]))
    return { ...site, sections: { aggregator: { customers } } }
  })
  const barn = sites.find(({ name }) => name === 'barn')!
  const plant = createPlant(barn.profile!)
  const district: District = {
    slotMs: SLOT_MS,
    feeders: [],
    lines: [
      {
        ...{ id: 'C1', seller: 'oak', buyer: 'dot', limitMa: 20_000, lossPermille: 4 },
        ...{ sellerMeterId: '51000201', buyerMeterId: '51000202' },
      },
    ],
    sites: sites.map(site => (site === barn ? { ...barn, profile: plant.profile } : site)),
  }
  const run = await openDistrict(district, {
    seed,
    realSigner,
    pace: { restMs: 5_000 },
    ...(logOf === undefined ? {} : { logOf }),
    dispatchOf: name => {
      const flexible = deaf.includes(name) ? undefined : loads.get(name)
      return { deal: () => {}, standStill: names => flexible?.standStill(names) }
    },
  })
  const { clock, wires } = run.running
  for (const flexible of loads.values()) flexible.attach(wires, clock)
  plant.follow(run.agent('barn').parts.grid!)
  let suspendedMs = 0
  const suspendTo = (moment: number) => {
    const ms = Math.max(0, moment - clock.now())
    run.suspend(ms)
    suspendedMs += ms
  }
  const runTo = (moment: number) => run.advance(Math.max(0, moment - clock.now()))

  /** While the gate of the slot after the last is open, nobody hears of anybody: what is agreed comes to its end, and no more. */
  async function trade(from: number, slots: number): Promise<void> {
    suspendTo(from - 100_000)
    await runTo(from + slots * SLOT_MS - 62_000)
    for (const broker of run.ports.simBrokers) broker.setUp(false)
    await runTo(from + slots * SLOT_MS + 1_000)
    for (const broker of run.ports.simBrokers) broker.setUp(true)
    await run.until(() => dealsOf(run).every(({ deal }) => deal.state !== 'locked'), SLOT_MS - 120_000)
  }
  async function announce({ from, to }: typeof PEAK): Promise<string> {
    const [start, end] = [instant(at(EVENT_DAY, from)), instant(at(EVENT_DAY, to))]
    const terms = { start, end, reportBy: instant(end + REPORT_MS), price: PAID, most: MOST, level: 'high' as const }
    return toHex(must(await awaited(run.ports.time, run.agent('town').parts.services.aggregator!.announce(terms))))
  }
  /** Past the hours of the same-day adjustment: offered, judged and admitted. */
  async function agree({ from }: typeof PEAK): Promise<void> {
    suspendTo(at(EVENT_DAY, from - 1) - 15_000)
    await run.advance(180_000)
  }
  const answered = new Map<string, ReadonlyMap<string, Participant>>()
  const note = (event: string) =>
    answered.set(
      event,
      new Map([
        ...recordsOf(run.ledgers.energy, `${PARTICIPANTS.prefix}${event}/`, value =>
          decodeAs(PARTICIPANTS.codec, value, 'participant', 1024),
        ),
      ]),
    )

  // The store takes its time to answer.
  await run.advance(720_000)
  const windows = eveningOnly ? [PEAK] : [BALANCING, PEAK]
  const moments = [...new Set(windows.flatMap(boundaries))].sort((a, b) => a - b)
  for (const day of LIKE_DAYS) {
    for (const hour of moments) {
      suspendTo(at(day, hour) - 15_000)
      await run.advance(30_000)
    }
    onProgress(`day ${day}: read at ${moments.length} boundaries`)
  }
  let balancing: string | undefined
  if (!eveningOnly) {
    suspendTo(at(EVENT_DAY, BALANCING.from - 4) - 15_000)
    await run.advance(30_000)
    balancing = await announce(BALANCING)
    await trade(at(EVENT_DAY, 6), 2)
    await agree(BALANCING)
    await trade(at(EVENT_DAY, BALANCING.from), 1)
    note(balancing)
    onProgress(`morning: ${dealsOf(run).length} deals on the ledger`)
    await trade(at(EVENT_DAY, 12), 2)
    onProgress(`noon: ${dealsOf(run).length} deals on the ledger`)
  }
  suspendTo(at(EVENT_DAY, PEAK.from - 4) - 15_000)
  await run.advance(30_000)
  const peak = await announce(PEAK)
  await agree(PEAK)
  await (eveningOnly ? trade(at(EVENT_DAY, 17.75), 3) : trade(at(EVENT_DAY, 17.5), 4))
  note(peak)
  onProgress(`evening: ${dealsOf(run).length} deals on the ledger`)
  await run.windDown()
  return judge(run, answered, { balancing, peak, suspendedMs })
}

const wh = (deals: readonly LedgerDeal[]) => deals.reduce((sum, { deal }) => sum + Number(deal.outcome!.delivered), 0)

function judge(
  run: DistrictRun,
  answered: ReadonlyMap<string, ReadonlyMap<string, Participant>>,
  events: { readonly balancing: string | undefined; readonly peak: string; readonly suspendedMs: number },
): Promise<ScenarioResult> {
  const settled = dealsOf(run).filter(({ deal }) => deal.state === 'settled')
  const flow = (from: number, to: number): Flow => {
    const then = settled.filter(({ deal }) => deal.start >= at(EVENT_DAY, from) && deal.end <= at(EVENT_DAY, to))
    return {
      toHomes: wh(then.filter(({ seller, buyer }) => seller === 'office' && HOMES.includes(buyer))),
      toOffice: wh(then.filter(({ seller, buyer }) => HOMES.includes(seller) && buyer === 'office')),
    }
  }
  const flows = { morning: flow(6, 8), noon: flow(12, 13), evening: flow(17.5, 19) }
  const { morning, noon, evening } = flows
  const meterOf = new Map(run.district.sites.map(({ name }, index) => [gridMeterId(index), name]))
  const siteOf = (participant: string) => meterOf.get(participant) ?? '?'
  const reports = (event: string | undefined) =>
    [...(answered.get(event ?? '') ?? [])].map(([meter, participant]) => ({ site: siteOf(meter), ...participant }))
  const imported = (site: string, day: number, { from, to }: typeof PEAK) => {
    const moments = run.counted.get(site)!
    return Number((moments.get(at(day, to))!.imported - moments.get(at(day, from))!.imported) / 1000n)
  }
  const shown = (
    [
      ['balancing', BALANCING, events.balancing],
      ['peak', PEAK, events.peak],
    ] as const
  ).flatMap(([product, window, event]) =>
    reports(event).map(({ site, baseline, most, report }) => {
      const usual = LIKE_DAYS.reduce((sum, day) => sum + imported(site, day, window), 0) / LIKE_DAYS.length
      const took = imported(site, EVENT_DAY, window)
      return {
        ...{ product, site, baseline_wh: Number(baseline), most_wh: Number(most), took_wh: took },
        shifted_wh: Math.round(usual - took),
        reported_wh: Number(report?.taken ?? -1n),
        paid_micro: Number(report?.paid ?? 0n),
      }
    }),
  )
  const paid = (of: (one: (typeof shown)[number]) => boolean) =>
    shown.filter(of).reduce((sum, { paid_micro }) => sum + paid_micro, 0)
  const each = <T>(of: (name: string, model: Called) => T) =>
    Object.fromEntries(Object.entries(CALLED).map(([model, name]) => [model, of(name, model as Called)]))
  const models = { direct: 'A', ad_hoc: 'B', storage: 'C' } as const
  const facts = {
    flows_wh: flows,
    flow_turned:
      (events.balancing === undefined ||
        (morning.toHomes > 0 && morning.toOffice === 0 && noon.toOffice > 0 && noon.toHomes === 0)) &&
      evening.toHomes > 0 &&
      evening.toOffice === 0,
    office_sold_wh: wh(settled.filter(({ seller }) => seller === 'office')),
    event_paid_micro: each(name => paid(({ site }) => site === name)),
    traded_wh: each((name, model) =>
      wh(settled.filter(one => one.model === models[model] && (one.buyer === name || one.seller === name))),
    ),
    shifted_wh: shown.reduce((sum, { shifted_wh }) => sum + shifted_wh, 0),
    ancillary_paid_micro: {
      balancing: paid(({ product }) => product === 'balancing'),
      peak: paid(({ product }) => product === 'peak'),
    },
    calls: shown,
    /** Of `virtual_s`: no machine ran. */
    suspended_s: Math.round(events.suspendedMs / 1000),
  }
  const broken = [
    ...(facts.flow_turned ? [] : ['the flow between office and homes did not turn']),
    ...Object.entries(facts.event_paid_micro).flatMap(([model, micro]) =>
      micro > 0 ? [] : [`nobody who trades ${model} was paid for taking less`],
    ),
    ...Object.entries(facts.traded_wh).flatMap(([model, sum]) => (sum > 0 ? [] : [`nothing was traded ${model}`])),
    ...shown.flatMap(({ site, product, took_wh, reported_wh, paid_micro, baseline_wh, most_wh }) => {
      // Readings are taken some seconds before the start and after the end: of four kilowatts at most.
      const apart = reported_wh - took_wh
      const least = (Math.min(most_wh, baseline_wh - reported_wh) * Number(PAID)) / 1000
      return [
        ...(reported_wh < 0 || (apart >= -2 && apart <= 40)
          ? []
          : [`${site} reports ${reported_wh} Wh in the ${product} window, and ${took_wh} flowed`]),
        ...(reported_wh < 0 || paid_micro === Math.max(0, Math.floor(least))
          ? []
          : [`${site} was paid ${paid_micro} for ${baseline_wh} - ${reported_wh} Wh`]),
      ]
    }),
  ]
  return judgeDistrict(run, 'office-homes', facts, broken)
}

export const officeHomes: Scenario = {
  name: 'office-homes',
  what: 'an office and homes, morning to evening: the flow turns, and who takes less when called is paid, in all models',
  run: settings => runOfficeHomes(settings),
}
