/** Which configuration file a command means, and what it says: shared by every command that needs a site. */
import { dirname, resolve } from 'node:path'
import { type FileFault, readTextFile } from '../../drivers/text-file.ts'
import { configLine, type Loaded, loadConfig } from '../config/load.ts'
import type { KeyPlace, KeySource, SiteConfig } from '../config/site-config.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

type KeptKeys = Extract<KeySource, { kind: 'kept' }>

/** The file in force without --config: a user's own when there is a folder for it, else the machine's. */
export const defaultConfigFile = (env: Terminal['env']): string =>
  env['XDG_CONFIG_HOME'] ? `${env['XDG_CONFIG_HOME']}/tieline/config.yaml` : '/etc/tieline/config.yaml'

export type SiteFile =
  | { readonly kind: 'read'; readonly loaded: Loaded }
  | { readonly kind: 'unread'; readonly line: string; readonly exit: ExitCode }

export async function readSiteFile(file: string): Promise<SiteFile> {
  const text = await readTextFile(file)
  if (text.ok) return { kind: 'read', loaded: loadConfig(text.value, file) }
  return { kind: 'unread', ...explain(text.fault) }
}

/** The site of a configuration file, its paths resolved; or the exit code, everything having been said. */
export async function readSite(file: string, terminal: Terminal): Promise<SiteConfig | ExitCode> {
  const read = await readSiteFile(file)
  if (read.kind === 'unread') {
    terminal.err(`${read.line}\n`)
    return read.exit
  }
  if (read.loaded.ok) return fromItsFolder(read.loaded.value, dirname(resolve(file)))
  tellMistakes(read.loaded, terminal)
  return EXIT.configuration
}

/** Relative paths of a configuration are relative to its file, wherever the agent is started. */
function fromItsFolder(config: SiteConfig, folder: string): SiteConfig {
  const { keys } = config
  const at = <K extends string>(key: K, path: string | undefined) =>
    path === undefined ? {} : ({ [key]: resolve(folder, path) } as Record<K, string>)
  return {
    ...config,
    data: resolve(folder, config.data),
    keys: keys.kind === 'seed' ? keys : placedIn(folder, keys),
    meters: Object.fromEntries(
      Object.entries(config.meters).map(([name, meter]) => [
        name,
        'keyFile' in meter || 'authKeyFile' in meter
          ? { ...meter, ...at('keyFile', meter.keyFile), ...at('authKeyFile', meter.authKeyFile) }
          : meter,
      ]),
    ),
  }
}

const placedIn = (folder: string, keys: KeptKeys): KeptKeys => ({
  ...keys,
  account: resolve(folder, keys.account),
  sealing: resolve(folder, keys.sealing),
  metering: keyPlacedIn(folder, keys.metering),
  ...(keys.ocmf === undefined ? {} : { ocmf: keyPlacedIn(folder, keys.ocmf) }),
  ...(keys.passphraseFile === undefined ? {} : { passphraseFile: resolve(folder, keys.passphraseFile) }),
})

/** Relative paths resolved. */
export function keyPlacedIn(folder: string, place: KeyPlace): KeyPlace {
  if (place.kind === 'file') return { ...place, file: resolve(folder, place.file) }
  if (place.kind === 'tpm') return { ...place, authFile: resolve(folder, place.authFile) }
  // A module that is named without a folder is looked for where the system keeps its libraries.
  const module = place.module.includes('/') ? resolve(folder, place.module) : place.module
  return { ...place, module, pinFile: resolve(folder, place.pinFile) }
}

/** Every mistake on its own line of stderr. */
export function tellMistakes(loaded: Loaded, terminal: Terminal): void {
  if (loaded.ok) return
  for (const fault of loaded.faults) terminal.err(`${configLine(fault)}\n`)
}

/** A data file that cannot be read, in one line, and its exit code. */
export function tellFile(fault: FileFault, command: string, terminal: Terminal): ExitCode {
  const { line, exit } =
    fault.code === 'file.missing' ? { line: `${fault.file}: no such file`, exit: EXIT.io } : explain(fault)
  terminal.err(`${command}: ${line}\n`)
  return exit
}

function explain(fault: FileFault): { readonly line: string; readonly exit: ExitCode } {
  if (fault.code === 'file.missing') {
    return { line: `${fault.file}: no such file; name one with --config FILE`, exit: EXIT.configuration }
  }
  if (fault.code === 'file.permission') {
    return { line: `${fault.file}: permission denied; ${fault.hint}`, exit: EXIT.permission }
  }
  return { line: `${fault.file}: cannot be read (${fault.why})`, exit: EXIT.io }
}
