/** What the settings of trading over the grid must have in common with the rest of a site's configuration. */
import type { SiteConfig } from './site-config.ts'
import type { Path } from './yaml.ts'

export function checkGrid(
  config: SiteConfig,
  report: (path: Path, what: string, hint?: string) => void,
  refer: (path: Path, kind: string, name: string, table: object) => void,
): void {
  const { grid, distribution, distributor, storage, battery, carPark, parkCar } = config
  if (storage !== undefined && grid === undefined)
    report(['storage'], 'needs a grid section', 'node and meter of the store stand there')
  for (const [section, given] of Object.entries({ car_park: carPark, park_car: parkCar }))
    if (given !== undefined && grid === undefined)
      report([section], 'needs a grid section', 'node, meter and slots of the car park stand there')
  if (parkCar !== undefined) {
    refer(['park_car', 'station'], 'peer', parkCar.station, config.peers)
    if (battery === undefined)
      report(['park_car'], 'needs a battery section', 'nothing else says what the car can take')
    if (carPark !== undefined)
      report(['park_car'], 'stands beside car_park', 'a car does not hold the auction it is in')
  }
  if (grid !== undefined) {
    refer(['grid', 'meter'], 'meter', grid.meter, config.meters)
    const line = config.directLines.find(({ meter }) => meter === grid.meter)
    if (line !== undefined)
      report(['grid', 'meter'], `is the line meter of ${line.id}`, 'over the grid the grid meter counts')
    const otherwise = grid.store ?? carPark ?? parkCar ?? config.demandResponse ?? config.community
    if (grid.sell === undefined && grid.buy === undefined && otherwise === undefined && config.role !== 'storage')
      report(['grid'], 'must have sell or buy, else nothing is traded')
    if (grid.leadMs >= grid.slotMs && grid.way === 'auction')
      report(['grid', 'lead'], 'is not below the slot', 'each slot has a book of its own, one open at a time')
    for (const [index, peer] of grid.refuse.entries()) refer(['grid', 'refuse', index], 'peer', peer, config.peers)
    if (grid.store !== undefined) {
      refer(['grid', 'store', 'peer'], 'peer', grid.store.peer, config.peers)
      if (grid.store.storePrice > grid.store.returnPrice)
        report(['grid', 'store', 'store_price'], 'is above the return price', 'a store lives from the difference')
    }
    if (grid.pseudonyms !== undefined) {
      refer(['grid', 'pseudonyms', 'registrar'], 'peer', grid.pseudonyms.registrar, config.peers)
      if (grid.way !== 'auction')
        report(['grid', 'pseudonyms'], 'is for orders of the call auction', 'a bid or a request is somebody’s by name')
      if (grid.pseudonyms.feeder === grid.node)
        report(['grid', 'pseudonyms', 'feeder'], 'is the node of this site alone', 'it would say who orders')
    }
    if (grid.strict && Object.keys(grid.premium).length === 0)
      report(['grid', 'strict'], 'is true, but premium names no source', 'nothing could ever be bought')
  }
  if (distribution !== undefined) {
    if (distribution.chain === config.ledger?.chain)
      report(['distribution', 'chain'], 'is the energy ledger itself', 'lines have a ledger of their own')
    if (distribution.distributor === config.site) {
      if (distributor === undefined)
        report(['distribution', 'distributor'], 'is this site itself, which has no distributor section')
    } else refer(['distribution', 'distributor'], 'peer', distribution.distributor, config.peers)
  }
  if (distributor !== undefined) {
    if (distribution?.distributor !== config.site)
      report(['distributor'], 'is for the site that distribution names as distributor')
    const looping = inLoops(distributor.lines)
    for (const [name, { feeder }] of Object.entries(distributor.lines)) {
      if (feeder === undefined) continue
      refer(['distributor', 'lines', name, 'feeder'], 'line', feeder, distributor.lines)
      if (looping.has(name)) report(['distributor', 'lines', name, 'feeder'], 'hangs from this line itself')
    }
  }
}

/** Lines that hang from themselves, over however many others; each line is looked at once. */
function inLoops(lines: Readonly<Record<string, { readonly feeder?: string }>>): ReadonlySet<string> {
  const looping = new Set<string>()
  const seen = new Set<string>()
  for (const start of Object.keys(lines)) {
    const way: string[] = []
    let at: string | undefined = start
    for (; at !== undefined && Object.hasOwn(lines, at) && !seen.has(at); at = lines[at]!.feeder) {
      seen.add(at)
      way.push(at)
    }
    const first = at === undefined ? -1 : way.indexOf(at)
    if (first >= 0) for (const name of way.slice(first)) looping.add(name)
  }
  return looping
}
