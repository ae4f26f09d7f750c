/**
 * The street's ports with nothing real behind them: virtual time, lines, brokers, nodes and disks in memory, chance from a
 * seed. What an agent's crash takes with it and what it leaves behind is decided here.
 */
import type { SiteConfig } from '../../agent/config/site-config.ts'
import type { Producer } from '../../agent/validator/producer.ts'
import { keysFromSeed, type World } from '../../agent/world.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { drainMicrotasks } from '../../drivers/drain.ts'
import type { Bus, Line, Log, Timers } from '../../drivers/ports.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { fail, ok } from '../../protocol/result.ts'
import { createSimBroker, createSimBus, type SimBroker } from './bus.ts'
import { createSimTime, type SimTime } from './clock.ts'
import { createSimDisk, type SimDisk } from './disk.ts'
import { createSimRpc, type NodeFaults, withFaults } from './ledger-rpc.ts'
import { createMemoryIndex } from './memory-index.ts'
import { createMemoryLine, type MemoryLine } from './memory-line.ts'
import { seededRandom } from './random.ts'
import type { SiteLine, StreetPace } from './site-config.ts'
import type { StreetSite } from './street.ts'
import { type OpenedLine, ORIGIN_MS, type StreetPorts } from './street-run.ts'
import { createStubSigner, stubVerifier } from './stub-signer.ts'
import { createTranscript, type Transcript } from './transcript.ts'

/** Two witnesses beside the node that is followed. */
const NODES = 3
/** 10 bits a character at 9,600 baud, and at the 115,200 of a P1 port. */
const CHARACTER_MS = { slow: 10_000 / 9_600, p1: 10_000 / 115_200 }
/** A flash card's write or sync. */
const DISK_MS = 2
/** A mebibyte of drops before the generator's state repeats its use: entropy, lines and disks each draw from one of their own. */
const STREAMS = { devices: 1, entropy: 2, broker: 3, disk: 4 }

/** One site as its faults see it. */
export interface SimSite {
  /** The node that the site follows, and its witnesses. */
  readonly primary: NodeFaults
  readonly witnesses: NodeFaults
  /** Disks by folder; they outlive the agent. */
  readonly disks: ReadonlyMap<string, SimDisk>
  /** Steps the wall clock of the agent that runs now; the next start finds it right again. */
  stepWall(ms: number): void
  /** How often the agent was started. */
  lives(): number
  /** The power goes, at once or in the middle of the next sync: the agent stops dead, its unsynced writes are torn. */
  crash(when: 'now' | 'in-sync', then: () => void): void
  /** A disk is exchanged for an empty one. */
  loseDisk(folder: string): void
}

export interface SimPorts extends StreetPorts {
  readonly time: SimTime
  readonly transcript: Transcript
  readonly simBrokers: readonly SimBroker[]
  readonly sites: ReadonlyMap<string, SimSite>
  /** What each site has published so far, over all brokers once. */
  readonly traffic: ReadonlyMap<string, Traffic>
  lineOf(site: string, line: SiteLine): MemoryLine
  /** Every node of the street is this producer; every node of the distribution network's ledger is the other. */
  serveLedger(producer: Producer, of?: 'energy' | 'distribution'): void
}

export interface Traffic {
  messages: number
  bytes: number
}

export interface SimPortsOptions {
  readonly seed: number
  readonly sites: readonly StreetSite[]
  readonly brokers: number
  /** Signs and verifies for real instead of with the stub. */
  readonly realSigner: boolean
  /** The control: disks that say synced and are not. */
  readonly lyingDisks?: boolean
  readonly pace: StreetPace
  readonly logOf: (site: string) => Log
  /** What follows the deals and calls of a site. */
  readonly dispatchOf?: (site: string) => World['dispatch']
  readonly listen?: (line: string) => void
}

export function createSimPorts(options: SimPortsOptions): SimPorts {
  const { seed } = options
  const stream = (name: keyof typeof STREAMS, index = 0) => seededRandom(seed * 1_000 + 10 * index + STREAMS[name])
  const time = createSimTime(ORIGIN_MS, drainMicrotasks)
  const { clock, timers } = time
  const transcript = createTranscript(clock, options.listen)
  const signer = options.realSigner ? createSigner : createStubSigner
  const verifier = options.realSigner ? createVerifier() : stubVerifier
  const simBrokers = Array.from({ length: options.brokers }, (_, n) => createSimBroker(timers, stream('broker', n)))
  const memoryLines = new Map<string, MemoryLine>()
  const traffic = new Map<string, Traffic>(options.sites.map(({ name }) => [name, { messages: 0, bytes: 0 }]))
  const producers = new Map<'energy' | 'distribution', Producer>()

  const sites = new Map(
    options.sites.map(
      (site, index) =>
        [site.name, createSimSite(time, seededSite(stream, index), options.lyingDisks === true)] as const,
    ),
  )

  function worldOf(site: StreetSite, config: SiteConfig): World {
    const sim = sites.get(site.name)!
    const life = sim.begin()
    const dispatch = options.dispatchOf?.(site.name)
    return {
      clock: life.clock,
      timers: life.timers,
      entropy: sim.entropy,
      verifier,
      offsetAt: () => 0,
      log: options.logOf(site.name),
      ...(dispatch === undefined ? {} : { dispatch }),
      software: sha256(utf8('tieline simulated')),
      answerFloorMs: undefined,
      openLine: line => {
        const { port } = memoryLines.get(line.kind === 'tcp' ? `${line.host}:${line.port}` : line.path)!
        life.lines.push(port)
        return port
      },
      openBus: async () => {
        const bus = createSimBus(simBrokers)
        life.buses.push(bus)
        return ok(noted(bus, site.name))
      },
      readState: async url => {
        const producer = producers.get(url.startsWith(GRID_NODE) ? 'distribution' : 'energy')!
        const height = producer.status().height - 1n
        return ok({ height, entries: producer.entries(height) ?? [] })
      },
      openLedger: url => {
        const producer = producers.get(url.startsWith(GRID_NODE) ? 'distribution' : 'energy')!
        const node = createSimRpc({ name: url, producer, timers: life.timers })
        const first = url === config.ledger?.primary || url === config.distribution?.primary
        const asked = withFaults(node, first ? sim.primary : sim.witnesses)
        return {
          ...asked,
          submit: async tx => {
            const answer = await asked.submit(tx)
            transcript.note(`tx ${site.name} ${toHex(sha256(tx))} ${answer.ok ? answer.value.code : answer.fault.code}`)
            return answer
          },
        }
      },
      openIndex: async () => ok(createMemoryIndex()),
      openDisk: async folder => ok(sim.diskOf(folder).mount()),
      openKeys: async source =>
        source.kind === 'kept'
          ? fail({ code: 'keys.not-opened', file: source.account })
          : ok(keysFromSeed(source.seed, signer)),
      openGpioBank: bank => fail({ code: 'gpio.no-bank', bank }),
      openGpioChip: async chip => fail({ code: 'gpio.no-chip', chip }),
    }
  }

  /** A sealed message ends with the 16 bytes of its AEAD tag, which stand for all of it. */
  const noted = (bus: Bus, from: string): Bus => ({
    ...bus,
    publish: (topic, payload) => {
      const sent = traffic.get(from)!
      sent.messages++
      sent.bytes += payload.length
      transcript.note(`bus ${from} ${topic} ${toHex(payload.subarray(-16))}`)
      return bus.publish(topic, payload)
    },
  })

  return {
    clock,
    timers,
    verifier,
    signer,
    random: stream('devices'),
    paced: true,
    coilsOnly: true,
    scale: undefined,
    pace: options.pace,
    async openLine(site: string, line: SiteLine, kind: 'serial' | 'tcp') {
      const p1 = line === 'grid' && options.sites.find(({ name }) => name === site)?.gridMeter === 'dsmr'
      const name = kind === 'tcp' ? `${site}.sim:502` : linePlace(site, line)
      const characterMs = kind === 'tcp' ? 0 : p1 ? CHARACTER_MS.p1 : CHARACTER_MS.slow
      const memory = createMemoryLine({ name, characterMs, latencyMs: kind === 'tcp' ? 1 : 0, clock, timers })
      memoryLines.set(name, memory)
      return ok<OpenedLine>({
        place: kind === 'tcp' ? { tcp: name } : { serial: name },
        attach: serve => serve(memory.device),
        unplug: () => memory.device.unplug(),
        close: () => memory.device.close(),
      })
    },
    primaryOf: () => nodeUrl(0),
    witnessesOf: () => Array.from({ length: NODES - 1 }, (_, n) => nodeUrl(n + 1)),
    brokers: simBrokers.map((_, n) => `mqtt://broker${n}.sim:1883`),
    dataOf: site => site,
    worldOf,
    time,
    transcript,
    simBrokers,
    sites,
    traffic,
    lineOf: (site, line) => memoryLines.get(linePlace(site, line))!,
    serveLedger(served, of = 'energy') {
      producers.set(of, served)
      served.subscribe(({ header: { height }, blockId, txs }) =>
        transcript.note(`block ${height} ${toHex(blockId.hash)} ${txs.length}`),
      )
    },
  }
}

const linePlace = (site: string, line: SiteLine): string => `/dev/sim-${site}-${line}`
const nodeUrl = (n: number): string => `http://node${n}.sim:26657`
const GRID_NODE = 'http://grid'
/** A node of the distribution network's ledger. */
export const gridNodeUrl = (n: number): string => `${GRID_NODE}${n}.sim:26657`

/** Everything that one run of an agent has open. */
interface Life extends ReturnType<SimTime['partition']> {
  readonly lines: Line[]
  readonly buses: Bus[]
}

interface SiteChance {
  readonly entropy: () => number
  readonly disk: () => number
}

const seededSite = (stream: (name: 'entropy' | 'disk', index: number) => () => number, index: number): SiteChance => ({
  entropy: stream('entropy', index),
  disk: stream('disk', index),
})

function createSimSite(time: SimTime, chance: SiteChance, lyingSync: boolean) {
  const disks = new Map<string, SimDisk>()
  let life: Life | undefined
  let lives = 0
  let dying: (() => void) | undefined

  /** The power goes now. What is under way in the dead agent stays under way for ever. */
  function die(): void {
    life?.stop()
    for (const line of life?.lines ?? []) void line.close()
    for (const bus of life?.buses ?? []) void bus.close()
    life = undefined
    dying = undefined
    for (const disk of disks.values()) disk.cut()
  }

  /** The disk waits on the timers of the life that asks: a dead agent hears no answer. */
  const diskTimers: Timers = {
    after: (ms, run) => (life ?? time).timers.after(ms, run),
    every: (ms, run) => (life ?? time).timers.every(ms, run),
    sleep: ms => (life ?? time).timers.sleep(ms),
    exactly: ms => (life ?? time).timers.exactly(ms),
  }

  return {
    loseDisk: (folder: string) => void disks.delete(folder),
    primary: {} as NodeFaults,
    witnesses: {} as NodeFaults,
    disks,
    entropy: { bytes: (count: number) => Uint8Array.from({ length: count }, () => Math.floor(chance.entropy() * 256)) },
    begin(): Life {
      life = { ...time.partition(), lines: [], buses: [] }
      lives++
      return life
    },
    diskOf(folder: string): SimDisk {
      const known = disks.get(folder)
      if (known !== undefined) return known
      const disk = createSimDisk({
        random: chance.disk,
        lyingSync,
        latency: { timers: diskTimers, ms: () => DISK_MS },
        strike: operation => {
          if (operation === 'sync' && dying !== undefined) {
            // Half way through: what was written and not yet synced is torn.
            time.timers.after(DISK_MS / 2, dying)
            dying = undefined
          }
          return undefined
        },
      })
      disks.set(folder, disk)
      return disk
    },
    stepWall: (ms: number) => life?.stepWall(ms),
    lives: () => lives,
    crash(when: 'now' | 'in-sync', then: () => void) {
      const fall = () => {
        die()
        then()
      }
      if (when === 'now') fall()
      else dying = fall
    },
  }
}
