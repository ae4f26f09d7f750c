import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDisk } from '../../../drivers/store/disk.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('holding a name')

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

const HOLDER = `
  import { openDisk } from '${new URL('../../../drivers/store/disk.ts', import.meta.url).pathname}'
  const disk = await openDisk(process.argv[1])
  const held = await disk.value.hold('log')
  console.log(held.ok ? 'held' : held.fault.code)
  setInterval(() => {}, 1000)
`

async function holdInChild(folder: string): Promise<{ child: ChildProcess; says: string }> {
  const args = ['--import', 'tsx', '--input-type=module', '-e', HOLDER, folder]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  return { child, says: line.toString().trim() }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

test('another process is refused while the holder lives, stopped or not, and holds at once when it was killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-hold-'))
  const disk = must(await openDisk(folder))
  const { child, says } = await holdInChild(folder)
  assert.is(says, 'held')
  assert.is(codeOf(await disk.hold('log')), 'disk.held')
  must(await disk.hold('other'))
  child.kill('SIGSTOP')
  assert.is(codeOf(await disk.hold('log')), 'disk.held')
  await end(child)
  const release = must(await disk.hold('log'))
  const other = await holdInChild(folder)
  assert.is(other.says, 'disk.held')
  await end(other.child)
  await release()
  rmSync(folder, { recursive: true })
}, 120_000)

test('of many at once at most one holds, and what they leave behind is nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-hold-'))
  const disk = must(await openDisk(folder))
  for (let round = 0; round < 20; round++) {
    const all = await Promise.all(Array.from({ length: 8 }, () => disk.hold('log')))
    const held = all.filter(one => one.ok)
    assert.ok(held.length <= 1, `${held.length} hold`)
    for (const one of held) await must(one)()
    assert.equal(readdirSync(folder), [])
  }
  rmSync(folder, { recursive: true })
})

test('a folder whose path is longer than a socket takes', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tieline-hold-'))
  const folder = join(root, 'x'.repeat(100), 'y'.repeat(100))
  mkdirSync(folder, { recursive: true })
  const disk = must(await openDisk(folder))
  const release = must(await disk.hold('log'))
  assert.is(codeOf(await disk.hold('log')), 'disk.held')
  await release()
  rmSync(root, { recursive: true })
})

test('a folder that is gone is a fault', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-hold-'))
  const disk = must(await openDisk(folder))
  rmSync(folder, { recursive: true })
  assert.is(codeOf(await disk.hold('log')), 'disk.missing')
})

test.run()
