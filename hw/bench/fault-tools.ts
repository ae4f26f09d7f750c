/** What the named faults have in common: waiting, and looking at the wires, the ledger and the agents' own words. */
import type { Agent, Seams } from '../../agent/compose.ts'
import { isFault } from '../../agent/trading/deal-runner.ts'
import type { DealInfo } from '../../agent/trading/trading.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { DealRecord } from '../../protocol/ledger/deal-record.ts'
import type { Fault } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import type { RunningStreet } from '../sim/street-run.ts'
import { ledgerDeals } from './judge.ts'
import type { Stage } from './stage.ts'

/** The row of every fault: contacts that must open do so within this long of the strike, in virtual time. */
const OPEN_WITHIN_MS = 2_000
/** Between two looks. */
const LOOK_MS = 50
/** Long enough for every line to have negotiated twice. */
const FLOW_WITHIN_MS = 240_000
/** A window, its receipt and dispute windows, and the blocks around them. */
const SETTLE_WITHIN_MS = 180_000

export interface Struck {
  readonly outcome: string
  readonly asExpected: boolean
  /** From the strike to the last contact open. */
  readonly openMs?: number
}

/** One named fault: what it needs of the agents from their start, and how it is struck and judged. */
export interface FaultCase {
  /** Where an agent lies, or has its one defence taken out. */
  seamsOf?(site: string): Seams | undefined
  /** Runs as a process of its own. */
  readonly childSite?: string
  strike(): Promise<Struck>
  /** Before the street is judged. */
  end?(): Promise<void>
}

/** `defenceOff` takes out the one defence that the fault is met with. The bench stands when the fault is struck. */
export type MakeFault = (defenceOff: boolean, bench: () => Stage) => FaultCase

/** The victim of most faults: maple sells to cedar over L1. L2 to L4 must not notice. */
export const VICTIM = { line: 'L1', seller: 'maple', buyer: 'cedar' } as const
/** How long a fault lasts that ends by itself: several leases, and shorter than a window. */
export const OUTAGE_MS = 15_000
/** A limit that never strikes: longer than any run. */
export const NEVER_MS = 1e12

/** A verifier that lets everything pass: what a defence is worth when it is taken out. */
export const credulous: Verifier = { verify: () => true }

export async function waitFor({ running }: Stage, met: () => boolean, withinMs: number): Promise<boolean> {
  const until = running.clock.mono() + withinMs
  while (!met()) {
    if (running.clock.mono() >= until) return false
    await running.timers.sleep(LOOK_MS)
  }
  return true
}

/** A deal under way on a line, as the ledger and its two ends have it. */
export interface Target {
  readonly line: string
  readonly hash: string
  /** Deals of other lines that were under way at the strike. */
  readonly others: readonly DealInfo[]
}

/** Waits until energy has flowed on the line for some seconds; undefined when it does not come to that. */
export async function flowingDeal(bench: Stage, line: string): Promise<Target | undefined> {
  const { running } = bench
  let since: Mono | undefined
  const steady = () => {
    if (!running.flows(line)) since = undefined
    else since ??= running.clock.mono()
    // At least 3 Wh of a 2 kW circuit, so that there is a delivered part.
    return since !== undefined && running.clock.mono() - since > 6_000
  }
  if (!(await waitFor(bench, steady, FLOW_WITHIN_MS))) return undefined
  const now = running.clock.now()
  const locked = ledgerDeals(running).find(
    ({ deal }) => deal.line === line && deal.state === 'locked' && deal.start <= now && now < deal.end,
  )
  if (locked === undefined) return undefined
  const others = dealsOf(running).filter(
    ({ runner }) => runner.deal().contract.line !== line && runner.deal().state === 'started',
  )
  return { line, hash: locked.hash, others }
}

export const dealsOf = (running: RunningStreet): readonly DealInfo[] =>
  [...running.agents.values()].flatMap(agent => agent.trading.deals())

const ledgerDeal = (bench: Stage, hash: string): DealRecord | undefined =>
  ledgerDeals(bench.running).find(found => found.hash === hash)?.deal

/** From the strike until both ends of the line were open, by the wires; undefined while one is closed. */
export function openedAfter({ running }: Pick<Stage, 'running'>, line: string, strike: Mono): number | undefined {
  const ends = (['seller', 'buyer'] as const).map(kind => {
    if (running.wires.position({ kind, of: line }) === 'closed') return undefined
    const move = running.moves.findLast(
      ({ contact, position }) => contact.kind === kind && contact.of === line && position === 'open',
    )
    return move === undefined || move.mono < strike ? 0 : move.mono - strike
  })
  return ends.includes(undefined) ? undefined : Math.max(...(ends as number[]))
}

/** Waits for both ends to be open; the time it took, or undefined when they are not within the limit. */
export async function opensInTime(bench: Stage, line: string, strike: Mono): Promise<number | undefined> {
  await waitFor(bench, () => openedAfter(bench, line, strike) !== undefined, OPEN_WITHIN_MS)
  const took = openedAfter(bench, line, strike)
  return took !== undefined && took <= OPEN_WITHIN_MS ? took : undefined
}

/** Waits until the ledger has closed the deal. */
export async function closedDeal(bench: Stage, hash: string): Promise<DealRecord | undefined> {
  await waitFor(bench, () => ledgerDeal(bench, hash)?.state !== 'locked', SETTLE_WITHIN_MS)
  const deal = ledgerDeal(bench, hash)
  return deal?.state === 'locked' ? undefined : deal
}

/** The first of the other deals that was stopped by anything but its own end. */
export function disturbed({ others }: Target): Fault | undefined {
  return others.map(({ runner }) => runner.deal().cause).find(isFault)
}

/** The first evidence file of a site that speaks of one of these, by file name. */
export async function evidenceOf(bench: Stage, site: string, words: readonly string[]): Promise<string | undefined> {
  const disk = await bench.stateOf(site)
  if (!disk.ok) return undefined
  const names = await disk.value.list()
  let found: string | undefined
  for (const name of names.ok ? names.value.filter(file => file.includes('evidence')).sort() : []) {
    const read = await disk.value.read(name)
    const text = read.ok ? fromUtf8(read.value) : undefined
    if (text !== undefined && words.some(word => text.includes(word))) found ??= name
  }
  await disk.value.close?.()
  return found
}

export const healthOf = (agent: Agent | undefined, name: string): Fault | undefined =>
  agent?.health.items().find(item => item.name.startsWith(name))?.fault

export const notFlowing = (line: string): Struck => ({
  outcome: `no energy flowed on ${line}, so nothing could be struck`,
  asExpected: false,
})

export const seconds = (ms: number | undefined): string =>
  ms === undefined ? 'not in time' : `${(ms / 1000).toFixed(1)} s`

/** Contacts open in time, the delivered part settles, other deals go on: what most rows ask for. */
export async function opensAndSettles(
  bench: Stage,
  strike: () => void | Promise<void>,
  mend: () => void | Promise<void> = () => {},
  strikesAll = false,
): Promise<Struck> {
  const { line } = VICTIM
  const target = await flowingDeal(bench, line)
  if (target === undefined) return notFlowing(line)
  const at = bench.running.clock.mono()
  await strike()
  const openMs = await opensInTime(bench, line, at)
  if (openMs === undefined) {
    await mend()
    return { outcome: `the contacts of ${line} did not open within 2 s`, asExpected: false }
  }
  await bench.running.timers.sleep(OUTAGE_MS)
  // A fault that strikes the whole street stops the others as well; that they open is what the wires judge.
  const trouble = strikesAll ? undefined : disturbed(target)
  await mend()
  const deal = await closedDeal(bench, target.hash)
  const delivered = deal?.outcome?.delivered ?? 0n
  return {
    outcome: `contacts open after ${seconds(openMs)}, ${settledText(deal)}${strikesAll ? '' : `, ${othersText(trouble)}`}`,
    asExpected: deal?.state === 'settled' && delivered > 0n && trouble === undefined,
    openMs,
  }
}

export const settledText = (deal: DealRecord | undefined): string =>
  deal?.outcome === undefined
    ? 'the deal was not settled'
    : `${deal.outcome.delivered} of ${deal.energy} Wh settled${deal.outcome.disputed ? ' by one receipt' : ''}`

export const othersText = (trouble: Fault | undefined): string =>
  trouble === undefined ? 'other deals went on' : `another deal was stopped by ${trouble.code}`
