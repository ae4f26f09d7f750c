/**
 * One whole site as a gateway runs it, for bench:footprint, bench:flood and the soak: the .deb's launcher with its program in a process,
 * a broker in another, and in this one everything that it speaks to: meters, boards and a wall box on pseudo-terminals, a
 * ledger of one machine, and a neighbour who buys.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Agent } from '../../agent/compose.ts'
import { secretFromSeed } from '../../agent/keys.ts'
import { rpcRoutes } from '../../agent/validator/rpc.ts'
import { PAGE_FILES } from '../../agent/web/page-files.ts'
import { keysFromSeed, systemWorld } from '../../agent/world.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { type HttpServer, serveHttp } from '../../drivers/http/server.ts'
import { sealKey } from '../../drivers/keys/sealed-file.ts'
import { createWrappingKeys } from '../../drivers/keys/wrapping-keys.ts'
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import { openPty, type Pty } from '../../drivers/line/pty.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { makeLink, removeLink } from '../../drivers/store/folder.ts'
import { openRealPorts } from '../../hw/bench/real-ports.ts'
import { buildPage, bundleLauncher, bundlePrograms } from '../../hw/image/build.ts'
import { type ARCHITECTURES, nativeParts } from '../../hw/image/natives.ts'
import { createAmperfied } from '../../hw/sim/chargers/amperfied.ts'
import { serveModbus } from '../../hw/sim/modbus-slave.ts'
import { constantProfile } from '../../hw/sim/profile.ts'
import { BRISK } from '../../hw/sim/site-config.ts'
import { benchSeed, type Street, streetOf } from '../../hw/sim/street.ts'
import {
  createStreetLedger,
  type OpenedLine,
  openStreet,
  type RunningStreet,
  type StreetPorts,
} from '../../hw/sim/street-run.ts'
import { toHex } from '../../protocol/bytes.ts'
import { must, ok, type Result } from '../../protocol/result.ts'
import { freePort } from '../free-port.ts'
import { type BrokerProcess, openBroker } from './footprint-mosquitto.ts'

export const SEED = 1
const PASSPHRASE = 'bench passphrase'
/** The site that is measured sells, and the one that stays in this process buys. */
export const MEASURED = 'maple'
export const NEIGHBOUR = 'cedar'
/** Whom the measured site knows too, and who means it no good. */
export const STRANGE_NEIGHBOUR = 'thistle'
const CHARGER_UNIT = 11
/** Eleven bits at the wall box's 19,200 baud. */
const CHARACTER_MS = 11_000 / 19_200
/** Node, a journal to read and a meter to ask, on a machine with other work. */
const READY_WITHIN_MS = 30_000
const CPU_NAMES: Readonly<Record<string, (typeof ARCHITECTURES)[number]>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'armhf',
}

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

interface Installed {
  readonly program: string
  /** What the service manager starts. */
  readonly launcher: string
  /** In all. */
  readonly bytes: number
}

/** What the .deb lays under /usr/lib/tieline. */
async function installProgram(folder: string): Promise<Installed> {
  let total = 0
  const put = (path: string, body: Uint8Array, mode = 0o644) => {
    total += body.length
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), body, { mode })
  }
  for (const [path, body] of (await bundlePrograms()).files) put(path, body, 0o755)
  put('launch/launch.js', await bundleLauncher(), 0o755)
  for (const [name, body] of nativeParts(CPU_NAMES[process.arch]!)) put(`native/${name}`, body)
  const page = await buildPage(true)
  for (const [index, { file }] of PAGE_FILES.entries()) put(`agent/web/page/${file}`, page[index]!.body)
  const boards = fileURLToPath(new URL('../../hw/boards/', import.meta.url))
  for (const name of readdirSync(boards)) put(`hw/boards/${name}`, readFileSync(boards + name))
  put('package.json', Buffer.from('{"name":"tieline","version":"0.0.0","type":"module"}\n'))
  return { program: join(folder, 'agent/tieline.js'), launcher: join(folder, 'launch/launch.js'), bytes: total }
}

/** The agent as a process, from outside. */
export interface AgentProcess {
  readonly pid: number
  readonly page: string
  /** Milliseconds from its start to the line that says that it is up. */
  readonly readyMs: number
  /** Newest lines of its log. */
  readonly talk: readonly string[]
  stop(): Promise<number | null>
}

export interface Stage {
  readonly folder: string
  readonly program: string
  readonly installedBytes: number
  readonly data: string
  readonly configFile: string
  readonly running: RunningStreet
  readonly broker: BrokerProcess
  readonly lines: readonly string[]
  /** Starts the measured site; `node` are flags of Node beside those of the launcher's first line. */
  start(more?: { readonly node?: readonly string[] }): Promise<AgentProcess>
  /** Starts the neighbour in this process. */
  startNeighbour(): Promise<Agent>
  /** The ledger's nodes listen no more, or again. */
  ledger(up: boolean): Promise<void>
  /** From now on; what it returns ends it and answers the times between two questions to the relay board, sorted, in ms. */
  switchRounds(): () => readonly number[]
  /** Pulls the adapter that the meters of the measured site hang on, or plugs it in: it comes back as another terminal. */
  meters(plugged: boolean): Promise<void>
  close(): Promise<void>
}

/** What the first line of a program says that it is run by (env -S). */
const interpreterOf = (program: string): readonly [string, ...string[]] => {
  const [env, , ...words] = readFileSync(program, 'utf8').split('\n', 1)[0]!.slice(2).split(' ')
  return [env!, ...words]
}

/** A serial adapter under a name of its own, as by-id has it. */
function newAdapter(path: string) {
  let serve: (end: DeviceEnd) => void = () => {}
  let pty: Pty | undefined
  async function plug(): Promise<void> {
    pty = must(await openPty())
    must(makeLink(pty.path, path))
    serve(pty)
  }
  async function pull(): Promise<void> {
    removeLink(path)
    await pty?.close()
  }
  return {
    plug,
    pull,
    async open(): Promise<Result<OpenedLine>> {
      await plug()
      return ok({
        place: { serial: path },
        attach(next) {
          serve = next
          serve(pty!)
        },
        unplug: () => void pull(),
        close: pull,
      })
    },
  }
}

const newStreet = (lines: number): Street => {
  const { sites, lines: all } = streetOf(5)
  const chosen = sites.filter(({ name }) => name === MEASURED || name === NEIGHBOUR)
  const between = Array.from({ length: lines }, (_, n) => ({
    ...all[0]!,
    ...{ id: `L${n + 1}`, sellerMeterId: String(41_000_200 + 2 * n), buyerMeterId: String(41_000_201 + 2 * n) },
  }))
  return { sites: chosen, lines: between }
}

/** A configuration as it stands in its file. */
// biome-ignore lint/suspicious/noExplicitAny: a tree of settings that the agent itself judges
type SiteText = Record<string, any>

interface StageOptions {
  /** Direct lines between the two sites. */
  readonly lines?: number
  /** Between two deals of a line. */
  readonly pauseMs?: number
  /** Changes to the configuration of the measured site. */
  readonly change?: (config: SiteText) => void
}

export async function openStage({ lines = 1, pauseMs = 0, change = () => {} }: StageOptions = {}): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-footprint-'))
  const { program, launcher, bytes: installedBytes } = await installProgram(join(folder, 'lib'))
  const broker = await openBroker(folder)
  const { clock, timers } = createSystemTime(undefined, () => 'synchronised')
  const street = newStreet(lines)
  const real = must(
    await openRealPorts({
      ...{ speed: 1, seed: SEED, sites: street.sites.map(({ name }) => name), brokers: 0, data: folder },
      ...{ brokerUrls: [broker.url], logOf: () => () => {} },
      onBug: error => process.stderr.write(`${String(error)}\n`),
    }),
  )
  const adapter = newAdapter(join(folder, 'meters'))
  const nodePorts = [await freePort(), await freePort(), await freePort()]
  const urls = nodePorts.map(port => `http://127.0.0.1:${port}`)
  let nodes: readonly HttpServer[] = []
  let asked: number[] = []
  const timed = (end: DeviceEnd): DeviceEnd => ({
    ...end,
    onBytes: hear =>
      end.onBytes(chunk => {
        asked.push(performance.now())
        hear(chunk)
      }),
  })
  const ports: StreetPorts = {
    ...{ ...real, clock, timers, scale: undefined, coilsOnly: true, pace: { ...BRISK, pauseMs } },
    ...{ primaryOf: () => urls[0]!, witnessesOf: () => urls.slice(1) },
    async openLine(site, line, kind) {
      if (site === MEASURED && line === 'meters') return adapter.open()
      const opened = await real.openLine(site, line, kind)
      if (!opened.ok || site !== MEASURED || line !== 'switch') return opened
      const { attach } = opened.value
      return ok({ ...opened.value, attach: serve => attach(end => serve(timed(end))) })
    },
    worldOf: (_, config) =>
      systemWorld(
        config,
        () => {},
        () => 'synchronised',
      ),
  }
  const producer = createStreetLedger(street, SEED, ports)
  await producer.produce()
  async function ledger(up: boolean): Promise<void> {
    await Promise.all(nodes.map(node => node.close()))
    nodes = []
    const onBug = (error: unknown) => void process.stderr.write(`${String(error)}\n`)
    const routes = rpcRoutes(producer, timers)
    for (const port of up ? nodePorts : []) nodes = [...nodes, must(await serveHttp({ port, routes, onBug }))]
  }
  await ledger(true)
  producer.start()
  const sun = { load: constantProfile(300_000), generation: constantProfile(6_000_000) }
  const dark = { load: constantProfile(300_000), generation: constantProfile(0) }
  const profiles = new Map([
    [MEASURED, sun],
    [NEIGHBOUR, dark],
  ])
  const running = must(await openStreet(street, SEED, profiles, producer, ports))

  // A wall box on a line of its own.
  const charger = must(await openPty())
  const box = createAmperfied({ unit: CHARGER_UNIT, clock, timers, bootMa: 16_000, carMa: 16_000, reactionMs: 200 })
  const stopBox = serveModbus(charger, box.units, {
    ...{ framing: 'rtu', turnaroundMs: 5, characterMs: CHARACTER_MS, clock, timers, random: () => 0.5 },
  })

  const data = join(folder, 'state')
  const keys = join(folder, 'keys')
  mkdirSync(keys, { mode: 0o700 })
  const disk = must(await openDisk(keys))
  const seed = benchSeed(SEED, MEASURED)
  // As `tieline key init` makes them.
  const wrapping = createWrappingKeys()
  for (const [use, kind] of [
    ['account', 'ed25519'],
    ['metering', 'ed25519'],
    ['sealing', 'x25519'],
  ] as const) {
    const secret = { kind, bytes: secretFromSeed(seed, use) }
    must(await sealKey(disk, `${use}.key`, secret, PASSPHRASE, systemEntropy, wrapping))
  }
  wrapping.wipe()
  await disk.close?.()
  writeFileSync(join(folder, 'passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 })
  const config = JSON.parse(running.configs.get(MEASURED)!.text) as SiteText
  delete config['bench']
  delete config['clock']
  config['data'] = data
  config['keys'] = {
    ...Object.fromEntries(['account', 'metering', 'sealing'].map(use => [use, join(keys, `${use}.key`)])),
    passphrase_file: join(folder, 'passphrase'),
  }
  config['page'] = { listen: `127.0.0.1:${await freePort()}` }
  config['mqtt'] = { every: '10s' }
  config['lines']['wallbox'] = { serial: charger.path, baud: '19200', format: '8E1' }
  config['meters']['grid'].every = '1s'
  config['fuses'] = { connection: { rating: '63A', meter: 'grid' } }
  config['chargers'] = {
    garage: { controller: 'amperfied', line: 'wallbox', unit: String(CHARGER_UNIT), most: '16A', fuse: 'connection' },
  }
  const strange = keysFromSeed(benchSeed(SEED, STRANGE_NEIGHBOUR))
  config['peers'][STRANGE_NEIGHBOUR] = {
    account: toHex(strange.account.publicKey),
    sealing: toHex(strange.sealingPublic),
    metering: toHex(strange.metering.publicKey),
  }
  change(config)
  const configFile = join(folder, 'config.yaml')
  // No release beside the package's own, and no key for one.
  const releases = join(folder, 'releases')
  mkdirSync(releases, { mode: 0o700 })
  writeFileSync(configFile, `${JSON.stringify(config, null, 2)}\n`)

  const children = new Set<ChildProcess>()
  async function start({ node = [] }: { readonly node?: readonly string[] } = {}) {
    const args = ['run', '--json', '--config', configFile]
    const began = performance.now()
    const [command, ...first] = node.length === 0 ? [launcher] : [...interpreterOf(launcher), ...node, launcher]
    const child = spawn(command!, [...first, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...{ ...process.env, NODE_ENV: 'production', TIELINE_ENDS_WITH_PARENT: '1', STATE_DIRECTORY: releases },
        ...{ TIELINE_UPDATE_KEYS: join(folder, 'update-keys') },
      },
    })
    children.add(child)
    const ended = once(child, 'close').then(([code]) => {
      children.delete(child)
      return code as number | null
    })
    const talk: string[] = []
    createInterface({ input: child.stderr }).on('line', line => {
      talk.push(line)
      if (talk.length > 400) talk.shift()
    })
    const line = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text)),
      ended.then(() => undefined),
      pause(READY_WITHIN_MS).then(() => undefined),
    ])
    if (line === undefined) {
      child.kill('SIGKILL')
      throw new Error(`the agent did not come up:\n${talk.slice(-20).join('\n')}`)
    }
    const readyMs = performance.now() - began
    const { page } = JSON.parse(line) as { page: string }
    return {
      ...{ pid: child.pid!, page, readyMs, talk },
      stop() {
        child.kill('SIGTERM')
        return ended
      },
    }
  }

  return {
    ...{ folder, program, installedBytes, data, configFile, running, broker, lines: street.lines.map(({ id }) => id) },
    start,
    startNeighbour: async () => must(await running.start(NEIGHBOUR)),
    switchRounds() {
      asked = []
      return () =>
        asked
          .slice(1)
          .map((at, n) => at - asked[n]!)
          .sort((a, b) => a - b)
    },
    ...{ ledger, meters: plugged => (plugged ? adapter.plug() : adapter.pull()) },
    async close() {
      for (const child of children) child.kill('SIGKILL')
      await running.stop()
      await ledger(false)
      stopBox()
      await charger.close()
      await real.close()
      await broker.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
