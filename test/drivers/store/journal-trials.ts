/**
 * A journal at work on a traced disk, and the judge of what a crash left of it. The judge knows what the caller was told
 * and reads the bytes of frames itself; it takes no word of the journal for it.
 */
import { createHash } from 'node:crypto'
import { drainMicrotasks } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import type { Head } from '../../../drivers/store/journal-recovery.ts'
import { createSimTime, type SimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type DiskOperation, type SimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'
import { OWNED } from './owned.ts'
import { type CrashState, crashAt, type TraceEvent, traceDisk, withoutSync } from './traced-disk.ts'
import { isKept, KEPT, keeping, kindOf, numberOf, recordOf } from './trial-record.ts'

export const BLOCK = 4096

export type Told =
  | { readonly kind: 'asked'; readonly number: number }
  | { readonly kind: 'acknowledged'; readonly number: number }

export interface Trial {
  readonly events: readonly TraceEvent<Told>[]
  readonly segmentBytes: number
  readonly segmentsKept: number | undefined
  /** Bytes of each record handed over, by its number. */
  readonly sizes: readonly number[]
  /** The file that each record was last written into before it was acknowledged. */
  readonly homes: ReadonlyMap<number, string>
}

export interface Workload {
  readonly segmentBytes: number
  readonly records: number
  readonly sizeOf: (random: () => number) => number
  readonly urgentShare: number
  /** Between two records. */
  readonly pauseMs: (random: () => number) => number
  /** How long the disk takes for an operation. */
  readonly latencyMs: (random: () => number) => number
  readonly strike?: (operation: DiskOperation, random: () => number) => Strike | undefined
  /** Older ones are dropped. */
  readonly segmentsKept?: number
  /** Closed and opened again about every so many records. */
  readonly reopenEvery?: number
  readonly syncs?: boolean
}

/** Ten readings a second in groups of a second, a segment filled on the way. */
export const PLAIN: Workload = {
  segmentBytes: 12 * BLOCK,
  records: 160,
  sizeOf: () => 200,
  urgentShare: 0,
  pauseMs: () => 100,
  latencyMs: random => 1 + random() * 20,
}

/** Readings, long ones too, and contracts that do not wait; small segments, the oldest dropped; syncs that fail; opened anew now and then. */
export const MIXED: Workload = {
  segmentBytes: 6 * BLOCK,
  segmentsKept: 5,
  records: 60,
  sizeOf: random => Math.floor(random() ** 3 * 9000),
  urgentShare: 0.4,
  pauseMs: random => random() * 900,
  latencyMs: random => 1 + random() * 80,
  strike: (operation, random) => (random() < (operation === 'sync' ? 1 / 25 : 1 / 150) ? 'io' : undefined),
  reopenEvery: 25,
}

export const newTime = (): SimTime => createSimTime(1_795_000_000_000, drainMicrotasks)

export const open = (disk: Disk, time: SimTime, segmentBytes: number, segmentsKept?: number) =>
  openJournal({
    disk,
    ...OWNED,
    clock: time.clock,
    timers: time.timers,
    segmentBytes,
    keeping,
    ...(segmentsKept === undefined
      ? {}
      : { retention: { ms: Number.MAX_SAFE_INTEGER, bytes: segmentsKept * segmentBytes } }),
  })

export const append = (journal: Journal, number: number, size: number, urgent: boolean) =>
  journal.append(kindOf(number), recordOf(number, size), { urgent })

/** Runs a workload, every operation of the disk and every answer of the journal written down in order. */
export async function runTrial(workload: Workload, seed: number): Promise<Trial> {
  const random = seededRandom(seed)
  const time = newTime()
  let striking = false
  const sim = createSimDisk({
    random,
    strike: operation => (striking ? workload.strike?.(operation, random) : undefined),
    latency: { timers: time.timers, ms: () => workload.latencyMs(random) },
  })
  const { disk, events } = traceDisk<Told>(sim.mount())
  const seen = workload.syncs === false ? withoutSync(disk) : disk
  const opening = async () => {
    // Opening a journal on a failing disk may be refused; that is judged elsewhere.
    striking = false
    const found = open(seen, time, workload.segmentBytes, workload.segmentsKept)
    await time.advance(20_000)
    striking = true
    return must(await found)
  }
  const sizes: number[] = []
  let journal = await opening()
  for (let number = 0; number < workload.records; number++) {
    const size = workload.sizeOf(random)
    sizes.push(size)
    events.push({ kind: 'told', told: { kind: 'asked', number } })
    void append(journal, number, size, random() < workload.urgentShare).then(answer => {
      if (answer.ok) events.push({ kind: 'told', told: { kind: 'acknowledged', number } })
    })
    await time.advance(workload.pauseMs(random))
    if (workload.reopenEvery !== undefined && number % workload.reopenEvery === workload.reopenEvery - 1) {
      const closing = journal.close()
      await time.advance(20_000)
      await closing
      journal = await opening()
    }
  }
  await time.advance(20_000)
  const { segmentBytes, segmentsKept } = workload
  return { events, segmentBytes, segmentsKept, sizes, homes: homesOf(events, sizes) }
}

/** Numbers that the caller was told by a point of the trace. */
const toldBy = (trial: Trial, point: number, kind: Told['kind']): number[] =>
  trial.events
    .slice(0, point)
    .flatMap(event => (event.kind === 'told' && event.told.kind === kind ? [event.told.number] : []))

export async function diskOf(state: Pick<CrashState, 'files'>): Promise<SimDisk> {
  const sim = createSimDisk({ random: () => 0 })
  const disk = sim.mount()
  for (const [name, bytes] of state.files) must(await disk.replace(name, bytes))
  return sim
}

/**
 * Where the caller's records are: in the bytes that were written, found by themselves. The last write before a record was
 * acknowledged is the one that counted; of files that were there at first, the oldest has it, later ones carry copies.
 */
function homesOf(events: Trial['events'], sizes: readonly number[]): Map<number, string> {
  const homes = new Map<number, string>()
  for (const [at, event] of events.entries()) {
    if (event.kind !== 'told' || event.told.kind !== 'acknowledged' || homes.has(event.told.number)) continue
    const { number } = event.told
    const bytes = Buffer.from(recordOf(number, sizes[number]!))
    const holding = events.slice(0, at).flatMap(({ kind, ...rest }) => {
      const operation = kind === 'end' && 'operation' in rest ? rest.operation : undefined
      const holds = operation !== undefined && 'bytes' in operation && Buffer.from(operation.bytes).includes(bytes)
      return holds ? [operation] : []
    })
    const home = holding.findLast(({ kind }) => kind === 'write') ?? holding[0]
    if (home !== undefined) homes.set(number, home.name)
  }
  return homes
}

export interface ReadBack {
  readonly numbers: readonly number[]
  /** Those of numbers handed in that are not there, though something older is that was not carried forward. */
  lost(acknowledged: Iterable<number>): number[]
  /** Those that are not there and are older than all that is: dropped. */
  dropped(acknowledged: Iterable<number>): number[]
}

/**
 * The records that the journal gives back: each was handed over, and so, they are in order, and none comes twice; every frame
 * that they come from is on the chain that leads back from the head; what is kept is the newest of its kind.
 */
export async function readBack(
  journal: Journal,
  disk: Disk,
  sizeOf: (number: number) => number | undefined,
  where: string,
): Promise<ReadBack> {
  const files: Uint8Array[] = []
  for (const name of must(await disk.list())) files.push(must(await disk.read(name)))
  const chain = chainFrom(files, journal.head())
  const numbers: number[] = []
  let oldest = Number.POSITIVE_INFINITY
  let kept: number | undefined
  must(
    await journal.visit(({ kind, bytes }, { frame, frameHash, carried }) => {
      assert.is(chain.get(frame), toHex(frameHash), `${where}: frame ${frame} is not on the chain`)
      if (kind !== 'r' && kind !== KEPT) return
      const number = numberOf(bytes)
      const size = sizeOf(number)
      assert.ok(size !== undefined, `${where}: record ${number} was invented`)
      assert.ok(equalBytes(bytes, recordOf(number, size!)), `${where}: record ${number} is another`)
      assert.ok(numbers.length === 0 || number > numbers.at(-1)!, `${where}: record ${number} out of order, or twice`)
      numbers.push(number)
      if (!carried) oldest = Math.min(oldest, number)
      if (kind === KEPT) kept = number
    }),
  )
  assert.equal(
    journal.kept().map(({ bytes }) => numberOf(bytes)),
    kept === undefined ? [] : [kept],
    `${where}: kept`,
  )
  const there = new Set(numbers)
  const missing = (acknowledged: Iterable<number>) => [...acknowledged].filter(number => !there.has(number))
  return {
    numbers,
    lost: acknowledged => missing(acknowledged).filter(number => number > oldest || numbers.length === 0),
    dropped: acknowledged => missing(acknowledged).filter(number => number < oldest),
  }
}

/**
 * The frames that lead from the head back as far as there are any, each found by its hash among all blocks of all files. In
 * a block the body's length stands at byte 4, the sequence at 12, the previous hash at 20, the body at 56.
 */
function chainFrom(files: Iterable<Uint8Array>, head: Head): ReadonlyMap<bigint, string> {
  const frames = new Map<string, { readonly previous: string; readonly sequence: bigint }>()
  for (const bytes of files) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
      const end = at + 56 + view.getUint32(at + 4, true)
      if (end > bytes.length) continue
      const hash = createHash('sha256').update(bytes.subarray(at, end)).digest('hex')
      frames.set(hash, {
        previous: toHex(bytes.subarray(at + 20, at + 52)),
        sequence: view.getBigUint64(at + 12, true),
      })
    }
  }
  const chain = new Map<bigint, string>()
  let hash = toHex(head.hash)
  for (let sequence = head.sequence; sequence > 0n; sequence--) {
    const frame = frames.get(hash)
    if (frame?.sequence !== sequence) break
    chain.set(sequence, hash)
    hash = frame.previous
  }
  return chain
}

export interface Verdict {
  readonly state: CrashState
  readonly cuts: number
  readonly acknowledged: number
  readonly recovered: number
}

/** What a cut at `point` leaves must be opened, hold what was acknowledged by then, and stay so. Throws where it does not. */
export async function judgeCrash(trial: Trial, point: number, seed: number): Promise<Verdict> {
  const where = `point ${point}, seed ${seed}`
  const state = crashAt(trial.events, point, seededRandom(seed))
  const asked = trial.sizes.slice(0, toldBy(trial, point, 'asked').length)
  const acknowledged = toldBy(trial, point, 'acknowledged')
  const removed = removedBy(trial, point)
  const sim = await diskOf(state)
  let disk = sim.mount()
  const opening = async () => {
    disk = sim.mount()
    const found = await open(disk, newTime(), trial.segmentBytes, trial.segmentsKept)
    assert.ok(found.ok, `${where}: not opened: ${found.ok || JSON.stringify(found.fault)}`)
    return must(found)
  }
  const check = async (journal: Journal): Promise<readonly number[]> => {
    const { numbers } = await readBack(journal, disk, number => asked[number], where)
    const there = new Set(numbers)
    const lost = acknowledged.filter(number => !there.has(number) && !removed.has(trial.homes.get(number)!))
    assert.equal(lost, [], `${where}: acknowledged and lost`)
    const newest = acknowledged.filter(isKept).at(-1)
    assert.ok(newest === undefined || numbers.some(number => isKept(number) && number >= newest), `${where}: not kept`)
    return numbers
  }
  const first = await opening()
  const { cuts } = first
  // Where nothing had failed, what is half there can only be told from a record by being cut.
  const calm = trial.events
    .slice(0, point)
    .every(event => event.kind !== 'end' || (event.ok && event.operation.kind !== 'replace'))
  if (calm) assert.is(cuts.length, state.damaged, `${where}: ${cuts.length} cuts told`)
  const numbers = await check(first)
  const noted: unknown[] = []
  must(await first.visit(({ kind }) => kind === 'journal.cut' && noted.push(kind)))
  assert.ok(noted.length >= cuts.length, `${where}: a cut that is not on record`)
  await first.close()
  sim.cut()
  const second = await opening()
  assert.equal(second.cuts, [], `${where}: opened again it is cut again`)
  assert.equal(await check(second), numbers, `${where}: opened again it holds something else`)
  assert.ok((await append(second, asked.length, 0, true)).ok, `${where}: it does not go on`)
  await second.close()
  return { state, cuts: cuts.length, acknowledged: acknowledged.length, recovered: numbers.length }
}

/** Files that may be gone: their removal was begun, or announced in a record on which the next opening acts. */
function removedBy(trial: Trial, point: number): Set<string> {
  const removed = new Set<string>()
  for (const event of trial.events.slice(0, point)) {
    if (event.kind !== 'begin') continue
    const { operation } = event
    if (operation.kind === 'remove') removed.add(operation.name)
    if (operation.kind !== 'write' && operation.kind !== 'replace') continue
    for (let number = announcedDrop(operation.bytes); number > 0; number--) {
      removed.add(`journal-${String(number).padStart(8, '0')}.seg`)
    }
  }
  return removed
}

/** The last segment of which these bytes say that it and all before are dropped: the record's length (u32), a3 01, and below 24 the number itself. */
function announcedDrop(bytes: Uint8Array): number {
  const name = 'journal.dropped'
  const at = Buffer.from(bytes).lastIndexOf(name)
  const number = at + name.length + 4 + 2
  return at === -1 ? 0 : bytes[number]! < 24 ? bytes[number]! : bytes[number + 1]!
}

/** Life goes on after a crash: what that left is opened and written on, on a traced disk again. */
export async function resume(trial: Trial, point: number, seed: number): Promise<Trial> {
  const { events, disk } = traceDisk<Told>(createSimDisk({ random: () => 0 }).mount())
  const { files } = crashAt(trial.events, point, seededRandom(seed))
  for (const name of [...files.keys()].sort()) must(await disk.replace(name, files.get(name)!))
  const sizes = trial.sizes.slice(0, toldBy(trial, point, 'asked').length)
  const tell = (kind: Told['kind'], number: number) => events.push({ kind: 'told', told: { kind, number } })
  for (const number of sizes.keys()) tell('asked', number)
  const removed = removedBy(trial, point)
  for (const number of toldBy(trial, point, 'acknowledged')) {
    if (!removed.has(trial.homes.get(number)!)) tell('acknowledged', number)
  }
  const journal = must(await open(disk, newTime(), trial.segmentBytes, trial.segmentsKept))
  // What was found is believed from now on, acknowledged before or not.
  for (const number of (await readBack(journal, disk, each => sizes[each], 'resumed')).numbers)
    tell('acknowledged', number)
  for (let i = 0; i < 6; i++) {
    const number = sizes.length
    sizes.push(i * 700)
    tell('asked', number)
    must(await append(journal, number, i * 700, true))
    tell('acknowledged', number)
  }
  await journal.close()
  return { ...trial, events, sizes, homes: homesOf(events, sizes) }
}

/** For the control, where the ruin may be anything: how many of the acknowledged records cannot be read back as they were. */
export async function countLost(
  trial: Trial,
  point: number,
  seed: number,
): Promise<{ readonly acknowledged: number; readonly lost: number }> {
  const removed = removedBy(trial, point)
  const acknowledged = toldBy(trial, point, 'acknowledged').filter(number => !removed.has(trial.homes.get(number)!))
  const disk = (await diskOf(crashAt(trial.events, point, seededRandom(seed)))).mount()
  const left = new Set<number>()
  const found = await open(disk, newTime(), trial.segmentBytes, trial.segmentsKept)
  if (found.ok) {
    await found.value.visit(({ kind, bytes }) => {
      const number = kind === 'r' || kind === KEPT ? numberOf(bytes) : -1
      if (equalBytes(bytes, recordOf(number, trial.sizes[number] ?? 0))) left.add(number)
    })
    await found.value.close()
  }
  return { acknowledged: acknowledged.length, lost: acknowledged.filter(number => !left.has(number)).length }
}
