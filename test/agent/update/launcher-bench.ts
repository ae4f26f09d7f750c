/** The launcher as it is shipped, small releases as real programs, and gateways that have them, under a service manager. */
import { cpSync, lstatSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installUpdate } from '../../../agent/update/install.ts'
import { readState } from '../../../agent/update/releases.ts'
import { openPieces, openTree } from '../../../drivers/store/tree.ts'
import { bundleLauncher } from '../../../hw/image/build.ts'
import { updateFile } from '../../../hw/image/update.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import type { Expect, ReleaseState } from '../../../protocol/update/state.ts'
import { type Lived, serve } from './stand-in-manager.ts'
import type { Behaviour } from './tiny-agent.ts'
import { about, KEYS, noWait, ours, verifier } from './update-bench.ts'

const TINY = new URL('./tiny-agent.ts', import.meta.url).href
const ARCHITECTURE = { arm64: 'arm64', arm: 'armhf' }[process.arch as string] ?? 'amd64'

export const folder = mkdtempSync(join(tmpdir(), 'tieline-launcher-'))
export const home = join(folder, 'home')
const keys = join(folder, 'keys')
export const program = (behaviour: Behaviour) => `globalThis.behaviour = '${behaviour}'\nawait import('${TINY}')\n`

mkdirSync(join(home, 'launch'), { recursive: true })
mkdirSync(join(home, 'agent'))
writeFileSync(join(home, 'launch/launch.js'), await bundleLauncher())
writeFileSync(join(home, 'agent/tieline.js'), program('works'))
writeFileSync(join(home, 'package.json'), '{"type":"module"}')
writeFileSync(join(home, 'release.json'), '{"release":10,"version":"0.10.0"}')
writeFileSync(keys, KEYS)

export const envOf = (store: string) => ({ STATE_DIRECTORY: store, TIELINE_UPDATE_KEYS: keys })
export const run = (
  store: string,
  until: (said: string) => boolean,
  kills?: number[],
  before: readonly string[] = [],
  socket = `${store}.sock`,
): Promise<Lived> =>
  serve(['--import', 'tsx', ...before, join(home, 'launch/launch.js'), 'run'], envOf(store), socket, until, kills)

/** What `run` takes for a process in which timers of this many hours and more run out a second after the release is up. */
export const hurried = (hours: number): readonly string[] => {
  const program = `const [at, say] = [globalThis.setTimeout, process.stdout.write]
let up
const isUp = new Promise(resolve => { up = resolve })
process.stdout.write = function (text, ...more) {
  if (/^up /.test(text)) up()
  return say.call(this, text, ...more)
}
globalThis.setTimeout = (run, ms, ...more) => {
  if (ms < ${hours * 3_600_000}) return at(run, ms, ...more)
  void isUp.then(() => at(run, 1000, ...more))
  return { unref() {} }
}`
  return ['--import', `data:text/javascript,${encodeURIComponent(program)}`]
}

export async function releaseFile(release: number, behaviour: Behaviour, ballast = 0): Promise<string> {
  const bodies = new Map([
    ['agent/tieline.js', utf8(program(behaviour))],
    ['native/ballast', new Uint8Array(ballast).fill(release)],
    ['package.json', utf8('{"type":"module"}')],
  ])
  const file = join(folder, `${release}-${behaviour}.update`)
  const architecture = ARCHITECTURE as 'amd64'
  writeFileSync(file, await updateFile({ ...about(release), architecture }, bodies, [ours]))
  return file
}

export async function install(store: string, file: string, expect?: Expect): Promise<string> {
  const source = must(await openPieces(file))
  const architecture = ARCHITECTURE as 'amd64'
  const settings = { tree: openTree(store), timers: noWait, verifier, keys: KEYS, packaged: 10, architecture }
  const installed = await installUpdate(source, settings, expect)
  await source.close()
  return must(installed).name
}

export const stateOf = async (store: string): Promise<ReleaseState> => must(await readState(openTree(store)))

let stores = 0
/** A new one, or a copy of another that stands still. */
export function gateway(like?: string): string {
  const store = join(folder, `store-${++stores}`)
  if (like === undefined) mkdirSync(store)
  // A program that was killed while it held something left the socket that it held it by.
  else cpSync(like, store, { recursive: true, filter: from => !lstatSync(from).isSocket() })
  return store
}

export const GRID: Expect = { meters: ['grid'], ledger: false }

/** A gateway on which release 11 was found good, its name, and what was said meanwhile. */
export async function gatewayOfEleven() {
  const store = gateway()
  const eleven = await install(store, await releaseFile(11, 'works'), GRID)
  const { said } = await run(store, each => /found good/.test(each))
  return { store, eleven, said }
}
