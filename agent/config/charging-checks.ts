/** What fuses and chargers must have in common with each other and with the lines and meters of the site. */
import type { ChargingConfig } from './charging-config.ts'
import type { SiteConfig } from './site-config.ts'
import type { Path } from './yaml.ts'

/** A meter that is to be fresh within 3 s is read so often that one lost answer does no harm. */
const SLOWEST_MS = 1000
/** From a charger up to the connection: a house has three or four. */
const FUSES_ABOVE_MOST = 16

export function checkCharging(
  config: SiteConfig,
  report: (path: Path, what: string, hint?: string) => void,
  refer: (path: Path, kind: string, name: string, table: object) => void,
  claimUnit: (path: Path, line: string, unit: number) => void,
): void {
  const { chargers, fuses } = config.charging ?? { chargers: {}, fuses: {} }
  const metered = new Map<string, string>()
  const restingMeters = new Set(config.rest === undefined ? [] : config.directLines.map(({ meter }) => meter))
  for (const [name, { under, meter, ratingMa, othersMa }] of Object.entries(fuses)) {
    const at = (...rest: Path): Path => ['fuses', name, ...rest]
    if (othersMa.some((ma, phase) => ma > ratingMa[phase]!)) report(at('others'), 'is above its own rating')
    if (meter !== undefined) {
      refer(at('meter'), 'meter', meter, config.meters)
      const other = metered.get(meter)
      if (other !== undefined)
        report(at('meter'), `is also the meter of ${other}`, 'it shows what flows through one of them')
      metered.set(meter, name)
      const every = config.meters[meter]?.everyMs
      if (every !== undefined && every > SLOWEST_MS)
        report(
          at('meter'),
          `reads ${meter} every ${every} ms`,
          `every: 1s under meters.${meter}, or the guard is blind in between`,
        )
      if (restingMeters.has(meter))
        report(at('meter'), `reads ${meter}, which rests with its line`, 'name another, or leave rest out')
    }
    if (under === undefined) continue
    refer(at('under'), 'fuse', under, fuses)
    const { loop, names } = pathUp(fuses, name)
    if (names.length > FUSES_ABOVE_MOST) report(at('under'), `hangs from more than ${FUSES_ABOVE_MOST} fuses`)
    else if (loop)
      report(at('under'), 'leads back to itself', 'one fuse is the connection to the grid and hangs from none')
  }
  const failsafe = new Map<string, number[]>(Object.keys(fuses).map(name => [name, [0, 0, 0]]))
  const lines = new Map<string, string>()
  const modules = new Map<string, string>()
  const counting = new Map(config.directLines.map(({ id, meter }) => [meter, `direct line ${id}`]))
  const meterOn = new Map(Object.entries(config.meters).map(([meter, { line }]) => [line, meter]))
  const ofSite = new Set(config.brokers)
  const behind = chargersBehind(config.charging)
  for (const [name, charger] of Object.entries(chargers)) {
    const at = (...rest: Path): Path => ['chargers', name, ...rest]
    const { controller, line, unit, fuse, mostMa, conductors, failsafeMa, mode, counts, station } = charger
    if (line !== undefined) {
      refer(at('line'), 'line', line, config.lines)
      if (unit !== undefined) claimUnit(at('unit'), line, unit)
      else {
        const other = lines.get(line) ?? meterOn.get(line)
        if (other !== undefined) report(at('line'), `is also the line of ${other}`, `a ${controller} needs its own`)
      }
      lines.set(line, name)
    }
    if (station !== undefined) {
      for (const key of ['evse', 'limits'] as const) {
        const module = `${key} ${station.broker} ${station[key]}`
        const other = modules.get(module)
        if (other !== undefined)
          report(at(key), `is also that of ${other}`, 'each charging point has modules of its own')
        modules.set(module, name)
      }
      if (ofSite.has(station.broker))
        report(at('broker'), 'is one of the site, where others publish', 'they could set its limits: name its own')
    }
    refer(at('fuse'), 'fuse', fuse, fuses)
    if (counts !== undefined) {
      refer(at('meter'), 'meter', counts.meter, config.meters)
      const fuseOf = metered.get(counts.meter)
      const alone = fuseOf !== undefined && behind.get(fuseOf)?.join() === name
      const shared = alone && fuses[fuseOf]!.othersMa.every(ma => ma === 0) ? undefined : fuseOf
      const other =
        counts.meter === config.grid?.meter
          ? 'the grid connection'
          : (counting.get(counts.meter) ?? (shared && `the fuse ${shared}, which feeds more`))
      if (other !== undefined)
        report(at('meter'), `is also the meter of ${other}`, 'it must count what this charger gives, and nothing else')
      counting.set(counts.meter, name)
      if (config.keys.kind === 'seed' || config.keys.ocmf === undefined)
        report(
          at('meter'),
          'needs keys.ocmf, which signs its sessions',
          'name it beside the other key files, or leave meter and tariff out',
        )
    }
    const above = pathUp(fuses, fuse).names
    for (const up of above) {
      const { ratingMa } = fuses[up]!
      const small = conductors.find(phase => mostMa > ratingMa[phase]!)
      if (small !== undefined && up === fuse)
        report(
          at('most'),
          `is above the rating of ${up} on L${small + 1}`,
          'it can be no more than its own fuse carries',
        )
      for (const phase of conductors) failsafe.get(up)![phase]! += failsafeMa
    }
    if (above.length > 0 && !above.some(up => fuses[up]!.meter !== undefined) && mode === 'surplus')
      report(at('mode'), 'is surplus, but no fuse above it has a meter')
    if (mode === 'deal' && config.grid === undefined) report(at('mode'), 'is deal, but the site has no grid section')
  }
  for (const [name, sums] of failsafe) {
    const { ratingMa, othersMa } = fuses[name]!
    const phase = sums.findIndex((ma, n) => ma > 0 && othersMa[n]! <= ratingMa[n]! && ma + othersMa[n]! > ratingMa[n]!)
    if (phase >= 0)
      report(
        ['fuses', name, 'rating'],
        `is below the failsafe currents behind it on L${phase + 1}, ${sums[phase]} mA together`,
        'chargers go there by themselves when nobody guards the fuse',
      )
  }
}

/** Of the chargers behind each fuse the first two: nobody asks of more than whether there is one alone. */
function chargersBehind(charging: ChargingConfig | undefined): ReadonlyMap<string, readonly string[]> {
  const behind = new Map<string, string[]>()
  for (const [name, { fuse }] of Object.entries(charging?.chargers ?? {}))
    for (const up of pathUp(charging!.fuses, fuse).names) {
      const there = behind.get(up) ?? []
      behind.set(up, there)
      if (there.length < 2) there.push(name)
    }
  return behind
}

/** The fuses from one up to the connection, as far as they are defined, and at most one more than there may be. */
function pathUp(
  fuses: ChargingConfig['fuses'],
  name: string,
): { readonly names: readonly string[]; readonly loop: boolean } {
  const names: string[] = []
  let at: string | undefined = name
  while (at !== undefined && Object.hasOwn(fuses, at) && names.length <= FUSES_ABOVE_MOST) {
    if (names.includes(at)) return { names, loop: true }
    names.push(at)
    at = fuses[at]!.under
  }
  return { names, loop: false }
}
