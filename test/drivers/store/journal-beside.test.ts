/** Readers of a journal that is being written, rotated and shortened meanwhile: nothing is said to be broken that is not. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { surveyJournal } from '../../../drivers/store/journal-survey.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { runTieline } from '../../agent/cli/cli-run.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal: read beside its writer')

const BLOCK = 4096
const SEGMENT = 6 * BLOCK
const KEEP_FOUR = { retention: { ms: 1e15, bytes: 4 * SEGMENT } }

/** Runs `before` each operation of a kind; the journal's own are not held up. */
function interposed(disk: Disk, before: (operation: 'read' | 'remove', name: string) => Promise<unknown>): Disk {
  return {
    ...disk,
    read: async (name, from, bytes) => {
      await before('read', name)
      return disk.read(name, from, bytes)
    },
    remove: async name => {
      await before('remove', name)
      return disk.remove(name)
    },
  }
}

const opened = async (disk: Disk, more = {}) => {
  const { clock, timers } = createSimTime(1_795_000_000_000, drainPromises)
  return must(await openJournal({ disk, ...OWNED, clock, timers, segmentBytes: SEGMENT, ...more }))
}
let written = 0
const write = async (journal: Journal, count: number) => {
  for (let i = 0; i < count; i++) must(await journal.append('n', utf8(`${++written}`), { urgent: true }))
}

test('who begins to read inside the process while segments are dropped waits for the drop, and finds no hole', async () => {
  const sim = createSimDisk({ random: seededRandom(1) })
  const visits: Promise<string>[] = []
  const disk = interposed(sim.mount(), async operation => {
    if (operation === 'read') await drainPromises()
    else if (visits.length < 1) visits.push(journal.visit(() => {}).then(found => (found.ok ? 'ok' : found.fault.code)))
  })
  const journal = await opened(disk, KEEP_FOUR)
  await write(journal, 60)
  assert.ok(visits.length > 0)
  for (const visit of visits) assert.is(await visit, 'ok')
  for (let i = 0; i < 100 && journal.stats().segments > 4; i++) await write(journal, 1)
  assert.is(journal.stats().segments, 4, 'and what was spared meanwhile is dropped later, two segments at a time')
})

test('at every read of a survey or an opening the writer goes on, through rotations and drops: nothing is broken', async () => {
  for (const commits of [1, 3, 5, 9, 14]) {
    for (let at = 0; at < 24; at++) {
      const sim = createSimDisk({ random: seededRandom(at) })
      const mounted = sim.mount()
      const journal = await opened(mounted, KEEP_FOUR)
      await write(journal, 25)
      let count = 0
      const beside = interposed(mounted, async () => {
        if (count++ === at) await write(journal, commits)
      })
      const survey = must(await surveyJournal(beside))
      assert.equal(survey.broken, [], `${commits} commits before read ${at} of the survey`)
      count = 0
      const reader = await openJournalReader(beside)
      assert.ok(reader.ok, `${commits} commits before read ${at} of the opening`)
    }
  }
})

test('a segment dropped while a reader visits is said to be that, and not to be missing', async () => {
  const sim = createSimDisk({ random: seededRandom(1) })
  const mounted = sim.mount()
  const journal = await opened(mounted, KEEP_FOUR)
  await write(journal, 25)
  const reader = must(await openJournalReader(mounted))
  await write(journal, 25)
  const visited = await reader.visit(() => {})
  assert.is(visited.ok ? 'ok' : visited.fault.code, 'journal.dropped-meanwhile')
  assert.is(must(await reader.frameHash(2n)), undefined)
  const seen: string[] = []
  const again = must(await openJournalReader(mounted))
  must(await again.visit(({ kind, bytes }) => void (kind === 'n' && seen.push(fromUtf8(bytes)!))))
  assert.is(seen.at(-1), `${written}`)
})

test('a file that is read while a commit is written into it may show its end and not its middle: read again, it is whole', async () => {
  const sim = createSimDisk({ random: seededRandom(1) })
  const mounted = sim.mount()
  const journal = await opened(mounted)
  await write(journal, 3)
  let torn = 0
  const beside: Disk = {
    ...mounted,
    read: async (name, from, bytes) => {
      const read = must(await mounted.read(name, from, bytes))
      // The first read saw the page before the commit before last, and the next pages after the last one.
      const early = read.slice()
      if (torn++ === 0) early.fill(0, BLOCK * 2, BLOCK * 3)
      return { ok: true, value: early }
    },
  }
  assert.equal(must(await surveyJournal(beside)).broken, [])
  torn = 0
  must(await openJournalReader(beside))
  assert.ok(torn > 1)
})

test('on real files: checked and verified while a writer rotates and drops, nothing is ever broken', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-beside-'))
  const disk = must(await openDisk(folder))
  const { clock, timers } = createSystemTime()
  const journal = must(await openJournal({ disk, ...OWNED, clock, timers, segmentBytes: SEGMENT, ...KEEP_FOUR }))
  // Before its first record there is no journal to read yet.
  await write(journal, 1)
  let done = false
  const writing = (async () => {
    for (let i = 0; i < 3000 && !done; i++) {
      await write(journal, 1)
      // Still a segment every tenth of a second, where an agent takes an hour.
      await setTimeout(20)
    }
  })()
  try {
    for (let i = 0; i < 12; i++) {
      const checked = await runTieline(['journal', 'check', folder])
      assert.is(checked.exit, 0, checked.out + checked.err)
      const [verdict] = (await runTieline(['verify', folder, '--json'])).json()
      // These records are not signed, which is all that is wrong.
      assert.equal(
        verdict.broken.map(({ code }: { code: string }) => code),
        ['verify.nothing'],
      )
    }
  } finally {
    done = true
    await writing
  }
  await journal.close()
  await disk.close()
  rmSync(folder, { recursive: true })
}, 120_000)

test.run()
