/** The first file system of a start: busybox, the modules that a root on a card or a virtual disk needs, and `init`. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * What stands between the kernel and its root, and the watchdogs, which systemd opens as its first deed. Those that are built in have
 * no file. ext4 asks for crc32c by an alias, which nobody here would resolve. Cards of a Raspberry Pi 3, 4, Zero 2 W; USB disks; qemu's `virt`.
 */
const MODULES = [
  'crc32c_generic',
  'ext4',
  'virtio_mmio',
  'virtio_blk',
  'virtio_net',
  'i6300esb',
  'bcm2835',
  'sdhci_iproc',
  'raspberrypi_hwmon',
  'gpio_regulator',
  'reset_raspberrypi',
  'pcie_brcmstb',
  'xhci_pci',
  'dwc2',
  'uas',
  'usb_storage',
  'sd_mod',
  'bcm2835_wdt',
  'vfat',
  'nls_ascii',
]

interface CpioEntry {
  readonly path: string
  readonly mode: number
  readonly body: Uint8Array
  readonly device?: readonly [major: number, minor: number]
}

const DIRECTORY = 0o040755
const PROGRAM = 0o100755
const FILE = 0o100644
const CHARACTER = 0o020600

/** The archive of `cpio -H newc`: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. */
function newc(entries: readonly CpioEntry[], at: number): Uint8Array {
  const none = new Uint8Array()
  const pad = (length: number) => Buffer.alloc(-length & 3)
  const chunks = [...entries, { path: 'TRAILER!!!', mode: 0, body: none, device: undefined }].flatMap(
    (entry, index) => {
      const { path, mode, body, device } = entry
      const name = Buffer.from(`${path}\0`)
      // ino, mode, uid, gid, nlink, mtime, filesize, device of the file (2), device that it is (2), length of the name, check
      const fields = [index + 1, mode, 0, 0, 1, at, body.length, 0, 0, ...(device ?? [0, 0]), name.length, 0]
      const head = Buffer.from(`070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}`)
      return [head, name, pad(head.length + name.length), body, pad(body.length)]
    },
  )
  return Buffer.concat(chunks)
}

/** The modules' files in the order of modules.dep, each with all that it needs. */
function modulesOf(folder: string): readonly string[] {
  const needs = new Map(
    readFileSync(join(folder, 'modules.dep'), 'utf8')
      .trim()
      .split('\n')
      .map(line => {
        const [file, rest] = line.split(':') as [string, string]
        return [file, rest.trim().split(' ').filter(Boolean)] as const
      }),
  )
  const name = (file: string) => /([^/]+)\.ko/.exec(file)![1]!.replaceAll('-', '_')
  const wanted = [...needs.keys()].filter(file => MODULES.includes(name(file)))
  return [...new Set(wanted.flatMap(file => [file, ...needs.get(file)!]))].sort()
}

/** Gzipped. `root` holds busybox and the kernel's modules, `release` names the kernel. */
export function makeInitrd(root: string, release: string, at: number): Uint8Array {
  const folder = join(root, 'usr/lib/modules', release)
  const directories = new Set<string>()
  const files: CpioEntry[] = []
  const add = (path: string, mode: number, body: Uint8Array) => {
    const parts = path.split('/')
    for (let end = 1; end < parts.length; end++) directories.add(parts.slice(0, end).join('/'))
    files.push({ path, mode, body })
  }
  const modules = modulesOf(folder)
  for (const file of modules) {
    const unpacked = spawnSync('xz', ['-dc', join(folder, file)], { maxBuffer: 64 << 20 })
    if (unpacked.status !== 0) throw new Error(`xz ${file}: ${unpacked.stderr}`)
    add(`lib/modules/${release}/${file.replace(/\.xz$/, '')}`, FILE, unpacked.stdout)
  }
  const dep = readFileSync(join(folder, 'modules.dep'), 'utf8')
    .split('\n')
    .filter(line => modules.includes(line.split(':')[0]!))
  add(`lib/modules/${release}/modules.dep`, FILE, Buffer.from(`${dep.join('\n').replaceAll('.ko.xz', '.ko')}\n`))
  add('modules', FILE, Buffer.from(`${MODULES.join('\n')}\n`))
  add('bin/busybox', PROGRAM, readFileSync(join(root, 'usr/bin/busybox')))
  add('init', PROGRAM, readFileSync(fileURLToPath(new URL('init', import.meta.url))))
  for (const empty of ['dev', 'proc', 'sys', 'root']) directories.add(empty)
  const none = new Uint8Array()
  const archive = newc(
    [
      ...[...directories].sort().map(path => ({ path, mode: DIRECTORY, body: none })),
      // The kernel opens it for init before anything is mounted.
      { path: 'dev/console', mode: CHARACTER, body: none, device: [5, 1] },
      ...files,
    ],
    at,
  )
  const zipped = spawnSync('gzip', ['-9n'], { input: archive, maxBuffer: 256 << 20 })
  if (zipped.status !== 0) throw new Error(`gzip: ${zipped.stderr}`)
  return zipped.stdout
}

/** Of the one kernel under that root. */
export function kernelRelease(root: string): string {
  const folder = join(root, 'usr/lib/modules')
  const found = existsSync(folder) ? readdirSync(folder) : []
  if (found.length !== 1) throw new Error(`${folder} has ${found.length} kernels`)
  return found[0]!
}
