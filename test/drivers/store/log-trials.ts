/** The log, which shares the journal's writer, at work on a traced disk with its oldest records dropped, and its judge. */
import type { Disk } from '../../../drivers/ports.ts'
import { type Log, openLog } from '../../../drivers/store/log.ts'
import type { SimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'
import { BLOCK, diskOf, newTime } from './journal-trials.ts'
import { crashAt, type TraceEvent, traceDisk } from './traced-disk.ts'
import { numberOf, recordOf } from './trial-record.ts'

/** `number` is the trial's, `place` the log's; a place is used again where its record was refused. */
type Told =
  | { readonly kind: 'asked'; readonly number: number }
  | { readonly kind: 'acknowledged'; readonly number: number; readonly place: bigint }
  | { readonly kind: 'dropping'; readonly before: bigint }

export interface LogTrial {
  readonly events: readonly TraceEvent<Told>[]
  readonly sizes: readonly number[]
}

const RECORDS = 40

const open = (disk: Disk, time: SimTime) => openLog({ disk, clock: time.clock, name: 'log', segmentBytes: 4 * BLOCK })

/** Records of one frame, of several, of several segments; syncs that fail; every tenth record some old ones are dropped. */
export async function runLogTrial(seed: number): Promise<LogTrial> {
  const random = seededRandom(seed)
  const time = newTime()
  let striking = false
  const sim = createSimDisk({
    random,
    strike: operation => (striking && operation === 'sync' && random() < 1 / 12 ? 'io' : undefined),
    latency: { timers: time.timers, ms: () => 1 + random() * 30 },
  })
  const { disk, events } = traceDisk<Told>(sim.mount())
  const opening = open(disk, time)
  await time.advance(1000)
  const log = must(await opening)
  striking = true
  const sizes: number[] = []
  for (let number = 0; number < RECORDS; number++) {
    const size = Math.floor(random() ** 3 * 30_000)
    sizes.push(size)
    events.push({ kind: 'told', told: { kind: 'asked', number } })
    void log.append(recordOf(number, size)).then(answer => {
      if (answer.ok) events.push({ kind: 'told', told: { kind: 'acknowledged', number, place: answer.value } })
    })
    await time.advance(random() < 0.1 ? 11_000 : random() * 300)
    if (number % 10 !== 9) continue
    const before = log.next - 4n
    events.push({ kind: 'told', told: { kind: 'dropping', before } })
    const dropping = log.dropBefore(before)
    await time.advance(1000)
    await dropping
  }
  await time.advance(20_000)
  return { events, sizes }
}

/**
 * The second segment's opening is written and its sync fails, so it is removed again; then comes a record that would still
 * fit into the first. A cut may leave the opening on the disk and undo the remove.
 */
export async function runFailedOpening(): Promise<LogTrial> {
  const time = newTime()
  let syncs = 0
  const sim = createSimDisk({
    random: () => 0,
    // Of the first opening, two records, the second opening.
    strike: operation => (operation === 'sync' && ++syncs === 4 ? 'io' : undefined),
    latency: { timers: time.timers, ms: () => 10 },
  })
  const { disk, events } = traceDisk<Told>(sim.mount())
  const opening = open(disk, time)
  await time.advance(1000)
  const log = must(await opening)
  const sizes = [100, 100, 6000, 100]
  for (const [number, size] of sizes.entries()) {
    events.push({ kind: 'told', told: { kind: 'asked', number } })
    void log.append(recordOf(number, size)).then(answer => {
      if (answer.ok) events.push({ kind: 'told', told: { kind: 'acknowledged', number, place: answer.value } })
    })
    await time.advance(11_000)
  }
  return { events, sizes }
}

/** As `judgeCrash` of the journal; records below what was to be dropped may be gone, all the older ones with them. */
export async function judgeLogCrash(trial: LogTrial, point: number, seed: number): Promise<void> {
  const where = `point ${point}, seed ${seed}`
  const told = trial.events.slice(0, point).flatMap(event => (event.kind === 'told' ? [event.told] : []))
  const asked = told.filter(({ kind }) => kind === 'asked').length
  const kept = told.reduce((before, each) => (each.kind === 'dropping' ? each.before : before), 0n)
  const state = crashAt(trial.events, point, seededRandom(seed))
  const sim = await diskOf(state)

  async function check(log: Log): Promise<number[]> {
    const numbers: number[] = []
    const visited = await log.visit(1n, bytes => {
      const number = numberOf(bytes)
      assert.ok(number < asked, `${where}: record ${number} was invented`)
      assert.equal(bytes, recordOf(number, trial.sizes[number]!), `${where}: record ${number} is another`)
      assert.ok(numbers.length === 0 || number > numbers.at(-1)!, `${where}: record ${number} out of order, or twice`)
      numbers.push(number)
    })
    assert.ok(visited.ok, `${where}: ${visited.ok || JSON.stringify(visited.fault)}`)
    const there = new Set(numbers)
    for (const each of told) {
      if (each.kind !== 'acknowledged') continue
      const { number, place } = each
      assert.ok(there.has(number) || (place < kept && place < log.first), `${where}: record ${number} is lost`)
    }
    return numbers
  }

  const openAgain = async () => {
    const found = await open(sim.mount(), newTime())
    assert.ok(found.ok, `${where}: not opened: ${found.ok || JSON.stringify(found.fault)}`)
    return must(found)
  }
  const first = await openAgain()
  const numbers = await check(first)
  await first.close()
  sim.cut()
  const second = await openAgain()
  assert.equal(second.cuts, [], `${where}: opened again it is cut again`)
  assert.equal(await check(second), numbers, `${where}: opened again it holds something else`)
  assert.ok((await second.append(recordOf(0, 0))).ok, `${where}: it does not go on`)
  await second.close()
}
