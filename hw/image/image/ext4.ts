/**
 * An ext4 file system from a folder, at a place in an image: the same files give the same bytes. mke2fs takes the times of a change
 * and of an access from the folder, where nobody can set the first, so they are set in the image.
 */
import { writeFileSync } from 'node:fs'
import { done } from './debian-root.ts'

export interface Ext4 {
  readonly label: string
  /** Of the file system, and what its folders' hashes begin with. */
  readonly id: string
  readonly startMib: number
  readonly sizeMib: number
  /** The folder that fills it. */
  readonly tree: string
  /** Seconds since 1970. */
  readonly at: number
}

const MIB = 1 << 20
/** Those below are the file system's own, but for its root. */
const FIRST_INODE = 11
const ROOT_INODE = 2

/** `scratch` is a file that may be written. mke2fs, dumpe2fs and debugfs of e2fsprogs. */
export async function writeExt4(file: string, scratch: string, { id, tree, at, ...of }: Ext4): Promise<void> {
  const env = { E2FSPROGS_FAKE_TIME: String(at), TZ: 'UTC', LC_ALL: 'C.UTF-8' }
  const offset = of.startMib * MIB
  const extended = `offset=${offset},hash_seed=${id},root_owner=0:0`
  await done(
    'mke2fs',
    ['-q', '-F', '-t', 'ext4', '-L', of.label, '-U', id, '-E', extended, '-d', tree, file, `${of.sizeMib}M`],
    env,
  )
  const place = `${file}?offset=${offset}`
  const lines = usedInodes(await done('dumpe2fs', [place], env)).flatMap(inode =>
    ['ctime', 'atime'].flatMap(time => [`sif <${inode}> ${time} @${at}`, `sif <${inode}> ${time}_extra 0`]),
  )
  writeFileSync(scratch, `${lines.join('\n')}\n`)
  await done('debugfs', ['-w', '-f', scratch, place], env)
}

/** By what dumpe2fs says is free. */
function usedInodes(said: string): readonly number[] {
  const count = Number(/^Inode count: +(\d+)$/m.exec(said)?.[1])
  const free = new Uint8Array(count + 1)
  for (const [, list] of said.matchAll(/^ +Free inodes: (.+)$/gm)) {
    for (const range of list!.split(', ')) {
      const [from, to = from] = range.split('-').map(Number) as [number, number?]
      free.fill(1, from, to! + 1)
    }
  }
  const used: number[] = [ROOT_INODE]
  for (let inode = FIRST_INODE; inode <= count; inode++) if (free[inode] === 0) used.push(inode)
  return used
}
