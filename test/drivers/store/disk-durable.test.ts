/** What has to be synced before a folder disk answers: the file, then its folder, which no run without a power cut shows. */
import { mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDisk } from '../../../drivers/store/disk.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('folder disk: what is synced')

const folder = mkdtempSync(join(tmpdir(), 'tieline-durable-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** `write`, `sync`, `datasync` of files and `sync folder`, in their order, while `work` runs. */
async function watch(work: () => Promise<unknown>): Promise<string[]> {
  const probe = await open(folder)
  const prototype = Object.getPrototypeOf(probe) as Record<
    'write' | 'sync' | 'datasync',
    (...args: unknown[]) => Promise<unknown>
  >
  await probe.close()
  const said: string[] = []
  const own = { write: prototype.write, sync: prototype.sync, datasync: prototype.datasync }
  for (const name of ['write', 'sync', 'datasync'] as const) {
    prototype[name] = async function (this: FileHandle, ...args: unknown[]) {
      said.push((await this.stat()).isDirectory() ? `${name} folder` : name)
      return own[name].apply(this, args)
    }
  }
  try {
    await work()
  } finally {
    Object.assign(prototype, own)
  }
  return said
}

test('a file made, written, replaced or removed is synced, and so is its folder where a name changed', async () => {
  const disk = must(await openDisk(folder))
  assert.equal(await watch(async () => must(await disk.create('a', 4096))), ['write', 'sync', 'sync folder'])
  assert.equal(await watch(async () => must(await disk.write('a', 0, Uint8Array.of(1)))), ['write'])
  assert.equal(await watch(async () => must(await disk.sync('a'))), ['datasync'])
  assert.equal(await watch(async () => must(await disk.replace('a', Uint8Array.of(2)))), [
    'write',
    'sync',
    'sync folder',
  ])
  assert.equal(await watch(async () => must(await disk.remove('a'))), ['sync folder'])
  await disk.close()
})

test.run()
