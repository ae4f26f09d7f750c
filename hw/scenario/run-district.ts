/** A district in virtual time: both ledgers, every site's agent, and the wires that say what really flowed. */
import type { Agent } from '../../agent/compose.ts'
import type { World } from '../../agent/world.ts'
import type { Log } from '../../drivers/ports.ts'
import type { Energy } from '../../protocol/quantity.ts'
import { faultLine, ok } from '../../protocol/result.ts'
import { createWitness, type Witness } from '../bench/judge.ts'
import { awaited } from '../sim/run-seed.ts'
import { createSimPorts, gridNodeUrl, type SimPorts } from '../sim/sim-ports.ts'
import type { StreetPace } from '../sim/site-config.ts'
import { openStreet, type RunningStreet } from '../sim/street-run.ts'
import { type District, streetOfDistrict } from './district.ts'
import { type DistrictLedgers, openLedgers } from './district-ledgers.ts'
import { dealsOf, reservationsOf } from './ledger-view.ts'
import { createPlant } from './plant.ts'

/** A quarter of an hour is a long time: meters and ledgers are looked at every ten seconds, and the boundary readings when due. */
const PACE: StreetPace = {
  gridEveryMs: 10_000,
  telegramEveryMs: 5_000,
  holdMs: 10_000,
  followMs: 5_000,
  pauseMs: 0,
  restMs: undefined,
}
const BLOCK_MS = 2_000
const LOOK_MS = 5_000
/** Between two integrations of the wires while no machine runs. */
const SUSPENDED_WIRES_MS = 60_000
/** A deal agreed on at the last moment starts within the lead, lasts a slot, and has its windows and a reservation's claim behind it. */
const WIND_DOWN_MS = 2_400_000

export interface DistrictSettings {
  readonly seed: number
  /** Real signatures instead of the simulator's stub. */
  readonly realSigner?: boolean
  readonly brokers?: number
  readonly pace?: Partial<StreetPace>
  readonly blockMs?: number
  readonly logOf?: (site: string) => Log
  /** What follows the deals and calls of a site. */
  readonly dispatchOf?: (site: string) => World['dispatch']
  /** Sites that do not start with the others. */
  readonly absent?: readonly string[]
}

/** What a site's grid meter had counted at a moment, by the wires. */
export interface Counted {
  readonly imported: Energy
  readonly exported: Energy
}

export interface DistrictRun {
  readonly district: District
  readonly seed: number
  readonly ports: SimPorts
  readonly running: RunningStreet
  readonly ledgers: DistrictLedgers
  readonly witness: Witness
  /** By site, then by the wall time of a slot's boundary. */
  readonly counted: ReadonlyMap<string, ReadonlyMap<number, Counted>>
  agent(site: string): Agent
  advance(ms: number): Promise<void>
  /** Time in which no machine runs, neither agents nor ledgers; what flows is counted. Nothing of a deal may be due in it. */
  suspend(ms: number): void
  /** Until it holds, at most so long; whether it does. */
  until(holds: () => boolean, atMostMs: number): Promise<boolean>
  /** The site's agent dies at once, and is started again that much later. */
  leave(site: string, awayMs: number): Promise<void>
  /** Nothing new is begun; until everything is settled on both ledgers. */
  windDown(): Promise<void>
  stop(): Promise<void>
}

export async function openDistrict(district: District, settings: DistrictSettings): Promise<DistrictRun> {
  const { seed, logOf = () => () => {} } = settings
  const street = streetOfDistrict(district)
  const ports = createSimPorts({
    seed,
    sites: street.sites,
    brokers: settings.brokers ?? 1,
    realSigner: settings.realSigner === true,
    pace: { ...PACE, ...settings.pace },
    logOf,
    ...(settings.dispatchOf === undefined ? {} : { dispatchOf: settings.dispatchOf }),
  })
  const { time, clock } = ports
  const ledgers = await openLedgers(district, seed, ports, settings.blockMs ?? BLOCK_MS)
  ports.serveLedger(ledgers.energy)
  if (ledgers.distribution !== undefined) ports.serveLedger(ledgers.distribution, 'distribution')
  ledgers.energy.start()
  ledgers.distribution?.start()
  const witness = createWitness()
  const plants = new Map(
    district.sites.flatMap(({ name, profile, follows }) =>
      follows === true && profile !== undefined ? [[name, createPlant(profile)] as const] : [],
    ),
  )
  const profiles = new Map(
    district.sites.flatMap(({ name, profile }) =>
      profile === undefined ? [] : [[name, plants.get(name)?.profile ?? profile] as const],
    ),
  )
  const over = ledgers.distribution
  const opened = await openStreet(street, seed, profiles, ledgers.energy, {
    ...ports,
    ...(over === undefined
      ? {}
      : { distribution: { producer: over, primary: gridNodeUrl(0), witnesses: [gridNodeUrl(1), gridNodeUrl(2)] } }),
    onAgent(name, agent) {
      witness.attend(name, agent)
      if (agent.grid !== undefined) plants.get(name)?.follow(agent.grid)
    },
  })
  if (!opened.ok) throw new Error(faultLine(opened.fault))
  const running = opened.value
  for (const { name } of street.sites) {
    if (settings.absent?.includes(name)) continue
    const started = await awaited(time, running.start(name))
    if (!started.ok) throw new Error(`${name} does not start: ${faultLine(started.fault)}`)
  }

  const counted = new Map<string, Map<number, Counted>>(street.sites.map(({ name }) => [name, new Map()]))
  function count(): void {
    running.wires.advance()
    const at = clock.now()
    for (const [site, moments] of counted) {
      const { imported, exported } = running.wires.gridMeter(site)
      moments.set(at, { imported, exported })
    }
  }
  count()

  async function advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; ) {
      const toBoundary = district.slotMs - (clock.now() % district.slotMs)
      const step = Math.min(left, toBoundary)
      await time.advance(step)
      left -= step
      if (clock.now() % district.slotMs === 0) count()
    }
  }

  function suspend(ms: number): void {
    for (let left = ms; left > 0; ) {
      const toBoundary = district.slotMs - (clock.now() % district.slotMs)
      const step = Math.min(left, toBoundary, SUSPENDED_WIRES_MS)
      time.suspend(step)
      left -= step
      if (clock.now() % district.slotMs === 0) count()
      else running.wires.advance()
    }
  }

  async function until(holds: () => boolean, atMostMs: number): Promise<boolean> {
    for (let waited = 0; !holds(); waited += LOOK_MS) {
      if (waited >= atMostMs) return false
      await advance(LOOK_MS)
    }
    return true
  }

  const run: DistrictRun = {
    district,
    seed,
    ports,
    running,
    ledgers,
    witness,
    counted,
    agent(site) {
      const agent = running.agents.get(site)
      if (agent === undefined) throw new Error(`${site} does not run`)
      return agent
    },
    advance,
    suspend,
    until,
    async leave(site, awayMs) {
      ports.sites.get(site)!.crash('now', () => running.forget(site))
      await advance(awayMs)
      const started = await awaited(time, running.start(site))
      if (!started.ok) throw new Error(`${site} does not come back: ${faultLine(started.fault)}`)
    },
    async windDown() {
      for (const agent of running.agents.values()) {
        agent.trading.windDown()
        agent.parts.windDown()
      }
      await until(() => dealsOf(run).every(({ deal }) => deal.state !== 'locked'), WIND_DOWN_MS)
      await until(() => reservationsOf(run).every(([, { state }]) => state !== 'held'), WIND_DOWN_MS)
      // The last settlement is proven to the agents, too.
      await advance(4 * LOOK_MS)
    },
    async stop() {
      await awaited(time, Promise.all([running.stop(), ledgers.distribution?.stop()]))
    },
  }
  return run
}

/** A journal as it lies on a simulated disk, for who reads it afterwards. */
export const journalOf = (ports: SimPorts) => async (site: string) =>
  ok(ports.sites.get(site)!.disks.get(`${site}/journal`)!.mount())
