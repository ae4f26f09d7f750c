/**
 * `npm run bench:deals`: how long from a request to a contract that both have signed, at 2 to 200 agents over a real MQTT broker in
 * this process; messages and bytes of a deal; transactions of a deal on both ledgers.
 *
 * Real: the agents' parts for the grid, their post offices, the broker and its sockets, seals, signatures, both ledgers and a light
 * client of each, which verifies for all. A steady power stands for each meter, and nothing is written to a disk. All agents
 * and the broker share one thread, which at home each has for itself: the facts are of requests half a second apart; the
 * full bench has them all at the same gate as well.
 */

import type { Post } from '../../agent/trading/post.ts'
import { startBroker } from '../../drivers/bus/broker.ts'
import { connectBus } from '../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import type { Bus, Clock, Timers } from '../../drivers/ports.ts'
import { equalBytes } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { topicOf } from '../../protocol/trade/message.ts'
import { beforeGate, openSites, peersOf, planSites, type Site, type Sites } from './grid-sites.ts'
import { runSlot, type SlotRun } from './grid-slot.ts'
import { type BenchOptions, type Findings, type Floor, type Row, runBench } from './report.ts'
import { SEALED_DEAL_MS, sealedDeal } from './sealed-deal.ts'
import { countedBus, sealedPost, type Traffic } from './sealed-post.ts'

const SLOT_MS = 900_000
const BLOCK_MS = 1_000
/** A request is open for a third of it. */
const LEAD_MS = 60_000
/** Three looks of the distributor: its lines and its tariffs are on the ledger, and proven, by then. */
const READY_MS = 14_000
/** Between two crowds that are made ready together. */
const CROWDS_APART_MS = 3_000
/**
 * Between the gates of two buyers: each request and its answers then have this thread for themselves, as at home each agent
 * has its own processor. All at the same gate they wait for each other, which says what the thread does in a second.
 */
const APART_MS = 500
const LONGEST_MS = 20_000
const LOOK_MS = 100

interface Crowd {
  readonly agents: number
  /** Between the gates of one buyer and the next; 0: all at once, as where all have the same configuration. */
  readonly apartMs: number
  readonly neighbours?: number
}

interface CrowdRun extends Crowd {
  readonly buyers: number
  /** From the request to the seller's having both signatures, ascending. */
  readonly ms: readonly number[]
  /** Of a probe over the same broker, ascending. */
  readonly roundTripMs: readonly number[]
  readonly messages: number
  readonly bytes: number
  /** Between the two of a deal. */
  readonly pairMessages: number
  readonly pairBytes: number
  readonly cpuSeconds: number
  readonly wallSeconds: number
}

/** Of ascending values, the least that so many permille do not exceed. */
const quantile = (values: readonly number[], permille: number): number =>
  values[Math.max(0, Math.ceil((values.length * permille) / 1000) - 1)] ?? Number.NaN

/** Deals that both have signed, with the time from request to the later of the two signatures' arrival. */
function signedOf({ running }: Sites): readonly { readonly buyer: Site; readonly seller: Site; readonly ms: number }[] {
  const byName = new Map(running.map(one => [one.site.name, one]))
  return running.flatMap(({ site, parts }) =>
    (parts.grid?.deals() ?? []).flatMap(({ runner, peer, requested }) => {
      const { role, hash } = runner.deal()
      const other = byName.get(peer)!
      const theirs = other.parts.grid?.deals().find(one => equalBytes(one.runner.deal().hash, hash))
      const at = theirs?.runner.history.find(({ state }) => state === 'signed')?.mono
      return role === 'seller' || at === undefined ? [] : [{ buyer: site, seller: other.site, ms: at - requested }]
    }),
  )
}

/** Round trips of a message of our own over the same broker, while the crowd trades: no answer can be quicker. */
interface Probe {
  /** Ascending. */
  readonly ms: number[]
  stop(): void
}
const PROBE_MS = 50

function probe(bus: Bus, timers: Timers): Probe {
  const ms: number[] = []
  let sent: number | undefined
  void bus.subscribe(PROBE_TOPIC, () => {
    if (sent !== undefined) ms.push(performance.now() - sent)
    sent = undefined
  })
  const cancel = timers.every(PROBE_MS, () => {
    if (sent !== undefined) return
    sent = performance.now()
    void bus.publish(PROBE_TOPIC, new Uint8Array(256))
  })
  return { ms, stop: cancel }
}
const PROBE_TOPIC = 'bench/probe'

interface ReadyCrowd {
  /** The gate opens so long after this call. */
  run(gateMs: number): Promise<CrowdRun>
}

/** Connects everybody, and works out the keys of every pair: seconds of this thread, which no gate waits for. */
async function makeReady(crowd: Crowd): Promise<ReadyCrowd> {
  const { agents, apartMs, neighbours } = crowd
  const { clock: machine, timers } = createSystemTime(undefined, () => 'synchronised')
  let ahead = 0
  const clock: Clock = { ...machine, now: () => instant(machine.now() + ahead) }
  const broker = must(await startBroker())
  const traffic: Traffic = { messages: 0, bytes: 0, pairs: new Map() }
  const all = planSites({
    ...{ agents, feeders: 1, sealed: true, ways: ['matching', 'bidding'] },
    ...(neighbours === undefined ? {} : { neighbours }),
    leadMs: buyer => LEAD_MS - buyer * apartMs,
  })
  const buses: Bus[] = []
  const posts = new Map<Site, Post>()
  for (const site of all) {
    const bus = must(await connectBus({ urls: [broker.url], timers, log: () => {} }))
    buses.push(bus)
    posts.set(site, sealedPost(site, peersOf(all, site), countedBus(bus, site.name, traffic), clock, timers))
  }
  return {
    async run(gateMs) {
      ahead = beforeGate(SLOT_MS, LEAD_MS, gateMs) - machine.now()
      const bus = must(await connectBus({ urls: [broker.url], timers, log: () => {} }))
      buses.push(bus)
      const run = await runCrowd(crowd, all, posts, traffic, clock, timers, bus)
      await Promise.all(buses.map(bus => bus.close()))
      await broker.close()
      return run
    },
  }
}

async function runCrowd(
  crowd: Crowd,
  all: readonly Site[],
  posts: ReadonlyMap<Site, Post>,
  traffic: Traffic,
  clock: Clock,
  timers: Timers,
  bus: Bus,
): Promise<CrowdRun> {
  const { apartMs } = crowd
  const time = { clock, timers, awaited: <T>(work: Promise<T>) => work }
  const sites = await openSites(all, { slotMs: SLOT_MS, blockMs: BLOCK_MS }, time, site => posts.get(site)!)
  const gate = beforeGate(SLOT_MS, LEAD_MS, 0)
  await timers.sleep(Math.max(0, gate - clock.now() - 50))
  const [cpu, began, floor] = [process.cpuUsage(), performance.now(), probe(bus, timers)]
  const buyers = all.filter(({ role }) => role === 'buyer').length
  const asked = () => sites.running.reduce((sum, { parts }) => sum + (parts.grid?.stats().asked ?? 0), 0)
  const open = () => sites.running.reduce((sum, { parts }) => sum + (parts.grid?.requests().length ?? 0), 0)
  const unsigned = () =>
    sites.running.some(({ parts }) => parts.grid?.deals().some(({ runner }) => runner.deal().state === 'proposed'))
  const over = () => asked() === buyers && open() === 0 && unsigned() !== true
  const patience = LONGEST_MS + buyers * apartMs
  while (!over() && performance.now() - began < patience) await timers.sleep(LOOK_MS)
  floor.stop()
  const wallSeconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const { messages, bytes } = traffic
  const signed = signedOf(sites)
  const between = (from: Site, to: Site) =>
    traffic.pairs.get(`${from.name} ${topicOf(addressOf(to.account.publicKey))}`) ?? { messages: 0, bytes: 0 }
  const pairs = signed.flatMap(({ buyer, seller }) => [between(buyer, seller), between(seller, buyer)])
  await sites.stop()
  const count = Math.max(1, signed.length)
  return {
    ...{ ...crowd, buyers },
    ms: signed.map(({ ms }) => ms).sort((a, b) => a - b),
    roundTripMs: floor.ms.sort((a, b) => a - b),
    ...{ messages: messages / count, bytes: bytes / count },
    pairMessages: pairs.reduce((sum, one) => sum + one.messages, 0) / count,
    pairBytes: pairs.reduce((sum, one) => sum + one.bytes, 0) / count,
    ...{ cpuSeconds: (user + system) / 1e6, wallSeconds },
  }
}

function rowsOf(run: CrowdRun): Row[] {
  const { agents, apartMs, neighbours, buyers, ms, roundTripMs } = run
  const floor = (permille: number): Floor => {
    const value = quantile(roundTripMs, permille)
    return { what: 'round trip', value, unit: 'ms a round trip over the broker', share: value / quantile(ms, permille) }
  }
  const how = apartMs === 0 ? 'all at the same gate' : `gates ${apartMs} ms apart`
  const known = neighbours === undefined ? 'all know all' : `${neighbours} neighbours each`
  const id = `${agents}.${apartMs === 0 ? 'gate' : 'apart'}${neighbours === undefined ? '' : `.${neighbours}`}`
  const what = `${agents} agents, ${known}, ${how}`
  return [
    {
      ...{ id: `p50.${id}`, what: `${what}: request to signed, p50`, value: quantile(ms, 500), unit: 'ms' },
      ...{ lowest: ms[0] ?? Number.NaN, highest: ms.at(-1) ?? Number.NaN, asked: '150' },
      floor: floor(500),
      note: `${ms.length} contracts of ${buyers} buyers; ${run.cpuSeconds.toFixed(1)} s of processor time in ${run.wallSeconds.toFixed(1)} s`,
    },
    {
      ...{ id: `p99.${id}`, what: `${what}: request to signed, p99`, value: quantile(ms, 990), unit: 'ms' },
      ...{ asked: '1,000', floor: floor(990) },
    },
    {
      ...{
        id: `messages.${id}`,
        what: `${what}: messages a deal, acknowledgements included`,
        value: run.messages,
        unit: '',
      },
      note: `${Math.round(run.bytes)} bytes; between the two of the deal ${run.pairMessages.toFixed(1)} and ${Math.round(run.pairBytes)} bytes`,
    },
  ]
}

const factsOf = ({ agents, apartMs, neighbours, buyers, ms, roundTripMs, ...run }: CrowdRun) => ({
  ...{ agents, apart_ms: apartMs, neighbours: neighbours ?? 'all', buyers, contracts: ms.length },
  ...{ p50_ms: quantile(ms, 500), p99_ms: quantile(ms, 990) },
  ...{ round_trip_p50_ms: quantile(roundTripMs, 500), round_trip_p99_ms: quantile(roundTripMs, 990) },
  ...{ messages_per_deal: run.messages, bytes_per_deal: run.bytes },
  ...{ pair_messages_per_deal: run.pairMessages, pair_bytes_per_deal: run.pairBytes },
  cpu_ms_per_deal: (1000 * run.cpuSeconds) / Math.max(1, ms.length),
})

const perDeal = ({ transactions, settled }: SlotRun) => {
  const each = (kinds: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(kinds).map(([kind, count]) => [kind, count / Math.max(1, settled)]))
  return { energy: each(transactions.energy), distribution: each(transactions.distribution) }
}

const sum = (kinds: Readonly<Record<string, number>>): number => Object.values(kinds).reduce((all, one) => all + one, 0)

/** On both ledgers, from a whole slot in virtual time. */
async function ledgerFacts(smoke: boolean) {
  const facts: Record<string, ReturnType<typeof perDeal>> = {}
  const rows: Row[] = []
  for (const way of ['matching', 'bidding'] as const) {
    const run = await runSlot({
      ...{ agents: smoke ? 2 : 20, feeders: 1, neighbours: 16, letters: 'plain', slotMs: 120_000, leadMs: LEAD_MS },
      ways: [way],
    })
    const each = perDeal(run)
    facts[way] = each
    for (const ledger of ['energy', 'distribution'] as const) {
      rows.push({
        ...{ id: `ledger.${way}.${ledger}`, what: `${way}: transactions a deal on the ${ledger} ledger`, unit: '' },
        value: sum(each[ledger]),
        note: `${run.settled} deals settled, ${run.problems} found by the audit`,
        counts: each[ledger],
      })
    }
  }
  return { facts, rows }
}

/** At how many agents the figures of the design are. */
const ASKED_AT = 50

async function deals({ quick, smoke }: BenchOptions): Promise<Findings> {
  const sealed = await sealedDeal()
  const ledgers = await ledgerFacts(smoke)
  const crowds: Crowd[] = (smoke ? [2] : [2, 10, ASKED_AT]).map(agents => ({ agents, apartMs: APART_MS }))
  if (!quick) {
    crowds.push({ agents: 200, apartMs: APART_MS, neighbours: 50 })
    for (const agents of [10, ASKED_AT]) crowds.push({ agents, apartMs: 0 })
    crowds.push({ agents: 200, apartMs: 0, neighbours: 50 })
  }
  const runs: CrowdRun[] = []
  const ready: ReadyCrowd[] = []
  for (const crowd of crowds) ready.push(await makeReady(crowd))
  // Lines and tariffs of all are announced at the same time; then one gate opens after the other.
  if (quick) runs.push(...(await Promise.all(ready.map((one, at) => one.run(READY_MS + at * CROWDS_APART_MS)))))
  else for (const one of ready) runs.push(await one.run(READY_MS))
  const asked = runs.find(({ agents }) => agents === ASKED_AT) ?? runs[0]!
  const { p50_ms, p99_ms, messages_per_deal, bytes_per_deal } = factsOf(asked)
  return {
    facts: {
      ...{ request_to_signed_p50_ms: p50_ms, request_to_signed_p99_ms: p99_ms, messages_per_deal, bytes_per_deal },
      requests_apart_ms: asked.apartMs,
      by_agents: runs.map(factsOf),
      energy_transactions_per_sealed_deal: sealed.transactions,
      slots_per_transaction: sealed.slots / sealed.transactions,
      ledger_transactions_per_deal: ledgers.facts,
    },
    rows: [
      ...runs.flatMap(rowsOf),
      {
        ...{
          id: 'sealed',
          what: 'a direct-line deal under a sealed receipt: transactions',
          value: sealed.transactions,
        },
        ...{ unit: '', asked: '2', note: `${sealed.kinds.join(' and ')}; ${SEALED_DEAL_MS / 3_600_000} hours` },
      },
      {
        ...{ id: 'slots', what: 'quarter hours that a transaction of it settles', unit: '' },
        value: sealed.slots / sealed.transactions,
      },
      ...ledgers.rows,
    ],
  }
}

await runBench(
  'bench:deals',
  'From a request to a contract that both have signed, at 2 to 200 agents over a real broker, and what a deal costs in messages and transactions.',
  deals,
)
