/** One street on this machine: opened, watched, wound down and judged. */
import type { Agent, Seams } from '../../agent/compose.ts'
import type { Clock, Log } from '../../drivers/ports.ts'
import { makeTemporaryFolder, removeFolder } from '../../drivers/store/folder.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { SiteProfile } from '../sim/profile.ts'
import { streetOf } from '../sim/street.ts'
import { createStreetLedger, openStreet, type RunningStreet } from '../sim/street-run.ts'
import { openRealPorts, type RealPorts } from './real-ports.ts'

export interface BenchSettings {
  readonly speed: number
  readonly seed: number
  readonly brokers: number
  readonly brokerUrls: readonly string[]
  readonly profiles: ReadonlyMap<string, SiteProfile>
  /** A site's log; `clock` is the street's. */
  readonly logOf: (site: string, clock: Clock) => Log
  readonly onBug: (error: unknown) => void
  /** Sites that run as processes of their own; the caller starts them. */
  readonly childSites?: readonly string[]
  /** Where an agent lies, or has a defence taken out. */
  readonly seamsOf?: (site: string) => Seams | undefined
  readonly onAgent?: (site: string, agent: Agent) => void
}

export interface Bench {
  readonly running: RunningStreet
  readonly ports: RealPorts
  readonly data: string
  readonly seed: number
  close(): Promise<void>
}

/** The street with every agent started, but those that are to run as processes of their own. */
export async function openBench(settings: BenchSettings): Promise<Result<Bench>> {
  const folder = makeTemporaryFolder('tieline-bench-')
  if (!folder.ok) return folder
  const data = folder.value
  const street = streetOf(5)
  const sites = street.sites.map(({ name }) => name)
  const opened = await openRealPorts({ ...settings, sites, data })
  if (!opened.ok) {
    removeFolder(data)
    return opened
  }
  const ports = opened.value
  const failed = async <T extends { readonly ok: false }>(result: T, running?: RunningStreet): Promise<T> => {
    await running?.stop()
    await ports.close()
    removeFolder(data)
    return result
  }

  const producer = createStreetLedger(street, settings.seed, ports)
  await producer.produce()
  const served = await ports.serveLedger(producer)
  if (!served.ok) return failed(served)
  producer.start()
  const made = await openStreet(street, settings.seed, settings.profiles, producer, {
    ...ports,
    ...(settings.onAgent === undefined ? {} : { onAgent: settings.onAgent }),
  })
  if (!made.ok) return failed(made)
  const running = made.value
  for (const site of sites.filter(name => !settings.childSites?.includes(name))) {
    const started = await running.start(site, settings.seamsOf?.(site))
    if (!started.ok) return failed(started, running)
  }
  return ok({
    running,
    ports,
    data,
    seed: settings.seed,
    async close() {
      await running.stop()
      await ports.close()
      removeFolder(data)
    },
  })
}

/** Where a site of this bench keeps its journal. */
export const journalFolder = ({ data }: Pick<Bench, 'data'>, site: string): string => `${data}/${site}/journal`
