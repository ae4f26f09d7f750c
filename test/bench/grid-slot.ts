/** One slot of a district in virtual time, from the requests to the money on both ledgers, and what it took. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { drainMicrotasks } from '../../drivers/drain.ts'
import type { Bus, Clock, Timers } from '../../drivers/ports.ts'
import { createSimBroker, createSimBus } from '../../hw/sim/bus.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { awaited } from '../../hw/sim/run-seed.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import { beforeGate, openSites, type Plan, type PostOf, planSites, type Sites } from './grid-sites.ts'
import { createLetters } from './letters.ts'
import { countedBus, sealedPost, type Traffic } from './sealed-post.ts'

export interface SlotPlan extends Pick<Plan, 'agents' | 'feeders' | 'ways'> {
  readonly neighbours: number
  /** Sealed and signed letters over a simulated broker, or plain ones. */
  readonly letters: 'sealed' | 'plain'
  readonly slotMs: number
  readonly leadMs: number
  /** How far it is. */
  readonly tell?: (text: string) => void
}

export interface SlotRun {
  readonly agents: number
  readonly feeders: number
  readonly letters: SlotPlan['letters']
  /** Contracts that both have signed, by the buyers' word, and how many of them the energy ledger has settled. */
  readonly signed: number
  readonly settled: number
  /** What an audit of both ledgers finds. */
  readonly problems: number
  readonly messages: number
  readonly messageBytes: number
  /** Transactions in blocks, by kind; of the distributors' lines and tariffs none are counted. */
  readonly transactions: { readonly energy: Record<string, number>; readonly distribution: Record<string, number> }
  /** Transactions in blocks that came to nothing. */
  readonly vain: number
  readonly ledgerBytes: number
  /** Processor time from the first request to the last settlement, both ledgers' included. */
  readonly cpuSeconds: number
  /** Kilobytes of the heap and of buffers that one more agent takes after its slot, its share of both ledgers included. */
  readonly memoryKbPerAgent: number
  readonly virtualSeconds: number
}

const BLOCK_MS = 2_000
/** Lines and tariffs are announced by then. */
const BEFORE_MS = 20_000
/** Receipts of either side, and a look or two of whoever claims. */
const AFTER_MS = 120_000
const PATIENCE_MS = 60_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function used(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const LINES = new Set(['capacity', 'tariff'])

/** All deals of the buyers. */
const boughtOf = ({ running }: Pick<Sites, 'running'>): readonly Deal[] =>
  running.flatMap(({ parts }) =>
    (parts.grid?.deals() ?? []).flatMap(({ runner }) => (runner.deal().role === 'buyer' ? [runner.deal()] : [])),
  )

export async function runSlot(plan: SlotPlan): Promise<SlotRun> {
  const { agents, feeders, slotMs, leadMs, tell = () => {} } = plan
  const time = createSimTime(beforeGate(slotMs, leadMs, BEFORE_MS), drainMicrotasks)
  const { clock, timers } = time
  const wait = <T>(work: Promise<T>): Promise<T> => awaited(time, work, PATIENCE_MS)
  const before = used()
  const { postOf, traffic } = plan.letters === 'plain' ? createLetters(time) : sealedLetters(clock, timers)
  const sites = await openSites(
    planSites({ ...plan, sealed: plan.letters === 'sealed', leadMs: () => leadMs }),
    { slotMs, blockMs: BLOCK_MS },
    { clock, timers, awaited: wait },
    postOf,
  )
  const { energy, distribution } = sites.ledgers
  tell('opened')
  await time.advance(BEFORE_MS - 1_000)
  const [cpu, mono] = [process.cpuUsage(), clock.mono()]
  await time.advance(5_000)
  // This slot's requests are out; there is no next one.
  sites.windDown()
  await time.advance(leadMs - 4_000)
  const states = () => {
    const counts = new Map<string, number>()
    for (const { state, cause } of boughtOf(sites)) {
      const name = cause === undefined ? state : `${state} ${cause.code}`
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    return Object.fromEntries(counts)
  }
  tell(`begins: ${JSON.stringify(states())}`)
  await time.advance(slotMs)
  tell(`ends: ${JSON.stringify(states())}`)
  const settled = () => boughtOf(sites).filter(({ state }) => state === 'settled').length
  const signed = boughtOf(sites).length
  const claims = () => distribution.count.txs.get('claim') ?? 0
  for (let waited = 0; waited < AFTER_MS && (settled() < signed || claims() < signed); waited += 10_000)
    await time.advance(10_000)
  const { user, system } = process.cpuUsage(cpu)
  const memory = used() - before
  const kinds = (ledger: typeof energy) =>
    Object.fromEntries([...ledger.count.txs].filter(([kind]) => !LINES.has(kind)))
  const vain = [energy, distribution].flatMap(({ count }) => [...count.refused.values()])
  const run: SlotRun = {
    ...{ agents, feeders, letters: plan.letters, signed, settled: settled() },
    problems: [energy, distribution].reduce((sum, { producer }) => sum + producer.audit().problems.length, 0),
    ...{ messages: traffic.messages, messageBytes: traffic.bytes },
    transactions: { energy: kinds(energy), distribution: kinds(distribution) },
    vain: vain.reduce((sum, count) => sum + count, 0),
    ledgerBytes: energy.count.bytes + distribution.count.bytes,
    cpuSeconds: (user + system) / 1e6,
    memoryKbPerAgent: memory / 1024 / agents,
    virtualSeconds: (clock.mono() - mono) / 1000,
  }
  await wait(sites.stop())
  return run
}

/** The real post office of each site on one simulated broker. */
function sealedLetters(clock: Clock, timers: Timers): { readonly postOf: PostOf; readonly traffic: Traffic } {
  const broker = createSimBroker(timers, () => 0.5)
  const traffic: Traffic = { messages: 0, bytes: 0, pairs: new Map() }
  const busOf = (name: string): Bus => countedBus(createSimBus([broker]), name, traffic)
  return { traffic, postOf: (site, peers) => sealedPost(site, peers, busOf(site.name), clock, timers) }
}
