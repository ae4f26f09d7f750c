/** The card's ext4 file systems, made twice from the same files: judged byte by byte, and by e2fsck and debugfs. */
import { spawnSync } from 'node:child_process'
import {
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { done } from '../../../hw/image/image/debian-root.ts'
import { type Ext4, writeExt4 } from '../../../hw/image/image/ext4.ts'
import { assert, type SkipReason, suite } from '../../harness.ts'

const TOOLS = ['mke2fs', 'dumpe2fs', 'debugfs', 'e2fsck']
const missing: SkipReason | undefined = TOOLS.every(tool => spawnSync(tool, ['-V']).error === undefined)
  ? undefined
  : 'no-e2fsprogs'

const root = mkdtempSync(join(tmpdir(), 'tieline-ext4-'))
const AT = 1_790_000_000
const OLD = 1_700_000_000
const ID = '7d6b1d0e-5a0c-4b8e-9d55-3f3d5c1f7a01'
const MIB = 1 << 20

/** Made anew each time, so that no time but the one that is set is that of another. Names as Debian has them. */
function fill(name: string): string {
  const tree = join(root, name)
  mkdirSync(join(tree, 'etc/systemd'), { recursive: true })
  const names = ['plain', 'system-systemd\\x2dcryptsetup.slice', 'with a space', 'größe', '<11>']
  for (const each of names) writeFileSync(join(tree, 'etc', each), each)
  symlinkSync('plain', join(tree, 'etc/link'))
  linkSync(join(tree, 'etc/plain'), join(tree, 'etc/systemd/hard'))
  for (const each of [...names.map(one => `etc/${one}`), 'etc/link', 'etc/systemd', 'etc', '']) {
    lutimesSync(join(tree, each), OLD, OLD)
  }
  return tree
}

function imageOf(name: string): string {
  const file = join(root, name)
  writeFileSync(file, '')
  truncateSync(file, 24 * MIB)
  return file
}

const of = (tree: string): Ext4 => ({ label: 'tieline-root', id: ID, startMib: 4, sizeMib: 16, tree, at: AT })
const made = async (name: string): Promise<string> => {
  const file = imageOf(`${name}.img`)
  await writeExt4(file, join(root, `${name}.times`), of(fill(name)))
  return file
}
/** A change's time is the clock's, in whole seconds. */
const nextSecond = async (tree: string) => {
  const { ctimeMs } = statSync(tree)
  while (Math.floor(Date.now() / 1000) <= Math.ceil(ctimeMs / 1000)) await new Promise(go => setTimeout(go, 50))
}

const test = suite('file systems of a card')

test.skipIf(missing, 'two of the same files, made at other times, have the same bytes, and are sound', async () => {
  const one = await made('one')
  await nextSecond(join(root, 'one/etc'))
  const two = await made('two')
  assert.ok(readFileSync(one).equals(readFileSync(two)))
  const place = `${one}?offset=${4 * MIB}`
  const checked = spawnSync('e2fsck', ['-f', '-n', place], { encoding: 'utf8' })
  assert.is(checked.status, 0, checked.stdout)
  const said = await done('debugfs', ['-R', 'stat /etc/plain', place], { TZ: 'UTC' })
  const time = (name: string) =>
    Number.parseInt(new RegExp(`^ *${name}: 0x([0-9a-f]+):00000000`, 'm').exec(said)![1]!, 16)
  assert.equal(['mtime', 'ctime', 'atime', 'crtime'].map(time), [OLD, AT, AT, AT])
  assert.is(await done('debugfs', ['-R', 'cat /etc/systemd/hard', place]), 'plain')
})

test.skipIf(
  missing,
  'another file is another image, and without the times being set two differ: setting them is what does it',
  async () => {
    const one = readFileSync(await made('three'))
    writeFileSync(join(root, 'three/etc/plain'), 'PLAIN')
    utimesSync(join(root, 'three/etc/plain'), OLD, OLD)
    const other = imageOf('other.img')
    await writeExt4(other, join(root, 'times'), of(join(root, 'three')))
    assert.not.ok(readFileSync(other).equals(one))
    const bare = async (name: string) => {
      const tree = fill(name)
      const file = imageOf(`${name}.img`)
      const extended = `offset=${4 * MIB},hash_seed=${ID},root_owner=0:0`
      const args = ['-q', '-F', '-t', 'ext4', '-L', 'x', '-U', ID, '-E', extended, '-d', tree, file, '16M']
      await done('mke2fs', args, { E2FSPROGS_FAKE_TIME: String(AT) })
      await nextSecond(join(tree, 'etc'))
      return readFileSync(file)
    }
    assert.not.ok((await bare('four')).equals(await bare('five')))
  },
)

test('removes its folder', () => rmSync(root, { recursive: true, force: true }))

test.run()
