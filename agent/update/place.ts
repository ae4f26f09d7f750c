/** Where a gateway has what belongs to updates, and how the launcher tells a release which one it is. */
import { readTextFile } from '../../drivers/text-file.ts'
import { UPDATE_ARCHITECTURES } from '../../protocol/update/manifest.ts'
import type { Chosen } from './start.ts'

type Env = Readonly<Record<string, string | undefined>>

/** The folder of releases, journal and keys; the service manager names it (systemd.exec(5), StateDirectory). */
export const storeFolder = (env: Env): string => env['STATE_DIRECTORY']?.split(':')[0] || '/var/lib/tieline'

/** Not below /etc/tieline, where the agent may write. */
export const keysFile = (env: Env): string => env['TIELINE_UPDATE_KEYS'] || '/etc/tieline-update-keys'

const NAME = 'TIELINE_RELEASE'
const TRIED = 'TIELINE_RELEASE_TRIED'

/** What the launcher says of what it has started. */
export interface Started {
  /** Undefined for the package's own. */
  readonly name: string | undefined
  readonly tried: boolean
}

export function tellStarted(env: Record<string, string | undefined>, chosen: Chosen): void {
  env[NAME] = chosen.start === 'packaged' ? '' : chosen.name
  env[TRIED] = chosen.start === 'candidate' ? '1' : ''
}

/** Undefined where no launcher started this program. */
export function whatStarted(env: Env): Started | undefined {
  const name = env[NAME]
  return name === undefined ? undefined : { name: name === '' ? undefined : name, tried: env[TRIED] === '1' }
}

/** Debian's name of this machine's processor. */
export function machineArchitecture(): (typeof UPDATE_ARCHITECTURES)[number] {
  return process.arch === 'arm64' ? 'arm64' : process.arch === 'arm' ? 'armhf' : 'amd64'
}

export interface Packaged {
  /** 0 where no package brought this program. */
  readonly release: number
  readonly version: string
  readonly architecture: (typeof UPDATE_ARCHITECTURES)[number] | undefined
}

/** What the package says of itself, beside its programs. */
export async function readPackaged(home: string): Promise<Packaged> {
  const none: Packaged = { release: 0, version: 'none', architecture: undefined }
  const text = await readTextFile(`${home}release.json`)
  if (!text.ok) return none
  try {
    const said = JSON.parse(text.value) as Readonly<Record<string, unknown>>
    const { release, version } = said
    const architecture = UPDATE_ARCHITECTURES.find(one => one === said['architecture'])
    if (!Number.isSafeInteger(release) || typeof version !== 'string') return none
    return { release: release as number, version, architecture }
  } catch {
    // A damaged package still runs: it counts as older than everything.
    return none
  }
}
