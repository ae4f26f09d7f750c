/**
 * `npm run soak`: the whole agent at work for half an hour, while listeners come and go, the broker and the ledger are restarted and the
 * meters' adapter is pulled and plugged in. What must not grow is watched: memory by a line through its lows, descriptors by their least in
 * quiet moments; of memory, objects and compiled code are told apart. It exits with 1 unless all is sound, and says inconclusive where it was too short or too restless to tell.
 */
import { join } from 'node:path'
import { readCost, readMemory } from './footprint-process.ts'
import { openStage } from './footprint-stage.ts'
import { type BenchOptions, type Row, runBench } from './report.ts'
import { heapTold, readHeap } from './soak-heap.ts'
import {
  judgeDescriptors,
  judgeSlope,
  lowsOf,
  type Sample,
  type Slope,
  slopeOf,
  type Verdict,
  worstOf,
} from './soak-verdict.ts'

/** Code is compiled, caches and rings are filled: a fifth of the time, five minutes at most. */
const WARM_SHARE = 0.2
const WARM_MS = 300_000
const SAMPLE_MS = 2_000
const HOUR_MS = 3_600_000
/**
 * Ten of these days on the unit's 256 MB, from 70: a leak that a restart by hand once a week hides is one. What is still being filled after half
 * an hour (a ring of a day's curve, the journal's list of blocks) is below it.
 */
const MOST_MB_PER_HOUR = 0.75
/** Sockets of listeners that are just coming or going. */
const MOST_DESCRIPTORS = 4

const spreadOf = ({ perHour, within }: Slope) => ({ lowest: perHour - within, highest: perHour + within })

/** By the hour, in the second half. */
function grown(id: string, what: string, samples: readonly Sample[]): Row {
  const [first, last] = [samples[0]?.mb, samples.at(-1)?.mb]
  const slope = slopeOf(samples.slice(samples.length >> 1))
  const note =
    first === undefined || last === undefined ? '' : `${first.toFixed(1)} MB at first, ${last.toFixed(1)} at last`
  return {
    ...{ id: `memory.${id}`, what, value: slope.perHour, unit: 'MB', note },
    ...(Number.isFinite(slope.within) ? spreadOf(slope) : {}),
  }
}

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

async function soakRows({ quick, smoke, numbers }: BenchOptions): Promise<Row[]> {
  const minutes = numbers['minutes'] ?? (smoke ? 0.2 : quick ? 3 : 30)
  const stage = await openStage()
  const began = performance.now()
  const passed = () => performance.now() - began
  const lengthMs = minutes * 60_000
  const warmMs = Math.min(WARM_MS, WARM_SHARE * lengthMs)
  try {
    const told = join(stage.folder, 'heap')
    const agent = await stage.start({ node: [`--import=${heapTold(told)}`] })
    const { pid, page } = agent
    const neighbour = await stage.startNeighbour()
    const listeners = new Set<AbortController>()
    const samples: Sample[] = []
    const descriptors: number[] = []
    const done = { listeners: 0, broker: 0, ledger: 0, meters: 0 }
    let over = false
    /** A meter or a board that answers so late is this process's doing, and whatever the agent makes of it. */
    let lateMs = 0

    async function comeAndGo(): Promise<void> {
      while (!over) {
        for (let n = 0; n < 5; n++) {
          const ends = new AbortController()
          listeners.add(ends)
          done.listeners++
          void fetch(`${page}/api/events`, { signal: ends.signal })
            .then(({ body }) => body!.pipeTo(new WritableStream()))
            .catch(() => {})
          await pause(500)
        }
        await pause(4000)
        for (const ends of listeners) ends.abort()
        listeners.clear()
        await pause(1500)
        descriptors.push(readCost(pid).descriptors)
      }
    }
    /** One trouble after the other, each mended before the next. */
    async function trouble(): Promise<void> {
      const kinds = [
        ['broker', () => stage.broker.stop(), () => stage.broker.start()],
        ['ledger', () => stage.ledger(false), () => stage.ledger(true)],
        ['meters', () => stage.meters(false), () => stage.meters(true)],
      ] as const
      for (let n = 0; !over; n++) {
        await pause(smoke ? 1000 : 25_000)
        const [kind, strike, mend] = kinds[n % kinds.length]!
        await strike()
        await pause(smoke ? 500 : 5_000)
        await mend()
        done[kind]++
      }
    }
    const busy = [comeAndGo(), trouble()]
    while (passed() < lengthMs) {
      const asleep = performance.now()
      await pause(SAMPLE_MS)
      lateMs = Math.max(lateMs, performance.now() - asleep - SAMPLE_MS)
      if (passed() > warmMs) samples.push({ hours: passed() / HOUR_MS, mb: readMemory(pid).dirtyBytes / 1e6 })
    }
    const before = readCost(pid)
    over = true
    await Promise.all(busy)
    await pause(smoke ? 500 : 5_000)
    const { sites } = (await (await fetch(`${page}/api/snapshot`)).json()) as { sites: { health: unknown[] }[] }
    const deals = neighbour.trading.deals().length
    const exit = await agent.stop()
    const quiet = descriptors.slice(Math.floor(descriptors.length * WARM_SHARE))
    const [least, most] = [Math.min(...quiet), Math.max(...quiet)]
    const lows = lowsOf(samples)
    const slope = slopeOf(lows)
    const { perHour, within } = slope
    const halves = [quiet.slice(0, quiet.length >> 1), quiet.slice(quiet.length >> 1)].map(part => Math.min(...part))
    const ended: Verdict = exit === 0 ? 'sound' : 'NOT SOUND'
    const late = slopeOf(lows.slice(lows.length >> 1))
    const memory = judgeSlope(slope, MOST_MB_PER_HOUR)
    const heap = readHeap(told, warmMs)
    const verdict = worstOf([memory, judgeDescriptors(quiet, MOST_DESCRIPTORS), ended])
    if (verdict !== 'sound' && !smoke) process.exitCode = 1
    return [
      {
        ...{ id: 'memory.slope', what: 'least memory of a minute that was written to, by the hour', value: perHour },
        ...{ unit: 'MB', asked: `${MOST_MB_PER_HOUR}` },
        ...(Number.isFinite(within) ? spreadOf(slope) : {}),
        note: `${verdict} (memory ${memory}); 95 %, from ${lows.length} lows of ${samples.length} samples in ${minutes} minutes`,
      },
      {
        ...{ id: 'memory.late', what: 'the same of the second half, when code has been compiled', unit: 'MB' },
        ...{ value: late.perHour, ...(Number.isFinite(late.within) ? spreadOf(late) : {}) },
      },
      grown('objects', 'of it objects that a full collection leaves', heap.objects),
      grown('code', 'of it what has been compiled', heap.code),
      { id: 'memory.first', what: 'of it at the first sample', value: samples[0]?.mb ?? 0, unit: 'MB' },
      { id: 'memory.last', what: 'at the last', value: samples.at(-1)?.mb ?? 0, unit: 'MB' },
      {
        ...{ id: 'descriptors', what: 'descriptors with nobody listening, the least of the second half', unit: '' },
        ...{
          value: halves[1]!,
          lowest: least,
          highest: most,
          asked: `${halves[0]} as in the first, or ${MOST_DESCRIPTORS} more`,
        },
      },
      { id: 'written', what: 'dirtied as the kernel counts', value: before.writtenBytes / 1e6, unit: 'MB' },
      { id: 'cpu', what: 'of one processor', value: before.cpuMs / (lengthMs / 100), unit: '%' },
      {
        ...{ id: 'troubles', what: 'troubles mended', value: done.broker + done.ledger + done.meters, unit: '' },
        note: `broker ${done.broker}, ledger ${done.ledger}, adapter ${done.meters}, listeners ${done.listeners}, deals ${deals}`,
      },
      { id: 'bench.late', what: 'this bench itself at its latest', value: lateMs, unit: 'ms' },
      {
        id: 'health',
        what: 'still raised at the end',
        value: sites[0]!.health.length,
        unit: '',
        note: JSON.stringify(sites[0]!.health).slice(0, 200),
      },
    ]
  } finally {
    await stage.close()
  }
}

await runBench('soak', 'The whole agent for half an hour: what must not grow does not.', soakRows, {
  minutes: 'how long',
})
process.exit()
