/**
 * One street in five ways: the same roofs, the same loads, the same hour. Three of them are districts of full agents; two are
 * what the paper compares with, played on what the wires of the first counted.
 */
import { constantProfile, type SiteProfile } from '../sim/profile.ts'
import type { District, DistrictSite } from './district.ts'

const W = (watts: number) => constantProfile(watts * 1000)

/** Short slots: what is compared does not depend on their length, and every process is killed once. */
export const COMPARE_SLOT_MS = 180_000

/** Roofs and loads, the same whatever way they trade in. */
const DEMAND: readonly (readonly [name: string, device: string, profile: SiteProfile])[] = [
  ['roof1', 'house with solar', { load: W(300), generation: W(3_300) }],
  ['roof2', 'house with solar', { load: W(500), generation: W(3_000) }],
  ['heat', 'house with heat pump', { load: W(2_400), generation: W(0) }],
  ['car', 'charging car', { load: W(2_200), generation: W(0) }],
  ['mill', 'wind turbine', { load: W(100), generation: W(1_600) }],
  ['shop', 'commercial building', { load: W(1_500), generation: W(0) }],
]
const SELLERS = ['roof1', 'roof2', 'mill']
/** What each seller asks first: owners differ. */
const OPENINGS = { roof1: '0.14', roof2: '0.20', mill: '0.26' } as const
const openingOf = (name: string): string => OPENINGS[name as keyof typeof OPENINGS]
const SOURCES = { roof1: 'solar', roof2: 'solar', mill: 'wind' } as const

/** What each site is. */
export const DEVICES: ReadonlyMap<string, string> = new Map(DEMAND.map(([name, device]) => [name, device]))

const site = (name: string, profile: SiteProfile, node: string): DistrictSite => ({
  name,
  role: 'household',
  node,
  ...(name in SOURCES ? { source: SOURCES[name as keyof typeof SOURCES] } : {}),
  profile,
})

const wires: DistrictSite = {
  name: 'wires',
  role: 'distributor',
  node: 'town',
  profile: { load: W(20), generation: W(0) },
}

/** Model B: everybody asks everybody, over a distributor's lines. */
export const adHoc = (): District => ({
  slotMs: COMPARE_SLOT_MS,
  distributor: 'wires',
  feeders: [
    { id: 'town', capacityWh: 20_000, tariff: '0.01' },
    { id: 'east', feeder: 'town', capacityWh: 8_000, tariff: '0.01' },
    { id: 'west', feeder: 'town', capacityWh: 8_000, tariff: '0.01' },
  ],
  sites: [
    wires,
    ...DEMAND.map(([name, , profile], index) => ({
      ...site(name, profile, index % 2 === 0 ? 'east' : 'west'),
      grid: SELLERS.includes(name)
        ? { sell: { reserve: '0.09', opening: openingOf(name) } }
        : { way: 'matching', buy: { limit: '0.28', opening: '0.08', least: '5Wh' } },
    })),
  ],
})

/** As the street's own, but for the price. */
const tradeOf = (name: string) => ({
  sell: { reserve: '0.09', opening: openingOf(name) },
  slot: '60s',
  receipt_window: '30s',
  dispute_window: '30s',
  energy: '30Wh',
  loss: '3%',
})

/** Model A: three cables, one to each buyer, and nobody in between. */
export const direct = (): District => ({
  slotMs: COMPARE_SLOT_MS,
  feeders: [],
  lines: [
    ['D1', 'roof1', 'heat'],
    ['D2', 'roof2', 'car'],
    ['D3', 'mill', 'shop'],
  ].map(([id, seller, buyer], index) => ({
    id: id!,
    seller: seller!,
    buyer: buyer!,
    limitMa: 20_000,
    lossPermille: 4,
    sellerMeterId: String(51_000_100 + 2 * index),
    buyerMeterId: String(51_000_101 + 2 * index),
  })),
  sites: DEMAND.map(([name, , profile]) => {
    if (SELLERS.includes(name)) return { ...site(name, profile, name), sections: { trade: tradeOf(name) } }
    // The part of the load that the cable can feed is a circuit of its own; together they are what they are elsewhere.
    const demandW = profile.load(0 as never) / 1000 - 300
    return { ...site(name, { ...profile, load: W(300) }, name), circuit: { name: 'circuit', demandW } }
  }),
})

/** Model C: what others do not take goes to a store by standing agreement, and what they do not give comes from it. */
export const stored = (): District => {
  const { sites, ...network } = adHoc()
  return {
    ...network,
    sites: [
      ...sites.map(one =>
        one.grid === undefined
          ? one
          : {
              ...one,
              grid: {
                ...one.grid,
                store: { peer: 'store', store_price: '0.10', return_price: '0.22', most: '500Wh' },
              },
            },
      ),
      {
        name: 'store',
        role: 'storage',
        node: 'town',
        source: 'battery',
        profile: { load: W(0), generation: W(0) },
        follows: true,
        grid: { way: 'matching' },
        sections: {
          storage: {
            capacity: '40kWh',
            stored: '20kWh',
            charge: '2000Wh',
            discharge: '2000Wh',
            store_price: '0.10',
            return_price: '0.22',
            most: '500Wh',
          },
        },
      },
    ],
  }
}
