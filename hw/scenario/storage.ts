/**
 * Model C: a store, what its customers agree with it, bring and take back by themselves, and what they sell to each other. From
 * the morning, past the gate of the day ahead at noon, into the first slot of the day that was planned.
 */
import { optimisersLoaded } from '../../drivers/optimiser/lazy.ts'
import { milliwatts, wattHours } from '../../protocol/quantity.ts'
import { constantProfile, type Profile, solarGeneration } from '../sim/profile.ts'
import { ORIGIN_MS } from '../sim/street-run.ts'
import { type District, type DistrictSite, SLOT_MS } from './district.ts'
import { judgeDistrict } from './judge-district.ts'
import { dealsOf } from './ledger-view.ts'
import { createPlant } from './plant.ts'
import { openDistrict } from './run-district.ts'
import type { Scenario, ScenarioSettings } from './scenario.ts'
import { storageFacts } from './storage-facts.ts'

const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const STORE = 'barn'
/** Takes energy when it is called an hour ahead, and at no other time. */
const BOILER = 'pool'
/**
 * Blocks are ten seconds apart, for nobody is in a hurry in a market of quarters of an hour. A head is as much older: its time is
 * that of the block before, and it is looked for every ten seconds.
 */
const PACE = {
  pace: { gridEveryMs: 60_000, followMs: 10_000, staleMs: 60_000, driftMs: 30_000, restMs: 60_000 },
  blockMs: 10_000,
}
const GRID = { lead: '10min' }
const SELL = { reserve: '0.12', opening: '0.18' }
const agreed = (most: string, more: object = {}) => ({
  ...{ peer: STORE, store_price: '0.10', return_price: '0.20', most },
  ...more,
})

/** It rains until half past ten: the store is asked before it is brought anything. */
const RAIN_MS = ORIGIN_MS + HOUR_MS / 2
const afterRain =
  (sun: Profile): Profile =>
  at =>
    at < RAIN_MS ? 0 : sun(at)

function roof(name: string, node: string, seed: number, peakW: number, more: object = {}): DistrictSite {
  return {
    ...{ name, role: 'household', node, source: 'solar' },
    profile: { load: W(150), generation: afterRain(solarGeneration(seed, peakW)) },
    grid: { ...GRID, sell: SELL, store: agreed('1500Wh', more) },
  }
}

/** Takes so many watts in a day's light and so many in the dark. */
const byDay =
  (light: number, dark: number): Profile =>
  at => {
    const hour = (at % DAY_MS) / HOUR_MS
    return 1000 * (hour >= 7 && hour < 17 ? light : dark)
  }

/** `limit`: what it pays to neighbours; none, and it asks nobody but the store. */
function home(name: string, node: string, load: Profile, limit?: string): DistrictSite {
  return {
    ...{ name, role: 'household', node, profile: { load, generation: W(0) } },
    grid: {
      ...{ ...GRID, store: agreed('1kWh') },
      ...(limit === undefined ? {} : { buy: { limit, opening: '0.12', least: '20Wh' } }),
    },
  }
}

const storageDistrict = (seed: number): District => ({
  slotMs: SLOT_MS,
  distributor: 'wires',
  feeders: [
    { id: 'town', capacityWh: 20_000, tariff: '0.01' },
    { id: 'elm', feeder: 'town', capacityWh: 9_000, tariff: '0.01' },
    { id: 'lane', feeder: 'elm', capacityWh: 300, tariff: '0.01' },
    { id: 'yard', feeder: 'town', capacityWh: 8_000, tariff: '0.01' },
  ],
  sites: [
    { name: 'wires', role: 'distributor', node: 'town', profile: { load: W(50), generation: W(0) } },
    {
      ...{ name: STORE, role: 'storage', node: 'yard', source: 'battery' },
      profile: { load: W(0), generation: W(0) },
      grid: GRID,
      sections: {
        storage: {
          ...{ capacity: '60kWh', stored: '2kWh', charge: '4kWh', discharge: '4kWh' },
          ...{ store_price: '0.10', return_price: '0.20', most: '2kWh', reward: '0.02' },
        },
      },
    },
    roof('roof', 'elm', seed, 5_000, { reward: 'coin' }),
    roof('shed', 'elm', seed + 1, 5_000, { reward: 'bill-credit' }),
    // Takes nothing back itself, and keeps its points.
    {
      ...roof('loft', 'elm', seed + 2, 4_000),
      profile: { load: W(0), generation: afterRain(solarGeneration(seed + 2, 4_000)) },
    },
    home('ash', 'elm', byDay(500, 600), '0.26'),
    // At work by day: what it was planned to take at night it does not.
    home('shop', 'elm', byDay(1_600, 300)),
    {
      ...{ name: BOILER, role: 'household', node: 'elm', profile: { load: W(0), generation: W(0) } },
      grid: { ...GRID, store: agreed('1kWh', { balance: { buy: '0.15', most: '400Wh' } }) },
    },
    { ...roof('hut', 'lane', seed + 4, 4_000), grid: { ...GRID, sell: SELL, store: agreed('1kWh') } },
  ],
})

/** The first slot of the day that was planned. */
const END_MS = (Math.floor(ORIGIN_MS / DAY_MS) + 1) * DAY_MS + SLOT_MS

export const storage: Scenario = {
  name: 'storage',
  what: 'model C: standing agreements with a store, day ahead and hour ahead, and ad hoc deals beside them',
  run: settings => runStorage(settings, END_MS),
}

/** The same until another moment: what lies behind it is not shown. */
export async function runStorage({ seed, realSigner, onProgress, logOf }: ScenarioSettings, end: number) {
  const district = storageDistrict(seed)
  const plants = new Map([STORE, BOILER].map(name => [name, createPlant({ load: W(0), generation: W(0) })]))
  const sites = district.sites.map(site => {
    const plant = plants.get(site.name)
    return plant === undefined ? site : { ...site, profile: plant.profile }
  })
  const settings = { seed, realSigner, ...PACE, ...(logOf === undefined ? {} : { logOf }) }
  const opened = await openDistrict({ ...district, sites }, settings)
  // In virtual time nobody waits for the store's solver.
  await optimisersLoaded()
  /** Sites whose agents are reached for once they run: what an owner would do. */
  const reached: string[] = []
  const run: typeof opened = {
    ...opened,
    agent(site) {
      reached.push(site)
      return opened.agent(site)
    },
  }
  for (const [name, plant] of plants) plant.follow(run.agent(name).parts.grid!)
  while (run.running.clock.now() < end) {
    await run.advance(Math.min(HOUR_MS, end - run.running.clock.now()))
    onProgress(`${dealsOf(run).length} deals after ${Math.round((run.running.clock.now() - ORIGIN_MS) / HOUR_MS)} h`)
  }
  const actions = reached.filter(name => !plants.has(name)).length
  await run.windDown()
  // What is due of rewards is issued, redeemed and paid.
  await run.advance(HOUR_MS / 2)
  const { facts, broken } = storageFacts(run, { store: STORE, boiler: BOILER, stored: wattHours(2_000n), actions })
  return judgeDistrict(run, 'storage', facts, broken)
}
