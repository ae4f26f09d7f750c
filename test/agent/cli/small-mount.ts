/** File systems in memory, of any size and right, for what a disk does to a program; only root may mount them. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export function temporary(): string {
  return mkdtempSync(join(tmpdir(), 'tieline-around-'))
}

/** A file system in memory at `folder`; false where this user may not mount one. */
export function mount(folder: string, options: string): boolean {
  mkdirSync(folder, { recursive: true })
  return spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0
}
export const unmount = (folder: string) => spawnSync('umount', ['-l', folder])

export const noMount = (() => {
  const folder = temporary()
  const mounted = mount(folder, 'size=16k')
  unmount(folder)
  rmSync(folder, { recursive: true, force: true })
  return mounted ? undefined : 'no-mount'
})()
