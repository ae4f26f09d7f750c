import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drainPromises } from '../../../drivers/drain.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { type Log, openLog } from '../../../drivers/store/log.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('log')

const BLOCK = 4096
const SEGMENT = 4 * BLOCK

const time = createSimTime(1_795_000_000_000, drainPromises)
const { clock } = time
const open = (sim: SimDisk, segmentBytes = SEGMENT) => openLog({ disk: sim.mount(), clock, name: 'log', segmentBytes })
const newDisk = (options: Partial<SimDiskOptions> = {}) => createSimDisk({ random: seededRandom(1), ...options })
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

/** A record drawn from its number: another number has other bytes, and half a record is none. */
const recordOf = (number: bigint, bytes: number) =>
  new Uint8Array(bytes).map((_, i) => Number(number) * 31 + i + (i >> 8))

async function fill(log: Log, sizes: readonly number[]): Promise<void> {
  for (const size of sizes) {
    const number = log.next
    assert.is(must(await log.append(recordOf(number, size))), number)
  }
}

async function visited(log: Log, from = log.first): Promise<[number: bigint, bytes: Uint8Array][]> {
  const records: [bigint, Uint8Array][] = []
  must(await log.visit(from, (bytes, number) => records.push([number, bytes])))
  return records
}

/** Small, empty, of one frame, of several frames, of several segments. */
const SIZES = [10, 0, 5000, 1, 30_000, 7, 4000, 12_218, 12_219, 3, 100_000, 2]

test('records of every size come back in order and one by one, now and after opening again', async () => {
  const sim = newDisk()
  let log = must(await open(sim))
  assert.equal([log.first, log.next], [1n, 1n])
  assert.equal(await visited(log), [])
  await fill(log, SIZES)
  for (const again of [false, true]) {
    if (again) {
      await log.close()
      log = must(await open(sim))
    }
    assert.equal([log.first, log.next], [1n, BigInt(SIZES.length) + 1n])
    const expected = SIZES.map((size, i) => [BigInt(i) + 1n, recordOf(BigInt(i) + 1n, size)])
    assert.equal(await visited(log), expected)
    for (let from = 1; from <= SIZES.length; from++) {
      assert.equal(await visited(log, BigInt(from)), expected.slice(from - 1))
      assert.ok(equalBytes(must(await log.read(BigInt(from)))!, recordOf(BigInt(from), SIZES[from - 1]!)))
    }
    assert.is(must(await log.read(0n)), undefined)
    assert.is(must(await log.read(log.next)), undefined)
  }
})

test('records appended at once share a frame and a sync', async () => {
  const log = must(await open(newDisk(), 64 * BLOCK))
  await fill(log, [1])
  const { syncs, commits } = log.stats()
  const numbers = await Promise.all(Array.from({ length: 50 }, (_, i) => log.append(recordOf(BigInt(i) + 2n, 20))))
  assert.equal(
    numbers.map(must),
    Array.from({ length: 50 }, (_, i) => BigInt(i) + 2n),
  )
  assert.equal([log.stats().syncs - syncs, log.stats().commits - commits], [1, 1])
})

test('whole segments below a number are dropped; the record of that number and all later ones stay, whole', async () => {
  for (let before = 1n; before <= BigInt(SIZES.length) + 1n; before++) {
    const sim = newDisk()
    let log = must(await open(sim))
    await fill(log, SIZES)
    const files = must(await sim.mount().list()).length
    log = must(await open(sim))
    must(await log.dropBefore(before))
    for (const again of [false, true]) {
      if (again) log = must(await open(sim))
      assert.ok(log.first <= before && log.next === BigInt(SIZES.length) + 1n)
      for (let number = 1n; number < log.next; number++) {
        const bytes = must(await log.read(number))
        if (number < log.first) assert.is(bytes, undefined)
        else assert.ok(equalBytes(bytes!, recordOf(number, SIZES[Number(number) - 1]!)), `${number} of ${before}`)
      }
      assert.is((await visited(log, 1n)).length, Number(log.next - log.first))
    }
    if (before === 12n) assert.ok(log.first > 9n && must(await sim.mount().list()).length < files - 8)
    const number = must(await (await reopened(sim)).append(recordOf(log.next, 9)))
    assert.is(number, log.next)
  }
})

const reopened = async (sim: SimDisk) => must(await open(sim))

test('a second writer is refused while the first has it open, and may when that has closed', async () => {
  const disk = newDisk().mount()
  const options = { disk, clock, name: 'log', segmentBytes: SEGMENT }
  const log = must(await openLog(options))
  assert.is(codeOf(await openLog(options)), 'disk.held')
  must(await openLog({ ...options, name: 'other' }))
  await log.close()
  assert.is(codeOf(await log.append(new Uint8Array(1))), 'log.closed')
  must(await openLog(options))
})

test('a log that cannot be opened is let go of', async () => {
  let broken = true
  const disk = newDisk({ strike: () => (broken ? 'io' : undefined) }).mount()
  const options = { disk, clock, name: 'log', segmentBytes: SEGMENT }
  assert.is(codeOf(await openLog(options)), 'log.io')
  broken = false
  must(await openLog(options))
})

test('a full disk is a fault, what was there stays readable, and appending goes on when there is room again', async () => {
  const sim = newDisk({ capacityBytes: 3 * SEGMENT })
  const log = must(await open(sim))
  const kept: bigint[] = []
  let fault = 'ok'
  for (let i = 0; i < 20 && fault === 'ok'; i++) {
    const appended = await log.append(recordOf(log.next, 3000))
    if (appended.ok) kept.push(appended.value)
    else fault = appended.fault.code
  }
  assert.is(fault, 'log.full')
  assert.is(kept.length, 9)
  // One long record more: its beginning fits nowhere either, and leaves nothing behind.
  assert.is(codeOf(await log.append(recordOf(log.next, 30_000))), 'log.full')
  assert.is(log.next, 10n)
  assert.is((await visited(log)).length, 9)
  must(await log.dropBefore(6n))
  await time.advance(10_000)
  assert.is(must(await log.append(recordOf(10n, 3000))), 10n)
  const again = must(await open(sim))
  for (let number = again.first; number < again.next; number++) {
    assert.equal(must(await again.read(number)), recordOf(number, 3000))
  }
  assert.equal([again.first, again.next], [4n, 11n])
})

test('every byte of a small log damaged in turn: a fault that names file and offset, or the last record cut; never other bytes', async () => {
  const sim = newDisk()
  await fill(must(await open(sim, 3 * BLOCK)), [5, 4200, 8, 9])
  const whole = must(await open(sim, 3 * BLOCK))
  const expected = await visited(whole)
  const names = must(await sim.mount().list())
  const files = names.map(name => sim.platter(name)!)
  let [faults, cuts, unseen] = [0, 0, 0]
  for (const [i, name] of names.entries()) {
    for (let at = 0; at < files[i]!.length; at++) {
      // Every byte where something stands, every hundredth of the zeros between.
      if (files[i]![at] === 0 && at % 100 > 0) continue
      const copy = newDisk()
      const disk = copy.mount()
      for (const [j, each] of names.entries()) must(await disk.replace(each, files[j]!))
      copy.platter(name)![at]! ^= 1 << (at % 8)
      copy.cut()
      const found = await open(copy, 3 * BLOCK)
      if (!found.ok) {
        faults++
        assert.is(found.fault.code, 'log.corrupt')
        assert.is('segment' in found.fault ? found.fault.segment : '', name)
        assert.ok('offset' in found.fault && found.fault.offset <= at)
        continue
      }
      const log = found.value
      const records: [bigint, Uint8Array][] = []
      const all = await log.visit(1n, (bytes, number) => records.push([number, bytes]))
      assert.equal(records, expected.slice(0, records.length), `${name} byte ${at}`)
      for (const [number, bytes] of expected) {
        const one = await log.read(number)
        if (!one.ok) assert.is(one.fault.code, 'log.corrupt')
        else if (one.value !== undefined) assert.equal(one.value, bytes, `${name} byte ${at}`)
        else assert.is(number, 4n)
      }
      if (!all.ok) {
        assert.is(all.fault.code, 'log.corrupt')
        assert.is('segment' in all.fault ? all.fault.segment : '', name)
        faults++
      } else if (log.cuts.length > 0) {
        cuts++
        assert.ok(records.length >= 3)
      } else {
        // Beyond a sealed segment's end nothing stands that anybody reads.
        unseen++
        assert.equal([files[i]![at], records.length], [0, 4])
      }
    }
  }
  assert.ok(faults > 4000 && cuts > 50, `${faults} faults, ${cuts} cuts`)
  assert.ok(unseen < 60, `${unseen} unseen`)
}, 120_000)

test('a segment that is missing from the middle is named; one that belongs to another log is corrupt', async () => {
  const sim = newDisk()
  await fill(must(await open(sim)), [9000, 9001, 9002, 9003, 9004])
  const disk = sim.mount()
  const third = must(await disk.read('log-00000003.seg'))
  must(await disk.remove('log-00000003.seg'))
  const found = await open(sim)
  assert.is(codeOf(found), 'log.segment-missing')
  assert.is(found.ok || !('segment' in found.fault) ? '' : found.fault.segment, 'log-00000003.seg')
  const other = newDisk()
  await fill(must(await open(other)), [8000, 8001, 8002, 8003, 8004])
  must(await sim.mount().replace('log-00000003.seg', third))
  must(await sim.mount().replace('log-00000002.seg', other.platter('log-00000002.seg')!))
  const swapped = await open(sim)
  const all = swapped.ok ? await swapped.value.visit(1n, () => {}) : swapped
  assert.is(codeOf(all), 'log.corrupt')
})

test('on a real folder: appended, read, dropped, opened again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-log-'))
  const disk = must(await openDisk(folder))
  const options = { disk, clock, name: 'log', segmentBytes: SEGMENT }
  const log = must(await openLog(options))
  await fill(log, SIZES)
  await log.close()
  const again = must(await openLog(options))
  for (const [i, size] of SIZES.entries()) {
    assert.equal(must(await again.read(BigInt(i) + 1n)), recordOf(BigInt(i) + 1n, size))
  }
  must(await again.dropBefore(8n))
  assert.ok(again.first > 1n)
  await again.close()
  await disk.close()
  rmSync(folder, { recursive: true })
})

test.run()
