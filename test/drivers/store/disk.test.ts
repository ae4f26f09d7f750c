import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDisk } from '../../../drivers/store/disk.ts'
import { must } from '../../../protocol/result.ts'
import { diskCases } from '../../contracts/disk.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('folder disk')

const newFolder = () => mkdtempSync(join(tmpdir(), 'tieline-disk-'))

diskCases(test, 'folder', async () => {
  const folder = newFolder()
  const disk = must(await openDisk(folder))
  const again: { close(): Promise<void> }[] = []
  return {
    disk,
    reopen: async () => {
      const other = must(await openDisk(folder))
      again.push(other)
      return other
    },
    end: async () => {
      for (const each of [disk, ...again]) await each.close()
      rmSync(folder, { recursive: true })
    },
  }
})

test('files and a folder made by it are for their owner only', async () => {
  const root = newFolder()
  const folder = join(root, 'deep', 'store')
  const disk = must(await openDisk(folder))
  must(await disk.create('a', 10))
  must(await disk.replace('b', Uint8Array.of(1)))
  assert.is(statSync(folder).mode & 0o777, 0o700)
  for (const name of ['a', 'b']) assert.is(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  await disk.close()
  rmSync(root, { recursive: true })
})

test('what a crash left unfinished is not listed and is written over', async () => {
  const folder = newFolder()
  writeFileSync(join(folder, 'a.unfinished'), 'half')
  const disk = must(await openDisk(folder))
  assert.equal(must(await disk.list()), [])
  must(await disk.create('a', 3))
  assert.equal(must(await disk.read('a')), new Uint8Array(3))
  assert.equal(readdirSync(folder), ['a'])
  await disk.close()
  rmSync(folder, { recursive: true })
})

test('a folder that cannot be made is a fault, and a name that leaves the folder is our own bug', async () => {
  const folder = newFolder()
  writeFileSync(join(folder, 'file'), '')
  const found = await openDisk(join(folder, 'file', 'below'))
  assert.is(found.ok ? 'ok' : found.fault.code, 'disk.io')
  const disk = must(await openDisk(folder))
  for (const name of ['../x', 'a/b', '', '.hidden', 'x.unfinished']) {
    let thrown: unknown
    await disk.read(name).catch(error => {
      thrown = error
    })
    assert.instance(thrown, RangeError, name)
  }
  rmSync(folder, { recursive: true })
})

test.run()
