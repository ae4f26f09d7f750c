/**
 * The street: which sites stand on it, what they own, which direct lines join them, and the keys of the bench. Plain data
 * that the bench on real ports and the simulator share; it says nothing of deals.
 */
import { utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Source } from '../../protocol/trade/contract.ts'

export type SiteKind = 'solar-home' | 'home' | 'charger' | 'battery-home'

/** What the site's grid meter speaks; the line meters are SDM120s on the site's RS-485 bus everywhere. */
export type GridMeterKind = 'eastron-sdm630' | 'eastron-sdm120' | 'sml' | 'dsmr' | 'modbus-tcp'

export interface StreetSite {
  readonly name: string
  readonly kind: SiteKind
  readonly gridMeter: GridMeterKind
  readonly gridMeterId: string
  /** Peak of the roof's generator in watts, 0 without one. */
  readonly solarPeakW: number
  /** Usable battery in watt-hours and the most it gives or takes in watts. */
  readonly battery: { readonly capacityWh: number; readonly powerW: number } | undefined
  /** The separable circuit that a direct line can feed, and what it draws when on. */
  readonly circuit: { readonly name: string; readonly demandW: number } | undefined
  /** How this site drives its contacts. */
  readonly relays: 'johnny-five' | 'modbus-coils'
  readonly over?: OverGrid
}

/** What a site does beside its direct lines, in the words of its configuration file. */
export interface OverGrid {
  readonly role: string
  /** Node of the distribution network from which its grid meter hangs. */
  readonly node: string
  /** What stands behind the meter, as it is enrolled. */
  readonly source?: Source
  /** Sites that it knows besides those at the other ends of its lines. */
  readonly peers: readonly string[]
  /** Whether it follows the ledger of the distribution network, and who answers for that. */
  readonly distributor?: string
  /** Further sections of its configuration: grid, distributor, ... */
  readonly sections: Readonly<Record<string, unknown>>
}

export interface StreetLine {
  readonly id: string
  readonly seller: string
  readonly buyer: string
  readonly limitMa: number
  /** Lost on the way at any load, in thousandths of what was sent. */
  readonly lossPermille: number
  readonly sellerMeterId: string
  readonly buyerMeterId: string
}

export interface Street {
  readonly sites: readonly StreetSite[]
  readonly lines: readonly StreetLine[]
}

/** Eastron serial numbers are 32-bit numbers; these are our own. */
const serialOf = (index: number): string => String(41_000_000 + index)

const BATTERY = { capacityWh: 10_000, powerW: 5_000 }

const FIVE_SITES: readonly StreetSite[] = [
  {
    name: 'maple',
    kind: 'solar-home',
    gridMeter: 'eastron-sdm630',
    gridMeterId: serialOf(1),
    solarPeakW: 8_000,
    battery: undefined,
    circuit: undefined,
    relays: 'johnny-five',
  },
  {
    name: 'birch',
    kind: 'solar-home',
    gridMeter: 'sml',
    gridMeterId: '0a01544c4e000a2f01',
    solarPeakW: 10_000,
    battery: undefined,
    circuit: undefined,
    relays: 'modbus-coils',
  },
  {
    name: 'cedar',
    kind: 'home',
    gridMeter: 'dsmr',
    gridMeterId: 'E0041007626',
    solarPeakW: 0,
    battery: undefined,
    circuit: { name: 'heat pump', demandW: 2_500 },
    relays: 'modbus-coils',
  },
  {
    name: 'spark',
    kind: 'charger',
    gridMeter: 'eastron-sdm120',
    gridMeterId: serialOf(4),
    solarPeakW: 0,
    battery: undefined,
    circuit: { name: 'charging point', demandW: 3_200 },
    relays: 'modbus-coils',
  },
  {
    name: 'volta',
    kind: 'battery-home',
    gridMeter: 'modbus-tcp',
    gridMeterId: '34987a0000e5',
    solarPeakW: 0,
    battery: BATTERY,
    circuit: { name: 'battery charger', demandW: 2_000 },
    relays: 'modbus-coils',
  },
]

const line = (index: number, seller: string, buyer: string): StreetLine => ({
  id: `L${index}`,
  seller,
  buyer,
  limitMa: 20_000,
  lossPermille: 4,
  sellerMeterId: serialOf(100 + 2 * index),
  buyerMeterId: serialOf(101 + 2 * index),
})

const FIVE_LINES: readonly StreetLine[] = [
  line(1, 'maple', 'cedar'),
  line(2, 'birch', 'spark'),
  line(3, 'birch', 'volta'),
  line(4, 'volta', 'spark'),
]

/** The five sites, then pairs of a solar home and the home beside it until there are `homes` (5 or more, odd). */
export function streetOf(homes: number): Street {
  const sites = [...FIVE_SITES]
  const lines = [...FIVE_LINES]
  for (let n = sites.length; n + 1 < homes; n += 2) {
    const [seller, buyer] = [`solar${n}`, `home${n + 1}`]
    sites.push(
      { ...FIVE_SITES[0]!, name: seller, gridMeterId: serialOf(1000 + n), relays: 'modbus-coils' },
      { ...FIVE_SITES[2]!, name: buyer, gridMeterId: `E${String(1000 + n).padStart(10, '0')}` },
    )
    lines.push(line(lines.length + 1, seller, buyer))
  }
  return { sites, lines }
}

/** The seed of a site's keys, or a validator's: public knowledge by design, hence refused outside bench configurations. */
export const benchSeed = (seed: number, owner: string): Uint8Array => sha256(utf8(`tieline bench ${seed} ${owner}`))

/** The line ends of one site, in the order in which their contacts are wired to its relay board. */
export interface LineEnd {
  readonly line: StreetLine
  readonly side: 'seller' | 'buyer'
  readonly peer: string
}

export const lineEndsOf = (street: Street, site: string): readonly LineEnd[] =>
  street.lines.flatMap((line): LineEnd[] =>
    line.seller === site
      ? [{ line, side: 'seller', peer: line.buyer }]
      : line.buyer === site
        ? [{ line, side: 'buyer', peer: line.seller }]
        : [],
  )

/** A contact as the wires know it. A buyer's `own` contact belongs to its separable circuit, not to one line. */
export interface WiredContact {
  readonly line: string | undefined
  readonly role: 'upstream' | 'line' | 'own'
  readonly side: 'seller' | 'buyer'
}

/** Channel by channel what a site's relay board switches: own first where there is a circuit, then each line end. */
export function wiredContacts(street: Street, site: StreetSite): readonly WiredContact[] {
  const own: readonly WiredContact[] =
    site.circuit === undefined ? [] : [{ line: undefined, role: 'own', side: 'buyer' }]
  const ends = lineEndsOf(street, site.name).flatMap((end): readonly WiredContact[] =>
    end.side === 'seller'
      ? [
          { line: end.line.id, role: 'upstream', side: end.side },
          { line: end.line.id, role: 'line', side: end.side },
        ]
      : [{ line: end.line.id, role: 'line', side: end.side }],
  )
  return [...own, ...ends]
}
