/**
 * A street in operation: wires, devices, the ledger and one agent a site, put together from ports. The bench passes real
 * ones, the simulator simulated ones; this file does not know which.
 */
import { type Agent, type Seams, startAgent } from '../../agent/compose.ts'
import { loadConfig } from '../../agent/config/load.ts'
import type { SiteConfig } from '../../agent/config/site-config.ts'
import { createProducer, type Producer } from '../../agent/validator/producer.ts'
import { keysFromSeed, type World } from '../../agent/world.ts'
import type { TimeScale } from '../../drivers/clock.ts'
import type { MemorySigner } from '../../drivers/crypto/signer.ts'
import type { Clock, Timers } from '../../drivers/ports.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { type Energy, micros, milliwattHours } from '../../protocol/quantity.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import { type DeviceLine, type SiteDevices, startSiteDevices } from './devices.ts'
import type { Random } from './noise.ts'
import { constantProfile, homeLoad, type SiteProfile, solarGeneration } from './profile.ts'
import { type SiteLine, type StreetPace, siteConfigText } from './site-config.ts'
import { benchSeed, type Street, type StreetSite } from './street.ts'
import type { Violation } from './wire-judge.ts'
import type { WireContact, WiredSite } from './wire-plan.ts'
import { createWires, type Wires } from './wires.ts'

const CHAIN_ID = 'tieline-street'
/** Four: the fewest that bear one faulty validator. */
const VALIDATORS = 4
/** A hundred coins: more than any run of the street can spend. */
const ENDOWMENT = micros(100_000_000n)
/** Midsummer, ten in the morning: roofs give what the street's circuits want. */
export const ORIGIN_MS = 1_782_036_000_000
/** Between two integrations of the wires when no contact moves; a quarter of what the fastest interlock waits for. */
const WIRES_MS = 200
/** The same while no direct line carries anything: what is left are the profiles, which change over minutes. */
const IDLE_WIRES_MS = 5_000
/** How long after the contract's end a contact may take to open before the audit counts it. */
const LOCK_GRACE_MS = 2_000

/** A line as opened for its devices, and where the agent reaches it. */
export interface OpenedLine extends DeviceLine {
  readonly place: { readonly serial: string } | { readonly tcp: string }
}

export interface StreetPorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly verifier: Verifier
  readonly random: Random
  /** Whether lines keep the wire's pace by themselves. */
  readonly paced: boolean
  readonly coilsOnly: boolean
  /** Shared with agents that run as processes of their own. */
  readonly scale: TimeScale | undefined
  readonly pace: StreetPace
  /** How wrong an agent's clock may be made, where a run does that: what it then does that much early or late is no violation. */
  readonly clockErrorMs?: number
  openLine(site: string, line: SiteLine, kind: 'serial' | 'tcp'): Promise<Result<OpenedLine>>
  /** Where a site finds its nodes and brokers, and keeps its data. */
  primaryOf(site: string): string
  witnessesOf(site: string): readonly string[]
  /** Under which name a site serves its primary over the brokers. */
  relayAsOf?(site: string): string | undefined
  readonly brokers: readonly string[]
  dataOf(site: string): string
  /** The world of a site's agent; called at each start of it. */
  worldOf(site: StreetSite, config: SiteConfig, devices: SiteDevices): World
  /** Hears of every agent that starts in this process. */
  onAgent?(site: string, agent: Agent): void
  /** Hears of every movement of a contact. */
  onMove?(move: Move): void
  /** The ledger of the distribution network, where the sites trade over the grid. */
  readonly distribution?: {
    readonly producer: Producer
    readonly primary: string
    readonly witnesses: readonly string[]
  }
  /** Makes validators' and sites' signers; the simulator may bring a stub. */
  signer(seed: Uint8Array): MemorySigner
}

export type StreetViolation = Omit<Violation, 'kind'> & { readonly kind: Violation['kind'] | 'no-locked-payment' }

export interface Move {
  readonly contact: WireContact
  readonly position: 'open' | 'closed'
  readonly at: Instant
  readonly mono: Mono
}

export interface RunningStreet {
  readonly street: Street
  readonly clock: Clock
  readonly timers: Timers
  readonly wires: Wires
  readonly producer: Producer
  readonly devices: ReadonlyMap<string, SiteDevices>
  readonly lines: ReadonlyMap<string, OpenedLine>
  /** Agents that run in this process now. */
  readonly agents: ReadonlyMap<string, Agent>
  readonly configs: ReadonlyMap<string, { readonly text: string; readonly config: SiteConfig }>
  readonly violations: readonly StreetViolation[]
  /** Every movement of a contact, as the wires saw it. */
  readonly moves: readonly Move[]
  /** Power is flowing from the seller to the buyer now. */
  flows(line: string): boolean
  start(site: string, seams?: Seams): Promise<Result<Agent>>
  /** Ends one agent in order; `forget` leaves a crashed one behind instead. */
  end(site: string): Promise<void>
  forget(site: string): void
  stop(): Promise<void>
}

/** A ledger of the street's accounts and meters, its producer not yet started. */
export function createStreetLedger(
  street: Street,
  seed: number,
  ports: Pick<StreetPorts, 'clock' | 'timers' | 'verifier' | 'signer'>,
  rules: Partial<Genesis> = {},
  intervalMs?: number,
): Producer {
  const keysOf = (site: string) => keysFromSeed(benchSeed(seed, site), ports.signer)
  const operator = ports.signer(benchSeed(seed, 'operator')).publicKey
  const genesis: Genesis = {
    chainId: CHAIN_ID,
    time: ports.clock.now(),
    fee: micros(100n),
    feeAccount: addressOf(operator),
    operator: addressOf(operator),
    accounts: [
      { publicKey: operator, balance: micros(0n) },
      ...street.sites.map(({ name }) => ({ publicKey: keysOf(name).account.publicKey, balance: ENDOWMENT })),
    ],
    meters: street.lines.flatMap(line => [
      meterOf(line.sellerMeterId, line.seller, line.id),
      meterOf(line.buyerMeterId, line.buyer, line.id),
    ]),
    ...rules,
  }
  function meterOf(meterId: string, site: string, line: string) {
    const { account, metering } = keysOf(site)
    return { meterId, owner: addressOf(account.publicKey), line, publicKey: metering.publicKey }
  }
  return createProducer({
    genesis,
    signers: Array.from({ length: VALIDATORS }, (_, index) => ports.signer(benchSeed(seed, `validator ${index}`))),
    clock: ports.clock,
    timers: ports.timers,
    verifier: ports.verifier,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
}

/** Wires, devices and configurations; no agent runs yet. */
export async function openStreet(
  street: Street,
  seed: number,
  profiles: ReadonlyMap<string, SiteProfile>,
  producer: Producer,
  ports: StreetPorts,
): Promise<Result<RunningStreet>> {
  const { clock, timers, clockErrorMs = 0 } = ports
  const violations: StreetViolation[] = []
  const moves: Move[] = []
  const move = (contact: WireContact, position: 'open' | 'closed', at: Instant) => {
    const moved: Move = { contact, position, at, mono: clock.mono() }
    moves.push(moved)
    ports.onMove?.(moved)
  }
  const wires = createWires({
    sites: street.sites.map((site, index) => wiredSite(site, index, seed, profiles.get(site.name))),
    lines: street.lines,
    clock,
    onViolation: violation => violations.push(violation),
    onClose: (contact, at) => {
      move(contact, 'closed', at)
      if (contact.kind !== 'own') askLedger(contact, at)
    },
    onOpen: (contact, at) => move(contact, 'open', at),
  })

  /** Whether the ledger itself, not any agent, says that this line's energy is paid for now. */
  function askLedger(contact: WireContact, at: Instant): void {
    const { height } = producer.status()
    for (const [key, value] of producer.entries(height) ?? []) {
      if (!fromUtf8(key)?.startsWith('deal/')) continue
      const deal = decodeDealRecord(value)
      if (!deal.ok || deal.value.line !== contact.of || deal.value.state !== 'locked') continue
      if (deal.value.start - clockErrorMs <= at && at < deal.value.end + clockErrorMs + LOCK_GRACE_MS) return
    }
    violations.push({
      kind: 'no-locked-payment',
      place: `${contact.kind} ${contact.of}`,
      at,
      detail: `closed with no locked payment on the ledger at height ${height}`,
    })
  }

  const lines = new Map<string, OpenedLine>()
  const devices = new Map<string, SiteDevices>()
  const closeAll = async () => {
    for (const device of devices.values()) device.stop()
    for (const line of lines.values()) await line.close()
  }
  for (const site of street.sites) {
    for (const [name, kind] of linesOf(site, ports.coilsOnly)) {
      const opened = await ports.openLine(site.name, name, kind)
      if (!opened.ok) {
        await closeAll()
        return opened
      }
      lines.set(`${site.name} ${name}`, opened.value)
    }
    devices.set(
      site.name,
      startSiteDevices({
        street,
        site,
        wires,
        clock,
        timers,
        random: ports.random,
        paced: ports.paced,
        coilsOnly: ports.coilsOnly,
        pace: ports.pace,
        line: name => lines.get(`${site.name} ${name}`)!,
      }),
    )
  }

  const trust = trustIn(producer)
  const { distribution: over } = ports
  const distribution =
    over === undefined ? undefined : { ...over, chain: over.producer.genesis.chainId, trust: trustIn(over.producer) }
  const keysOf = (site: string) => {
    const { account, metering, sealingPublic } = keysFromSeed(benchSeed(seed, site), ports.signer)
    return { account: account.publicKey, metering: metering.publicKey, sealing: sealingPublic }
  }
  const configs = new Map<string, { text: string; config: SiteConfig }>()
  for (const site of street.sites) {
    const text = siteConfigText(street, site, {
      seed,
      chain: producer.genesis.chainId,
      trust,
      primary: ports.primaryOf(site.name),
      witnesses: ports.witnessesOf(site.name),
      relayAs: ports.relayAsOf?.(site.name),
      brokers: ports.brokers,
      ...(distribution === undefined ? {} : { distribution }),
      data: ports.dataOf(site.name),
      lineAt: (name, line) => lines.get(`${name} ${line}`)!.place,
      keysOf,
      clock: ports.scale,
      pace: ports.pace,
      coilsOnly: ports.coilsOnly,
    })
    const loaded = loadConfig(text, `${site.name}.yaml`)
    if (!loaded.ok) {
      const [first] = loaded.faults
      throw new Error(`the street's own configuration is wrong: ${first!.file}:${first!.line}: ${first!.what}`)
    }
    configs.set(site.name, { text, config: loaded.value })
  }

  const agents = new Map<string, Agent>()
  let advanced = clock.mono()
  const stopWires = timers.every(WIRES_MS, () => {
    const open = street.lines.every(({ id }) =>
      (['upstream', 'seller', 'buyer'] as const).every(kind => wires.position({ kind, of: id }) === 'open'),
    )
    if (open && clock.mono() - advanced < IDLE_WIRES_MS) return
    advanced = clock.mono()
    wires.advance()
    if (clock.mono() % 1000 < WIRES_MS) judgeClosed()
  })

  /** A contact that stays closed on a line whose payment is gone is as wrong as one that closes. */
  function judgeClosed(): void {
    for (const { id } of street.lines) {
      const closed = (['seller', 'buyer'] as const).find(kind => wires.position({ kind, of: id }) === 'closed')
      if (closed !== undefined && !welded.has(id)) askLedger({ kind: closed, of: id }, clock.now())
    }
  }
  const welded = new Set<string>()

  return ok({
    street,
    clock,
    timers,
    wires: {
      ...wires,
      weld: (contact, on) => {
        // What a person welds in a test stays closed by no agent's doing.
        if (on) welded.add(contact.of)
        else welded.delete(contact.of)
        wires.weld(contact, on)
      },
    },
    producer,
    devices,
    lines,
    agents,
    configs,
    violations,
    moves,
    flows: line => wires.lineMeter(line, 'seller').powerMw !== 0,
    async start(name, seams) {
      const site = street.sites.find(candidate => candidate.name === name)
      const known = configs.get(name)
      if (site === undefined || known === undefined) return fail({ code: 'street.no-site', site: name })
      const world = ports.worldOf(site, known.config, devices.get(name)!)
      const agent = await startAgent(known.config, world, seams)
      if (agent.ok) {
        agents.set(name, agent.value)
        ports.onAgent?.(name, agent.value)
      }
      return agent
    },
    async end(name) {
      await agents.get(name)?.stop()
      agents.delete(name)
    },
    forget: name => {
      agents.delete(name)
    },
    async stop() {
      await Promise.all([...agents.values()].map(agent => agent.stop()))
      agents.clear()
      stopWires()
      wires.advance()
      await producer.stop()
      await closeAll()
    },
  })
}

/** Where trust in a ledger of the bench begins: at its first block. */
export function trustIn(producer: Producer): { readonly height: bigint; readonly hash: Uint8Array } {
  const anchor = producer.lightBlock(1n)
  if (anchor === undefined) throw new Error('the ledger must have produced its first block')
  return { height: 1n, hash: hashHeader(anchor.header) }
}

/** The lines that a site's devices hang on. */
function linesOf(site: StreetSite, coilsOnly: boolean): readonly (readonly [SiteLine, 'serial' | 'tcp'])[] {
  const grid = site.gridMeter === 'modbus-tcp' ? 'tcp' : 'serial'
  const onBus = site.gridMeter === 'eastron-sdm630' || site.gridMeter === 'eastron-sdm120'
  return [
    ['meters', 'serial'],
    ...(onBus ? [] : [['grid', grid] as const]),
    ...(site.relays === 'johnny-five' && !coilsOnly ? [] : [['switch', 'serial'] as const]),
  ]
}

function wiredSite(site: StreetSite, index: number, seed: number, profile: SiteProfile | undefined): WiredSite {
  const { battery, circuit } = site
  return {
    name: site.name,
    load: profile?.load ?? homeLoad(seed + index, site.kind === 'charger' ? 60 : 350),
    generation: profile?.generation ?? solarGeneration(seed + index, site.solarPeakW),
    ...(battery === undefined
      ? {}
      : {
          battery: {
            capacity: milliwattHours(BigInt(battery.capacityWh) * 1000n),
            charge: milliwattHours(BigInt(battery.capacityWh) * 600n) as Energy,
            powerMw: battery.powerW * 1000,
          },
        }),
    ...(circuit === undefined
      ? {}
      : {
          circuit: {
            name: circuit.name,
            demand: constantProfile(circuit.demandW * 1000),
            stores: battery !== undefined,
          },
        }),
  }
}
