#!/usr/bin/env node
/**
 * `npm run image -- npm [--out FOLDER]`: the package for npm.
 * `npm run image -- deb [arm64|armhf|amd64]... [--out FOLDER]`: the packages for a gateway's board, from this checkout and without
 * dpkg. The same checkout gives the same bytes: their time is SOURCE_DATE_EPOCH, or that of the last commit.
 * `npm run image -- flash [--out FOLDER] [--cache FOLDER]`: that package for arm64 on a card's image, as root.
 * `npm run image -- update [arm64|armhf|amd64]... --key FILE`: the same releases as signed updates, which `tieline update` installs.
 * The release counter is that time in seconds, unless `--release` says another.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Signer } from '../../drivers/ports.ts'
import { hex, toHex } from '../../protocol/bytes.ts'
import { buildPage, bundleLauncher, bundlePrograms } from './build.ts'
import { debFile } from './deb.ts'
import { CACHE } from './image/debian-root.ts'
import { makeCard, whyNoCard } from './image/flash.ts'
import { ARCHITECTURES, type Architecture } from './natives.ts'
import { npmTarball } from './npm.ts'
import { releaseFiles, sourceVersion, tielinePackage } from './package.ts'
import { readUpdateKey, updateFile } from './update.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const USAGE = `usage: npm run image -- deb [${ARCHITECTURES.join('|')}]... [--release N] [--out FOLDER]
       npm run image -- update [${ARCHITECTURES.join('|')}]... --key FILE... [--release N] [--least N] [--group NAME]
                               [--trust KEY...] [--threshold N] [--out FOLDER]
       npm run image -- flash [--release N] [--cache FOLDER] [--out FOLDER]
       npm run image -- npm [--out FOLDER]\n`
const EXIT_USAGE = 2
/** Nothing was made. */
const EXIT_UNMET = 1

/** Seconds since 1970, as reproducible-builds.org has it; zero where neither a variable nor a repository tells. */
function sourceTime(): number {
  const told = process.env['SOURCE_DATE_EPOCH']
  if (told !== undefined && /^\d{1,11}$/.test(told)) return Number(told)
  const { stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' })
  return Number(stdout ?? 0)
}

/** The packages' files. */
async function makeDebs(architectures: readonly Architecture[], release: number, folder: string): Promise<string[]> {
  const files: string[] = []
  const [bundle, launcher, page] = [await bundlePrograms(), await bundleLauncher(), await buildPage(true)]
  for (const architecture of architectures) {
    const made = tielinePackage({ architecture, bundle, launcher, page, release, at: sourceTime() })
    files.push(`${folder}/tieline_${made.control['Version']}_${architecture}.deb`)
    write(files.at(-1)!, debFile(made), made.entries.length)
  }
  return files
}

async function makeUpdates(
  architectures: readonly Architecture[],
  signers: readonly Signer[],
  about: Omit<Parameters<typeof updateFile>[0], 'architecture' | 'version'>,
  folder: string,
): Promise<void> {
  const [bundle, page, version] = [await bundlePrograms(), await buildPage(true), sourceVersion()]
  for (const architecture of architectures) {
    const files = releaseFiles({ architecture, bundle, page })
    const bytes = await updateFile({ ...about, architecture, version }, files, signers)
    write(`${folder}/tieline-${version}-${architecture}.update`, bytes, files.size)
  }
  process.stderr.write(`release ${about.release}, for /etc/tieline-update-keys:\n`)
  for (const { publicKey } of signers) process.stderr.write(`key ${toHex(publicKey)}\n`)
}

function write(file: string, bytes: Uint8Array, files: number): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, bytes)
  process.stdout.write(`${file}\n`)
  process.stderr.write(`${(bytes.length / 1e6).toFixed(2)} MB, ${files} files\n`)
}

/** A whole number of an option; undefined where it is not given. */
function counted(option: string, text: string | undefined): number | undefined {
  if (text !== undefined && !/^\d{1,10}$/.test(text)) throw new Error(`--${option} ${text} is no whole number`)
  return text === undefined ? undefined : Number(text)
}

const isArchitecture = (word: string): word is Architecture => (ARCHITECTURES as readonly string[]).includes(word)

const one = { type: 'string' } as const
const several = { type: 'string', multiple: true } as const
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { out: one, cache: one, release: one, least: one, group: one, threshold: one, key: several, trust: several },
})
const [what, ...words] = positionals
const named = words.filter(isArchitecture)
const wanted = named.length === 0 ? ARCHITECTURES : named
const out = resolve(values.out ?? `${root}dist/image`)
const release = counted('release', values.release) ?? sourceTime()
if (what === 'deb' && named.length === words.length) {
  await makeDebs(wanted, release, out)
} else if (what === 'update' && named.length === words.length && values.key !== undefined) {
  const keys = (values.trust ?? []).map(hex)
  await makeUpdates(
    wanted,
    values.key.map(readUpdateKey),
    {
      release,
      least: counted('least', values.least) ?? 0,
      ...(values.group === undefined ? {} : { group: values.group }),
      ...(keys.length === 0 ? {} : { trust: { threshold: counted('threshold', values.threshold) ?? 1, keys } }),
    },
    out,
  )
} else if (what === 'flash' && words.length === 0) {
  const unmet = whyNoCard(process.env['PATH'] ?? '')
  if (unmet !== undefined) {
    process.stderr.write(`image: ${unmet}\n`)
    process.exit(EXIT_UNMET)
  }
  const [deb] = await makeDebs(['arm64'], release, out)
  const file = deb!.replace(/\.deb$/, '.img')
  const say = (line: string) => process.stderr.write(`${line}\n`)
  await makeCard({ deb: deb!, file, cache: resolve(values.cache ?? CACHE), at: sourceTime(), say })
  process.stdout.write(`${file}.zst\n`)
} else if (what === 'npm' && words.length === 0) {
  process.stdout.write(`${await npmTarball(out)}\n`)
} else {
  process.stderr.write(USAGE)
  process.exitCode = EXIT_USAGE
}
