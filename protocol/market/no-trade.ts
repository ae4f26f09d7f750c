/**
 * The baseline of no market: each site buys from and sells to its supplier alone. Also the words in which every way of
 * running a district is compared: what each site pays, what it takes in messages, and who learns what of whom.
 */
import { costCeil, costFloor, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

/** What somebody can learn of a site, by records that name it or can be traced to it. */
export const LEARNT = ['identity', 'reading', 'limit', 'quantity', 'flexibility', 'dispatch', 'payment'] as const
export type Learnt = (typeof LEARNT)[number]

export interface Observation {
  readonly observer: 'operator' | 'supplier' | 'distributor' | 'neighbour'
  readonly learns: Learnt
  /** Of how many sites, and by how many records. */
  readonly sites: number
  readonly records: number
}

export interface SlotSite {
  readonly site: string
  /** By its grid meter, with nothing shifted. */
  readonly imported: WattHours
  readonly exported: WattHours
  /** Load that it could leave out of this slot when asked. */
  readonly flexible: WattHours
}

export interface SupplierPrices {
  readonly drawn: Price
  readonly fedIn: Price
}

export interface SiteResult {
  readonly site: string
  /** Negative where the site pays. */
  readonly money: bigint
  readonly traded: WattHours
  /** Load left out by demand response. */
  readonly reduced: WattHours
}

export interface SlotResult {
  readonly sites: readonly SiteResult[]
  /** Sum of the sites' money. */
  readonly money: bigint
  /** Wh that sites sold to sites. */
  readonly traded: WattHours
  /** Drawn from and fed into the grid above the district, after trading and demand response. */
  readonly drawn: WattHours
  readonly fedIn: WattHours
  readonly reduced: WattHours
  readonly messages: number
  readonly observations: readonly Observation[]
  /** Without any one of these processes the slot is not settled. */
  readonly needs: readonly Observation['observer'][]
}

export type SlotFault =
  | { readonly code: 'compare.site-twice'; readonly site: string }
  | { readonly code: 'compare.negative'; readonly site: string; readonly what: string; readonly value: bigint }
  /** More flexible load than import. */
  | { readonly code: 'compare.flexible'; readonly site: string; readonly flexible: bigint; readonly imported: bigint }

export function checkSites(sites: readonly SlotSite[]): SlotFault | undefined {
  const seen = new Set<string>()
  for (const { site, imported, exported, flexible } of sites) {
    if (seen.has(site)) return { code: 'compare.site-twice', site }
    seen.add(site)
    const negative = Object.entries({ imported, exported, flexible }).find(([, value]) => value < 0n)
    if (negative !== undefined) return { code: 'compare.negative', site, what: negative[0], value: negative[1] }
    if (flexible > imported) return { code: 'compare.flexible', site, flexible, imported }
  }
  return undefined
}

/** What the supplier pays for energy sent, less what it takes for energy drawn. */
export const withSupplier = (imported: bigint, exported: bigint, { drawn, fedIn }: SupplierPrices): bigint =>
  costFloor(wattHours(exported), fedIn) - costCeil(wattHours(imported), drawn)

const sumOf = (sites: readonly SlotSite[], what: 'imported' | 'exported'): WattHours =>
  wattHours(sites.reduce((sum, one) => sum + one[what], 0n))

/** Nobody asks anybody for anything: no demand response either. One reading a site goes to the supplier. */
export function tradeNothing(sites: readonly SlotSite[], prices: SupplierPrices): Result<SlotResult, SlotFault> {
  const fault = checkSites(sites)
  if (fault !== undefined) return fail(fault)
  const none = wattHours(0n)
  const results = sites.map(({ site, imported, exported }): SiteResult => {
    return { site, money: withSupplier(imported, exported, prices), traded: none, reduced: none }
  })
  return ok({
    sites: results,
    money: results.reduce((sum, { money }) => sum + money, 0n),
    traded: none,
    drawn: sumOf(sites, 'imported'),
    fedIn: sumOf(sites, 'exported'),
    reduced: none,
    messages: sites.length,
    observations: (['identity', 'reading', 'payment'] as const).map(learns => {
      return { observer: 'supplier', learns, sites: sites.length, records: sites.length }
    }),
    needs: ['supplier'],
  })
}
