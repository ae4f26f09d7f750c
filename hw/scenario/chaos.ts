/** Each process of a district killed in turn, on a fresh district each time: do those that are left still close deals and settle them? */
import type { District } from './district.ts'
import { dealsOf } from './ledger-view.ts'
import { type DistrictRun, type DistrictSettings, openDistrict } from './run-district.ts'

export interface Killed {
  readonly process: string
  /** Deals of others, agreed after the kill and settled. */
  readonly settledAfter: number
}

export interface ChaosSettings extends DistrictSettings {
  /** When the process dies, and how long those that are left have. */
  readonly killAfterMs: number
  readonly patienceMs: number
  /** Sites that need not die, because another one that is like them in everything but its name does. */
  readonly alike?: readonly string[]
}

interface Victim {
  readonly process: string
  kill(run: DistrictRun): void
}

/** Every process that a district runs on besides the machine itself. */
function victimsOf(district: District, brokers: number): readonly Victim[] {
  const node = (process: string, of: 'primary' | 'witnesses'): Victim => ({
    process,
    kill: run => {
      for (const site of run.ports.sites.values()) site[of].down = true
    },
  })
  return [
    ...Array.from(
      { length: brokers },
      (_, n): Victim => ({
        process: `broker ${n + 1}`,
        kill: run => run.ports.simBrokers[n]!.setUp(false),
      }),
    ),
    node("the ledgers' first node", 'primary'),
    ...district.sites.map(
      ({ name }): Victim => ({
        process: name,
        kill: run => run.ports.sites.get(name)!.crash('now', () => run.running.forget(name)),
      }),
    ),
  ]
}

export async function killEach(
  district: District,
  settings: ChaosSettings,
  onProgress: (text: string) => void,
): Promise<readonly Killed[]> {
  const results: Killed[] = []
  const victims = victimsOf(district, settings.brokers ?? 1).filter(
    ({ process }) => settings.alike?.includes(process) !== true,
  )
  for (const { process, kill } of victims) {
    const run = await openDistrict(district, settings)
    await run.advance(settings.killAfterMs)
    const height = run.ledgers.energy.status().height
    kill(run)
    const settled = () =>
      dealsOf(run).filter(
        ({ deal, seller, buyer }) =>
          deal.state === 'settled' && deal.height > height && seller !== process && buyer !== process,
      ).length
    await run.until(() => settled() > 0, settings.patienceMs)
    results.push({ process, settledAfter: settled() })
    onProgress(`without ${process}: ${settled()} settled`)
    await run.stop()
  }
  return results
}
