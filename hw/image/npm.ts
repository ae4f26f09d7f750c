/**
 * The package for npm: the built programs, and a shrinkwrap that pins every package below them as package-lock.json does. It holds no
 * scripts, so it installs alike with scripts disabled.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAll } from './build.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** Of package.json, what a user of the package needs. */
const KEPT = ['name', 'version', 'description', 'license', 'type', 'engines', 'bin', 'dependencies'] as const

type Manifest = Readonly<Record<string, unknown>> & {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly overrides: Readonly<Record<string, unknown>>
}

/** Writes it into `folder` and answers its path. */
export async function npmTarball(folder: string): Promise<string> {
  const stage = mkdtempSync(join(tmpdir(), 'tieline-npm-'))
  try {
    if ((await buildAll(join(stage, 'dist'))) !== 0) throw new Error('the build failed')
    const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as Manifest
    const kept = Object.fromEntries(KEPT.map(key => [key, manifest[key]]))
    const overrides = Object.fromEntries(
      Object.entries(manifest.overrides).filter(([name]) => !Object.hasOwn(manifest.devDependencies, name)),
    )
    const write = (more: object) =>
      writeFileSync(join(stage, 'package.json'), `${JSON.stringify({ ...kept, ...more }, undefined, 2)}\n`)
    write({ overrides })
    copyFileSync(`${root}package-lock.json`, join(stage, 'package-lock.json'))
    // npm itself drops what only development needs; everything is pinned, so it asks nobody.
    npm(stage, 'install', '--package-lock-only', '--offline', '--ignore-scripts')
    npm(stage, 'shrinkwrap')
    for (const file of ['README.md', 'LICENSE']) copyFileSync(`${root}${file}`, join(stage, file))
    write({ overrides, files: ['dist', 'npm-shrinkwrap.json'] })
    mkdirSync(folder, { recursive: true })
    const packed = npm(stage, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder)
    const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
    return join(folder, filename)
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

function npm(cwd: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('npm', [...args, '--no-audit', '--no-fund'], {
    cwd,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`npm ${args[0]}: ${error?.message ?? stderr}`)
  return stdout
}
