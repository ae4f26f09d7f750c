/** `--once`: a fixed stretch of virtual time, the faults that were asked for, everything settled, then the verdict. */
import { createSystemTime } from '../../drivers/clock.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { removeFolder } from '../../drivers/store/folder.ts'
import { ok, type Result } from '../../protocol/result.ts'
import { type Bench, type BenchSettings, journalFolder, openBench } from './bench.ts'
import { startChildSite } from './child-site.ts'
import { FAULTS } from './faults.ts'
import { createWitness, judgeStreet, ledgerDeals } from './judge.ts'
import type { FaultName, FaultOutcome, StreetResult } from './result.ts'
import { joinSeams } from './seams.ts'
import type { Stage } from './stage.ts'

/** A deal asked for at the last moment: its lead, its window, receipt and dispute windows, and the blocks around them. */
const SETTLE_MS = 180_000
/** Between two looks at whether everything is settled. */
const LOOK_MS = 1_000
/** A header after the last settlement, for the agents that still prove it. */
const AFTERWARDS_MS = 5_000
const PROGRESS_S = 10

export interface OnceSettings extends Omit<BenchSettings, 'childSites' | 'seamsOf' | 'onAgent'> {
  readonly seconds: number
  readonly faults: readonly FaultName[]
  /** For a test: each fault with its one defence taken out. */
  readonly defenceOff?: boolean
  readonly onProgress: (text: string) => void
}

export async function runOnce(settings: OnceSettings): Promise<Result<StreetResult>> {
  const wall = createSystemTime().clock
  const started = wall.mono()
  const witness = createWitness()
  let stage: Stage | undefined
  const standing = (): Stage => {
    if (stage === undefined) throw new Error('a fault is struck before the street stands')
    return stage
  }
  const cases = settings.faults.map(name => FAULTS[name](settings.defenceOff === true, standing))
  const opened = await openBench({
    ...settings,
    childSites: cases.flatMap(({ childSite }) => childSite ?? []),
    seamsOf: site => joinSeams(cases.flatMap(one => one.seamsOf?.(site) ?? [])),
    onAgent: witness.attend,
  })
  if (!opened.ok) return opened
  const bench = opened.value
  stage = stageOf(bench)
  const { running, ports } = bench
  const began = running.clock.mono()

  const outcomes: FaultOutcome[] = []
  const openMs: number[] = []
  for (const [index, name] of settings.faults.entries()) {
    settings.onProgress(`${name}: waiting for energy to flow`)
    const struck = await cases[index]!.strike()
    if (struck.openMs !== undefined) openMs.push(struck.openMs)
    outcomes.push({ name, outcome: struck.outcome, as_expected: struck.asExpected })
    settings.onProgress(`${name}: ${struck.asExpected ? 'as expected' : 'NOT as expected'}: ${struck.outcome}`)
  }
  for (let left = settings.faults.length === 0 ? settings.seconds : 0; left > 0; left -= PROGRESS_S) {
    settings.onProgress(`${left} virtual seconds left, ${ledgerDeals(running).length} deals on the ledger`)
    await running.timers.sleep(Math.min(PROGRESS_S, left) * 1000)
  }

  settings.onProgress('winding down: running deals end, receipts settle')
  for (const agent of running.agents.values()) agent.trading.windDown()
  for (let waited = 0; waited < SETTLE_MS && !allSettled(bench); waited += LOOK_MS) await running.timers.sleep(LOOK_MS)
  await running.timers.sleep(AFTERWARDS_MS)

  const tally = witness.tally()
  const virtualMs = running.clock.mono() - began
  for (const one of cases) await one.end?.()
  await running.stop()
  const result = await judgeStreet({
    running,
    seed: settings.seed,
    witness,
    tally,
    faults: outcomes,
    faultToOpenMs: openMs,
    virtualMs,
    wallMs: wall.mono() - started,
    speed: settings.speed,
    journalOf: standing().journalOf,
    verifier: ports.verifier,
    signer: ports.signer,
  })
  await bench.close()
  return ok(result)
}

const stageOf = (bench: Bench): Stage => ({
  running: bench.running,
  seed: bench.seed,
  clock: bench.ports.clock,
  timers: bench.ports.timers,
  verifier: bench.ports.verifier,
  signer: bench.ports.signer,
  brokers: bench.ports.ownBrokers,
  struck: site => bench.ports.faults.get(site)!,
  live: site => startChildSite(bench, site),
  stateOf: site => openDisk(`${bench.data}/${site}/state`),
  journalOf: site => openDisk(journalFolder(bench, site)),
  loseJournal: site => removeFolder(journalFolder(bench, site)),
})

const allSettled = ({ running }: Bench): boolean => ledgerDeals(running).every(({ deal }) => deal.state !== 'locked')
