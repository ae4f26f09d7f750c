/** What stands where on a gateway's disk: Debian's places for the files of the package `tieline`. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { PageFile } from '../../agent/web/page-files.ts'
import { PAGE_FILES } from '../../agent/web/page-files.ts'
import type { Bundle } from './build.ts'
import type { DebPackage, Entry } from './deb.ts'
import { type Architecture, nativeParts } from './natives.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const HOME = 'usr/lib/tieline'
const DOC = 'usr/share/doc/tieline'

/** Files of hw/image/debian, and where they go. */
const SYSTEM_FILES: readonly (readonly [file: string, path: string])[] = [
  ['config.yaml', 'etc/tieline/config.yaml'],
  ['update-keys', 'etc/tieline-update-keys'],
  ['tieline.service', 'usr/lib/systemd/system/tieline.service'],
  ['sysusers.conf', 'usr/lib/sysusers.d/tieline.conf'],
  ['tmpfiles.conf', 'usr/lib/tmpfiles.d/tieline.conf'],
  ['udev.rules', 'usr/lib/udev/rules.d/60-tieline.rules'],
  ['clock.conf', `${DOC}/examples/clock.conf`],
]
const SCRIPTS = ['postinst', 'prerm', 'postrm']

const manifest = (file: string) =>
  JSON.parse(readFileSync(file, 'utf8')) as {
    readonly version: string
    readonly description: string
    readonly license?: string
    readonly engines?: { readonly node: string }
  }

export interface ReleaseParts {
  readonly architecture: Architecture
  readonly bundle: Bundle
  readonly page: readonly PageFile[]
}

export interface PackageParts extends ReleaseParts {
  readonly launcher: Uint8Array
  /** Rises with each release. */
  readonly release: number
  /** Seconds since 1970. */
  readonly at: number
}

/** The version that the sources have. */
export const sourceVersion = (): string => manifest(`${root}package.json`).version

/** What one release is made of, by path: in a package below its folder, in an update all of it. */
export function releaseFiles({ architecture, bundle, page }: ReleaseParts): ReadonlyMap<string, Uint8Array> {
  return new Map<string, Uint8Array>([
    ...bundle.files,
    ...[...nativeParts(architecture)].map(([name, body]) => [`native/${name}`, body] as const),
    ...page.map(({ body }, index) => [`agent/web/page/${PAGE_FILES[index]!.file}`, body] as const),
    ...readdirSync(`${root}hw/boards`)
      .filter(name => name.endsWith('.yaml'))
      .map(name => [`hw/boards/${name}`, readFileSync(`${root}hw/boards/${name}`)] as const),
    // Node takes the programs for modules by it.
    ['package.json', Buffer.from(`${JSON.stringify({ name: 'tieline', version: sourceVersion(), type: 'module' })}\n`)],
  ])
}

export function tielinePackage(parts: PackageParts): DebPackage {
  const { architecture, bundle, launcher, release, at } = parts
  const { version, description, engines } = manifest(`${root}package.json`)
  const file = (path: string, body: Uint8Array, program = false): Entry => ({ kind: 'file', path, body, program })
  const entries: readonly Entry[] = [
    ...[...releaseFiles(parts)].map(([path, body]) =>
      file(`${HOME}/${path}`, body, /^agent\/tieline[^/]*$/.test(path)),
    ),
    file(`${HOME}/launch/launch.js`, launcher, true),
    file(`${HOME}/release.json`, Buffer.from(`${JSON.stringify({ release, version, architecture })}\n`)),
    ...['tieline', 'tieline-ledger'].map(
      (name): Entry => ({ kind: 'link', path: `usr/bin/${name}`, to: `../lib/tieline/agent/${name}.js` }),
    ),
    ...SYSTEM_FILES.map(([name, path]) => file(path, readFileSync(`${root}hw/image/debian/${name}`))),
    file(`${DOC}/README.md`, readFileSync(`${root}hw/image/README.md`)),
    file(`${DOC}/copyright`, Buffer.from(copyright(bundle.packages))),
  ]
  return {
    control: {
      Package: 'tieline',
      Version: version,
      Architecture: architecture,
      Maintainer: 'Tieline <tieline@localhost>',
      Section: 'net',
      Priority: 'optional',
      Depends: `nodejs (${engines!.node.replace('>=', '>= ')}), systemd`,
      Description: `agent on a meter gateway board\n ${description}`,
    },
    scripts: Object.fromEntries(SCRIPTS.map(name => [name, readFileSync(`${root}hw/image/debian/${name}`, 'utf8')])),
    conffiles: ['etc/tieline/config.yaml', 'etc/tieline-update-keys'],
    entries,
    at,
  }
}

/** Bundled into the page. */
const PAGE_PACKAGES = ['preact', 'uplot']

/** The licences of everything that is in the bundles, as each asks for. */
function copyright(packages: readonly string[]): string {
  const texts = [...packages, ...PAGE_PACKAGES].map(name => {
    const folder = `${root}node_modules/${name}`
    const { version, license = 'see below' } = manifest(`${folder}/package.json`)
    const found = readdirSync(folder).find(entry => /^licen[cs]e/i.test(entry))
    const text = found === undefined ? '' : readFileSync(`${folder}/${found}`, 'utf8')
    return `${'-'.repeat(72)}\n${name} ${version} (${license})\n\n${text.trim()}\n`
  })
  return `Tieline is under the Apache License 2.0, see /usr/share/common-licenses/Apache-2.0.\nIt contains:\n\n${texts.join('\n')}`
}
