import { type EnergyAsked, type History, type HistoryOptions, openHistory } from '../../../agent/metering/history.ts'
import { CURSOR_KEY, OTHERS_KEY } from '../../../agent/metering/history-form.ts'
import { encodeMeteringRecord, readMeteringRecord } from '../../../agent/metering/journal-form.ts'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Index } from '../../../drivers/ports.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk } from '../../../hw/sim/disk.ts'
import { createMemoryIndex } from '../../../hw/sim/memory-index.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { encodeReading, READING_PURPOSE, type Reading } from '../../../protocol/reading/reading.ts'
import { type Bucket, bucketsOf, type Placed, spansOf } from '../../../protocol/reading/rollup.ts'
import { fail, must } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { OWNED } from '../../drivers/store/owned.ts'
import { assert, suite } from '../../harness.ts'
import { firstReading, sampleContext, sealContext, signer } from '../../protocol/reading/sample.ts'

const test = suite('history')

const QUARTER = 900_000
const BEGIN = instant(1_795_000_500_000)
const METER = 'grid'
const CONTRACT = new Uint8Array(32).fill(9)
const context = await sealContext(sampleContext)

interface Bench {
  readonly time: ReturnType<typeof createSimTime>
  readonly sim: SimDisk
  journal: Journal
  readonly readings: Reading[]
  readonly logs: string[]
  readonly health: string[]
}

const openOn = async (time: Bench['time'], sim: SimDisk, id: number) =>
  must(
    await openJournal({
      disk: sim.mount(),
      ...OWNED,
      entropy: { bytes: count => new Uint8Array(count).fill(id) },
      clock: time.clock,
      timers: time.timers,
      segmentBytes: 64 * 1024,
    }),
  )

async function bench(id = 1): Promise<Bench> {
  const time = createSimTime(BEGIN, drainPromises)
  const sim = createSimDisk({ random: seededRandom(1) })
  return { time, sim, journal: await openOn(time, sim, id), readings: [], logs: [], health: [] }
}

/** A reading every minute, 10 Wh more each, kept in the journal. */
async function sign(site: Bench, count: number, change: (n: number) => Partial<Reading> = () => ({}), name = METER) {
  const told: { envelope: Uint8Array; context: Uint8Array; hash: Uint8Array; reading: Reading }[] = []
  for (let i = 0; i < count; i++) {
    const n = site.readings.length
    const reading: Reading = {
      ...firstReading(new Uint8Array(8)),
      sequence: n + 1,
      time: instant(BEGIN + n * 60_000),
      registers: [{ obis: OBIS.energyImport, value: BigInt(1000 + 10 * n), scaler: 0, unit: 'Wh' }],
      ...(n === 0 ? {} : { previous: new Uint8Array(32) }),
      ...change(n),
    }
    const sealed = must(await signEnvelope(signer, encodeReading(reading), READING_PURPOSE))
    const bytes = encodeMeteringRecord({ name, meterId: sampleContext.meterId, envelope: sealed.envelope })
    must(await site.journal.append('reading', bytes, { urgent: true }))
    site.readings.push(reading)
    told.push({ ...sealed, context, reading })
  }
  return told
}

const openOver = async (site: Bench, index: Index, more: Partial<HistoryOptions> = {}) =>
  openHistory({
    index,
    journal: site.journal,
    timers: site.time.timers,
    log: (_, __, text, fault) => void site.logs.push(`${text}: ${fault?.code}`),
    health: (what, fault) => void site.health.push(`${what}: ${fault?.code}`),
    offsetAt: () => 0,
    ...more,
  })

const asked = (from: number, to: number): EnergyAsked => ({
  meter: METER,
  obis: OBIS.energyImport,
  from: instant(from),
  to: instant(to),
  period: 'quarter',
})

/** The same from all readings at once, without any index. */
function expected(readings: readonly Reading[], from: number, to: number): Bucket[] {
  const spans = [...spansOf(readings).quarters].map(
    ([quarter, span]): Placed => ({ meterId: sampleContext.meterId, quarter, span }),
  )
  const boundaries: Instant[] = []
  for (let at = Math.floor(from / QUARTER) * QUARTER; boundaries.length < 2 || at - QUARTER < to; at += QUARTER) {
    if ((boundaries.at(-1) ?? 0) >= to) break
    boundaries.push(instant(at))
  }
  return bucketsOf(spans, { obis: OBIS.energyImport, boundaries, toleranceMs: 60_000 })
}

const END = BEGIN + 8 * QUARTER

test('an index filled from the journal, one that followed it, and one that did both say what the readings say', async () => {
  const site = await bench()
  const follows = must(await openOver(site, createMemoryIndex()))
  const kept = createMemoryIndex()
  for (const told of await sign(site, 40)) follows.onSigned(METER, told)
  const both = must(await openOver(site, kept))
  for (const told of await sign(site, 50)) {
    follows.onSigned(METER, told)
    both.onSigned(METER, told)
    if (told.reading.sequence === 70) await site.time.advance(QUARTER + 1000)
  }
  const filled = must(await openOver(site, createMemoryIndex()))
  const right = expected(site.readings, BEGIN, END)
  assert.is(right.filter(({ energy }) => energy === 150_000n).length, 5)
  for (const history of [follows, both, filled]) {
    assert.equal(must(await history.energy(asked(BEGIN, END))), { buckets: right, untimed: 0 })
    // In the middle, the last value before has to be looked for.
    const [from, to] = [BEGIN + 3 * QUARTER, BEGIN + 4 * QUARTER]
    assert.equal(must(await history.energy(asked(from, to))).buckets, expected(site.readings, from, to))
  }
  await both.stop()
  const again = must(await openOver(site, kept))
  assert.equal(must(await again.energy(asked(BEGIN, END))).buckets, right)
  assert.equal(site.logs, [])
})

test("others' records are found by key: the newest of each, from before the index knew of them, before and after a restart", async () => {
  const site = await bench()
  const index = createMemoryIndex()
  const note = async (text: string) => {
    const bytes = utf8(text)
    return { bytes, place: must(await site.journal.append('note', bytes, { urgent: true })) }
  }
  const entriesOf: HistoryOptions['entriesOf'] = (kind, bytes) =>
    kind === 'note' ? [[fromUtf8(bytes)!.slice(0, 2), bytes]] : []
  const texts = async (history: Pick<History, 'entries'>, from: string, to: string, last?: number) =>
    must(await history.entries(from, to, last)).map(fromUtf8)
  await note('aa old')
  await note('bb one')
  const older = must(await openOver(site, index))
  for (const told of await sign(site, 20)) older.onSigned(METER, told)
  await site.time.advance(QUARTER + 1000)
  await older.stop()
  // As an index says whose entries were made by other rules: the journal is looked through once more.
  must(await index.write([[OTHERS_KEY, new Uint8Array()]]))
  const knowing = must(await openOver(site, index, { entriesOf }))
  assert.equal(await texts(knowing, 'a', 'c'), ['aa old', 'bb one'])
  for (const text of ['aa new', 'cc two']) {
    const { bytes, place } = await note(text)
    knowing.onRecord('note', bytes, place)
  }
  knowing.onRecord('other', utf8('dd not ours'), { segment: 1, at: 0 })
  assert.equal(await texts(knowing, 'a', 'z'), ['aa new', 'bb one', 'cc two'])
  assert.equal(await texts(knowing, 'bb', 'cc'), ['bb one'])
  // Those that are not in the index yet count like the others.
  assert.equal(await texts(knowing, 'a', 'z', 2), ['cc two', 'bb one'])
  assert.equal(await texts(knowing, 'a', 'c', 1), ['bb one'])
  await site.time.advance(QUARTER + 1000)
  // As after a cut: what is in the index stands, and the journal behind it is read again.
  const again = must(await openOver(site, index, { entriesOf }))
  assert.equal(await texts(again, 'a', 'z'), ['aa new', 'bb one', 'cc two'])
  assert.equal(site.logs, [])
})

test('the last value is found however many quarters without one lie between', async () => {
  const site = await bench()
  const gap = (n: number): Partial<Reading> =>
    n % 90 === 0 ? {} : { registers: [], reason: 'gap', time: instant(BEGIN + n * QUARTER) }
  const late = (n: number) => (n === 90 ? { time: instant(BEGIN + 90 * QUARTER) } : gap(n))
  await sign(site, 91, late)
  const history = must(await openOver(site, createMemoryIndex()))
  const from = BEGIN + 90 * QUARTER - QUARTER / 2
  const [bucket] = must(await history.energy(asked(from, from + 1))).buckets
  assert.is(bucket!.energy, 900_000n)
  assert.equal(bucket!.reach, { from: BEGIN, to: instant(BEGIN + 90 * QUARTER) })
})

test('readings and sessions are found in the journal where it says that they stand', async () => {
  const site = await bench()
  const session = { contract: CONTRACT, line: 'a-b', direction: 'import' } as const
  await sign(site, 90, n => (n === 20 ? { reason: 'begin', session } : n === 75 ? { reason: 'end', session } : {}))
  const history = must(await openOver(site, createMemoryIndex()))
  const frames = must(await history.frames(METER, instant(BEGIN + 2 * QUARTER), instant(BEGIN + 3 * QUARTER)))!
  const found: number[] = []
  must(
    await site.journal.visit(({ kind, bytes }, { frame }) => {
      if (kind === 'reading' && readMeteringRecord(bytes) !== undefined && frame <= frames.to) found.push(Number(frame))
    }, frames.from),
  )
  assert.ok(found.length >= 15 && found.length <= 31, String(found.length))
  assert.is(must(await history.frames(METER, instant(0), instant(1))), undefined)
  const both = must(await history.session(CONTRACT))
  assert.equal(
    both.map(({ name, reason, sequence }) => [name, reason, sequence]),
    [
      [METER, 'begin', 21],
      [METER, 'end', 76],
    ],
  )
  assert.equal(must(await history.session(new Uint8Array(32))), [])
})

test('of a contract that is started without end the first readings and the last are found', async () => {
  const site = await bench()
  const history = must(await openOver(site, createMemoryIndex()))
  for (let i = 0; i < 2; i++) {
    for (const each of await sign(site, 200, n => ({
      reason: n % 2 === 0 ? 'begin' : 'end',
      session: { contract: CONTRACT, line: 'L1', direction: 'export' },
    })))
      history.onSigned(METER, each)
    await site.time.advance(QUARTER)
  }
  const found = must(await history.session(CONTRACT)).map(({ sequence }) => sequence)
  assert.is(found.length, 256)
  assert.equal([found[0], found[127], found[128], found[255]], [1, 128, 273, 400])
  assert.equal(site.logs, [])
  await history.stop()
})

test('a reading that is heard and then found again behind the cursor counts once', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  const first = must(await openOver(site, index))
  for (const told of await sign(site, 20)) first.onSigned(METER, told)
  // Its cursor stays behind: only a timer moves that.
  await first.stop()
  const again = must(await openOver(site, index))
  for (const told of await sign(site, 30)) again.onSigned(METER, told)
  assert.equal(must(await again.energy(asked(BEGIN, END))).buckets, expected(site.readings, BEGIN, END))
})

test('an index of another journal is built anew, and the log says why', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  const history = must(await openOver(site, index))
  for (const told of await sign(site, 60)) history.onSigned(METER, told)
  await site.time.advance(QUARTER + 1000)
  await history.stop()

  const other = await bench(2)
  await sign(other, 10)
  const foreign = must(await openOver(other, index))
  assert.equal(must(await foreign.energy(asked(BEGIN, END))).buckets, expected(other.readings, BEGIN, END))
  assert.equal(other.logs, ['the index is built anew from the journal: history.foreign'])
})

test('an index that is ahead of its journal is built anew', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  const history = must(await openOver(site, index))
  for (const told of await sign(site, 60)) history.onSigned(METER, told)
  await site.time.advance(QUARTER + 1000)
  await history.stop()
  // The journal as a copy of an hour before brings it back: the same one, shorter.
  const head = { ...site.journal.head(), sequence: 12n }
  const short: Bench['journal'] = {
    ...site.journal,
    head: () => head,
    visit: (visitor, from) =>
      site.journal.visit((record, at) => {
        if (at.frame <= head.sequence) visitor(record, at)
      }, from),
  }
  const back = must(await openOver({ ...site, journal: short }, index))
  const { buckets } = must(await back.energy(asked(BEGIN, END)))
  assert.equal(site.logs, ['the index is built anew from the journal: history.ahead'])
  // The first stands on the dot, and so in the quarter before.
  const there = site.readings.slice(0, 1 + buckets.reduce((sum, { readings }) => sum + readings, 0))
  assert.ok(there.length > 5 && there.length < 12)
  assert.equal(buckets, expected(there, BEGIN, END))
})

test('a journal whose frame is another than the one read is not continued', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  const history = must(await openOver(site, index))
  for (const told of await sign(site, 30)) history.onSigned(METER, told)
  await site.time.advance(QUARTER + 1000)
  await history.stop()
  const forked: Bench['journal'] = {
    ...site.journal,
    visit: (visitor, from) =>
      site.journal.visit((record, at) => visitor(record, { ...at, frameHash: new Uint8Array(32) }), from),
  }
  must(await openOver({ ...site, journal: forked }, index))
  assert.equal(site.logs, ['the index is built anew from the journal: history.forked'])
})

test('an index whose values make no sense is built anew when it is asked, and loses nothing', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  const history = must(await openOver(site, index))
  for (const told of await sign(site, 60)) history.onSigned(METER, told)
  await site.time.advance(QUARTER + 1000)
  for (const told of await sign(site, 5)) history.onSigned(METER, told)
  const right = expected(site.readings, BEGIN, END)
  assert.equal(must(await history.energy(asked(BEGIN, END))).buckets, right)
  for (const prefix of ['q.', 'c.', CURSOR_KEY]) {
    const all = must(await index.range({ from: prefix, to: `${prefix}~` }))
    const spoilt =
      all.length === 0
        ? [[CURSOR_KEY, Uint8Array.of(1)] as const]
        : all.map(([key]) => [key, Uint8Array.of(0xff)] as const)
    must(await index.write(spoilt))
    assert.equal(must(await history.energy(asked(BEGIN, END))).buckets, right)
    await history.stop()
    const again = must(await openOver(site, index))
    assert.equal(must(await again.energy(asked(BEGIN, END))).buckets, right)
  }
})

test('what could not be written is written later, and answered meanwhile', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  let broken = false
  const flaky: Index = {
    ...index,
    write: entries => (broken ? Promise.resolve(fail({ code: 'index.io', cause: 'ENOSPC' })) : index.write(entries)),
  }
  const history = must(await openOver(site, flaky))
  broken = true
  for (const told of await sign(site, 20)) history.onSigned(METER, told)
  await site.time.advance(QUARTER + 1000)
  for (const told of await sign(site, 20)) history.onSigned(METER, told)
  assert.equal(must(await history.energy(asked(BEGIN, END))).buckets, expected(site.readings, BEGIN, END))
  assert.equal(site.health, ['history: index.io'])
  assert.equal(must(await index.range({ from: 'q', to: 'r' })), [])
  broken = false
  await site.time.advance(QUARTER)
  assert.is(site.health.at(-1), 'history: undefined')
  assert.ok(must(await index.range({ from: 'q', to: 'r' })).length > 0)
  assert.equal(must(await history.energy(asked(BEGIN, END))).buckets, expected(site.readings, BEGIN, END))
})

test('the index is written once in a quarter of an hour, however many readings there are, and not where there are none', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  let [writes, bytes] = [0, 0]
  const counted: Index = {
    ...index,
    write: entries => {
      writes++
      for (const [key, value] of entries) bytes += key.length + (value?.length ?? 0)
      return index.write(entries)
    },
  }
  const history = must(await openOver(site, counted))
  // Ten readings a second are 9,000 in a quarter; here a tenth of that.
  for (const told of await sign(site, 900, n => ({ time: instant(BEGIN + 1000 * (n + 1)) })))
    history.onSigned(METER, told)
  await site.time.advance(QUARTER + 1000)
  assert.is(writes, 1)
  assert.ok(bytes < 900, `${bytes} bytes`)
  await history.stop()
  assert.is(writes, 1)
})

test('a time that nobody knew is counted apart until one is known, also over a restart', async () => {
  const site = await bench()
  const index = createMemoryIndex()
  const history = must(await openOver(site, index))
  const unknown = (n: number): Partial<Reading> => (n >= 20 && n < 25 ? { quality: 'unknown', time: instant(n) } : {})
  for (const told of await sign(site, 25, unknown)) history.onSigned(METER, told)
  assert.is(must(await history.energy(asked(BEGIN, END))).untimed, 5)
  await history.stop()
  const again = must(await openOver(site, index))
  assert.is(must(await again.energy(asked(BEGIN, END))).untimed, 5)
  for (const told of await sign(site, 25)) again.onSigned(METER, told)
  assert.equal(must(await again.energy(asked(BEGIN, END))), {
    buckets: expected(site.readings, BEGIN, END),
    untimed: 0,
  })
})

test('a question without an end is refused', async () => {
  const history = must(await openOver(await bench(), createMemoryIndex()))
  for (const [from, to] of [
    [BEGIN, BEGIN + 5000 * QUARTER],
    [BEGIN, BEGIN],
    [BEGIN, BEGIN - 1],
  ] as const) {
    const answer = await history.energy(asked(from, to))
    assert.is(answer.ok ? '' : answer.fault.code, 'history.range')
  }
})

test.run()
