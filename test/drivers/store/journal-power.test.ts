/**
 * Power cuts and failing disks: every operation of a workload is struck in turn, and what was acknowledged must be there
 * afterwards. A disk that lies about its sync is the control: there acknowledged records must be seen to go missing.
 */
import { drainPromises } from '../../../drivers/drain.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal under power cuts')

const SEGMENT = 5 * 4096

interface Run {
  readonly sim: SimDisk
  /** Every record handed over, by number; the byte that fills it is drawn from the number. */
  readonly sizes: number[]
  readonly acknowledged: Set<number>
}

const recordOf = (number: number, size: number): Uint8Array => {
  const bytes = new Uint8Array(4 + size).fill(number * 7 + 1)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

/** Appends records of mixed sizes, some urgent, until done or until the disk is off. */
async function append(run: Run, count: number, random: () => number): Promise<void> {
  const time = createSimTime(0, drainPromises)
  const opened = await openJournal({
    disk: run.sim.mount(),
    ...OWNED,
    clock: time.clock,
    timers: time.timers,
    segmentBytes: SEGMENT,
  })
  if (!opened.ok) return
  for (let i = 0; i < count; i++) {
    const number = run.sizes.length
    const size = Math.floor(random() ** 3 * 9000)
    run.sizes.push(size)
    void opened.value.append('r', recordOf(number, size), { urgent: random() < 0.4 }).then(answer => {
      if (answer.ok) run.acknowledged.add(number)
    })
    if (random() < 0.5) await time.advance(random() < 0.2 ? 11_000 : 300)
  }
  await time.advance(2000)
}

/** What the journal gives back, each record compared with what was handed over. */
async function recover(run: Run): Promise<{ numbers: number[]; journal: Journal }> {
  const time = createSimTime(0, drainPromises)
  const options = { disk: run.sim.mount(), ...OWNED, clock: time.clock, timers: time.timers, segmentBytes: SEGMENT }
  const journal = must(await openJournal(options))
  const numbers: number[] = []
  must(
    await journal.visit(({ kind, bytes }) => {
      if (kind !== 'r') return
      const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
      assert.equal(bytes, recordOf(number, run.sizes[number]!))
      assert.ok(numbers.length === 0 || number > numbers.at(-1)!, 'out of order, or twice')
      numbers.push(number)
    }),
  )
  return { numbers, journal }
}

const missing = (run: Run, numbers: readonly number[]) => [...run.acknowledged].filter(each => !numbers.includes(each))

async function newRun(seed: number, options: Partial<SimDiskOptions>, count = 24): Promise<Run> {
  const sim = createSimDisk({ random: seededRandom(seed + 1000), ...options })
  const run: Run = { sim, sizes: [], acknowledged: new Set() }
  await append(run, count, seededRandom(seed))
  return run
}

const seeds = [1, 2, 3, 4]

test('the power goes during every operation in turn: no acknowledged record is lost, none comes twice or altered', async () => {
  let [cuts, torn, acknowledged] = [0, 0, 0]
  for (const seed of seeds) {
    const operations = (await newRun(seed, {})).sim.operations()
    for (let at = 0; at < operations; at++) {
      const run = await newRun(seed, { strike: (_, __, count) => (count === at ? 'cut' : undefined) })
      const first = await recover(run)
      assert.equal(missing(run, first.numbers), [], `seed ${seed}, operation ${at}`)
      torn += first.journal.cuts.length
      // Life goes on: more records, and the power goes again.
      await append(run, 4, seededRandom(at))
      run.sim.cut()
      const second = await recover(run)
      assert.equal(missing(run, second.numbers), [], `seed ${seed}, operation ${at}, the second time`)
      assert.equal(second.numbers.slice(0, first.numbers.length), first.numbers)
      cuts++
      acknowledged += run.acknowledged.size
    }
  }
  // The test has teeth only where commits were really torn and records really acknowledged.
  assert.ok(cuts > 200 && torn > 20 && acknowledged > 2000, `${cuts} cuts, ${torn} torn, ${acknowledged} acknowledged`)
}, 60_000)

test('the power goes during every operation of recovering from a cut', async () => {
  for (const seed of seeds) {
    const operations = (await newRun(seed, {})).sim.operations()
    for (let at = 1; at < operations; at += 3) {
      for (let then = at + 1; then < at + 14; then++) {
        let strikes = true
        const run = await newRun(seed, {
          strike: (_, __, count) => (strikes && (count === at || count === then) ? 'cut' : undefined),
        })
        // This opening meets the second cut, wherever in it that falls.
        await append(run, 2, seededRandom(then))
        strikes = false
        assert.equal(missing(run, (await recover(run)).numbers), [], `seed ${seed}, operations ${at} and ${then}`)
      }
    }
  }
}, 60_000)

test('the process is killed before every operation in turn: what the next one reads back, a power cut cannot take', async () => {
  let unsynced = 0
  for (const seed of seeds) {
    const operations = (await newRun(seed, {})).sim.operations()
    for (let at = 0; at < operations; at++) {
      const run = await newRun(seed, { strike: (_, __, count) => (count === at ? 'kill' : undefined) })
      const first = await recover(run)
      assert.equal(missing(run, first.numbers), [], `seed ${seed}, operation ${at}`)
      unsynced += first.numbers.filter(number => !run.acknowledged.has(number)).length
      run.sim.cut()
      assert.equal((await recover(run)).numbers, first.numbers, `seed ${seed}, operation ${at}, after the cut`)
    }
  }
  assert.ok(unsynced > 20, `${unsynced} records read back that were written and not synced`)
}, 60_000)

for (const strike of ['io', 'full'] as const) {
  test(`every operation in turn answers ${strike}, then the power goes: no acknowledged record is lost`, async () => {
    let refused = 0
    for (const seed of seeds) {
      const operations = (await newRun(seed, {})).sim.operations()
      for (let at = 0; at < operations; at++) {
        const run = await newRun(seed, { strike: (_, __, count) => (count === at ? strike : undefined) })
        run.sim.cut()
        assert.equal(missing(run, (await recover(run)).numbers), [], `seed ${seed}, operation ${at}`)
        refused += run.sizes.length - run.acknowledged.size
      }
    }
    assert.ok(refused > 0, 'nothing was ever refused: the strikes did not strike')
  }, 60_000)
}

test('a disk where one operation in eight fails, cut at a random moment: no acknowledged record is lost', async () => {
  let acknowledged = 0
  for (let seed = 0; seed < 150; seed++) {
    const random = seededRandom(seed + 77)
    const end = 20 + Math.floor(random() * 60)
    let strikes = true
    const run = await newRun(seed, {
      strike: (_, __, count) => (!strikes ? undefined : count === end ? 'cut' : random() < 1 / 8 ? 'io' : undefined),
    })
    strikes = false
    run.sim.cut()
    assert.equal(missing(run, (await recover(run)).numbers), [], `seed ${seed}`)
    acknowledged += run.acknowledged.size
  }
  assert.ok(acknowledged > 300, `${acknowledged}`)
}, 60_000)

test('control: on a disk that lies about its sync acknowledged records do go missing', async () => {
  let lost = 0
  for (const seed of seeds) {
    const run = await newRun(seed, { lyingSync: true })
    run.sim.cut()
    const time = createSimTime(0, drainPromises)
    const options = { disk: run.sim.mount(), ...OWNED, clock: time.clock, timers: time.timers, segmentBytes: SEGMENT }
    const journal = await openJournal(options)
    // Opening may also refuse the ruin, which is losing all of it.
    lost += journal.ok ? missing(run, (await recover(run)).numbers).length : run.acknowledged.size
  }
  assert.ok(lost > 10, `${lost} lost`)
})

test.run()
