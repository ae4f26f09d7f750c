/** Native parts for a processor, as their makers built them: from node_modules, or fetched by npm as package-lock.json pins them. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Debian's names. */
export const ARCHITECTURES = ['arm64', 'armhf', 'amd64'] as const
export type Architecture = (typeof ARCHITECTURES)[number]

/** Where each maker puts what is for glibc; Debian's armhf begins at ARMv7. */
const FILES = {
  arm64: {
    koffi: ['koffi-linux-arm64', 'linux_arm64'],
    serialport: 'linux-arm64/@serialport+bindings-cpp.armv8.glibc.node',
    level: 'linux-arm64/classic-level.armv8.node',
  },
  armhf: {
    koffi: ['koffi-linux-arm', 'linux_armhf'],
    serialport: 'linux-arm/@serialport+bindings-cpp.armv7.glibc.node',
    level: 'linux-arm/classic-level.armv7.node',
  },
  amd64: {
    koffi: ['koffi-linux-x64', 'linux_x64'],
    serialport: 'linux-x64/@serialport+bindings-cpp.glibc.node',
    level: 'linux-x64/classic-level.node',
  },
} as const

const root = fileURLToPath(new URL('../../', import.meta.url))
const modules = `${root}node_modules/`
/** Emptied by `npm ci`, like everything that was fetched. */
const cache = `${modules}.cache/tieline/`

/** By name as the bundle asks for them. */
export function nativeParts(architecture: Architecture): ReadonlyMap<string, Uint8Array> {
  const { koffi, serialport, level } = FILES[architecture]
  return new Map([
    ['koffi.node', koffiPart(koffi[0], koffi[1])],
    ['serialport.node', readFileSync(`${modules}@serialport/bindings-cpp/prebuilds/${serialport}`)],
    ['classic-level.node', readFileSync(`${modules}classic-level/prebuilds/${level}`)],
  ])
}

/** koffi has a package for each processor, of which npm installs this machine's. */
function koffiPart(name: string, folder: string): Uint8Array {
  const installed = `${modules}@koromix/${name}/${folder}/koffi.node`
  if (existsSync(installed)) return readFileSync(installed)
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as {
    packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>
  }
  const pinned = packages[`node_modules/@koromix/${name}`]
  if (pinned === undefined) throw new Error(`package-lock.json does not pin @koromix/${name}`)
  const archive = `${cache}koromix-${name}-${pinned.version}.tgz`
  if (!existsSync(archive)) {
    mkdirSync(cache, { recursive: true })
    told('npm', ['pack', '--silent', '--pack-destination', cache, `@koromix/${name}@${pinned.version}`])
  }
  const hash = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (hash !== pinned.integrity) throw new Error(`${archive} has ${hash}, and package-lock.json ${pinned.integrity}`)
  return told('tar', ['-xzOf', archive, `package/${folder}/koffi.node`])
}

/** What a program writes; it ends in order or not at all. */
function told(program: string, args: readonly string[]): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { maxBuffer: 64 << 20 })
  if (status !== 0) throw new Error(`${program} ${args[0]}: ${error?.message ?? stderr.toString()}`)
  return stdout
}
