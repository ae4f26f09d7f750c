/** Folders on file systems that refuse them. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from '../../../drivers/store/folder.ts'
import { assert, suite } from '../../harness.ts'

const root = mkdtempSync(join(tmpdir(), 'tieline-folder-'))
const readOnly = mkdtempSync(join(root, 'mounted-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', readOnly]).status === 0
process.on('exit', () => {
  if (mounted) spawnSync('umount', ['-l', readOnly])
  rmSync(root, { recursive: true, force: true })
})

const why = async (path: string) => {
  const made = await makeFolder(path)
  return made.ok ? undefined : [made.fault.code, made.fault['errno'], made.fault['hint']]
}

const test = suite('folder')

test('folders are made with those above them, and made again without complaint', async () => {
  const path = join(root, 'a/b/c')
  assert.is(await why(path), undefined)
  assert.is(await why(path), undefined)
})

test.skipIf(
  mounted ? undefined : 'no-mount',
  'a read-only file system is named as that, however many folders are missing',
  async () => {
    for (const path of ['one', 'one/two/three']) {
      const [code, errno, hint] = (await why(join(readOnly, path)))!
      assert.equal([code, errno], ['folder.not-made', 'EROFS'])
      assert.match(String(hint), /mounted read-only/)
    }
  },
)

test('a file in the way is no folder', async () => {
  writeFileSync(join(root, 'file'), '')
  assert.equal((await why(join(root, 'file/below')))?.slice(0, 2), ['folder.not-made', 'ENOTDIR'])
})

test.run()
