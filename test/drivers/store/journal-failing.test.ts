/**
 * Every operation in turn fails, on the simulated disk, on this machine's files and on a file system that is really full:
 * what was acknowledged stays, what fails is named, and once the disk is well again the journal goes on.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import type { Journal } from '../../../drivers/store/journal.ts'
import { createSimTime, type SimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type DiskOperation, type SimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { type Failure, failFiles, memoryFolder } from './failing-files.ts'
import { append, BLOCK, newTime, open, readBack } from './journal-trials.ts'
import { numberOf } from './trial-record.ts'

const test = suite('journal on failing disks')

const SEGMENT = 6 * BLOCK
const SEGMENTS_KEPT = 4
const RECORDS = 24
const sizeOf = (number: number): number => (number * 1237) % 5000
/** What an append may be refused with. */
const REFUSALS = new Set(['journal.io', 'journal.full', 'journal.nearly-full'])

interface Life {
  readonly acknowledged: Set<number>
  /** Fault codes of what was refused. */
  readonly refused: string[]
  next: number
}

const newLife = (): Life => ({ acknowledged: new Set(), refused: [], next: 0 })

async function appendNext(journal: Journal, life: Life): Promise<boolean> {
  const number = life.next++
  const answer = await append(journal, number, sizeOf(number), true)
  if (answer.ok) life.acknowledged.add(number)
  else life.refused.push(answer.fault.code)
  return answer.ok
}

/**
 * Appends through rotations and drops, closed and opened again in the middle; the journal, or nothing where it could not be
 * opened. Where a journal is closed in trouble, the board starts anew.
 */
async function work(
  first: Disk,
  life: Life,
  time: SimTime,
  startAnew: (disk: Disk) => Disk,
): Promise<Journal | undefined> {
  let disk = first
  for (const half of [1, 2]) {
    const opened = await open(disk, time, SEGMENT, SEGMENTS_KEPT)
    if (!opened.ok) {
      life.refused.push(opened.fault.code)
      return undefined
    }
    for (let i = 0; i < RECORDS / 2; i++) {
      await appendNext(opened.value, life)
      // Past the time for which a disk in trouble is left alone.
      if (i % 5 === 4) await time.advance(11_000)
    }
    if (half === 2) return opened.value
    const inTrouble = opened.value.health() !== undefined
    await opened.value.close()
    if (inTrouble) disk = startAnew(disk)
  }
  return undefined
}

/** The disk is well again: the journal that lives through it goes on, and so does the one that is opened anew. */
async function judge(
  disk: () => Promise<Disk>,
  life: Life,
  time: SimTime,
  journal: Journal | undefined,
  where: string,
) {
  for (const code of life.refused) assert.ok(REFUSALS.has(code), `${where}: refused with ${code}`)
  if (journal !== undefined) {
    await time.advance(11_000)
    assert.ok(await appendNext(journal, life), `${where}: it does not go on: ${life.refused.at(-1)}`)
    assert.is(journal.health(), undefined, where)
    await journal.close()
  }
  const there = await disk()
  const again = await open(there, time, SEGMENT, SEGMENTS_KEPT)
  assert.ok(again.ok, `${where}: not opened again: ${again.ok || JSON.stringify(again.fault)}`)
  const opened = must(again)
  const handedOver = life.next
  const back = await readBack(opened, there, number => (number < handedOver ? sizeOf(number) : undefined), where)
  assert.equal(back.lost(life.acknowledged), [], `${where}: acknowledged and lost`)
  const segments = must(await there.list()).length
  assert.ok(back.dropped(life.acknowledged).length === 0 || segments >= SEGMENTS_KEPT, `${where}: dropped too early`)
  assert.ok(await appendNext(opened, life), `${where}: opened again it does not go on: ${life.refused.at(-1)}`)
  await opened.close()
}

/** A file whose sync failed is not synced again by the same journal: what that would say proves nothing. */
function syncedOnce(): { readonly strike: (hit: Strike | undefined, operation: DiskOperation, name: string) => void } {
  const given = new Set<string>()
  return {
    strike: (hit, operation, name) => {
      if (operation === 'create') given.delete(name)
      // A journal that is opened.
      if (operation === 'list') given.clear()
      if (operation !== 'sync') return
      assert.not.ok(given.has(name), `${name} was synced again after a failed sync`)
      if (hit !== undefined) given.add(name)
    },
  }
}

/** One struck run on a simulated disk; `until` is the first operation that is well again. */
async function struckRun(
  strike: Strike,
  from: number,
  until: number,
  where: string,
): Promise<{ life: Life; sim: SimDisk }> {
  const time = newTime()
  const watch = syncedOnce()
  let well = false
  let broken: unknown
  const sim = createSimDisk({
    random: seededRandom(from),
    strike: (operation, name, count) => {
      const hit = !well && count >= from && count < until ? strike : undefined
      try {
        if (!well) watch.strike(hit, operation, name)
      } catch (error) {
        broken ??= error
      }
      return hit
    },
  })
  const life = newLife()
  const startAnew = () => {
    sim.cut()
    return sim.mount()
  }
  const journal = await work(sim.mount(), life, time, startAnew)
  if (broken !== undefined) throw broken
  well = true
  await judge(async () => startAnew(), life, time, journal, where)
  return { life, sim }
}

for (const strike of ['io', 'full', 'short'] as const) {
  test(`simulated, every operation in turn answers ${strike}, once and for good until healed: nothing acknowledged is lost`, async () => {
    const calm = await struckRun(strike, Number.POSITIVE_INFINITY, 0, 'calm')
    assert.equal([calm.life.refused, calm.life.acknowledged.size], [[], RECORDS + 2])
    const operations = calm.sim.operations()
    let refused = 0
    for (let at = 0; at < operations; at++) {
      for (const times of strike === 'io' ? [1, 2, 7, Number.POSITIVE_INFINITY] : [1, Number.POSITIVE_INFINITY]) {
        const where = `${strike}, ${times} from operation ${at}`
        const { life } = await struckRun(strike, at, at + times, where)
        refused += life.refused.length
      }
    }
    assert.ok(operations > 60 && refused > 100, `${operations} operations, ${refused} refused`)
  }, 120_000)
}

test('a limit: died between a failed sync and the wiping that failed too, then a power cut: refused by name, nothing wrong read', async () => {
  let failing: ReadonlySet<DiskOperation> = new Set()
  const sim = createSimDisk({
    random: seededRandom(1),
    strike: operation => (failing.has(operation) ? 'io' : undefined),
  })
  const time = newTime()
  const life = newLife()
  const first = must(await open(sim.mount(), time, SEGMENT))
  assert.ok(await appendNext(first, life))
  // The write of this record goes well and its sync does not; then nothing does until the process is gone.
  failing = new Set(['sync', 'create'])
  const struck = appendNext(first, life)
  await Promise.resolve()
  failing = new Set(['sync', 'create', 'write'])
  assert.not.ok(await struck)
  failing = new Set()
  // The kernel gives back what is on no disk; the next process cannot tell and goes on behind it.
  const second = must(await open(sim.mount(), time, SEGMENT))
  const there: number[] = []
  must(await second.visit(({ bytes, kind }) => kind === 'r' && there.push(numberOf(bytes))))
  assert.ok(there.includes(1), 'the record that was refused is read back')
  assert.ok(await appendNext(second, life))
  sim.cut()
  const third = await open(sim.mount(), time, SEGMENT)
  assert.is(third.ok ? 'ok' : third.fault.code, 'journal.corrupt')
})

for (const failure of ['EIO', 'ENOSPC', 'late', 'short'] as const satisfies readonly Failure[]) {
  test(`real files, every call in turn meets ${failure}: nothing acknowledged is lost, and it goes on`, async () => {
    const root = mkdtempSync(join(memoryFolder(), 'tieline-failing-'))
    const files = await failFiles()
    let [calls, refused] = [0, 0]
    try {
      for (let at = -1; at < calls; at++) {
        for (const times of at < 0 ? [0] : failure === 'EIO' ? [1, 3] : [1]) {
          const where = `${failure}, ${times} from call ${at}`
          const folder = mkdtempSync(join(root, 'journal-'))
          const disk = must(await openDisk(folder))
          const time = createSimTime(1_795_000_000_000, drainPromises)
          const life = newLife()
          const before = files.calls()
          if (times > 0) files.fail(before + at, failure, times)
          const journal = await work(disk, life, time, same => same)
          if (at < 0) calls = files.calls() - before
          files.heal()
          const fresh: Awaited<ReturnType<typeof openDisk>>[] = []
          await judge(
            async () => {
              await disk.close()
              fresh.push(await openDisk(folder))
              return must(fresh[0]!)
            },
            life,
            time,
            journal,
            where,
          )
          await must(fresh[0]!).close()
          rmSync(folder, { recursive: true })
          refused += life.refused.length
        }
      }
    } finally {
      files.end()
      rmSync(root, { recursive: true, force: true })
    }
    assert.ok(calls > 60 && refused > 5, `${calls} calls, ${refused} refused`)
  }, 120_000)
}

/** A file system of one megabyte in memory, or undefined where this user may not mount one. */
function mountTiny(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-tiny-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
  if (mounted.status === 0) return folder
  rmSync(folder, { recursive: true })
  return undefined
}

const tiny = mountTiny()

test.skipIf(
  tiny === undefined ? 'no-mount' : undefined,
  'a file system that is really full: a warning, a refusal that says so, and on when space is free',
  async () => {
    const folder = tiny!
    try {
      const time = createSimTime(1_795_000_000_000, drainPromises)
      const disk = must(await openDisk(folder))
      writeFileSync(join(folder, 'ballast'), new Uint8Array(600 << 10))
      const journal = must(await open(disk, time, 16 * BLOCK))
      const life = newLife()
      const health = new Set<string>()
      while (await appendNext(journal, life)) {
        assert.ok(life.next < 1000, 'it is never full')
        // The next segment is made, or not, meanwhile.
        await new Promise(resolve => setTimeout(resolve, 40))
        const raised = journal.health()?.code
        if (raised !== undefined) health.add(raised)
      }
      assert.equal([...health], ['journal.nearly-full'])
      assert.equal(life.refused, ['journal.full'])
      assert.is(journal.health()?.code, 'journal.full')
      assert.ok(life.acknowledged.size > 30, `${life.acknowledged.size}`)
      // Each try would write most of a segment: it is not made again at once.
      rmSync(join(folder, 'ballast'))
      assert.not.ok(await appendNext(journal, life))
      life.refused.length = 0
      await judge(
        async () => {
          await disk.close()
          return must(await openDisk(folder))
        },
        life,
        time,
        journal,
        'full',
      )
    } finally {
      spawnSync('umount', ['-l', folder])
      rmSync(folder, { recursive: true, force: true })
    }
  },
)

test.run()
