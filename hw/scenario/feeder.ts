/** Model B: homes, a roof, a plant and a retailer on one feeder, and a distributor that is asked and paid for the way. */
import { milliwatts } from '../../protocol/quantity.ts'
import { constantProfile, homeLoad, solarGeneration } from '../sim/profile.ts'
import { accountsBalance } from './accounts.ts'
import { type District, type DistrictSite, SLOT_MS } from './district.ts'
import { judgeDistrict } from './judge-district.ts'
import { dealsOf, halfCommitted, heightAt, type LedgerDeal, reservationsOf } from './ledger-view.ts'
import { openDistrict } from './run-district.ts'
import type { Scenario } from './scenario.ts'

const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const SLOTS = 4

const home = (name: string, node: string, seed: number, way: string): DistrictSite => ({
  name,
  role: 'household',
  node,
  profile: { load: homeLoad(seed, 1_200), generation: W(0) },
  grid: { way, buy: { limit: '0.30', opening: '0.10', least: '20Wh' }, premium: { solar: '0.02' } },
})

/** Takes what the sun and the wind give, or nothing. */
const STRICT = 'fir'
const STRICT_GRID = {
  way: 'bidding',
  buy: { limit: '0.32', opening: '0.10', least: '20Wh' },
  premium: { solar: '0.01', wind: '0.05' },
  strict: 'true',
}

const feederDistrict = (seed: number): District => ({
  slotMs: SLOT_MS,
  distributor: 'wires',
  feeders: [
    { id: 'town', capacityWh: 20_000, tariff: '0.01' },
    { id: 'elm', feeder: 'town', capacityWh: 4_000, tariff: '0.02' },
    { id: 'oak', feeder: 'town', capacityWh: 4_000, tariff: '0.02' },
    { id: 'works', feeder: 'town', capacityWh: 15_000, tariff: '0.01' },
  ],
  sites: [
    {
      name: 'state',
      role: 'regulator',
      node: 'town',
      profile: { load: W(0), generation: W(0) },
      sections: { regulator: { band: { floor: '0.05', ceiling: '0.40' } } },
    },
    { name: 'wires', role: 'distributor', node: 'town', profile: { load: W(50), generation: W(0) } },
    {
      name: 'roof',
      role: 'household',
      node: 'elm',
      source: 'solar',
      profile: { load: W(300), generation: solarGeneration(seed, 6_000) },
      grid: { sell: { reserve: '0.09', opening: '0.20' } },
    },
    {
      name: 'plant',
      role: 'generator',
      node: 'works',
      source: 'conventional',
      profile: { load: W(0), generation: W(20_000) },
      grid: { sell: { reserve: '0.16', opening: '0.24', capacity: '20kW' } },
    },
    {
      name: 'retail',
      role: 'retailer',
      node: 'works',
      source: 'wind',
      profile: { load: W(0), generation: W(10_000) },
      grid: { sell: { reserve: '0.20', opening: '0.28', capacity: '10kW' } },
    },
    home('ash', 'oak', seed + 1, 'matching'),
    home('ivy', 'elm', seed + 2, 'bidding'),
    { ...home(STRICT, 'oak', seed + 3, 'bidding'), grid: STRICT_GRID },
  ],
})

/** Somebody's agent dies in the middle of the second slot and is back a minute later. */
const LEAVER = 'ash'
const AWAY_MS = 60_000

export const feeder: Scenario = {
  name: 'feeder',
  what: 'model B: homes ask, a roof, a plant and a retailer bid, a distributor is paid for the way',
  async run({ seed, realSigner, onProgress, logOf }) {
    const run = await openDistrict(feederDistrict(seed), {
      seed,
      realSigner,
      ...(logOf === undefined ? {} : { logOf }),
    })
    let returned = Number.POSITIVE_INFINITY
    for (let slot = 0; slot < SLOTS; slot++) {
      if (slot === 1) {
        await run.advance(SLOT_MS / 2)
        await run.leave(LEAVER, AWAY_MS)
        returned = run.running.clock.now()
        await run.advance(SLOT_MS / 2 - AWAY_MS)
      } else await run.advance(SLOT_MS)
      onProgress(`slot ${slot + 1} of ${SLOTS}: ${dealsOf(run).length} deals on the ledger`)
    }
    await run.windDown()
    const all = dealsOf(run)
    const settled = all.filter(({ deal }) => deal.state === 'settled')
    const reservations = reservationsOf(run)
    const wayOf = new Map(run.district.sites.map(({ name, grid }) => [name, String(grid?.['way'])]))
    const strict = settled.filter(({ buyer }) => buyer === STRICT)
    const sourceOf = new Map(run.district.sites.map(({ name, source }) => [name, source]))
    const wh = (deals: readonly LedgerDeal[]) =>
      deals.reduce((sum, { deal }) => sum + Number(deal.outcome!.delivered), 0)
    const ways = (way: string) => settled.filter(({ buyer }) => wayOf.get(buyer) === way).length
    const feesMicro = Number(reservations.reduce((sum, [, { outcome }]) => sum + (outcome?.paid ?? 0n), 0n))
    const earned = (name: string) =>
      settled.filter(({ seller }) => seller === name).reduce((sum, { deal }) => sum + Number(deal.outcome!.paid), 0)
    const facts = {
      sellers: [...new Set(settled.map(({ seller }) => seller))].sort(),
      sources: [...new Set(settled.map(({ seller }) => sourceOf.get(seller)!))].sort(),
      settled_by_way: { matching: ways('matching'), bidding: ways('bidding') },
      revenue_micro: {
        distributor: feesMicro,
        plant: earned('plant'),
        roof: earned('roof'),
        retailer: earned('retail'),
      },
      strict_buyer_renewable_share:
        wh(strict.filter(({ seller }) => sourceOf.get(seller) !== 'conventional')) / wh(strict),
      reserved_before_delivery: settled.every(({ hash, deal }) => {
        const reservation = reservations.find(([id]) => id === hash)?.[1]
        return reservation !== undefined && reservation.start === deal.start && deal.height < heightAt(run, deal.start)
      }),
      half_committed: halfCommitted(run).length,
      held_after: reservations.filter(([, { state }]) => state === 'held').length,
      paid_after_s: Math.max(...settled.map(({ deal }) => (deal.outcome!.at - deal.end) / 1000)),
      settled_after_return: settled.filter(({ buyer, deal }) => buyer === LEAVER && deal.start >= returned).length,
      headers_verified: Object.fromEntries(
        [...run.running.agents].map(([name, agent]) => [name, agent.light.stats().headersVerified]),
      ),
      audited_deals: all.length,
      accounts_balanced: accountsBalance(run),
    }
    const broken = [
      ...(settled.length === 0 ? ['nothing was settled'] : []),
      ...(facts.held_after > 0 ? [`${facts.held_after} reservations are held for nothing`] : []),
      ...(facts.accounts_balanced ? [] : ['an account is not what its deals and fees make it']),
    ]
    return judgeDistrict(run, 'feeder', facts, broken)
  },
}
