/** The programs that making and starting an image takes, and what Debian calls the packages that have them. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { runsArm64 } from './emulation.ts'

const PACKAGE = {
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  dumpe2fs: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  sfdisk: 'fdisk',
  mformat: 'mtools',
  mcopy: 'mtools',
  mmd: 'mtools',
  zstd: 'zstd',
  xz: 'xz-utils',
  unshare: 'util-linux',
  'qemu-aarch64-static': 'qemu-user-static',
  'qemu-system-aarch64': 'qemu-system-arm',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
} as const
export type Tool = keyof typeof PACKAGE

/** Of an image. */
export const cardTools = (): readonly Tool[] => [
  ...(['mmdebstrap', 'mke2fs', 'dumpe2fs', 'debugfs', 'sfdisk', 'mformat', 'mcopy', 'zstd', 'xz', 'unshare'] as const),
  ...(runsArm64().length === 0 ? [] : (['qemu-aarch64-static'] as const)),
]
/** Of its start. */
export const BOOT_TOOLS: readonly Tool[] = ['qemu-system-aarch64', 'mcopy', 'mmd', 'ssh', 'ssh-keygen']

/** Why they cannot be used, as one line with what to do; undefined where all are there. `path` is the variable PATH. */
export function missingTools(tools: readonly Tool[], path: string): string | undefined {
  const missing = tools.filter(tool => !path.split(':').some(folder => folder !== '' && runs(join(folder, tool))))
  if (missing.length === 0) return undefined
  const packages = [...new Set(missing.map(tool => PACKAGE[tool]))].join(' ')
  return `not on this machine: ${missing.join(', ')}; on Debian: apt-get install ${packages}`
}

function runs(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
