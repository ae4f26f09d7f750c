/**
 * `npm run bench:footprint`: what the agent costs a board: memory, start, processor time, bytes to the card. The program is that of the
 * .deb, in a process of its own, with a configuration in which everything works: meters at one reading a second, a direct line with
 * its relays, a wall box, a ledger that is followed, a broker, a neighbour who buys, a publisher and a page that somebody looks at.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readCost, readMemory } from './footprint-process.ts'
import { type AgentProcess, openStage, type Stage } from './footprint-stage.ts'
import { figureOf } from './measure.ts'
import { type BenchOptions, type Row, runBench } from './report.ts'

/** From here on an agent is at its work, and what its start alone needed has been let go. */
const SETTLE_MS = 30_000
const LOOK_MS = 5
/** A deal of a minute in each quarter of an hour, the settlement period of most grids. */
const DEAL_EVERY_MS = 840_000
const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const MEGA = 1e6

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

/** Node that does nothing: what any program of it costs on this machine. */
async function bareNode(): Promise<{ readonly residentBytes: number; readonly startMs: number }> {
  const began: number[] = []
  for (let n = 0; n < 5; n++) {
    const at = performance.now()
    spawnSync(process.execPath, ['-e', ''])
    began.push(performance.now() - at)
  }
  const idle = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  await pause(1000)
  const { residentBytes } = readMemory(idle.pid!)
  idle.kill('SIGKILL')
  await once(idle, 'exit')
  return { residentBytes, startMs: figureOf(began).median }
}

/** A record's kind as the journal has it: its length, then its letters (drivers/store/journal-block.ts). */
const READING = Buffer.from([7, ...Buffer.from('reading')])
/** Among the first of a new journal. */
const HEAD_BYTES = 1 << 18

function headOf(file: string): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  const descriptor = openSync(file, 'r')
  readSync(descriptor, head, 0, HEAD_BYTES, 0)
  closeSync(descriptor)
  return head
}

/** Time from the start of the process until the first signed reading stands in the journal's file, in ms. */
async function firstSigned(stage: Stage): Promise<{ readonly agent: AgentProcess; readonly signedMs: number }> {
  const folder = join(stage.data, 'journal')
  rmSync(stage.data, { recursive: true, force: true })
  const began = performance.now()
  const starting = stage.start()
  let signedMs: number | undefined
  const seen = () => {
    try {
      const segment = readdirSync(folder).find(name => statSync(join(folder, name)).size > 1 << 20)
      return segment !== undefined && headOf(join(folder, segment)).includes(READING)
    } catch {
      // Not there yet.
      return false
    }
  }
  while (signedMs === undefined) {
    if (seen()) signedMs = performance.now() - began
    else if (performance.now() - began > 60_000) throw new Error('no reading was signed within a minute')
    else await pause(LOOK_MS)
  }
  return { agent: await starting, signedMs }
}

/** Bytes of segments that hold something: each of them was written as a zero before. */
function committedIn(folder: string): number {
  let used = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.seg')) continue
    const bytes = readFileSync(join(entry.parentPath, entry.name))
    let end = bytes.length
    while (end > 0 && bytes[end - 1] === 0) end--
    used += end
  }
  return used
}

/** The files of the bundle that a start of `run` reads. */
function loadedBytes(program: string): number {
  const folder = dirname(program)
  const run = readdirSync(folder).filter(name => /^run-.*\.js$/.test(name))
  const waiting = ['tieline.js', ...run]
  const loaded = new Set<string>()
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (loaded.has(name)) continue
    loaded.add(name)
    const text = readFileSync(join(folder, name), 'utf8')
    for (const [, other] of text.matchAll(/\b(?:from|import)\s*"\.\/([\w.-]+\.js)"/g)) waiting.push(other!)
  }
  return [...loaded].reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

async function footprintRows({ quick, smoke, numbers }: BenchOptions): Promise<Row[]> {
  const bare = await bareNode()
  const stage = await openStage({ pauseMs: DEAL_EVERY_MS })
  try {
    const readyMs: number[] = []
    const signedMs: number[] = []
    let agent: AgentProcess | undefined
    for (let n = 0; n < (smoke ? 1 : 5); n++) {
      await agent?.stop()
      const started = await firstSigned(stage)
      agent = started.agent
      readyMs.push(agent.readyMs)
      signedMs.push(started.signedMs)
    }
    const { pid, page } = agent!
    await stage.startNeighbour()
    const ends = new AbortController()
    const { body } = await fetch(`${page}/api/events`, { signal: ends.signal })
    void body!.pipeTo(new WritableStream()).catch(() => {})
    await pause(smoke ? 2000 : SETTLE_MS)
    const early = readMemory(pid)
    const before = { cost: readCost(pid), committed: committedIn(stage.data), at: performance.now() }
    const minutes = numbers['minutes'] ?? (smoke ? 0.05 : quick ? 1 : 10)
    let quietest = Number.POSITIVE_INFINITY
    for (let left = minutes * 60_000; left > 0; left -= MINUTE_MS) {
      const [from, at] = [committedIn(stage.data), performance.now()]
      await pause(Math.min(left, MINUTE_MS))
      if (left >= MINUTE_MS || smoke)
        quietest = Math.min(quietest, (committedIn(stage.data) - from) / (performance.now() - at))
    }
    const ms = performance.now() - before.at
    const after = readCost(pid)
    const committed = committedIn(stage.data) - before.committed
    const late = readMemory(pid)
    const { sites } = (await (await fetch(`${page}/api/snapshot`)).json()) as { sites: { deals: unknown[] }[] }
    ends.abort()
    const perDay = (bytes: number) => (bytes / ms) * DAY_MS
    const median = (values: readonly number[]) => {
      const { median: value, lowest, highest } = figureOf(values)
      return { value, lowest, highest }
    }
    const floor = { what: 'Node alone, resident', value: bare.residentBytes / MEGA, unit: 'MB' }
    const mb = (bytes: number) => ({ value: bytes / MEGA, unit: 'MB' })
    const deals = sites[0]?.deals?.length ?? 0
    return [
      {
        ...{ id: 'memory.resident', what: `resident after ${minutes} minutes`, ...mb(late.residentBytes) },
        ...{ asked: '70', floor, note: `${deals} deals, one listener, broker ${stage.broker.kind}` },
      },
      { id: 'memory.early', what: 'resident when it is at work', ...mb(early.residentBytes), asked: '70', floor },
      { id: 'memory.private', what: 'of it nobody else’s', ...mb(late.privateBytes) },
      { id: 'memory.shared', what: 'shared in proportion (PSS)', ...mb(late.proportionalBytes) },
      { id: 'memory.peak', what: 'peak, while keys are opened', ...mb(late.peakBytes), note: 'scrypt takes 32 MiB' },
      {
        ...{ id: 'start.ready', what: 'from start to up, median', unit: 'ms', ...median(readyMs) },
        floor: { what: 'Node alone', value: bare.startMs, unit: 'ms' },
      },
      {
        ...{ id: 'start.signed', what: 'from start to the first signed reading in the journal, median', unit: 'ms' },
        ...{ ...median(signedMs), asked: '1,000', floor: { what: 'Node alone', value: bare.startMs, unit: 'ms' } },
      },
      {
        ...{ id: 'cpu', what: 'of one processor', unit: '%', value: (after.cpuMs - before.cost.cpuMs) / (ms / 100) },
        note: 'two meters at one reading a second, ten rounds of the relays',
      },
      {
        ...{ id: 'disk.quiet', what: 'written a day of readings alone, and the zeros before them', asked: '50' },
        ...{ ...mb(2 * quietest * DAY_MS), note: 'the least minute, by which nothing was bargained for' },
      },
      {
        ...{ id: 'disk.day', what: 'written a day as all these minutes count, the first deal and headers among them' },
        ...mb(perDay(2 * committed)),
      },
      { id: 'disk.commits', what: 'of it what was committed, in whole blocks', ...mb(perDay(committed)) },
      {
        ...{
          id: 'disk.dirtied',
          what: 'dirtied a day as the kernel counts',
          note: 'by whole folios: on ext4 up to 1 MiB each',
        },
        ...mb(perDay(after.writtenBytes - before.cost.writtenBytes)),
      },
      { id: 'descriptors', what: 'open descriptors', unit: '', value: after.descriptors },
      { id: 'threads', what: 'threads', unit: '', value: after.threads },
      { id: 'loaded', what: 'JavaScript read at the start', ...mb(loadedBytes(stage.program)) },
      { id: 'installed', what: 'installed, of the package', ...mb(stage.installedBytes) },
    ]
  } finally {
    await stage.close()
  }
}

await runBench('bench:footprint', 'What the agent costs a board: memory, start, processor, card.', footprintRows, {
  minutes: 'how long it is watched, in minutes',
})
process.exit()
