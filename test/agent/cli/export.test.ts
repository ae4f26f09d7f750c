/**
 * `tieline export` to readers that are slow or go away, judged by what their stream holds at most; and of bills that a real
 * server answers, judged by sums that are worked out here.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { createSiteBills } from '../../../agent/bill/site-bill.ts'
import { exportSite } from '../../../agent/cli/export/export.ts'
import { roomIn, type Terminal } from '../../../agent/cli/terminal.ts'
import { encodeMeteringRecord } from '../../../agent/metering/journal-form.ts'
import { billRoute } from '../../../agent/web/bill-route.ts'
import { createWeb } from '../../../agent/web/server.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { zoneOffset } from '../../../drivers/time-zone.ts'
import { type Energy, microsPerKwh } from '../../../protocol/quantity.ts'
import { boundariesOf } from '../../../protocol/reading/calendar.ts'
import type { Bucket } from '../../../protocol/reading/rollup.ts'
import { must, ok } from '../../../protocol/result.ts'
import { instant, isoTime } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { chainOf, sampleContext, sealReading } from '../../protocol/reading/sample.ts'
import { neverTimers } from '../page-bench.ts'
import { smallSite } from '../small-site.ts'
import { exampleSnapshot } from '../snapshot-example.ts'
import { runTieline } from './cli-run.ts'

const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'tieline-export-'))
process.on('exit', () => rmSync(root, { recursive: true, force: true }))
const test = suite('tieline export')

// --- Readings, to whoever reads slowly

const { clock, timers } = createSystemTime()
const RECORDS = 4800
const config = join(root, 'config.yaml')
writeFileSync(config, `${smallSite(`{seed: ${'01'.repeat(32)}}`)}bench: true\n`)
mkdirSync(join(root, 'data'))
{
  const chain = await chainOf(Array.from({ length: 12 }, () => ({})))
  const envelopes = await Promise.all(chain.map(({ reading }) => sealReading(reading)))
  const disk = must(await openDisk(join(root, 'data/journal')))
  const journal = must(
    await openJournal({
      ...{ disk, clock, timers, entropy: systemEntropy, owner: sampleContext.device, segmentBytes: 1 << 18 },
      keeping: () => undefined,
    }),
  )
  const record = (envelope: Uint8Array) =>
    encodeMeteringRecord({ name: 'grid', meterId: sampleContext.meterId, envelope })
  const written = Array.from({ length: RECORDS }, (_, i) =>
    journal.append('reading', record(envelopes[i % 12]!), { urgent: i === RECORDS - 1 }),
  )
  for (const one of await Promise.all(written)) must(one)
  await journal.close()
  await disk.close()
}
const READINGS = { what: 'readings', config }
const HELD = 16 * 1024

/** Reads nothing until nothing more comes by itself, then some, and so on: what the stream held at most, and everything that came. */
async function readSlowly(isHeeded: boolean) {
  const stream = new PassThrough({ writableHighWaterMark: HELD, readableHighWaterMark: HELD })
  let most = 0
  let text = ''
  let waiting = false
  const roomOf = roomIn(stream, new Promise(() => {}))
  const room = () => {
    const wait = roomOf()
    waiting = wait !== undefined
    void wait?.then(() => {
      waiting = false
    })
    return wait
  }
  const terminal: Terminal = {
    out: said => {
      stream.write(said)
      most = Math.max(most, stream.writableLength)
    },
    err: said => assert.unreachable(said),
    colour: false,
    env: {},
    ...(isHeeded ? { room } : {}),
  }
  let exit: number | undefined
  const running = exportSite(READINGS, terminal).then(code => {
    exit = code
    stream.end()
  })
  for (let pauses = 0; ; pauses++) {
    // Until the command waits for its reader, or is over.
    do await timers.sleep(1)
    while (exit === undefined && !waiting)
    const chunk = stream.read() as Buffer | null
    if (chunk !== null) text += chunk.toString()
    else if (exit !== undefined && stream.readableEnded) break
    if (exit !== undefined && stream.writableLength === 0 && stream.readableLength === 0 && pauses > 0) break
  }
  await running
  return { exit, most, text }
}

let whole = ''

test('a reader that pauses again and again gets everything, and no more than a buffer waits for it', async () => {
  const { exit, most, text } = await readSlowly(true)
  assert.is(exit, 0)
  const lines = text.trimEnd().split('\r\n')
  assert.ok(lines.length > RECORDS && text.length > 20 * HELD, `${lines.length} lines, ${text.length} bytes`)
  // What is full takes the rows of one reading more.
  assert.ok(most < HELD + 4096, `${most} bytes waited`)
  whole = text
}, 120_000)

test('without waiting for it, nearly all of it would be held', async () => {
  const { most, text } = await readSlowly(false)
  assert.is(text, whole)
  assert.ok(most > text.length / 2, `${most} of ${text.length}`)
}, 120_000)

/** The program, its output through a real pipe. */
function start(...args: readonly string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'export', '--config', config, ...args])
  let err = ''
  child.stderr.on('data', chunk => {
    err += chunk
  })
  const ended = new Promise<{ code: number | null; err: string }>(resolve =>
    child.on('close', code => resolve({ code, err })),
  )
  return { child, ended }
}

test('the program waits for a pipe that is read in two parts, and says all of it', async () => {
  const { child, ended } = start('--what', 'readings')
  let text = ''
  await new Promise<void>(resolve => child.stdout.once('readable', resolve))
  await timers.sleep(300)
  child.stdout.on('data', chunk => {
    text += chunk
  })
  assert.equal(await ended, { code: 0, err: '' })
  assert.is(text, whole)
}, 120_000)

test('a reader that has seen enough ends it quietly, and that is no fault', async () => {
  for (const what of ['readings', 'deals']) {
    const { child, ended } = start('--what', what)
    await new Promise<void>(resolve => child.stdout.once('data', () => resolve()))
    child.stdout.destroy()
    assert.equal(await ended, { code: 0, err: '' }, what)
  }
}, 120_000)

// --- Bills

const QUARTER = 900_000
const DAY = 86_400_000
const offsetAt = zoneOffset()
/** A Wednesday, eight minutes into a quarter. */
const NOW = instant(20_838 * DAY + 10 * 3_600_000 + 480_000)
const UNTIL = NOW - 480_000
const startOf = (period: 'day' | 'month', at: number) =>
  boundariesOf(period, instant(at), instant(at + 1), offsetAt)[0] as number
const TODAY = startOf('day', NOW)
const FIRST = startOf('day', TODAY - 12 * DAY + DAY / 2)
/** Of these nothing is known: two that touch, and one by itself. */
const UNKNOWN = [TODAY + 4 * QUARTER, TODAY + 5 * QUARTER, TODAY + 9 * QUARTER]
const isKnown = (start: number) => start >= FIRST && !UNKNOWN.includes(start)

/** 250.5 Wh a quarter are drawn and a third as much fed in, as far as it is known. */
const bucketsOf = (mWh: bigint, from: number, to: number): Bucket[] =>
  Array.from({ length: Math.ceil((to - from) / QUARTER) }, (_, i) => {
    const [start, end] = [instant(from + i * QUARTER), instant(from + (i + 1) * QUARTER)]
    const about = { start, end, touched: [] }
    return isKnown(start)
      ? { ...about, meterId: 'm', readings: 9, energy: mWh as Energy, reach: { from: start, to: end }, complete: true }
      : { ...about, meterId: 'm', readings: 1, absent: ['one-reading'], complete: false }
  })

const bills = createSiteBills({
  ...{ tariff: { import: microsPerKwh(300_000n), feedIn: microsPerKwh(80_000n) }, meter: 'grid', offsetAt },
  clock: { now: () => NOW },
  deals: () => [],
  history: {
    energy: async ({ obis, from, to }) =>
      ok({ buckets: bucketsOf(/^1-0:1\./.test(String(obis)) ? 252_000n : 84_000n, from, to), untimed: 0 }),
    entries: async () => ok([]),
  },
})

/** In micros: 252 Wh at 0.30 are drawn in a quarter, and 84 Wh at 0.08 fed in. */
const A_QUARTER = -75_600n + 6_720n
const asCoins = (micro: bigint) => Number(micro) / 1e6
/** Quarters that have a sum: of one that follows an unknown one, nobody knows what its counter began with. */
const knownIn = (start: number, until: number) =>
  Array.from({ length: (until - start) / QUARTER }, (_, i) => start + i * QUARTER).filter(
    quarter => isKnown(quarter) && isKnown(quarter - QUARTER),
  ).length

async function served(body: (file: string) => Promise<void>, bill = billRoute(bills, () => NOW)): Promise<void> {
  const web = must(
    await createWeb({
      ...{ serve: serveHttp, host: '127.0.0.1', port: 0, page: [], snapshot: () => exampleSnapshot, bill },
      site: { 'GET /api/status': () => ({ kind: 'json', status: 200, value: { site: 'maple', time: NOW } }) },
      ...{ everyMs: 1000, timers: neverTimers, onBug: error => assert.unreachable(String(error)) },
    }),
  )
  const file = join(root, `bills-${web.port}.yaml`)
  writeFileSync(file, `${smallSite(`{seed: ${'01'.repeat(32)}}`)}bench: true\npage: {listen: 127.0.0.1:${web.port}}\n`)
  try {
    await body(file)
  } finally {
    await web.close()
  }
}

/** Again where a machine that stood still kept the answer from coming in time. */
async function ask(file: string, ...more: string[]) {
  for (;;) {
    const said = await runTieline(['export', '--what', 'bill', '--config', file, ...more])
    if (!/nothing within/.test(said.err)) return said
  }
}
const rowsOf = async (file: string, ...more: string[]) => (await ask(file, '--json', ...more)).json()

test(
  'the running day has exact sums of what is known, and each stretch that is not, with its reason',
  () =>
    served(async file => {
      const said = await ask(file, '--json')
      assert.is(said.exit, 0, said.err)
      const [day, ...more] = said.json()
      assert.is(more.length, 0)
      assert.equal(
        [day.period, day.start, day.until, day.complete],
        ['day', isoTime(instant(TODAY)), isoTime(instant(UNTIL)), 'no'],
      )
      // Exact as text: no more and no fewer digits than the sum has.
      const quarters = BigInt(knownIn(TODAY, UNTIL))
      assert.is(Number(day.money), asCoins(quarters * A_QUARTER))
      assert.match(day.money, /^-\d+(\.\d{1,6})?$/)
      assert.is(Number(day.drawn_kwh), Number(quarters * 252n) / 1000)
      assert.is(Number(day.fed_in_kwh), Number(quarters * 84n) / 1000)
      assert.equal([day.bought_kwh, day.fees], ['0', '0'])
      const stretch = (start: number, end: number) => `${isoTime(instant(start))}/${isoTime(instant(end))} no-reading`
      assert.is(
        day.missing,
        [stretch(UNKNOWN[0]!, UNKNOWN[0]! + 3 * QUARTER), stretch(UNKNOWN[2]!, UNKNOWN[2]! + 2 * QUARTER)].join('; '),
      )
      const csv = (await ask(file)).out.split('\r\n')
      assert.is(
        csv[0],
        'period,start,end,until,complete,money,without_trading,saved,fees,bought_kwh,sold_kwh,drawn_kwh,fed_in_kwh,expected_rest,missing',
      )
      assert.is(csv[1]!.split(',')[5], day.money)
    }),
  120_000,
)

test(
  'a day of which nothing is known has no sum, not even nought',
  () =>
    served(async file => {
      const days = await rowsOf(file, '--since', isoTime(instant(FIRST - DAY)).replace(/\..*|Z$/g, ''))
      const [unknown, first] = days
      assert.is(unknown.complete, 'no')
      assert.equal(Object.keys(unknown), ['period', 'start', 'end', 'until', 'complete', 'missing'])
      assert.is(unknown.missing, `${unknown.start}/${unknown.end} no-reading`)
      assert.ok('money' in first)
      for (const [i, day] of days.slice(1).entries()) assert.is(day.start, days[i].end, 'one after the other')
      const csv = await ask(file, '--since', '2026-12-20')
      assert.match(csv.out, /^day,[^,]*,[^,]*,[^,]*,no,{9,10}[^,]+ no-reading\r$/m)
    }),
  120_000,
)

test(
  'weeks go from Monday to Monday and come to what their days and their month do',
  () =>
    served(async file => {
      const since = isoTime(FIRST as never).slice(0, 10)
      const days = await rowsOf(file, '--since', since)
      const weeks = await rowsOf(file, '--period', 'week', '--since', since)
      assert.ok(weeks.length >= 2, `${weeks.length}`)
      const inside = (week: { start: string; end: string }) =>
        days.filter(({ start }: { start: string }) => start >= week.start && start < week.end)
      for (const [i, week] of weeks.entries()) {
        const local = new Date(Date.parse(week.start))
        assert.equal([local.getDay(), local.getHours()], [1, 0], week.start)
        if (i > 0) assert.is(week.start, weeks[i - 1].end)
        const sum = (of: string) =>
          inside(week).reduce(
            (all: number, day: Record<string, string>) => all + Math.round(Number(day[of] ?? 0) * 1e6),
            0,
          )
        for (const of of ['money', 'without_trading', 'drawn_kwh', 'fed_in_kwh'])
          assert.is(Math.round(Number(week[of] ?? 0) * 1e6), sum(of), `${of} of ${week.start}`)
        assert.is(
          week.complete,
          inside(week).every(({ complete }: { complete: string }) => complete === 'yes') &&
            inside(week)[0].start === week.start
            ? 'yes'
            : 'no',
        )
      }
      const [month] = await rowsOf(file, '--period', 'month')
      assert.is(Number(month.money), asCoins(BigInt(knownIn(startOf('month', NOW), UNTIL)) * A_QUARTER))
    }),
  120_000,
)

test('an agent that has no time is asked again, and no day is left out', async () => {
  const route = billRoute(bills, () => NOW)
  let asked = 0
  const busy: typeof route = request =>
    ++asked % 3 === 0 ? { kind: 'json', status: 429, value: { text: 'too many requests' } } : route(request)
  let usual: unknown
  const since = isoTime(instant(TODAY - 2 * DAY)).slice(0, 10)
  await served(async file => {
    usual = await rowsOf(file, '--since', since)
  })
  await served(async file => assert.equal(await rowsOf(file, '--since', since), usual), busy)
  assert.ok(asked > 3, `${asked}`)
}, 120_000)

test('without an agent, a tariff, or a time that was, it says so in one line', async () => {
  let silent = ''
  await served(
    async file => {
      silent = file
      const none = await ask(file)
      assert.equal([none.exit, none.out], [69, ''])
      assert.match(none.err, /^tieline export: bill\.none.*tariff.*\n$/)
    },
    billRoute(undefined, () => NOW),
  )
  const gone = await runTieline(['export', '--what', 'bill', '--config', silent])
  assert.equal([gone.exit, gone.out], [69, ''])
  assert.match(gone.err, /^tieline export: no agent of maple answers at .*start it: tieline run.*\n$/)
  await served(async file => {
    const ahead = await ask(file, '--json', '--since', '2038-01-01')
    assert.equal([ahead.exit, ahead.json()[0].fault.code], [1, 'bill.future'])
  })
  for (const wrong of [
    ['--what', 'bill', '--period', 'year'],
    ['--what', 'bill', '--meter', 'grid'],
    ['--what', 'readings', '--period', 'day'],
  ])
    assert.is((await runTieline(['export', ...wrong, '--config', silent])).exit, 2, wrong.join(' '))
}, 120_000)

test.run()
