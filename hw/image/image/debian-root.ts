/**
 * A minimal Debian as an archive of its files, made by mmdebstrap from the mirror that this machine's apt is configured for, and
 * kept in a folder of the machine, since it changes only with Debian.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import type { Architecture } from '../natives.ts'

/** The release whose Node (20.19) is the oldest that the agent runs on. */
const SUITE = 'trixie'
export const CACHE = '/var/tmp/tieline-image'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Ends with what the program said, without the addresses in it, unless it ends in order. */
export async function done(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const said: Buffer[] = []
  const out: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk))
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (status === 0) return Buffer.concat(out).toString()
  const talk = Buffer.concat([...out, ...said])
    .toString()
    .replace(/[a-z]+:\/\/[^\s/]+/g, '...')
  throw new Error(`${program} ${args[0]} ended with ${status}:\n${talk.slice(-3000)}`)
}

/** The archive of Debian itself among apt's sources; undefined where there is no apt, or none of Debian. */
export function debianMirror(): string | undefined {
  const format = ['indextargets', '--format', '$(REPO_URI) $(LABEL)', 'Created-By: Packages']
  const { stdout } = spawnSync('apt-get', format, { encoding: 'utf8' })
  const sources = (stdout ?? '').split('\n').map(line => line.split(' ') as [uri: string, label?: string])
  // Before the first `apt-get update` nothing has a label.
  const found = sources.find(([, label]) => label === 'Debian') ?? sources.find(([uri]) => /\/debian\/$/.test(uri))
  return found?.[0]
}

export interface RootOptions {
  readonly architecture: Architecture
  readonly include: readonly string[]
  readonly components: readonly string[]
  /** Shell lines, run when everything is installed; `$1` is the root. */
  readonly hooks: readonly string[]
  /** mmdebstrap's own words for what it shall leave out. */
  readonly skip: readonly string[]
  /** What runs before mmdebstrap's own command line. */
  readonly under: readonly string[]
  readonly cache: string
}

/** Where that root's archive would be. */
export function rootArchive({ cache, architecture, ...rest }: RootOptions): string {
  const { under: _, ...made } = rest
  const key = createHash('sha256')
    .update(JSON.stringify([SUITE, architecture, made]))
    .digest('hex')
    .slice(0, 16)
  return `${cache}/root-${SUITE}-${architecture}-${key}.tar`
}

/** Only a folder that nobody else can write to is believed: what lies in it is run as root. */
export function openCache(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(folder)
  if (uid !== process.getuid!() || (mode & 0o22) !== 0) throw new Error(`${folder} can be written to by others`)
}

/** The path of the archive: the one that is there, else a new one. */
export async function debianRoot(options: RootOptions): Promise<string> {
  const { cache, architecture, include, components, hooks, skip, under } = options
  openCache(cache)
  const archive = rootArchive(options)
  if (existsSync(archive)) return archive
  const mirror = debianMirror()
  if (mirror === undefined) throw new Error("this machine's apt has no source of Debian")
  const part = `${archive}.part.tar`
  const [program, ...args] = [
    ...under,
    'mmdebstrap',
    '--mode=root',
    '--variant=apt',
    `--architectures=${architecture}`,
    ...(include.length === 0 ? [] : [`--include=${include.join(',')}`]),
    '--aptopt=Acquire::Languages "none"',
    ...skip.map(word => `--skip=${word}`),
    ...hooks.map(line => `--customize-hook=${line}`),
    SUITE,
    part,
    `deb [signed-by=${KEYRING}] ${mirror} ${SUITE} ${components.join(' ')}`,
  ]
  try {
    await done(program!, args)
    renameSync(part, archive)
  } finally {
    rmSync(part, { force: true })
  }
  return archive
}
