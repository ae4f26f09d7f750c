/** `tieline update`: signed releases on this machine's disk, and the restart that brings the next one. */
import { fileURLToPath } from 'node:url'
import { createSystemTime } from '../../../drivers/clock.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { openPieces, openTree, ownsFolder, type PieceSource } from '../../../drivers/store/tree.ts'
import { readTextFile } from '../../../drivers/text-file.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { decideRollback } from '../../../protocol/update/decide.ts'
import type { Release } from '../../../protocol/update/manifest.ts'
import type { Expect } from '../../../protocol/update/state.ts'
import { INSTALLING, installUpdate, verifyWhole } from '../../update/install.ts'
import { keysFile, machineArchitecture, readPackaged, storeFolder } from '../../update/place.ts'
import { changeState, readState } from '../../update/releases.ts'
import { BUSY, type UpdateSaid } from '../../update/run.ts'
import { type AskOptions, askSite, naming, type Unasked } from '../ask-agent.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'

export type UpdateOptions = AskOptions

export interface InstallOptions extends UpdateOptions {
  readonly now?: true
  readonly later?: true
  /** Minutes. */
  readonly wait: string
}

/** Where the programs of this release lie. */
const HOME = fileURLToPath(new URL('../../../', import.meta.url))
const AGAIN_MS = 5_000
const MINUTE_MS = 60_000
const WAIT_MAX = 24 * 60

async function placeOf(terminal: Terminal) {
  const packaged = await readPackaged(HOME)
  const folder = storeFolder(terminal.env)
  const keys = await readTextFile(keysFile(terminal.env))
  return {
    folder,
    tree: openTree(folder),
    packaged,
    architecture: packaged.architecture ?? machineArchitecture(),
    verifier: createVerifier(),
    timers: createSystemTime().timers,
    keys: !keys.ok && keys.fault.code === 'file.missing' ? noKeys(keys.fault.file) : keys,
  }
}

const noKeys = (file: string): Result<string> =>
  fail({
    code: 'update.no-keys',
    file,
    hint: 'no such file: write into it whose updates are taken, a line for each key',
  })

const exitFor = (fault: Fault): ExitCode =>
  /^update\.(no-keys|trust)$/.test(fault.code)
    ? EXIT.configuration
    : fault.code === INSTALLING
      ? EXIT.temporary
      : /^(update|cose|cbor|record)\./.test(fault.code)
        ? EXIT.no
        : exitOf(fault)

function refuse(command: string, fault: Fault, options: UpdateOptions, terminal: Terminal): ExitCode {
  if (options.json) terminal.out(jsonLine({ ok: false, fault: { ...fault, text: faultLine(fault) } }))
  else terminal.err(`tieline update ${command}: ${faultLine(fault)}\n`)
  return exitFor(fault)
}

const describe = ({ name, manifest }: Release) => ({
  release: name,
  version: manifest.version,
  architecture: manifest.architecture,
  bytes: manifest.size,
  newKeys: manifest.trust !== undefined,
})

const line = ({ release, version, architecture, bytes, newKeys }: ReturnType<typeof describe>) =>
  `version ${version} (${release}) for ${architecture}, ${(bytes / 1e6).toFixed(1)} MB${newKeys ? ', changes the keys' : ''}`

/** With `json`: {ok, running, packaged, good, previous, candidate, highest, failed}; what is not there is absent. */
export async function showReleases(options: UpdateOptions, terminal: Terminal): Promise<ExitCode> {
  const { tree, packaged } = await placeOf(terminal)
  const state = await readState(tree)
  if (!state.ok) return refuse('status', state.fault, options, terminal)
  const { good, previous, candidate, highest, failed } = state.value
  const asked = await ask(options, '')
  const running = asked !== undefined && 'value' in asked ? asked.value : undefined
  const runs = running && { release: running.release ?? 'package', tried: running.tried, busy: running.busy }
  const kept = {
    packaged: { release: packaged.release, version: packaged.version },
    good,
    previous,
    candidate,
    highest,
    failed,
  }
  if (options.json) {
    terminal.out(jsonLine({ ok: true, running: runs, ...kept }))
    return EXIT.ok
  }
  terminal.out(
    runs === undefined ? `${unasked(asked, options)}\n` : `runs: ${runs.release}${runs.tried ? ', being tried' : ''}\n`,
  )
  terminal.out(`package: ${packaged.version} (${packaged.release})\n`)
  if (good !== undefined) terminal.out(`found good: ${good}\n`)
  if (previous !== undefined) terminal.out(`before it: ${previous}\n`)
  if (candidate !== undefined) terminal.out(`to be tried: ${candidate.name}, started ${candidate.tries} times\n`)
  if (highest !== undefined) terminal.out(`highest ever found good: ${highest}\n`)
  if (failed !== undefined) terminal.out(`given up: ${failed.name}: ${failed.why}\n`)
  for (const what of runs?.busy ?? []) terminal.out(`a restart would interrupt ${what}\n`)
  return EXIT.ok
}

/** With `json`: {ok, release, version, architecture, bytes, newKeys}. */
export async function verifyFile(file: string, options: UpdateOptions, terminal: Terminal): Promise<ExitCode> {
  const { keys, ...place } = await placeOf(terminal)
  if (!keys.ok) return refuse('verify', keys.fault, options, terminal)
  const packaged = place.packaged.release
  const release = await withFile(file, source => verifyWhole(source, { ...place, packaged, keys: keys.value }))
  if (!release.ok) return refuse('verify', release.fault, options, terminal)
  const said = describe(release.value)
  terminal.out(options.json ? jsonLine({ ok: true, ...said }) : `good: ${line(said)}\n`)
  return EXIT.ok
}

/** With `json`: {ok, release, version, architecture, bytes, newKeys, restarts, interrupts, text}, and `already` where it was good. */
export async function installFile(file: string, options: InstallOptions, terminal: Terminal): Promise<ExitCode> {
  const waitMs = waitOf(options)
  if (typeof waitMs === 'string') return misused('update install', waitMs, terminal)
  const { keys, ...place } = await placeOf(terminal)
  if (!keys.ok) return refuse('install', keys.fault, options, terminal)
  const own = await ownUser(place.folder, `update install ${file}`)
  if (!own.ok) return refuse('install', own.fault, options, terminal)
  const asked = await ask(options, '')
  const expect: Expect | undefined = asked !== undefined && 'value' in asked ? asked.value : undefined
  let shown = 0
  const onProgress = (bytes: number, of: number) => {
    const quarter = Math.floor((bytes * 4) / of)
    if (quarter > shown && !options.json) terminal.err(`unpacked ${quarter * 25} %\n`)
    shown = Math.max(shown, quarter)
  }
  const packaged = place.packaged.release
  const release = await withFile(file, source =>
    installUpdate(
      source,
      { ...place, packaged, keys: keys.value, onProgress },
      expect && { meters: expect.meters, ledger: expect.ledger },
    ),
  )
  if (!release.ok) return refuse('install', release.fault, options, terminal)
  const said = describe(release.value)
  if (release.value.already) {
    const text = 'it was found good here before and is whole: nothing is done'
    const all = { ok: true, ...said, already: true, restarts: false, interrupts: [], text }
    terminal.out(options.json ? jsonLine(all) : `${line(said)}: ${text}\n`)
    return EXIT.ok
  }
  if (!options.json) {
    terminal.out(`installed: ${line(said)}\n`)
    if (expect === undefined)
      terminal.out(`${unasked(asked, options)}: one reading of any meter will do for its health\n`)
  }
  return restart('install', options, waitMs, terminal, said)
}

/** With `json`: {ok, leaves, restarts, interrupts, text}. */
export async function rollBack(options: InstallOptions, terminal: Terminal): Promise<ExitCode> {
  const waitMs = waitOf(options)
  if (typeof waitMs === 'string') return misused('update rollback', waitMs, terminal)
  const { tree, timers, folder } = await placeOf(terminal)
  const own = await ownUser(folder, 'update rollback')
  if (!own.ok) return refuse('rollback', own.fault, options, terminal)
  const changed = await changeState(tree, timers, state => {
    const next = decideRollback(state)
    if (next === undefined)
      return fail({ code: 'update.nothing-before', hint: "the package's own release is the only one" })
    return ok({ next, leaves: state.candidate?.name ?? state.good })
  })
  if (!changed.ok) return refuse('rollback', changed.fault, options, terminal)
  const { leaves, next } = changed.value
  if (!options.json) terminal.out(`leaves ${leaves} for ${next.good ?? "the package's own release"}\n`)
  return restart('rollback', options, waitMs, terminal, { leaves })
}

/** In ms, or what is wrong with how it was typed. */
function waitOf({ wait, now, later }: InstallOptions): number | string {
  if (now && later) return '--now and --later exclude each other'
  if (!/^\d{1,4}$/.test(wait) || Number(wait) > WAIT_MAX) return `${wait} is no number of minutes up to ${WAIT_MAX}`
  return Number(wait) * MINUTE_MS
}

const UNREAD: Readonly<Record<string, string>> = {
  'disk.missing': 'no such file',
  'disk.not-a-file': 'an update is a regular file',
  'disk.permission': 'this user may not read it',
}

async function withFile<T>(file: string, work: (source: PieceSource) => Promise<Result<T>>): Promise<Result<T>> {
  const source = await openPieces(file)
  if (!source.ok) return fail({ ...source.fault, hint: UNREAD[source.fault.code] ?? 'it cannot be opened' })
  try {
    return await work(source.value)
  } finally {
    await source.value.close()
  }
}

/** What another user writes there, the agent's own could not read. */
async function ownUser(folder: string, command: string): Promise<Result<void>> {
  const owns = await ownsFolder(folder)
  if (!owns.ok)
    return fail({ ...owns.fault, name: folder, hint: 'the data folder of the agent, made with its package' })
  const hint = `run it as the folder's owner, as in: runuser -u tieline -- tieline ${command}`
  return owns.value ? ok(undefined) : fail({ code: 'disk.permission', folder, hint })
}

/** Undefined where the configuration names no agent that could be asked. */
async function ask(
  options: UpdateOptions,
  path: string,
  body?: object,
): Promise<{ value: UpdateSaid } | Unasked | undefined> {
  const config = await readSite(options.config, SILENT)
  if (typeof config === 'number') return undefined
  return askSite(config, {
    path: `/api/update${path}`,
    is: isSaid,
    ...(body === undefined ? {} : { body }),
  })
}

/** Why nothing is known of the agent that runs. */
const unasked = (asked: { value: UpdateSaid } | Unasked | undefined, { config }: UpdateOptions): string =>
  asked !== undefined && 'text' in asked ? asked.text : `no agent is known by ${config}`

const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(each => typeof each === 'string')
/** Its meters and its ledger are what the next release is measured by. */
const isSaid = (value: unknown): value is UpdateSaid =>
  naming<UpdateSaid>('busy')(value) &&
  areTexts(value.busy) &&
  areTexts(value.meters) &&
  typeof value.ledger === 'boolean'

const SILENT: Terminal = { out: () => {}, err: () => {}, colour: false, env: {} }

/** Waits for a pause, within bounds; the next release starts with the agent in any case. */
async function restart(
  command: string,
  options: InstallOptions,
  waitMs: number,
  terminal: Terminal,
  said: object,
): Promise<ExitCode> {
  const tell = (restarts: boolean, interrupts: readonly string[], text: string, exit: ExitCode): ExitCode => {
    terminal.out(options.json ? jsonLine({ ok: true, ...said, restarts, interrupts, text }) : `${text}\n`)
    return exit
  }
  if (options.later) return tell(false, [], 'it starts with the next start: systemctl restart tieline', EXIT.ok)
  const { clock, timers } = createSystemTime()
  const since = clock.mono()
  let announced = false
  for (;;) {
    const before = await ask(options, '')
    const interrupts = before !== undefined && 'value' in before ? before.value.busy : []
    const answer = await ask(options, '/restart', { now: options.now === true })
    if (answer === undefined)
      return tell(false, [], `it starts with the next start: no agent is known by ${options.config}`, EXIT.ok)
    if ('value' in answer) {
      const loses = interrupts.length === 0 ? '' : `, which interrupts ${interrupts.join(', ')}`
      return tell(true, interrupts, `the agent restarts${loses}; tieline update status says what became of it`, EXIT.ok)
    }
    if (answer.code !== BUSY) return tell(false, [], `it starts with the next start: ${answer.text}`, EXIT.ok)
    if (clock.mono() - since >= waitMs) {
      const text = `${answer.text}; it starts with the next start, or now with tieline update ${command} --now`
      return tell(false, interrupts, text, EXIT.temporary)
    }
    if (!announced && !options.json) terminal.err(`${answer.text}: waits\n`)
    announced = true
    await timers.sleep(Math.min(AGAIN_MS, waitMs))
  }
}
