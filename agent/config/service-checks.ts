/** What the services of a site must have in common with the rest of its configuration. */
import type { SiteConfig } from './site-config.ts'
import type { Path } from './yaml.ts'

export function checkServices(
  config: SiteConfig,
  report: (path: Path, what: string, hint?: string) => void,
  refer: (path: Path, kind: string, name: string, table: object) => void,
): void {
  const { grid, demandResponse, aggregator, community, regulator } = config
  /** Baselines and shares are of the grid meter, under the name that the ledger has it. */
  const needsMeter = (section: string) => {
    if (grid === undefined) return report([section], 'needs a grid section', 'the grid meter stands there')
    const meter = config.meters[grid.meter]
    if (meter !== undefined && meter.id === undefined)
      report([section], `needs the serial of ${grid.meter}`, `write its id under meters.${grid.meter}`)
  }
  if (demandResponse !== undefined) needsMeter('demand_response')
  if (community !== undefined) {
    needsMeter('community')
    for (const peer of Object.keys(community.members)) refer(['community', 'members', peer], 'peer', peer, config.peers)
    const { retail, feedIn } = community.tariff
    if (community.orderPrice !== undefined && (community.orderPrice > retail || community.orderPrice < feedIn))
      report(['community', 'order_price'], 'is outside of the tariff', 'no order would ever be worth it')
  }
  if (aggregator !== undefined) {
    for (const peer of Object.keys(aggregator.customers))
      refer(['aggregator', 'customers', peer], 'peer', peer, config.peers)
  }
  if (regulator !== undefined && config.role !== 'regulator')
    report(['regulator'], 'is for a site whose role is regulator')
}
