/**
 * `tieline run` as a process whose wall clock begins in 1970 and is set while it runs: to now, back by an hour, on by a day, and
 * a restart in 1970. Judged by its journal, which another process reads back, and by the counters of the meter and the relay board.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'
import { asked, meterAndBoard, siteText, startTieline } from './site-process.ts'

const test = suite('run as a process: a clock that is wrong and is set')

const HOUR = 3_600_000
const DAY = 24 * HOUR
const BOARD = 'relays: {board: {driver: modbus-coils, line: bus, unit: 20, timed: 1s}}\npage: {off: true}\n'
/** What another process may have waited for the processor between two looks at this machine's clock. */
const LATE_MS = 60_000

interface Exported {
  readonly kind: string
  readonly sequence: number
  readonly time: string
  readonly quality: string
  readonly errors: readonly string[]
  readonly status: readonly string[]
  readonly what?: { readonly kind: string; readonly from: number; readonly to: number }
}

const lines = (text: string): Exported[] => text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
const readingsIn = (records: readonly Exported[]) => records.filter(({ kind }) => kind === 'reading')
const saidOften = (said: string, what: string): number => said.split(what).length - 1

test('from 1970 to now, back by an hour and on by a day: each is named once, and each reading says what its time is worth', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-clock-'))
  const journal = join(folder, 'data/journal')
  const file = join(folder, 'site.yaml')
  const meter = await meterAndBoard()
  writeFileSync(file, siteText(meter.path, BOARD))
  const in1970 = () => 5_000 - Date.now()
  const started = () => startTieline(['run', '--config', file, '--json'], { shiftMs: in1970() })
  /** While it runs: what is signed and durable until now. */
  const exported = async () => lines((await runTieline(['journal', 'export', journal])).out)
  const signedBeyond = async (count: number) => {
    let readings: Exported[] = []
    await site.until(async () => {
      readings = readingsIn(await exported())
      return readings.length > count
    })
    return readings.length
  }
  let site = started()
  try {
    await site.until(() => site.said().includes('clock is raised'))
    const in70 = await signedBeyond(0)
    const asks = meter.requests()
    const began = Date.now()
    site.setClock(0)
    await site.until(() => site.said().includes('clock is cleared'))
    const now = await signedBeyond(in70)
    assert.ok(meter.requests() > asks, 'the meter is read')
    site.setClock(-HOUR)
    await site.until(() => saidOften(site.said(), 'the wall clock was set by') === 2)
    const back = await signedBeyond(now)
    site.setClock(DAY)
    await site.until(() => saidOften(site.said(), 'the wall clock was set by') === 3)
    await signedBeyond(back)
    const first = await site.end()
    assert.is(first.exit, 0, first.err)
    assert.is(first.out, '{"ready":true,"site":"maple","boot":1,"page":null}\n')

    // --- What it said: each in one line
    const raised = first.err.split('\n').filter(line => line.includes('clock is raised'))
    assert.is(raised.length, 1, first.err)
    assert.match(raised[0]!, /clock\.not-set \(now=1970-01-01T00:\d\d:.*\): .*set the clock or let NTP reach it$/)
    assert.is(saidOften(first.err, 'clock is cleared'), 1)
    const setBy = [...first.err.matchAll(/the wall clock was set by (-?\d+) ms/g)].map(([, ms]) => Number(ms))
    const near = (found: number | undefined, wanted: number) =>
      assert.ok(Math.abs(found! - wanted) < LATE_MS, `${found} for ${wanted}`)
    assert.is(setBy.length, 3)
    near(setBy[0], began)
    near(setBy[1], -HOUR)
    near(setBy[2], HOUR + DAY)

    // --- A restart whose clock has lost it all again
    const before = readingsIn(await exported()).length
    site = started()
    await site.until(() => site.said().includes('clock is raised'))
    await signedBeyond(before)
    const second = await site.end()
    assert.is(second.exit, 0, second.err)

    // --- What is on record, read back by other processes
    assert.match(asked('verify', journal), /^every rule holds$/m)
    assert.match(asked('journal', 'check', journal), /^it is whole$/m)
    const records = lines(asked('journal', 'export', journal))
    const all = readingsIn(records)
    assert.equal(
      all.map(({ sequence }) => sequence),
      all.map((_, n) => n + 1),
      'no number is left out',
    )
    const years = all.map(({ time }) => time.slice(0, 4))
    assert.ok(years.indexOf('1970') === 0 && years.at(-1) === '1970', String(years))
    for (const { time, quality, errors } of all) {
      const false70 = time.startsWith('1970')
      assert.equal([quality === 'unknown', errors], [false70, false70 ? ['time'] : []], time)
    }
    const known = all.filter(({ errors }) => errors.length === 0)
    assert.ok(known.some(({ status }) => status.includes('clock-set')))
    assert.ok(known.every(({ time }) => Date.parse(time) >= began - HOUR - LATE_MS))
    const steps = records.flatMap(({ what }) => (what?.kind === 'clock-step' ? [what] : []))
    assert.equal(
      steps.map(({ from, to }) => to - from),
      setBy,
      'as it said',
    )
    assert.ok(steps[0]!.from < HOUR && steps[0]!.to >= began)
    assert.is(meter.heard.moved, 0, 'no contact moved')
  } finally {
    await site.end('SIGKILL')
    await meter.close()
    rmSync(folder, { recursive: true, force: true })
  }
}, 420_000)

test.run()
