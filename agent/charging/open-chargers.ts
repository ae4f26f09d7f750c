/** Part of the composition root: opens the chargers of a site on its lines, and puts its fuses and chargers into the guard's words. */
import { openAbbTerraCharger } from '../../drivers/chargers/abb-terra.ts'
import { openAlfenCharger } from '../../drivers/chargers/alfen.ts'
import { openAmperfiedCharger } from '../../drivers/chargers/amperfied.ts'
import { openEverestCharger } from '../../drivers/chargers/everest.ts'
import { openEvseWbCharger } from '../../drivers/chargers/evse-wb.ts'
import { openOpenEvseCharger } from '../../drivers/chargers/openevse.ts'
import { openPhoenixCharger } from '../../drivers/chargers/phoenix-evcc.ts'
import type { ModbusMaster } from '../../drivers/modbus/master.ts'
import type { Bus, Charger, Clock, Entropy, Line, Log, Timers } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { ChargerTraits } from '../../protocol/safety/charger-hold.ts'
import type { ChargerConfig, FuseConfig } from '../config/charging-config.ts'
import type { SiteSpec } from './state.ts'

/** A look waits for a cycle of a station's energy manager (1 s), a limit for two; one of each may fail. */
const STATION_REACH_MS = 6000

export interface ChargerLines {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly entropy: Entropy
  /** The one master of a line that meters may be on as well. */
  masterOn(line: string): Promise<ModbusMaster>
  lineOf(line: string): Line
  /** Answers although the broker is not there; the chargers on it are out of reach until it is. */
  openBroker(broker: string): Promise<Bus>
}

export interface OpenedChargers {
  readonly site: SiteSpec
  readonly chargers: ReadonlyMap<string, Charger>
  readonly meters: ReadonlyMap<string, string>
  close(): Promise<void>
}

export async function openChargers(
  fuses: Readonly<Record<string, FuseConfig>>,
  configs: Readonly<Record<string, ChargerConfig>>,
  around: ChargerLines,
): Promise<Result<OpenedChargers>> {
  const chargers = new Map<string, Charger>()
  const buses = new Map<string, Bus>()
  const close = async () => {
    await Promise.all([...chargers.values()].map(charger => charger.close()))
    for (const bus of buses.values()) await bus.close()
  }
  async function busOn(broker: string): Promise<Bus> {
    const bus = buses.get(broker) ?? (await around.openBroker(broker))
    buses.set(broker, bus)
    return bus
  }
  for (const [name, config] of Object.entries(configs)) {
    const opened = await openCharger(name, config, { ...around, busOn })
    if (!opened.ok) {
      await close()
      return opened
    }
    chargers.set(name, opened.value)
  }
  const site: SiteSpec = {
    fuses: new Map(
      Object.entries(fuses).map(([name, { under, ratingMa, meter, othersMa }]) => [
        name,
        { name, under, ratingMa, metered: meter !== undefined, othersMa },
      ]),
    ),
    chargers: Object.entries(configs).map(([name, config]) => {
      const charger = chargers.get(name)!
      const { priority, mode, conductors } = config
      // A station speaks by itself: nobody waits for its line.
      const line = config.line ?? `charger ${name}`
      const switchesPhases = charger.setPhases !== undefined && conductors.length === 3
      return { traits: traitsOf(charger, config), priority, mode, switchesPhases, line }
    }),
  }
  const meters = Object.entries(fuses).flatMap(([name, { meter }]) =>
    meter === undefined ? [] : ([[name, meter]] as const),
  )
  return ok({ site, chargers, meters: new Map(meters), close })
}

function traitsOf(charger: Charger, { fuse, conductors, powerOnMa, station }: ChargerConfig): ChargerTraits {
  const { name, mostMa, onAgentSilence } = charger
  const silence = onAgentSilence.kind === 'falls-back' ? onAgentSilence : undefined
  return {
    ...{ name, fuse, conductors, mostMa, powerOnMa },
    // A controller can change its step while it runs.
    get stepMa() {
      return charger.stepMa
    },
    failsafeMa: silence?.toMa ?? 0,
    silenceMs: silence?.withinMs,
    ...(station === undefined ? {} : { reachMs: STATION_REACH_MS }),
  }
}

async function openCharger(
  name: string,
  config: ChargerConfig,
  around: ChargerLines & { busOn(broker: string): Promise<Bus> },
): Promise<Result<Charger>> {
  const { clock, timers, log } = around
  const { controller, line, unit, station: place, id, mostMa, failsafeMa, watchdogMs, allowUnsupervised } = config
  const named = { name, mostMa, clock, log, ...(id === undefined ? {} : { identity: id }) }
  const common = watchdogMs === undefined ? named : { ...named, watchdogMs }
  if (place !== undefined) {
    const bus = await around.busOn(place.broker)
    // Answers to an earlier run are not for this one.
    const src = `tieline-${toHex(around.entropy.bytes(8))}`
    const { evse, limits } = place
    const watchdogS = watchdogMs === undefined ? {} : { watchdogS: watchdogMs / 1000 }
    return openEverestCharger({ ...named, bus, timers, evse, limits, src, failsafeMa, ...watchdogS })
  }
  if (controller === 'openevse')
    return openOpenEvseCharger({ ...common, line: around.lineOf(line!), timers, failsafeMa })
  const station = { ...common, master: await around.masterOn(line!), unit: unit! }
  if (controller === 'evse-wb') return openEvseWbCharger({ ...station, allowUnsupervised })
  if (controller === 'phoenix') return openPhoenixCharger({ ...station, allowUnsupervised })
  if (controller === 'amperfied') return openAmperfiedCharger({ ...station, failsafeMa })
  if (controller === 'abb-terra') return openAbbTerraCharger(station)
  return openAlfenCharger({ ...station, failsafeMa })
}
