/**
 * A district: sites on a distribution network, who knows whom, and what each one's configuration says of trading over the
 * grid. Plain data; every site runs the same agent.
 */
import type { EnrolledMeter } from '../../protocol/ledger/tables.ts'
import type { Source } from '../../protocol/trade/contract.ts'
import type { SiteProfile } from '../sim/profile.ts'
import type { OverGrid, Street, StreetLine, StreetSite } from '../sim/street.ts'

/** A line of the distribution network, as its distributor announces it. */
export interface FeederLine {
  readonly id: string
  /** The line that it hangs from. */
  readonly feeder?: string
  /** What it carries in a quarter of an hour. */
  readonly capacityWh: number
  /** For each kWh, in coins. */
  readonly tariff: string
  /** For each kWh beyond that where the slot is wholly reserved, in coins. */
  readonly congestion?: string
}

export interface DistrictSite {
  readonly name: string
  readonly role: string
  readonly node: string
  readonly source?: Source
  /** What its enroller says of its meters. */
  readonly enrolled?: Pick<EnrolledMeter, 'trust' | 'accuracy'>
  readonly solarPeakW?: number
  readonly battery?: { readonly capacityWh: number; readonly powerW: number }
  readonly circuit?: { readonly name: string; readonly demandW: number }
  readonly profile?: SiteProfile
  /** Beside its profile it takes and gives what its deals over the grid say, as a store or a generator does. */
  readonly follows?: true
  /** Sites that it knows; everybody, where left out. */
  readonly peers?: readonly string[]
  /** `grid:` of its configuration, meter and node aside. */
  readonly grid?: Readonly<Record<string, unknown>>
  /** Further sections. */
  readonly sections?: Readonly<Record<string, unknown>>
}

export interface District {
  readonly sites: readonly DistrictSite[]
  /** The distribution network; empty where nobody is asked for capacity. */
  readonly feeders: readonly FeederLine[]
  /** The site that answers for it. */
  readonly distributor?: string
  readonly lines?: readonly StreetLine[]
  readonly slotMs: number
}

/** Serial numbers of the districts' meters, apart from the street's. */
const FIRST_SERIAL = 52_000_000

export const SLOT_MS = 900_000

/** Serial of a site's grid meter, by the place of the site in its district. */
export const gridMeterId = (index: number): string => String(FIRST_SERIAL + index)

export function streetOfDistrict({ sites, distributor, slotMs, lines = [], feeders }: District): Street {
  const everybody = sites.map(({ name }) => name)
  return {
    lines,
    sites: sites.map((site, index): StreetSite => {
      const { name, node, role, source, grid, sections } = site
      const known = (site.peers ?? everybody).filter(peer => peer !== name)
      const over: OverGrid = {
        role,
        node,
        ...(source === undefined ? {} : { source }),
        peers: known,
        ...(distributor === undefined ? {} : { distributor }),
        sections: {
          ...(grid === undefined
            ? {}
            : { grid: { meter: 'grid', node, slot: `${slotMs}ms`, source: source ?? 'conventional', ...grid } }),
          ...(name === distributor
            ? {
                distributor: {
                  lines: Object.fromEntries(
                    feeders.map(({ id, capacityWh, ...line }) => [id, { ...line, capacity: `${capacityWh}Wh` }]),
                  ),
                },
              }
            : {}),
          ...sections,
        },
      }
      return {
        name,
        kind: 'home',
        gridMeter: 'eastron-sdm630',
        gridMeterId: gridMeterId(index),
        solarPeakW: site.solarPeakW ?? 0,
        battery: site.battery,
        circuit: site.circuit,
        relays: 'modbus-coils',
        over,
      }
    }),
  }
}
