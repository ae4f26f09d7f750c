/** The log, its long records above all, struck at every operation. */
import { drainPromises } from '../../../drivers/drain.ts'
import { openLog } from '../../../drivers/store/log.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('log under power cuts')

const { clock } = createSimTime(0, drainPromises)
const open = (sim: SimDisk) => openLog({ disk: sim.mount(), clock, name: 'log', segmentBytes: 4 * 4096 })

/** Of one frame, of several, of several segments; drawn from the number and the attempt, so that none is taken for another. */
const SIZES = [100, 14_000, 5, 12_218, 26_000, 0, 9000, 1]
const COUNT = BigInt(SIZES.length)
function recordOf(number: bigint, attempt: number): Uint8Array {
  const size = SIZES[Number(number) - 1]!
  return new Uint8Array(size).map((_, i) => Number(number) * 31 + attempt * 7 + i + (i >> 8))
}

interface Run {
  readonly sim: SimDisk
  /** By number: the attempt at the record that was acknowledged. */
  readonly acknowledged: Map<bigint, number>
  dropped: bigint
}

/** Appends what is missing, drops half of it on the way, until done or something fails. */
async function write(run: Run, attempt: number): Promise<void> {
  const opened = await open(run.sim)
  if (!opened.ok) return
  const log = opened.value
  while (log.next <= COUNT) {
    const number = log.next
    const appended = await log.append(recordOf(number, attempt))
    if (!appended.ok) return
    assert.is(appended.value, number)
    run.acknowledged.set(number, attempt)
    if (number === 6n) {
      run.dropped = 5n
      if (!(await log.dropBefore(5n)).ok) return
    }
  }
  await log.close()
}

/** Every record that is there is whole and of one attempt, by number and in order; every acknowledged one is there. */
async function judge(run: Run, where: string): Promise<void> {
  const log = must(await open(run.sim))
  assert.ok(log.first <= (run.dropped || 1n), where)
  const seen: bigint[] = []
  const whole = (bytes: Uint8Array, number: bigint) => {
    const attempt = run.acknowledged.get(number)
    const fits = attempt === undefined ? [0, 1, 2] : [attempt]
    assert.ok(
      fits.some(one => equalBytes(bytes, recordOf(number, one))),
      `${where}: record ${number} is another`,
    )
  }
  must(
    await log.visit(1n, (bytes, number) => {
      whole(bytes, number)
      seen.push(number)
    }),
  )
  assert.equal(
    seen,
    Array.from({ length: Number(log.next - log.first) }, (_, i) => log.first + BigInt(i)),
  )
  for (const number of seen) whole(must(await log.read(number))!, number)
  for (const number of run.acknowledged.keys()) assert.ok(number < log.next, `${where}: record ${number} is lost`)
  await log.close()
}

for (const strike of ['cut', 'kill', 'io', 'full'] as const) {
  test(`every operation in turn meets ${strike}, and one again while it goes on: all acknowledged records are there, whole`, async () => {
    const calm: Run = { sim: createSimDisk({ random: () => 0 }), acknowledged: new Map(), dropped: 0n }
    await write(calm, 0)
    assert.is(calm.acknowledged.size, SIZES.length)
    const operations = calm.sim.operations()
    let unfinished = 0
    for (let at = 0; at < operations; at++) {
      for (const then of [at + 3, at + 12, Number.POSITIVE_INFINITY]) {
        const struck = new Set([at, then])
        const sim = createSimDisk({
          random: seededRandom(at),
          strike: (_, __, count) => (struck.has(count) ? strike : undefined),
        })
        const run: Run = { sim, acknowledged: new Map(), dropped: 0n }
        const where = `${strike} at ${at} and ${then}`
        await write(run, 0)
        if (run.acknowledged.size < SIZES.length) unfinished++
        await write(run, 1)
        struck.clear()
        if (strike !== 'kill') sim.cut()
        await judge(run, where)
        await write(run, 2)
        assert.is(must(await open(sim)).next, COUNT + 1n, where)
        await judge(run, where)
      }
    }
    assert.ok(unfinished > 20, `${unfinished} unfinished`)
  }, 120_000)
}

test('control: on a disk that lies about its sync acknowledged records are lost', async () => {
  let lost = 0
  for (let seed = 0; seed < 10; seed++) {
    const sim = createSimDisk({ random: seededRandom(seed), lyingSync: true })
    await write({ sim, acknowledged: new Map(), dropped: 0n }, 0)
    sim.cut()
    const log = await open(sim)
    if (!log.ok || log.value.next <= COUNT || !(await log.value.visit(1n, () => {})).ok) lost++
  }
  assert.ok(lost > 5, `${lost} of 10`)
})

test.run()
