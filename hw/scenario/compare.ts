/**
 * `tieline-bench compare`: the paper's Table 1, measured. Three columns are full agents on the same street, killed one process
 * at a time; a central operator and trading without a ledger are played on what the wires of that street counted.
 */
import type { Producer } from '../../agent/validator/producer.ts'
import type { SlotSite } from '../../protocol/market/no-trade.ts'
import { FACTS, type Observer, STATED } from '../../protocol/privacy/observers.ts'
import { costFloor, microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { median } from '../bench/result.ts'
import type { StreetPace } from '../sim/site-config.ts'
import { lockedDeal } from './attacks.ts'
import { type Killed, killEach } from './chaos.ts'
import { type Column, central, FEE, PRICES, perKwh, ratio, withoutLedger } from './compare-baselines.ts'
import { adHoc, COMPARE_SLOT_MS, DEVICES, direct, stored } from './compare-modes.ts'
import { played } from './conduct.ts'
import { type District, SLOT_MS } from './district.ts'
import { type DistrictResult, judgeDistrict } from './judge-district.ts'
import { labReceipt, openLab } from './lab.ts'
import { dealsOf } from './ledger-view.ts'
import { type DistrictRun, openDistrict } from './run-district.ts'
import type { ScenarioResult } from './scenario.ts'

const SEED = 1
/** Of both ledgers over the grid. */
const BLOCK_MS = 2_000
/** Two rounds of bidding: fewer are no auction. */
const AUCTION_PRICES = [200_000n, 190_000n] as const
interface Mode {
  readonly name: string
  readonly district: District
  readonly pace: Partial<StreetPace>
  readonly blockMs: number
  /** How many slots run, and after how many a process dies: an agreement needs some minutes to stand. */
  readonly slots: number
  readonly killAfter: number
  /** Traders of whom another one of the same kind dies instead. */
  readonly alike: readonly string[]
}

/** Contacts want a reading twice a second and a block a second; over the grid a boundary is enough. */
const AD_HOC_SLOTS = { slots: 4, killAfter: 1 }
/** A roof and a load die; the others differ from them in watts alone. Ad hoc everybody dies once. */
const ALIKE = ['roof2', 'mill', 'car', 'shop']
const MODES: readonly Mode[] = [
  {
    name: 'direct',
    district: direct(),
    pace: { gridEveryMs: 2_000, followMs: 4_000, holdMs: 1_500 },
    blockMs: 1_000,
    ...AD_HOC_SLOTS,
    alike: ALIKE,
  },
  { name: 'ad_hoc', district: adHoc(), pace: {}, blockMs: BLOCK_MS, ...AD_HOC_SLOTS, alike: [] },
  { name: 'storage', district: stored(), pace: {}, blockMs: BLOCK_MS, slots: 7, killAfter: 5, alike: ALIKE },
]

export async function compareModels(onProgress: (text: string) => void): Promise<ScenarioResult> {
  const columns: Record<string, Column> = {}
  const results: DistrictResult[] = []
  const prices: Record<string, readonly number[]> = {}
  const demand: MeanPower[] = []
  const lost = await lostToADefaulter()
  let base: readonly (readonly SlotSite[])[] = []
  for (const mode of MODES) {
    const settings = { seed: SEED, brokers: 2, pace: mode.pace, blockMs: mode.blockMs }
    const run = await openDistrict(mode.district, settings)
    const began = run.running.clock.now()
    await run.advance(mode.slots * COMPARE_SLOT_MS)
    const ended = run.running.clock.now()
    demand.push(meanPower(run))
    await run.windDown()
    const slots = slotsOf(run, began, ended)
    if (mode.name === 'ad_hoc') base = slots
    const waited = waitsOf(run)
    const agents = [...run.running.agents.values()]
    const verifying = agents.filter(({ light }) => light.stats().headersVerified > 0).length
    const saved = savedBy(run, slots, began, ended)
    prices[mode.name] = dealsOf(run).map(({ deal }) => Number(deal.price))
    const result = await judgeDistrict(run, mode.name, {}, [])
    results.push(result)
    onProgress(`${mode.name}: ${result.deals.settled} deals settled`)
    const killed = await killEach(
      mode.district,
      {
        ...settings,
        killAfterMs: mode.killAfter * COMPARE_SLOT_MS - 30_000,
        alike: mode.alike,
        patienceMs: 4 * COMPARE_SLOT_MS,
      },
      text => onProgress(`${mode.name} ${text}`),
    )
    columns[mode.name] = columnOf(mode, result, { killed, waited, saved, verifying, lost })
  }
  columns['centralised'] = central(base)
  columns['without_ledger'] = withoutLedger(base)

  const facts = {
    columns: Object.keys(columns).map(name => name.replaceAll('_', ' ')),
    table: columns,
    // The same loads and roofs ran in each; what a store takes and gives comes on top of them.
    same_demand: demand.slice(0, 2).every(one => alike(one, demand[0]!)),
    device_classes: tradedClasses(results[1]!),
    single_points_of_failure: pick(columns, column => column.single_points_of_failure),
    privileged_processes: pick(columns, column => column.single_points_of_failure.length),
    third_parties: pick(columns, column => column.third_parties),
    verified_by: pick(columns, column => column.verified_by),
    reach: pick(columns, column => column.reach),
    price_dispersion: {
      direct_over_ad_hoc: ratio(spread(prices['direct']!), spread(prices['ad_hoc']!)),
    },
    on_ledger_auction_over_ours: onLedgerOver(columns['ad_hoc']!, await onLedgerAuction()),
  }
  const problems = [
    ...results.flatMap(({ scenario, problems }) => problems.map(problem => `${scenario}: ${problem}`)),
    ...results.filter(({ deals }) => deals.settled === 0).map(({ scenario }) => `${scenario}: nothing was settled`),
    ...(facts.same_demand ? [] : ['the columns do not have the same loads and generation']),
  ]
  return { ok: problems.length === 0, scenario: 'compare', seed: SEED, facts, problems }
}

/** Classes of devices of which one has bought or sold. */
const tradedClasses = ({ settled_wh_by_site }: DistrictResult): number =>
  new Set([...DEVICES].flatMap(([name, device]) => (settled_wh_by_site[name]! > 0 ? [device] : []))).size

interface MeanPower {
  readonly usedW: number
  readonly madeW: number
}

/** What the street used and made so far, as a mean. */
function meanPower({ running }: DistrictRun): MeanPower {
  const { loads, circuits, generation } = running.wires.audit()
  const ms = running.clock.mono() * 1000
  return { usedW: Number(loads + circuits) / ms, madeW: Number(generation) / ms }
}

/** To four hundredths: a circuit is dark for a second or two whenever its changeover moves, twice a minute here. */
const alike = (a: MeanPower, b: MeanPower): boolean =>
  Math.abs(a.usedW - b.usedW) < b.usedW / 25 && Math.abs(a.madeW - b.madeW) < b.madeW / 100

const pick = <T>(columns: Readonly<Record<string, Column>>, of: (column: Column) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, of(column)]))

/** Standard deviation over the mean. */
function spread(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) / mean
}

/** What each site's grid meter counted in each whole slot of a time, by the wires. */
function slotsOf({ counted, district }: DistrictRun, from: number, to: number): readonly (readonly SlotSite[])[] {
  const slots: SlotSite[][] = []
  const first = Math.ceil(from / COMPARE_SLOT_MS) * COMPARE_SLOT_MS
  for (let at = first; at + COMPARE_SLOT_MS <= to; at += COMPARE_SLOT_MS) {
    slots.push(
      district.sites.map(({ name }) => {
        const [before, after] = [counted.get(name)!.get(at)!, counted.get(name)!.get(at + COMPARE_SLOT_MS)!]
        return {
          site: name,
          imported: wattHours((after.imported - before.imported) / 1000n),
          exported: wattHours((after.exported - before.exported) / 1000n),
          flexible: wattHours(0n),
        }
      }),
    )
  }
  return slots
}

/** Milliseconds of virtual time from a buyer's request to both signatures. */
const waitsOf = ({ running }: DistrictRun): readonly number[] =>
  [...running.agents.values()].flatMap(agent =>
    [...agent.trading.deals(), ...(agent.grid?.deals() ?? [])].flatMap(({ runner, requested }) => {
      const signed = runner.history.find(({ state }) => state === 'signed')?.mono
      return signed === undefined || runner.deal().role !== 'buyer' ? [] : [signed - requested]
    }),
  )

/** Against everybody alone with the supplier, in micro-units for each kWh that passed a grid meter or a line. */
function savedBy(run: DistrictRun, slots: readonly (readonly SlotSite[])[], from: number, to: number): number {
  const deals = dealsOf(run).filter(({ deal }) => deal.state === 'settled' && deal.start >= from && deal.end <= to)
  const delivered = deals.reduce((sum, { deal }) => sum + deal.outcome!.delivered, 0n)
  const overGrid = deals.filter(({ deal }) => deal.to !== undefined)
  const fees = overGrid.reduce((sum, { deal }) => sum + costFloor(deal.outcome!.delivered, FEE), 0n)
  const passed = slots.flat().reduce((sum, { imported, exported }) => sum + imported + exported, 0n)
  // What one delivers and another takes would have been fed in and drawn.
  const gain = costFloor(wattHours(delivered), microsPerKwh(PRICES.drawn - PRICES.fedIn)) - fees
  const direct = deals.length === overGrid.length ? 0n : 2n * delivered
  return perKwh(gain, passed + direct)
}

interface Measured {
  readonly killed: readonly Killed[]
  readonly waited: readonly number[]
  readonly saved: number
  /** Agents that verified headers themselves. */
  readonly verifying: number
  readonly lost: number
}

/** What a seller is short of when its buyer says and does nothing more once it has the energy, on real ledgers. */
async function lostToADefaulter(): Promise<number> {
  const [honest, silent] = [await played({}), await played({ buyerSilent: true })]
  return Number(honest.outcome!.paid - silent.outcome!.paid)
}

/** The most counterparts that a site has: by its lines, else everybody who trades over the grid. */
function reachOf({ sites, lines = [] }: District): number {
  const partners = sites.map(
    ({ name }) => lines.filter(({ seller, buyer }) => seller === name || buyer === name).length,
  )
  const overGrid = sites.filter(({ grid }) => grid !== undefined).length
  return Math.max(...partners, overGrid - 1)
}

function columnOf(
  { district, blockMs }: Mode,
  result: DistrictResult,
  { killed, waited, saved, verifying, lost }: Measured,
): Column {
  const { transactions, deals, traffic_per_deal } = result
  const overGrid = district.distributor !== undefined
  const perDeal = (kinds: readonly string[], of: Readonly<Record<string, number>>) =>
    kinds.reduce((sum, kind) => sum + (of[kind] ?? 0), 0) / Math.max(1, deals.settled)
  // As the privacy report finds it in real bytes.
  const observers: readonly Observer[] = ['broker', 'validator', ...(overGrid ? (['distributor'] as const) : [])]
  const learns = observers.map(one => `${one}: ${FACTS.filter(fact => STATED[one][fact]).join(', ')}`)
  return {
    entities: [...new Set(district.sites.map(({ role }) => role))],
    single_points_of_failure: killed.filter(({ settledAfter }) => settledAfter === 0).map(({ process }) => process),
    third_parties: district.sites.filter(({ role }) => role !== 'household').length,
    verified_by: verifying === district.sites.length ? 'every node' : `${verifying} nodes`,
    messages_per_deal: traffic_per_deal?.messages ?? 0,
    ledger_transactions_per_deal: ratio(
      perDeal(['commit', 'receipt', 'sealed'], transactions.energy) +
        perDeal(['reserve', 'claim', 'release'], transactions.distribution),
      1,
    ),
    signed_after_ms: median(waited),
    saved_micro_per_kwh: saved,
    lost_to_a_defaulter_micro: lost,
    paid_in: `coins, ${blockMs / 1000} s a block`,
    reach: reachOf(district),
    an_observer_learns: learns,
  }
}

/**
 * What an auction on the ledger takes, over what ad hoc trading took: transactions of a deal, and the wait until it is agreed, where a
 * round of bidding is over with its block.
 */
const onLedgerOver = (ours: Column, transactions: number) => ({
  transactions: ratio(transactions, ours.ledger_transactions_per_deal),
  wait: ratio(AUCTION_PRICES.length * BLOCK_MS, ours.signed_after_ms ?? Number.NaN),
})

/**
 * Transactions of a deal that is auctioned on the ledger itself, as many engines do it: every order stands there, and every change of
 * one, before what any deal leaves there.
 */
async function onLedgerAuction(): Promise<number> {
  const lab = await openLab()
  const count = () => [lab.energy, lab.grid].reduce((sum, producer) => sum + txsOf(producer), 0)
  const begun = count()
  const slot = Math.ceil((lab.now() + 2 * 3_600_000) / SLOT_MS)
  for (const price of AUCTION_PRICES) {
    for (const [party, meterId, side] of [
      ['seller', 'S-1', 'sell'],
      ['stranger', 'X-1', 'sell'],
      ['buyer', 'B-1', 'buy'],
    ] as const) {
      const body = { meterId, slot, side, energy: wattHours(2_000n), limit: microsPerKwh(price) }
      const verdict = await lab.send(lab.energy, party, { kind: 'order', body })
      if (verdict !== 'taken') throw new Error(`an order on the ledger is refused: ${verdict}`)
    }
  }
  const ordered = count() - begun
  const before = count()
  const contract = await lockedDeal(lab)
  await lab.until(contract.end + 1_000)
  for (const side of ['seller', 'buyer'] as const) {
    await lab.send(lab.energy, side, labReceipt(lab, contract, { side, wh: 1_500n }))
  }
  const ours = count() - before
  return ordered + ours
}

function txsOf(producer: Producer): number {
  const { height, oldest } = producer.status()
  let txs = 0
  for (let at = oldest; at <= height; at++) txs += producer.block(at)?.txs.length ?? 0
  return txs
}
