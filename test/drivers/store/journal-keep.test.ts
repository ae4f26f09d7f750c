import { drainPromises } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { type Journal, type JournalOptions, openJournal } from '../../../drivers/store/journal.ts'
import type { JournalRecord } from '../../../drivers/store/journal-block.ts'
import { type Note, readNote } from '../../../drivers/store/journal-own.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { lastToDrop } from '../../../drivers/store/journal-retention.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal: what is kept')

const BLOCK = 4096
const SEGMENT = 5 * BLOCK
const DAY = 86_400_000
const START = 1_795_000_000_000

/** Of `a=1` the newest is kept under `a`; `a=` forgets it. Everything else a restart does without. */
const keeping = ({ kind, bytes }: JournalRecord) => {
  if (kind !== 'set') return undefined
  const [name = '', value = ''] = fromUtf8(bytes)!.split('=')
  return value === '' ? { over: [name] } : { as: name }
}
const newDisk = (options: Partial<SimDiskOptions> = {}) => createSimDisk({ random: seededRandom(1), ...options })
const newTime = () => createSimTime(START, drainPromises)
const open = (disk: Disk, options: Partial<JournalOptions> = {}, time = newTime()) =>
  openJournal({ disk, ...OWNED, clock: time.clock, timers: time.timers, segmentBytes: SEGMENT, keeping, ...options })
const set = async (journal: Journal, text: string) => must(await journal.append('set', utf8(text), { urgent: true }))
const keptIn = (journal: Journal) => journal.kept().map(({ bytes }) => fromUtf8(bytes))
/** Without mounting the disk anew, which would take it away from the journal. */
const segmentsOf = (sim: SimDisk) =>
  Array.from({ length: 99 }, (_, i) => `journal-${String(i + 1).padStart(8, '0')}.seg`).filter(
    name => sim.platter(name) !== undefined,
  )

test('a restart is given the newest of each name, in the order of their last change, without what was forgotten', async () => {
  const sim = newDisk()
  const journal = must(await open(sim.mount()))
  for (const text of ['a=1', 'b=1', 'c=1', 'b=2', 'a=2', 'c=']) await set(journal, text)
  assert.equal(keptIn(journal), ['b=2', 'a=2'])
  await journal.close()
  assert.equal(keptIn(must(await open(sim.mount()))), ['b=2', 'a=2'])
})

test('after any number of segments a restart reads only from the newest checkpoint on', async () => {
  const read: string[] = []
  const sim = newDisk({
    strike: (operation, name) => {
      if (operation === 'read') read.push(name)
      return undefined
    },
  })
  const journal = must(await open(sim.mount()))
  await set(journal, 'old=1')
  for (let i = 0; i < 40; i++) await set(journal, `busy=${i}`)
  const { segments } = journal.stats()
  assert.ok(segments > 12)
  await journal.close()
  const blocks = segmentsOf(sim).length
  read.length = 0
  const again = must(await open(sim.mount()))
  assert.equal(keptIn(again), ['old=1', 'busy=39'])
  // The opening of each, and the newest once more to see what is in force.
  assert.ok(read.length <= blocks + 2, `${read.length} reads of ${blocks} files`)
  assert.equal(await bytesRead(sim, 'journal-00000002.seg'), BLOCK)
})

/** How much of a file opening the journal reads. */
async function bytesRead(sim: SimDisk, name: string): Promise<number> {
  const disk = sim.mount()
  let most = 0
  const watched: Disk = {
    ...disk,
    read: (each, from, bytes) => {
      if (each === name) most = Math.max(most, bytes ?? SEGMENT)
      return disk.read(each, from, bytes)
    },
  }
  await must(await open(watched)).close()
  return most
}

test('the power goes at every operation of a rotation: what is in force is the same afterwards, and life goes on', async () => {
  const run = async (at: number) => {
    const sim = newDisk({ strike: (_, __, count) => (count === at ? 'cut' : undefined) })
    const opened = await open(sim.mount())
    let acknowledged = -1
    for (let i = 0; i < 12 && opened.ok; i++) {
      const answer = await opened.value.append('set', utf8(`n=${i}`), { urgent: true })
      if (answer.ok) acknowledged = i
    }
    return { sim, acknowledged }
  }
  const operations = (await run(-1)).sim.operations()
  let unfinished = 0
  for (let at = 0; at < operations; at++) {
    const { sim, acknowledged } = await run(at)
    const journal = must(await open(sim.mount()))
    const found = Number(keptIn(journal)[0]?.slice(2) ?? -1)
    assert.ok(found === acknowledged || found === acknowledged + 1, `operation ${at}: ${found} after ${acknowledged}`)
    // The newest segment was begun, and its checkpoint is not there.
    if (checkpointsIn(sim) < journal.stats().segments) unfinished++
    for (let i = 100; i < 108; i++) await set(journal, `n=${i}`)
    assert.is(checkpointsIn(sim), journal.stats().segments, `operation ${at}`)
    await journal.close()
    assert.equal(keptIn(must(await open(sim.mount()))), ['n=107'], `operation ${at}`)
  }
  assert.ok(unfinished > 2, `${unfinished} cuts between an opening and its checkpoint`)
})

/** Segments that begin with a checkpoint, or with the origin. */
function checkpointsIn(sim: SimDisk): number {
  let count = 0
  for (const name of segmentsOf(sim)) {
    const text = Buffer.from(sim.platter(name)!).toString('latin1')
    if (/journal\.checkpoint|^.{4152}.{1}journal\.origin/s.test(text)) count++
  }
  return count
}

test('a checkpoint that would take too much of a segment is left out: health says so, and nothing is lost', async () => {
  const sim = newDisk()
  const heard: (string | undefined)[] = []
  const journal = must(await open(sim.mount(), { onHealth: fault => heard.push(fault?.code) }))
  const long = 'x'.repeat(3000)
  for (const name of ['a', 'b', 'c']) await set(journal, `${name}=${long}`)
  for (let i = 0; i < 8; i++) await set(journal, `n=${i}`)
  assert.ok(heard.includes('journal.checkpoint-too-long'))
  assert.is(journal.health()?.code, 'journal.checkpoint-too-long')
  await journal.close()
  const again = must(await open(sim.mount()))
  assert.equal(keptIn(again), [`a=${long}`, `b=${long}`, `c=${long}`, 'n=7'])
  for (const name of ['a', 'b', 'c']) await set(again, `${name}=`)
  for (let i = 0; i < 8; i++) await set(again, `n=${i}`)
  assert.is(again.health(), undefined)
})

test('by size the oldest segments go, at rotation only, and what is in force stays', async () => {
  const sim = newDisk()
  const retention = { ms: 400 * DAY, bytes: 4 * SEGMENT }
  const journal = must(await open(sim.mount(), { retention }))
  await set(journal, 'old=1')
  for (let i = 0; i < 40; i++) {
    await set(journal, `n=${i}`)
    // The answer comes before the drop.
    assert.ok(journal.stats().segments <= 5, `${i}: ${journal.stats().segments}`)
  }
  await journal.close()
  const names = segmentsOf(sim)
  assert.ok(names.length <= 5, 'four, and one that is made ahead')
  const again = must(await open(sim.mount(), { retention }))
  assert.equal(keptIn(again), ['old=1', 'n=39'])
  // A reader finds the first of what is left to be a link, and what stands for what was dropped.
  const reader = must(await openJournalReader(sim.mount()))
  assert.ok(reader.first.sequence > 0n)
  const carried: string[] = []
  const written: string[] = []
  must(
    await reader.visit(({ kind, bytes }, at) => {
      if (kind === 'set') (at.carried ? carried : written).push(fromUtf8(bytes)!)
    }),
  )
  assert.is(carried[0], 'old=1')
  assert.is(carried.length, 2)
  const first = Number(carried[1]!.slice(2))
  assert.equal(
    written,
    Array.from({ length: 39 - first }, (_, i) => `n=${first + 1 + i}`),
  )
  assert.is(reader.head.records, again.head().records)
})

test('without retention nothing is ever dropped', async () => {
  const journal = must(await open(newDisk().mount()))
  for (let i = 0; i < 40; i++) await set(journal, `n=${i}`)
  assert.ok(journal.stats().segments > 12)
})

test('by age only what is older goes, two segments at a time, and never by a clock that is not set', async () => {
  const segments = Array.from({ length: 6 }, (_, i) => ({
    number: i + 1,
    begun: START + i * DAY,
    endsAt: SEGMENT,
    next: 1n,
    after: i,
    before: { sequence: 0n, hash: new Uint8Array(32) },
    seal: undefined,
  }))
  const retention = { ms: 10 * DAY, bytes: 1e9 }
  const at = (now: number | undefined, more: object = {}) =>
    lastToDrop(segments, { retention, segmentBytes: SEGMENT, checkpoint: 6, now, ...more })?.number
  // The first was written until the second was begun, a day later.
  assert.is(at(START + 11 * DAY), undefined)
  assert.is(at(START + 11 * DAY + 1), 1)
  assert.is(at(START + 12 * DAY + 1), 2)
  // Ten years ahead: not all at once.
  assert.is(at(START + 3650 * DAY), 2)
  assert.is(at(undefined), undefined)
  assert.is(at(0), undefined)
  // Nothing from the newest checkpoint on.
  assert.is(at(START + 3650 * DAY, { checkpoint: 2 }), 1)
  assert.is(at(START + 3650 * DAY, { checkpoint: 1 }), undefined)
  // Begun before the clock was set: as old as the next that knows, and never older.
  const unset = segments.map(segment => (segment.number < 4 ? { ...segment, begun: 0 } : segment))
  const aged = (now: number) => lastToDrop(unset, { retention, segmentBytes: SEGMENT, checkpoint: 6, now })?.number
  assert.is(aged(START + 13 * DAY), undefined)
  assert.is(aged(START + 13 * DAY + 1), 2)
  // Once the clock stood in 1970: what was written then is no older than what stands in front of it.
  const back = segments.map(segment => (segment.number === 2 ? { ...segment, begun: 1 } : segment))
  const after = (now: number) => lastToDrop(back, { retention, segmentBytes: SEGMENT, checkpoint: 6, now })?.number
  assert.is(after(START + 10 * DAY), undefined)
  assert.is(after(START + 10 * DAY + 1), 1)
})

test('segments that somebody else removed are missed; those that the journal dropped are not', async () => {
  const filled = async () => {
    const sim = newDisk()
    const journal = must(await open(sim.mount(), { retention: { ms: DAY * 400, bytes: 4 * SEGMENT } }))
    for (let i = 0; i < 40; i++) await set(journal, `n=${i}`)
    await journal.close()
    return sim
  }
  assert.ok((await open((await filled()).mount())).ok)
  const sim = await filled()
  const [oldest = ''] = segmentsOf(sim)
  must(await sim.mount().remove(oldest))
  const writer = await open(sim.mount())
  assert.is(writer.ok ? 'ok' : writer.fault.code, 'journal.segment-missing')
  const reader = await openJournalReader(sim.mount())
  assert.is(reader.ok ? 'ok' : reader.fault.code, 'journal.segment-missing')
})

test('the power goes at every operation with retention: no hole, nothing in force lost, the drop is finished', async () => {
  const retention = { ms: 400 * DAY, bytes: 3 * SEGMENT }
  const run = async (at: number) => {
    const sim = newDisk({ strike: (_, __, count) => (count === at ? 'cut' : undefined) })
    const opened = await open(sim.mount(), { retention })
    let acknowledged = -1
    for (let i = 0; i < 20 && opened.ok; i++) {
      const answer = await opened.value.append('set', utf8(`n=${i}`), { urgent: true })
      if (answer.ok) acknowledged = i
    }
    return { sim, acknowledged }
  }
  const operations = (await run(-1)).sim.operations()
  let interrupted = 0
  for (let at = 0; at < operations; at++) {
    const { sim, acknowledged } = await run(at)
    const before = segmentsOf(sim)
    const journal = must(await open(sim.mount(), { retention }))
    const after = segmentsOf(sim)
    if (after[0] !== before[0]) interrupted++
    const found = Number(keptIn(journal)[0]?.slice(2) ?? -1)
    assert.ok(found === acknowledged || found === acknowledged + 1, `operation ${at}`)
    await journal.close()
  }
  assert.ok(interrupted > 0, 'no cut fell between the record of a drop and the drop')
})

test('each finished segment is told once, with its last frame and the records until then, and so is each drop', async () => {
  const sim = newDisk()
  const journal = must(await open(sim.mount(), { retention: { ms: 400 * DAY, bytes: 3 * SEGMENT } }))
  const heard: Note[] = []
  const heads = [journal.head()]
  journal.onNote(note => heard.push(note))
  for (let i = 0; i < 20; i++) {
    await set(journal, `n=${i}`)
    heads.push(journal.head())
  }
  const sealed = heard.filter(note => note.kind === 'sealed')
  assert.equal(
    sealed.map(({ segment }) => segment),
    Array.from({ length: sealed.length }, (_, i) => i + 1),
  )
  for (const { sequence, hash, records } of sealed) {
    const head = heads.find(each => each.sequence === sequence)
    // A segment that ended with the journal's own record of a drop has no head of ours.
    if (head !== undefined) assert.equal(head, { sequence, hash, records })
  }
  const dropped = heard.filter(note => note.kind === 'dropped')
  assert.ok(sealed.length > 5 && dropped.length > 2)
  for (const { segment, sequence, hash } of dropped) {
    const seal = sealed.find(each => each.segment === segment)
    assert.equal({ sequence, hash }, { sequence: seal?.sequence, hash: seal?.hash })
  }
})

test('a note stays in force until it is said, over restarts and rotations', async () => {
  const sim = newDisk()
  const noting = (record: JournalRecord) => {
    const note = readNote(record)
    if (note !== undefined) return { as: `${note.kind}/${note.segment}` }
    return record.kind === 'said' ? { over: [fromUtf8(record.bytes)!] } : undefined
  }
  const journal = must(await open(sim.mount(), { keeping: noting }))
  for (let i = 0; i < 10; i++) await set(journal, `n=${i}`)
  const unsaid = (each: Journal) => each.kept().map(record => readNote(record)!.segment)
  assert.equal(unsaid(journal), [1, 2, 3])
  must(await journal.append('said', utf8('sealed/2'), { urgent: true }))
  await journal.close()
  assert.equal(unsaid(must(await open(sim.mount(), { keeping: noting }))), [1, 3])
})

test('a time in which nothing could be written is told once it is over, from the first record refused', async () => {
  const time = newTime()
  let full = false
  const sim = newDisk({ strike: operation => (full && operation !== 'read' ? 'full' : undefined) })
  const heard: (string | undefined)[] = []
  const journal = must(await open(sim.mount(), { onHealth: fault => heard.push(fault?.code) }, time))
  const outages: unknown[] = []
  journal.onOutage(outage => outages.push(outage))
  await set(journal, 'a=1')
  full = true
  await time.advance(5000)
  assert.not.ok((await journal.append('set', utf8('a=2'), { urgent: true })).ok)
  await time.advance(60_000)
  assert.not.ok((await journal.append('set', utf8('a=3'), { urgent: true })).ok)
  assert.equal(outages, [])
  full = false
  await time.advance(60_000)
  await set(journal, 'a=4')
  await set(journal, 'a=5')
  assert.equal(outages, [{ from: START + 5000, to: START + 125_000 }])
  assert.equal(keptIn(journal), ['a=5'])
  assert.is(heard.at(-1), undefined)
  assert.ok(heard.some(code => code === 'journal.full' || code === 'journal.io'))
})

test.run()
