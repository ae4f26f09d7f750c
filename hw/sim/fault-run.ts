/** One named fault on the simulated street: struck and judged by the same code as on the bench, repeated by its seed. */

import type { World } from '../../agent/world.ts'
import type { Disk, Log } from '../../drivers/ports.ts'
import { fail, faultLine, ok } from '../../protocol/result.ts'
import type { MakeFault } from '../bench/fault-tools.ts'
import { FAULTS } from '../bench/faults.ts'
import type { FaultName, FaultOutcome } from '../bench/result.ts'
import { joinSeams } from '../bench/seams.ts'
import { noPortFaults, type PortFaults, type Stage, struckWorld } from '../bench/stage.ts'
import { awaited } from './run-seed.ts'
import { createSimPorts, type SimPorts } from './sim-ports.ts'
import { BRISK } from './site-config.ts'
import { streetOf } from './street.ts'
import { createStreetLedger, openStreet, type RunningStreet } from './street-run.ts'

/** A fault waits for two windows at the most, and for their settlement. */
const STRIKE_MS = 1_200_000

export interface FaultRun {
  readonly name: FaultName
  readonly seed: number
  readonly brokers?: number
  /** Takes out the one defence that the fault is met with. */
  readonly defenceOff: boolean
  readonly logOf?: (site: string) => Log
}

/** `as_expected` is false, too, when the wires or the ledger's audit saw anything wrong. */
export async function runFault({ name, ...rest }: FaultRun): Promise<FaultOutcome> {
  return { name, ...(await runCase(FAULTS[name], rest)) }
}

/** A fault that has no name of its own. */
export async function runCase(
  make: MakeFault,
  { seed, defenceOff, brokers = 1, logOf = () => () => {} }: Omit<FaultRun, 'name'>,
): Promise<Omit<FaultOutcome, 'name'>> {
  const street = streetOf(5)
  const plain = createSimPorts({ seed, sites: street.sites, brokers, realSigner: true, pace: BRISK, logOf })
  const struck = new Map<string, PortFaults>(
    [...plain.sites].map(([site, { primary, witnesses }]) => [site, noPortFaults(primary, witnesses)]),
  )
  /** The disks that agents have mounted now: a second mount would take them away. */
  const mounts = new Map<string, Disk>()
  const ports: SimPorts = {
    ...plain,
    worldOf: (site, config, devices) => {
      const world = plain.worldOf(site, config, devices)
      const kept: World = {
        ...world,
        openDisk: async folder => {
          const disk = await world.openDisk(folder)
          if (disk.ok) mounts.set(folder, disk.value)
          return disk
        },
      }
      return struckWorld(kept, struck.get(site.name)!)
    },
  }
  const { time } = ports
  const producer = createStreetLedger(street, seed, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const opened = await openStreet(street, seed, new Map(), producer, ports)
  if (!opened.ok) throw new Error(faultLine(opened.fault))
  const running = opened.value
  const stage = stageOf(running, ports, struck, mounts, seed)
  const one = make(defenceOff, () => stage)
  for (const { name: site } of street.sites) {
    if (site === one.childSite) continue
    const started = await awaited(time, running.start(site, joinSeams([one.seamsOf?.(site) ?? {}])))
    if (!started.ok) throw new Error(`${site} does not start: ${faultLine(started.fault)}`)
  }
  const { outcome, asExpected } = await awaited(time, one.strike(), STRIKE_MS)
  const audit = producer.audit()
  const wrong = [
    ...running.violations.map(({ kind, place }) => `${kind} at ${place}`),
    ...audit.problems.map(faultLine),
    ...(audit.money.residue === 0n ? [] : [`money residue ${audit.money.residue}`]),
  ]
  await awaited(time, Promise.resolve(one.end?.()))
  await awaited(time, running.stop())
  return {
    outcome: [outcome, ...wrong].join('; '),
    as_expected: asExpected && wrong.length === 0,
  }
}

function stageOf(
  running: RunningStreet,
  ports: SimPorts,
  struck: ReadonlyMap<string, PortFaults>,
  mounts: ReadonlyMap<string, Disk>,
  seed: number,
): Stage {
  const { clock, timers, verifier, signer, simBrokers } = ports
  const folderOf = (site: string, part: string) => `${ports.dataOf(site)}/${part}`
  const found = (disk: Disk | undefined, name: string) =>
    disk === undefined ? fail({ code: 'disk.missing', name }) : ok(disk)
  return {
    running,
    seed,
    clock,
    timers,
    verifier,
    signer,
    brokers: simBrokers.map(broker => ({
      stop: async () => broker.setUp(false),
      restart: async () => broker.setUp(true),
    })),
    struck: site => struck.get(site)!,
    async live(site) {
      const agent = await running.start(site)
      if (!agent.ok) return agent
      return ok({
        boot: agent.value.bootCount,
        kill: async () => {
          ports.sites.get(site)!.crash('now', () => running.forget(site))
          running.forget(site)
        },
        stop: () => running.end(site),
      })
    },
    stateOf: async site => found(mounts.get(folderOf(site, 'state')), 'state'),
    // Its agent is dead or has ended.
    journalOf: async site => found(ports.sites.get(site)?.disks.get(folderOf(site, 'journal'))?.mount(), 'journal'),
    loseJournal: site => ports.sites.get(site)!.loseDisk(folderOf(site, 'journal')),
  }
}
