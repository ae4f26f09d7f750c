/**
 * `npm run bench:control`: how long from a fault to an open contact, and from an overloaded fuse to limits that fit, on an agent
 * that trades, writes and serves its page meanwhile.
 *
 * The agent is a process of its own; meters, board and contacts are simulated in this one, at the pace of 9,600 baud, and
 * times are taken where the contact moves. With `--quota N` the agent's process runs N hundredths of each twentieth of a second:
 * a slow board's backlog, though not its slow processor.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../hw/sim/random.ts'
import type { AgentTask } from './control-agent.ts'
import type { ChargerTask } from './control-charger-agent.ts'
import { FUSE_MA, openBenchChargers } from './control-chargers.ts'
import { type BenchWires, LINES, openWires } from './control-line.ts'
import { figureOf } from './measure.ts'
import { type BenchOptions, type Row, runBench } from './report.ts'
import { type SlaveProcess, startSlave } from './slave-process.ts'

/** What goes wrong, and what the design grants until the contact is open, in ms: 200 for the loop, a second for the meter, a second in which a heartbeat may be missed. */
const FAULTS = { overload: 1_200, silence: 1_200, halt: 200, stop: 200 } as const
type FaultKind = keyof typeof FAULTS
const KINDS = Object.keys(FAULTS) as FaultKind[]

/** A line carries energy so long before something goes wrong, and up to a second more: no phase of the meter's second is preferred. */
const FLOW_MS = 700
/** A contact that has not moved by then will not. */
const LOST_MS = 20_000
const QUOTA_PERIOD_MS = 50
/** Of everything else behind the chargers' fuse: before, and when an oven is switched on. */
const CALM_MA = 2_000
const JUMP_MA = 14_000
const LOOK_MS = 2
/** Tabs that are open on the page. */
const TABS = 3

interface Started {
  readonly page?: string
  readonly pid: number
}
interface Done {
  readonly letters?: number
  readonly records?: number
  readonly late: readonly number[]
}

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

async function within<T>(work: Promise<T>, what: () => Promise<string>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), LOST_MS)
  })
  const answer = await Promise.race([work, late])
  clearTimeout(timer)
  if (answer === undefined) throw new Error(`no contact moved within ${LOST_MS} ms: ${await what()}`)
  return answer
}

/** Lets a process run only a part of the time, until called. */
function throttle(pid: number, percent: number | undefined): () => void {
  if (percent === undefined) return () => {}
  const runMs = (QUOTA_PERIOD_MS * percent) / 100
  let timer = setTimeout(stand, runMs)
  function stand(): void {
    process.kill(pid, 'SIGSTOP')
    timer = setTimeout(run, QUOTA_PERIOD_MS - runMs)
  }
  function run(): void {
    process.kill(pid, 'SIGCONT')
    timer = setTimeout(stand, runMs)
  }
  return () => {
    clearTimeout(timer)
    process.kill(pid, 'SIGCONT')
  }
}

/** One line's samples, one fault after the other; the times from fault to open, by kind. */
async function sampleLine(
  line: number,
  rounds: number,
  wires: BenchWires,
  agent: SlaveProcess<Started>,
  taken: ReadonlyMap<FaultKind, number[]>,
): Promise<number> {
  const random = seededRandom(line + 1)
  const why = async () => `line ${line}, ${JSON.stringify(await agent.ask(`why ${line}`))}`
  const kinds = Array.from({ length: rounds }, (_, round) => KINDS[(round + line) % KINDS.length]!)
  let unasked = 0
  for (let kind = kinds.shift(); kind !== undefined; kind = kinds.shift()) {
    await agent.ask(`sound ${line}`)
    await pause(500)
    // A start that is given up is wished for again.
    for (let tries = 0; wires.position(line) === 'open' && tries < 5; tries++) {
      await agent.ask(`energise ${line}`)
      await Promise.race([wires.moved(line, 'closed'), pause(LOST_MS / 5)])
    }
    await within(wires.moved(line, 'closed'), why)
    await pause(FLOW_MS + random() * 1000)
    // An agent that came too late to its own heartbeats has opened by itself: safe, and no sample.
    if (wires.position(line) === 'open') {
      unasked++
      if (unasked < rounds) kinds.push(kind)
      continue
    }
    const opened = wires.moved(line, 'open')
    const at = performance.now()
    if (kind === 'overload') wires.overload(line, true)
    else await agent.ask(`${kind} ${line}`)
    taken.get(kind)!.push((await within(opened, why)) - at)
    wires.overload(line, false)
  }
  return unasked
}

const quantile = (sorted: readonly number[], permille: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * permille) / 1000))]!

async function openTabs(page: string | undefined): Promise<() => void> {
  if (page === undefined) return () => {}
  const ends = new AbortController()
  for (let n = 0; n < TABS; n++) {
    const { body } = await fetch(`${page}/api/events`, { signal: ends.signal })
    void body!.pipeTo(new WritableStream()).catch(() => {})
  }
  return () => ends.abort()
}

async function faultRows({ quick, smoke, numbers }: BenchOptions): Promise<Row[]> {
  const data = mkdtempSync(join(tmpdir(), 'tieline-control-'))
  const wires = await openWires()
  const [meters, board] = wires.paths
  const task: AgentTask = { meters, board, data: join(data, 'journal'), busy: !smoke }
  const agent = await startSlave<Started>('control', task)
  const closeTabs = await openTabs(agent.told.page)
  const free = throttle(agent.told.pid, numbers['quota'])
  const taken = new Map(KINDS.map((kind): [FaultKind, number[]] => [kind, []]))
  const rounds = smoke ? KINDS.length : quick ? 8 : 80
  try {
    const unasked = await Promise.all(
      Array.from({ length: LINES }, (_, line) => sampleLine(line, rounds, wires, agent, taken)),
    )
    const done = await agent.ask<Done>('done')
    const late = [...done.late].sort((a, b) => a - b)
    const rows = KINDS.map((kind): Row => {
      const sorted = taken.get(kind)!.sort((a, b) => a - b)
      const { median, lowest, highest } = figureOf(sorted)
      return {
        ...{
          id: `open.${kind}`,
          what: `${WORDS[kind]} to contact open, median`,
          value: median,
          unit: 'ms',
          lowest,
          highest,
        },
        asked: `p99 ${FAULTS[kind].toLocaleString('en')}${kind === 'silence' ? ' after the last word' : ''}`,
        note: `p99 ${quantile(sorted, 990).toFixed(0)} ms of ${sorted.length}`,
        counts: { p50: median, p99: quantile(sorted, 990), max: highest, samples: sorted.length },
      }
    })
    const beside = task.busy
      ? `${done.letters} letters, ${done.records} durable records, ${TABS} tabs meanwhile`
      : 'idle'
    const opened = unasked.reduce((sum, one) => sum + one)
    return [
      ...rows,
      { id: 'open.unasked', what: 'contacts that opened before anything was wrong', value: opened, unit: '' },
      {
        ...{ id: 'loop.late', what: 'lateness of the agent’s timers, p99.9', value: quantile(late, 999), unit: 'ms' },
        ...{ lowest: late[0]!, highest: late.at(-1)!, asked: '20', note: beside },
      },
    ]
  } finally {
    free()
    closeTabs()
    await agent.close()
    await wires.close()
    rmSync(data, { recursive: true, force: true })
  }
}

/** How long until a fuse's overload has become limits that fit, as the chargers have taken them. */
async function chargerRows({ quick, smoke, numbers }: BenchOptions): Promise<Row[]> {
  const data = mkdtempSync(join(tmpdir(), 'tieline-control-'))
  const chargers = await openBenchChargers()
  const task: ChargerTask = { path: chargers.path, data: join(data, 'journal'), busy: !smoke }
  const agent = await startSlave<Started>('chargers', task)
  const closeTabs = await openTabs(agent.told.page)
  const free = throttle(agent.told.pid, numbers['quota'])
  const random = seededRandom(1)
  const until = async (holds: () => boolean): Promise<number> => {
    for (let waited = 0; !holds(); waited += LOOK_MS) {
      if (waited > 4 * LOST_MS) throw new Error(`no limits came: ${JSON.stringify(await agent.ask('views'))}`)
      await pause(LOOK_MS)
    }
    return performance.now()
  }
  try {
    const taken: number[] = []
    for (let n = 0; n < (smoke ? 1 : quick ? 8 : 40); n++) {
      chargers.base(CALM_MA)
      // All that is free is shared.
      await until(() => chargers.offeredMa() + CALM_MA >= FUSE_MA - 1_000)
      await pause(FLOW_MS + random() * 1000)
      const at = performance.now()
      chargers.base(JUMP_MA)
      taken.push((await until(() => chargers.offeredMa() + JUMP_MA <= FUSE_MA)) - at)
    }
    taken.sort((a, b) => a - b)
    const { median, lowest, highest } = figureOf(taken)
    const row = {
      id: 'limit',
      what: 'a fuse overloaded to limits that fit, taken by four chargers, median',
      unit: 'ms',
    }
    const asked = { asked: 'p50 400, p99 1,000', note: `p99 ${quantile(taken, 990).toFixed(0)} ms of ${taken.length}` }
    const counts = { p50: median, p99: quantile(taken, 990), max: highest, samples: taken.length }
    return [{ ...row, ...asked, value: median, lowest, highest, counts }]
  } finally {
    free()
    closeTabs()
    await agent.close()
    await chargers.close()
    rmSync(data, { recursive: true, force: true })
  }
}

const WORDS: Readonly<Record<FaultKind, string>> = {
  overload: 'too much current on the line',
  silence: 'the neighbour falls silent',
  halt: 'the ledger can no longer be believed',
  stop: 'a person says stop',
}

await runBench(
  'bench:control',
  'From a fault to an open contact, and from an overload to limits that fit, on an agent that is busy with everything else.',
  async options => [...(await faultRows(options)), ...(await chargerRows(options))],
  { quota: 'hundredths of the time that the agent’s process may run, as 20' },
)
