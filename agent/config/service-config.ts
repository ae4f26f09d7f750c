/** What a site does for others beside trading: takes less when it is called, calls, nets in a group, oversees the market. */
import type { Level } from '../../protocol/market/demand-response.ts'
import type { SharingRule, Tariff } from '../../protocol/market/sharing.ts'
import type { Power, Price } from '../../protocol/quantity.ts'

export interface DemandResponseConfig {
  /** What may stand still, by name. */
  readonly loads: Readonly<
    Record<
      string,
      {
        /** What it takes while it runs. */
        readonly power: Power
        /** What going without a kWh of it is worth; it stands still for more. */
        readonly comfort: Price
        /** It answers calls of this level and above. */
        readonly level: Level
        /** For so many quarters of an hour of one call. */
        readonly longest: number
      }
    >
  >
  /** How far the place's clock is ahead of UTC: workdays and weekends are by it, for the site and for who calls it alike. */
  readonly aheadMs: number
}

export interface AggregatorConfig {
  /** Serial of the grid meter of each peer that may be called. */
  readonly customers: Readonly<Record<string, string>>
  readonly aheadMs: number
}

export interface CommunityConfig {
  readonly group: string
  /** This site founds the group where there is none yet; its account needs the ledger's leave. */
  readonly found: boolean
  readonly rule: SharingRule
  /** What energy costs and is worth outside of the group. */
  readonly tariff: Tariff
  /** The price that the group's orders are expected to be filled at; the middle of the tariff where nobody says. */
  readonly orderPrice?: Price
  /** Serial of the grid meter of each other member, by its peer name. */
  readonly members: Readonly<Record<string, string>>
}

export interface RegulatorConfig {
  /** Kept in force on the ledger. */
  readonly band?: { readonly floor: Price; readonly ceiling: Price }
  /** Serials of meters that are kept from new contracts. */
  readonly suspend: readonly string[]
}
