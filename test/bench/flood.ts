/**
 * `npm run bench:flood`: twenty thousand messages a second on an agent's topic, requests on its page, and nodes of its ledger that
 * answer with floods, while it trades. What counts is that its relays are looked after in time (seen at the relay board's end of the line, and by a timer in its own process), how much memory
 * it takes, and how long an honest neighbour waits for an answer, beside the same without a flood.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Agent } from '../../agent/compose.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { toHex } from '../../protocol/bytes.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { instant } from '../../protocol/time.ts'
import { freePort } from '../free-port.ts'
import type { NodeSaid, NodeTask } from './flood-node.ts'
import type { FloodKind, FloodTask } from './flood-sender.ts'
import { readCost, readMemory } from './footprint-process.ts'
import {
  type AgentProcess,
  MEASURED,
  NEIGHBOUR,
  openStage,
  SEED,
  STRANGE_NEIGHBOUR,
  type Stage,
} from './footprint-stage.ts'
import { type BenchOptions, type Row, runBench } from './report.ts'

const PER_SECOND = 20_000
/** Below the ten reliable messages a second that a peer may have kept. */
const ASK_EVERY_MS = 250
const HTTP_AT_ONCE = 50

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

/**
 * In the agent's process, a line each second: how late a timer of 10 ms came, and how much processor time the process itself had used
 * since it came last, which is what it would be late by on a machine that nobody else uses.
 */
const LATENESS = (file: string) =>
  `data:text/javascript,${encodeURIComponent(`
import { appendFileSync } from 'node:fs'
const own = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000 }
let due = performance.now() + 10, used = own(), seen = []
setInterval(() => {
  const now = performance.now(), cpu = own()
  seen.push(Math.max(0, now - due).toFixed(2) + '/' + (cpu - used).toFixed(2))
  due = now + 10
  used = cpu
}, 10).unref()
setInterval(() => { appendFileSync(${JSON.stringify(file)}, seen.join(' ') + ' '); seen = [] }, 1000).unref()
`)}`

const quantile = (sorted: readonly number[], permille: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * permille) / 1000))] ?? Number.NaN

/** Asks the flooded site for what it will decline, and times each answer. */
function startAsking(neighbour: Agent): () => { readonly answered: readonly number[]; readonly lost: number } {
  const asked = new Map<string, number>()
  const answered: number[] = []
  neighbour.post.onMessage((_, { body }) => {
    const at = body.kind === 'decline' ? asked.get(toHex(body.id)) : undefined
    if (at === undefined || body.kind !== 'decline') return
    asked.delete(toHex(body.id))
    answered.push(performance.now() - at)
  })
  const timer = setInterval(() => {
    const id = systemEntropy.bytes(16)
    asked.set(toHex(id), performance.now())
    const start = instant(Date.now() + 60_000)
    const terms = { energy: wattHours(10n), least: wattHours(10n), price: microsPerKwh(1n), final: false }
    const request = { kind: 'request', id, line: 'none', start, end: instant(start + 1000), ...terms } as const
    void neighbour.post.send(MEASURED, request, { reliable: true })
  }, ASK_EVERY_MS)
  return () => {
    clearInterval(timer)
    return { answered: answered.sort((a, b) => a - b), lost: asked.size }
  }
}

async function startSender(stage: Stage, kinds: readonly FloodKind[]): Promise<() => Promise<number>> {
  const task: FloodTask = {
    ...{ port: stage.broker.port, seed: SEED, target: MEASURED, from: STRANGE_NEIGHBOUR, neighbour: NEIGHBOUR },
    ...{ kinds, perSecond: PER_SECOND },
  }
  const program = fileURLToPath(new URL('./flood-sender.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(task)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next()
  return async () => {
    child.stdin.end()
    const { value } = await lines.next()
    await once(child, 'exit')
    return (JSON.parse(value) as { sent: number }).sent
  }
}

interface Nodes {
  readonly urls: readonly string[]
  /** Stands between the agent and the honest nodes of these URLs, and floods from a call until what it returned is called. */
  start(behind: readonly string[]): Promise<() => Promise<() => Promise<NodeSaid>>>
  stop(): void
}

/** Three nodes, whose places are known before those that they hide. */
async function reserveNodes(): Promise<Nodes> {
  const ports = [await freePort(), await freePort(), await freePort()]
  let stop = () => {}
  return {
    urls: ports.map(port => `http://127.0.0.1:${port}`),
    stop: () => stop(),
    async start(behind) {
      const task: NodeTask = { ports, behind: behind.map(url => Number(new URL(url).port)) }
      const program = fileURLToPath(new URL('./flood-node.ts', import.meta.url))
      const child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(task)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      stop = () => void child.kill('SIGKILL')
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      await lines.next()
      return async () => {
        child.stdin.write('flood\n')
        return async () => {
          child.stdin.write('calm\n')
          return JSON.parse((await lines.next()).value as string) as NodeSaid
        }
      }
    },
  }
}

/** Requests on the page, one after the other on as many connections as a peer may have. */
function startRequests(page: string): () => Promise<number> {
  const { port } = new URL(page)
  let over = false
  let answers = 0
  const run = async () => {
    while (!over) {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => {})
      socket.on('data', () => {
        answers++
        socket.write('GET /api/snapshot HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
      })
      socket.write('GET /api/snapshot HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
      await once(socket, 'close')
    }
  }
  const runs = Array.from({ length: HTTP_AT_ONCE }, run)
  return async () => {
    over = true
    await Promise.race([Promise.all(runs), pause(2000)])
    return answers
  }
}

/** The machine is shared with the flood itself; where it is allowed, the agent comes first, as alone on a board. */
function preferred(pid: number): void {
  try {
    setPriority(pid, -15)
    setPriority(process.pid, -10)
  } catch {
    // Only root may.
  }
}

interface Mode {
  readonly name: string
  readonly what: string
  readonly kinds?: readonly FloodKind[]
  readonly seconds: number
}

const MODES = (long: number, short: number): readonly Mode[] => [
  { name: 'calm', what: 'without a flood', seconds: short },
  {
    ...{ name: 'all', what: 'all kinds at once', seconds: long },
    kinds: ['valid', 'forged', 'malformed', 'oversized', 'stranger', 'retained'],
  },
  { name: 'valid', what: 'a known peer’s, signed, again and again', kinds: ['valid'], seconds: short },
  { name: 'forged', what: 'forged in a known peer’s name', kinds: ['forged'], seconds: short },
  { name: 'stranger', what: 'of nobody known', kinds: ['stranger'], seconds: short },
  { name: 'neighbour', what: 'forged in the honest neighbour’s name', kinds: ['neighbour'], seconds: short },
  {
    ...{ name: 'recorded', what: 'that and the honest neighbour’s own of an earlier boot' },
    ...{ kinds: ['neighbour', 'recorded'], seconds: short },
  },
  { name: 'rpc', what: 'all nodes of the ledger flood who asks them', seconds: short },
  { name: 'http', what: `requests on the page, ${HTTP_AT_ONCE} connections`, seconds: short },
]

interface Scene {
  readonly stage: Stage
  readonly agent: AgentProcess
  readonly neighbour: Agent
  /** The file of `LATENESS`. */
  readonly late: string
  readonly floodNodes: () => Promise<() => Promise<NodeSaid>>
}

/** What it returns ends the flood and answers how many messages, requests or answers it was. */
async function startFlood(mode: Mode, { stage, agent, floodNodes }: Scene): Promise<() => Promise<number>> {
  if (mode.kinds !== undefined) return startSender(stage, mode.kinds)
  if (mode.name === 'http') return startRequests(agent.page)
  if (mode.name !== 'rpc') return async () => 0
  const calm = await floodNodes()
  return async () => (await calm()).answers
}

async function measureMode(mode: Mode, scene: Scene) {
  const { stage, agent, neighbour, late } = scene
  const stop = await startFlood(mode, scene)
  await pause(1500)
  const from = readFileSync(late, 'utf8').length
  const rounds = stage.switchRounds()
  const before = readCost(agent.pid)
  const asking = startAsking(neighbour)
  const began = performance.now()
  let peak = 0
  while (performance.now() - began < mode.seconds * 1000) {
    await pause(250)
    peak = Math.max(peak, readMemory(agent.pid).residentBytes)
  }
  const ms = performance.now() - began
  const cpuMs = readCost(agent.pid).cpuMs - before.cpuMs
  const seen = readFileSync(late, 'utf8')
    .slice(from)
    .trim()
    .split(' ')
    .map(pair => pair.split('/').map(Number))
    // The last of them may be half written.
    .filter(pair => pair.length === 2 && pair.every(Number.isFinite))
  const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b)
  const [lateness, own] = [sorted(seen.map(([ms]) => ms!)), sorted(seen.map(([, cpuMs]) => cpuMs!))]
  const gaps = rounds()
  const { answered, lost } = asking()
  const sent = await stop()
  return { lateness, own, gaps, answered, lost, sent, peak, cpu: cpuMs / (ms / 100) }
}

async function floodRows({ quick, smoke, numbers }: BenchOptions): Promise<Row[]> {
  const nodes = await reserveNodes()
  let honest: readonly string[] = []
  const stage = await openStage({
    change(config) {
      const { primary, witnesses } = config['ledger'] as { primary: string; witnesses: readonly string[] }
      honest = [primary, ...witnesses]
      config['ledger'] = { ...config['ledger'], primary: nodes.urls[0], witnesses: nodes.urls.slice(1) }
    },
  })
  try {
    const floodNodes = await nodes.start(honest)
    const late = join(stage.folder, 'late')
    const agent = await stage.start({ node: [`--import=${LATENESS(late)}`] })
    preferred(agent.pid)
    const neighbour = await stage.startNeighbour()
    await pause(smoke ? 2000 : 10_000)
    const rows: Row[] = []
    const only = numbers['only']
    const modes = MODES(smoke ? 1 : quick ? 10 : 60, smoke ? 1 : quick ? 8 : 20)
    for (const mode of modes.filter((_, place) => only === undefined || place === 0 || place === only)) {
      const scene: Scene = { stage, agent, neighbour, late, floodNodes }
      const { lateness, own, gaps, answered, lost, sent, peak, cpu } = await measureMode(mode, scene)
      const spread = (sorted: readonly number[]) => ({
        ...{ value: quantile(sorted, 999), lowest: sorted[0] ?? 0, highest: sorted.at(-1) ?? 0 },
        counts: {
          p50: quantile(sorted, 500),
          p99: quantile(sorted, 990),
          p999: quantile(sorted, 999),
          samples: sorted.length,
        },
      })
      const p = (sorted: readonly number[]) =>
        `p50 ${quantile(sorted, 500).toFixed(1)}, p99 ${quantile(sorted, 990).toFixed(1)} ms`
      /** Where nothing was seen it took at least as long as somebody looked. */
      const none = { value: mode.seconds * 1000, lowest: mode.seconds * 1000, highest: mode.seconds * 1000 }
      const rate = sent / (mode.seconds + 1.5)
      const perSecond = rate < 10 ? rate.toFixed(1) : Math.round(rate)
      rows.push(
        {
          ...{
            id: `${mode.name}.late`,
            what: `${mode.what}: lateness of the agent’s timers, p99.9`,
            unit: 'ms',
            ...spread(lateness),
          },
          ...{ asked: '20', note: `${p(lateness)}; ${perSecond} a second were sent` },
        },
        {
          ...{ id: `${mode.name}.own`, what: 'processor time between two timers, p99.9', unit: 'ms', ...spread(own) },
          ...{ asked: '20', note: p(own) },
        },
        {
          ...{
            id: `${mode.name}.rounds`,
            what: 'time between two looks at the relay board, p99.9',
            unit: 'ms',
            ...(gaps.length === 0 ? none : spread(gaps)),
          },
          note: gaps.length === 0 ? 'none was seen: at least' : p(gaps),
        },
        {
          ...{
            id: `${mode.name}.answer`,
            what: 'an honest neighbour’s request to its answer, median',
            unit: 'ms',
            ...(answered.length === 0 ? none : { ...spread(answered), value: quantile(answered, 500) }),
          },
          note:
            answered.length === 0
              ? `none of ${lost} was answered: at least`
              : `p99 ${quantile(answered, 990).toFixed(0)} ms, ${answered.length} answered, ${lost} not yet`,
        },
        {
          id: `${mode.name}.memory`,
          what: 'most that was resident',
          value: peak / 1e6,
          unit: 'MB',
          asked: '128',
          note: `${cpu.toFixed(0)} % of a processor`,
        },
      )
      await pause(smoke ? 500 : 3000)
    }
    return rows
  } finally {
    nodes.stop()
    await stage.close()
  }
}

await runBench(
  'bench:flood',
  'Twenty thousand messages a second: relays looked after in time, memory bounded, honest neighbours heard.',
  floodRows,
  {
    only: 'only the N-th of these floods, after a look without one: all, valid, forged, stranger, neighbour, recorded, rpc, http',
  },
)
process.exit()
