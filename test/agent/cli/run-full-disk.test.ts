/**
 * `tieline run` as a process whose file system fills up under it. Judged by the meter's own count, and by the journal as
 * `tieline verify` reads it afterwards.
 */
import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../../harness.ts'
import { judged, linesWith, signedIn } from './journal-judge.ts'
import { meterAndBoard, siteText, startTieline } from './site-process.ts'
import { mount, noMount, temporary, unmount } from './small-mount.ts'

const test = suite('run as a process: a disk that fills up')

/** Whatever is left of its file system. */
function fillUp(file: string): void {
  const block = new Uint8Array(4096)
  try {
    for (;;) appendFileSync(file, block)
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, 'ENOSPC')
  }
}

/** A boot signs no more steps of its clock than this in an hour, each in a block of its own. */
const STEPS = 19

test.skipIf(
  noMount,
  'its disk fills up while it runs: it says so once, reads on, signs on when there is room, and the time between is on record',
  async () => {
    const folder = temporary()
    const data = join(folder, 'data')
    assert.ok(mount(data, 'size=1m'))
    const meter = await meterAndBoard()
    const file = join(folder, 'site.yaml')
    writeFileSync(file, siteText(meter.path, 'page: {off: true}\n'))
    let site = startTieline(['run', '--config', file, '--json'], { shiftMs: 0 })
    let shift = 0
    /** The clock is set again and again, until the step is refused or there were as many as one boot signs. */
    const fill = async (): Promise<boolean> => {
      const isFull = () => site.said().includes('journal is raised: journal.full')
      for (let step = 1; step <= STEPS && !isFull(); step++) {
        shift += 5_000
        site.setClock(shift)
        await site.until(() => isFull() || linesWith(site.said(), 'the wall clock was set by').length === step)
      }
      return isFull()
    }
    try {
      await site.until(async () => (await signedIn(folder)) > 0)
      // What is left of the file system, so that no segment can be made behind the one that there is.
      fillUp(join(data, 'ballast'))
      for (let boot = 1; !(await fill()); boot++) {
        assert.ok(boot < 8, 'it is never full')
        const { exit, err } = await site.end()
        assert.is(exit, 0, err)
        site = startTieline(['run', '--config', file, '--json'], { shiftMs: shift })
        await site.until(() => site.said().includes('maple runs'))
      }
      const asks = meter.requests()
      await site.until(() => meter.requests() > asks + 100)
      const signed = await signedIn(folder)
      rmSync(join(data, 'ballast'))
      await site.until(() => site.said().includes('journal is cleared'))
      await site.until(async () => (await signedIn(folder)) > signed)
      const { exit, err } = await site.end()
      assert.is(exit, 0, err)
      assert.is(linesWith(err, 'journal is raised: journal.full').length, 1, err)
      const records = judged(folder)
      assert.is(records.filter(({ what }) => what?.kind === 'not-recorded').length, 1)
    } finally {
      await site.end('SIGKILL')
      await meter.close()
      unmount(data)
      rmSync(folder, { recursive: true, force: true })
    }
  },
  420_000,
)

test.run()
