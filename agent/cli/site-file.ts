/** Which configuration file a command means, and what it says: shared by every command that needs a site. */
import { dirname, resolve } from 'node:path'
import { type FileFault, readBytes } from '../../drivers/text-file.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import { findAside } from '../backup/put-in-place.ts'
import { type Loaded, loadConfig } from '../config/load.ts'
import { CONFIG_VERSION, migrate } from '../config/migrate.ts'
import type { BrokerTlsConfig, PublishConfig } from '../config/publish-config.ts'
import { configLine, TEXT_MAX } from '../config/read-form.ts'
import type { KeyPlace, KeySource, SiteConfig } from '../config/site-config.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

type KeptKeys = Extract<KeySource, { kind: 'kept' }>

/** The file in force without --config: a user's own when there is a folder for it, else the machine's. */
export const defaultConfigFile = (env: Terminal['env']): string =>
  env['XDG_CONFIG_HOME'] ? `${env['XDG_CONFIG_HOME']}/tieline/config.yaml` : '/etc/tieline/config.yaml'

export type SiteFile =
  | { readonly kind: 'read'; readonly loaded: Loaded; readonly text: string }
  | { readonly kind: 'unread'; readonly line: string; readonly exit: ExitCode }

/** Text of so many characters has no more in UTF-8; what is longer is not even looked through. */
const BYTES_MAX = 3 * TEXT_MAX

export async function readSiteFile(file: string): Promise<SiteFile> {
  const bytes = await readBytes(file)
  if (!bytes.ok) return { kind: 'unread', ...((await brokenOff(file, bytes.fault)) ?? explain(bytes.fault)) }
  const refused = (line: number, column: number, what: string): SiteFile => ({
    kind: 'read',
    loaded: { ok: false, faults: [{ code: 'config.syntax', file, line, column, what }] },
    text: '',
  })
  if (bytes.value.length > BYTES_MAX)
    return refused(1, 1, `${bytes.value.length} bytes are too many; a configuration has at most ${TEXT_MAX} characters`)
  const text = fromUtf8(bytes.value)
  if (text !== undefined) return { kind: 'read', loaded: loadConfig(text, file), text }
  const { line, column } = badByte(bytes.value)
  return refused(line, column, 'is not UTF-8 text: save it as UTF-8')
}

/** It was taken away for as long as a restore takes, which did not end. */
async function brokenOff(file: string, { code }: FileFault): Promise<ReturnType<typeof explain> | undefined> {
  const aside = code === 'file.missing' ? await findAside(resolve(file)) : undefined
  if (aside === undefined) return undefined
  const line = `${file}: a restore was broken off: run tieline restore again with --replace; what stood here is ${aside}`
  return { line, exit: EXIT.configuration }
}

/** Where text ends that can be read: the least number of bytes after which no more helps. */
function badByte(bytes: Uint8Array): { readonly line: number; readonly column: number } {
  let [good, bad] = [0, bytes.length]
  const beginning = (length: number) => {
    // A character may be cut at the end of a beginning; at most three of its bytes are then there.
    for (let cut = 0; cut < 4; cut++) {
      const text = fromUtf8(bytes.subarray(0, Math.max(0, length - cut)))
      if (text !== undefined) return text
    }
    return undefined
  }
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (beginning(middle) === undefined) bad = middle
    else good = middle
  }
  const lines = (beginning(good) ?? '').split('\n')
  return { line: lines.length, column: lines.at(-1)!.length + 1 }
}

/** The site of a configuration file, its paths resolved; or the exit code, everything having been said. */
export async function readSite(file: string, terminal: Terminal): Promise<SiteConfig | ExitCode> {
  const read = await readSiteFile(file)
  if (read.kind === 'unread') {
    terminal.err(`${read.line}\n`)
    return read.exit
  }
  if (read.loaded.ok) {
    tellOlder(read.text, file, terminal)
    return fromItsFolder(read.loaded.value, dirname(resolve(file)))
  }
  tellMistakes(read.loaded, terminal)
  return EXIT.configuration
}

/** The same of a text that is to stand in a file. */
export function siteOf(text: string, file: string): SiteConfig | undefined {
  const loaded = loadConfig(text, file)
  return loaded.ok ? fromItsFolder(loaded.value, dirname(resolve(file))) : undefined
}

/** Relative paths of a configuration are relative to its file, wherever the agent is started. */
function fromItsFolder(config: SiteConfig, folder: string): SiteConfig {
  const { keys, page, brokerTls, publish } = config
  const at = <K extends string>(key: K, path: string | undefined) =>
    path === undefined ? {} : ({ [key]: resolve(folder, path) } as Record<K, string>)
  return {
    ...config,
    data: resolve(folder, config.data),
    ...(config.board === undefined ? {} : { board: boardIn(folder, config.board) }),
    ...(brokerTls === undefined ? {} : { brokerTls: tlsIn(folder, brokerTls) }),
    ...(publish === undefined ? {} : { publish: publishIn(folder, publish) }),
    page: { ...page, ...at('passwordFile', page.passwordFile), ...at('tokenFile', page.tokenFile) },
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

/** A board's file; one that comes with the program is known by its name. */
export const boardIn = (folder: string, board: string): string => (/[/.]/.test(board) ? resolve(folder, board) : board)

const tlsIn = (folder: string, files: BrokerTlsConfig): BrokerTlsConfig =>
  Object.fromEntries(Object.entries(files).map(([name, file]) => [name, resolve(folder, file)]))

const publishIn = (folder: string, publish: PublishConfig): PublishConfig => ({
  ...publish,
  ...(publish.tls === undefined ? {} : { tls: tlsIn(folder, publish.tls) }),
})

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

function tellOlder(text: string, file: string, terminal: Terminal): void {
  const older = migrate(text)
  if (older === undefined) return
  const now = `is of version ${older.from} and read as version ${CONFIG_VERSION}`
  terminal.err(`${file}: ${now}; tieline check --migrate rewrites it and keeps the old text beside it\n`)
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
