/**
 * One run of the simulated street from its seed: opened, struck, healed, wound down, and judged by the same judge as the
 * bench. The same seed, homes and faults give the same transcript.
 */
import type { Log } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { faultLine, ok } from '../../protocol/result.ts'
import { DEFAULT_LIMITS } from '../../protocol/safety/facts.ts'
import { createWitness, judgeStreet, ledgerDeals } from '../bench/judge.ts'
import type { StreetResult } from '../bench/result.ts'
import type { SimTime } from './clock.ts'
import { seededRandom } from './random.ts'
import { drawFaults, type SimFault, strikeFaults } from './random-faults.ts'
import { createSimPorts } from './sim-ports.ts'
import { BRISK, CALM } from './site-config.ts'
import { streetOf } from './street.ts'
import { createStreetLedger, openStreet, type RunningStreet } from './street-run.ts'

export interface SeedSettings {
  readonly seed: number
  readonly homes: number
  readonly virtualMs: number
  /** The real signer instead of the stub; left out, it is drawn in one seed of a hundred. */
  readonly realSigner?: boolean
  /** Random faults in the first part of the run, or exactly these. */
  readonly faults?: 'random' | readonly SimFault[]
  /** The control: disks that say synced and are not. */
  readonly lyingDisks?: boolean
  /** Left out, the pace of the bench up to an hour and a calm one beyond. */
  readonly calm?: boolean
  readonly logOf?: (site: string, mono: () => number) => Log
  /** Hears every line of the transcript. */
  readonly listen?: (line: string) => void
  /** Called once in a virtual minute. */
  readonly onMinute?: (minutes: number) => void
  /** Milliseconds on the wall, where somebody wants to know. */
  readonly wallMs?: () => number
}

export interface SeedRun {
  readonly hash: string
  /** Its problems hold what only the simulator can see, too: an agent that does not come back, a contact left closed. */
  readonly result: StreetResult
  readonly faults: readonly SimFault[]
  /** Signed with the real signer. */
  readonly realSigner: boolean
  /** Events that the simulated time ran. */
  readonly events: number
}

/** The first deals flow by then. */
const FAULTS_FROM_MS = 10_000
/** Of a run with random faults this much is left at its end: a retry, a slot, its receipts, its settlement. */
const CALM_MS = 150_000
/** A deal agreed on at the last moment starts in 20 s, lasts a slot, and has its receipt and dispute windows behind it. */
const SETTLE_MS = 180_000
/** Between two looks at whether everything is settled; the last one proves it to the agents. */
const LOOK_MS = 5_000
/** A run beyond this is a long one. */
const LONG_MS = 3_600_000
/** Between two blocks of a long run: a payment is believed some 20 s after it was made. */
const CALM_BLOCK_MS = 5_000
/** A start that failed is tried again after as long as a service manager waits. */
const RESTART_MS = 2_000
/** Relays have a second to answer, the disk milliseconds: whatever is waited for longer than this hangs. */
const PATIENCE_MS = 60_000

const silentLog: Log = () => {}

export async function runSeed(settings: SeedSettings): Promise<SeedRun> {
  const { seed, homes, virtualMs, wallMs = () => 0, logOf = () => silentLog } = settings
  const began = wallMs()
  const chance = seededRandom(seed)
  const realSigner = settings.realSigner ?? chance() < 0.01
  const street = streetOf(homes)
  const calm = settings.calm ?? virtualMs > LONG_MS
  const ports = createSimPorts({
    seed,
    sites: street.sites,
    brokers: 1,
    realSigner,
    lyingDisks: settings.lyingDisks === true,
    pace: calm ? CALM : BRISK,
    logOf: site => logOf(site, () => ports.clock.mono()),
    ...(settings.listen === undefined ? {} : { listen: settings.listen }),
  })
  const { time, clock, timers, transcript } = ports
  const healedBy = Math.max(FAULTS_FROM_MS, virtualMs - CALM_MS)
  const faults =
    settings.faults === 'random' ? drawFaults(chance, street, FAULTS_FROM_MS, healedBy) : (settings.faults ?? [])
  const witness = createWitness()
  const producer = createStreetLedger(street, seed, ports, {}, calm ? CALM_BLOCK_MS : undefined)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const opened = await openStreet(street, seed, new Map(), producer, {
    ...ports,
    // A step below what the interlock allows a clock to be wrong by is not noticed, and need not be.
    clockErrorMs: faults.some(({ kind }) => kind === 'clock-step') ? DEFAULT_LIMITS.clockDriftMs : 0,
    onAgent(site, agent) {
      witness.attend(site, agent)
      agent.metering.onSigned((meter, { hash }) => transcript.note(`reading ${site} ${meter} ${toHex(hash)}`))
    },
    onMove: ({ contact, position }) => transcript.note(`contact ${contact.kind} ${contact.of} ${position}`),
  })
  if (!opened.ok) throw new Error(faultLine(opened.fault))
  const running = opened.value
  const broken: string[] = []

  for (const { name } of street.sites) {
    const started = await awaited(time, running.start(name))
    if (!started.ok) throw new Error(`${name} does not start: ${faultLine(started.fault)}`)
  }

  function restart(site: string): void {
    void running.start(site).then(started => {
      if (!started.ok) timers.after(RESTART_MS, () => restart(site))
    })
  }

  strikeFaults(faults, ports, running, restart)
  const openedAt = clock.mono()
  const lastHeal = clock.now() + Math.max(0, ...faults.map(({ at, forMs }) => at + forMs))
  for (let left = virtualMs, minutes = 0; left > 0; left -= 60_000) {
    await time.advance(Math.min(60_000, left))
    settings.onMinute?.(++minutes)
  }

  for (const agent of running.agents.values()) agent.trading.windDown()
  for (let waited = 0; waited < SETTLE_MS && locked(running).length > 0; waited += LOOK_MS) await time.advance(LOOK_MS)
  await time.advance(LOOK_MS)
  for (const { name } of street.sites) if (!running.agents.has(name)) broken.push(`${name} did not come back`)
  broken.push(...leftClosed(running), ...leftLocked(running))
  if (faults.length > 0 && !ledgerDeals(running).some(({ deal }) => deal.state === 'settled' && deal.start >= lastHeal))
    broken.push('no deal of after the healing has settled')

  const tally = witness.tally()
  const elapsed = clock.mono() - openedAt
  await awaited(time, running.stop())
  const result = await awaited(
    time,
    judgeStreet({
      running,
      seed,
      witness,
      tally,
      faults: [],
      faultToOpenMs: [],
      mustTrade: faults.length === 0,
      virtualMs: elapsed,
      wallMs: settings.wallMs === undefined ? undefined : wallMs() - began,
      speed: 1,
      journalOf: async site => ok(ports.sites.get(site)!.disks.get(`${site}/journal`)!.mount()),
      verifier: ports.verifier,
      signer: ports.signer,
    }),
  )
  const problems = [...result.problems, ...broken]
  return {
    hash: transcript.hash(),
    result: { ...result, ok: problems.length === 0, problems },
    faults,
    realSigner,
    events: time.events(),
  }
}

/** Virtual time runs until the work is done; an end that never comes is a bug. */
export async function awaited<T>(time: SimTime, work: Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  let over = false
  const end = () => {
    over = true
  }
  work.then(end, end)
  for (let waited = 0; !over; waited += 10) {
    if (waited > patienceMs) throw new Error(`nothing after ${patienceMs} virtual ms`)
    await time.advance(10)
  }
  return work
}

/** Contacts of lines that no deal holds any more. */
function leftClosed({ street, wires }: RunningStreet): string[] {
  return street.lines.flatMap(({ id }) =>
    (['seller', 'buyer', 'upstream'] as const)
      .filter(kind => wires.position({ kind, of: id }) === 'closed')
      .map(kind => `the ${kind} contact of ${id} is still closed`),
  )
}

const locked = (running: RunningStreet) => ledgerDeals(running).filter(({ deal }) => deal.state === 'locked')

/** A deal whose buyer's clock was ten minutes ahead is locked as long; that is no fault. */
const leftLocked = (running: RunningStreet): string[] =>
  locked(running)
    .filter(({ deal }) => deal.settleBy + LOOK_MS < running.clock.now())
    .map(({ hash }) => `deal ${hash} is still locked`)
