/**
 * The street's wires: sites on the grid with loads, generators and batteries, separable circuits, direct lines and the
 * contacts that join them. Knows nothing of deals. Power flows where contacts let it and is what circuits draw; energy is
 * integrated in whole milliwatt-milliseconds, so that the street's sum comes out exactly.
 *
 *     grid of the seller --upstream-- mid --line-- line --line-- circuit --own-- grid of the buyer
 */
import type { Clock } from '../../drivers/ports.ts'
import { type Energy, milliwattHours } from '../../protocol/quantity.ts'
import type { Instant } from '../../protocol/time.ts'
import { createWireJudge, type Live, type Violation } from './wire-judge.ts'
import {
  type ContactKind,
  type ContactState,
  circuitNode,
  contactsOf,
  gridNode,
  keyOf,
  lineNode,
  type WireContact,
  type WiredLine,
  type WiredSite,
} from './wire-plan.ts'

/** Milliwatt-milliseconds in a milliwatt-hour. */
const PER_MWH = 3_600_000n

/** What a meter's terminals see now. Power is import-positive; the energies are what passed since the start. */
export interface MeterView {
  readonly voltageMv: number
  readonly currentMa: number
  readonly powerMw: number
  readonly frequencyMhz: number
  readonly imported: Energy
  readonly exported: Energy
}

/** All energy that entered and left, in milliwatt-milliseconds. `residue` is 0 or the model is wrong. */
export interface Audit {
  readonly generation: bigint
  readonly gridImport: bigint
  readonly gridExport: bigint
  readonly loads: bigint
  readonly circuits: bigint
  readonly losses: bigint
  readonly batteryDelta: bigint
  readonly residue: bigint
}

export interface WiresOptions {
  readonly sites: readonly WiredSite[]
  readonly lines: readonly WiredLine[]
  readonly clock: Clock
  readonly onViolation: (violation: Violation) => void
  /** Every contact that really closed; commanding a closed one closed again is none. */
  readonly onClose?: (contact: WireContact, at: Instant) => void
  readonly onOpen?: (contact: WireContact, at: Instant) => void
}

export interface Wires {
  /** Brings all energies up to now. Called often enough that a profile's step or a full battery is not overrun. */
  advance(): void
  setContact(contact: WireContact, position: 'open' | 'closed'): void
  position(contact: WireContact): 'open' | 'closed'
  /** A welded contact stays closed whatever is commanded; mending it lets the last command through. */
  weld(contact: WireContact, welded: boolean): void
  /** The grid at a site; 0 volts is an outage. */
  setSupply(site: string, voltageMv: number, frequencyMhz: number): void
  gridMeter(site: string): MeterView
  lineMeter(line: string, side: 'seller' | 'buyer'): MeterView
  /** State of charge, where the site has a battery. */
  charge(site: string): Energy | undefined
  /** What the site makes and uses now, for a picture of the street. */
  flows(site: string): { readonly loadMw: number; readonly generationMw: number; readonly batteryMw: number }
  audit(): Audit
}

/** Energy through a meter in milliwatt-milliseconds. */
interface Register {
  imported: bigint
  exported: bigint
}

interface SiteState {
  readonly spec: WiredSite
  voltageMv: number
  frequencyMhz: number
  charge: bigint
  readonly grid: Register
  /** Powers of the interval that ended last, in mW. */
  load: number
  generation: number
  battery: number
  net: number
}

interface LineState {
  readonly spec: WiredLine
  readonly sent: Register
  readonly received: Register
  sentMw: number
  receivedMw: number
}

/** Current of a power at a voltage, unity power factor, rounded up: a limit is never passed unseen. */
const milliamps = (mw: number, mv: number): number => (mv === 0 ? 0 : Math.ceil((mw * 1000) / mv))

export function createWires(options: WiresOptions): Wires {
  const { clock } = options
  const sites = new Map(options.sites.map(spec => [spec.name, siteState(spec)]))
  const lines = new Map(options.lines.map(spec => [spec.id, lineState(spec)]))
  const contacts = new Map(contactsOf(options.sites, options.lines).map(state => [keyOf(state.contact), state]))
  const judge = createWireJudge(options.onViolation)
  const total = { generation: 0n, loads: 0n, circuits: 0n, losses: 0n }
  const initialCharge = sum([...sites.values()].map(site => site.charge))
  let last = clock.mono()
  let lastWall = clock.now()
  let liveNow: Map<string, Set<string>> | undefined

  const siteOf = (name: string): SiteState => known(sites.get(name), `site ${name}`)
  const lineOf = (id: string): LineState => known(lines.get(id), `line ${id}`)
  const contactOf = (contact: WireContact): ContactState => known(contacts.get(keyOf(contact)), keyOf(contact))
  const isClosed = (kind: ContactKind, of: string): boolean => contacts.get(keyOf({ kind, of }))?.closed ?? true

  /** The sites whose grid reaches each node through closed contacts; kept until a contact or a supply changes. */
  function liveNodes(): ReadonlyMap<string, ReadonlySet<string>> {
    liveNow ??= findLive()
    return liveNow
  }

  function findLive(): Map<string, Set<string>> {
    const live = new Map<string, Set<string>>()
    const edges = [...contacts.values()].filter(contact => contact.closed)
    for (const [name, site] of sites) {
      if (site.voltageMv === 0) continue
      const reached = [gridNode(name)]
      for (const node of reached) {
        const sources = live.get(node) ?? new Set()
        live.set(node, sources.add(name))
        for (const { a, b } of edges) {
          const next = a === node ? b : b === node ? a : undefined
          // Two grids are not followed through one another: each is a source of its own.
          if (next !== undefined && !next.startsWith('grid ') && !reached.includes(next)) reached.push(next)
        }
      }
    }
    return live
  }

  function liveOf(): Live {
    const live = liveNodes()
    const sources = (node: string) => [...(live.get(node) ?? [])]
    return {
      circuits: [...sites.values()].flatMap(({ spec }) =>
        spec.circuit === undefined ? [] : [{ name: spec.circuit.name, sources: sources(circuitNode(spec.name)) }],
      ),
      lines: [...lines.values()].map(line => ({
        id: line.spec.id,
        seller: line.spec.seller,
        sources: sources(lineNode(line.spec.id)),
        currentMa: milliamps(powerNow(line).sent, siteOf(line.spec.seller).voltageMv),
        limitMa: line.spec.limitMa,
      })),
    }
  }

  /** What feeds a site's circuit: its own supply before a line, so that two in parallel are not counted twice. */
  function feederOf({ spec, voltageMv }: SiteState): 'own' | LineState | undefined {
    if (spec.circuit === undefined) return undefined
    if (isClosed('own', spec.name) && voltageMv > 0) return 'own'
    return [...lines.values()].find(
      ({ spec: { id, buyer, seller } }) =>
        buyer === spec.name &&
        siteOf(seller).voltageMv > 0 &&
        isClosed('upstream', id) &&
        isClosed('seller', id) &&
        isClosed('buyer', id),
    )
  }

  /** A line's powers now: those of the last interval would outlive an opened contact. */
  function powerNow(line: LineState): { readonly sent: number; readonly received: number } {
    const site = siteOf(line.spec.buyer)
    return feederOf(site) === line ? { sent: line.sentMw, received: line.receivedMw } : { sent: 0, received: 0 }
  }

  /** Energy that a battery can take in `ms` at its full power, beside what it takes already. */
  function room({ spec: { battery }, charge }: SiteState, ms: bigint, taken: bigint): bigint {
    if (battery === undefined) return 0n
    return least(battery.capacity * PER_MWH - charge - taken, BigInt(battery.powerMw) * ms - taken)
  }

  /** Integrates the interval from the last call, with the powers of its beginning. */
  function advance(): void {
    const until = clock.mono()
    const ms = until - last
    if (ms <= 0) return
    const at = lastWall
    last = until
    lastWall = clock.now()
    const span = BigInt(ms)
    const power = (energy: bigint) => Number(energy / span)
    for (const line of lines.values()) {
      line.sentMw = 0
      line.receivedMw = 0
    }
    const outflow = new Map<string, bigint>()
    const draw = (site: string, energy: bigint) => outflow.set(site, (outflow.get(site) ?? 0n) + energy)
    const intoBattery = new Map<string, bigint>()

    for (const site of sites.values()) {
      const { circuit, name } = site.spec
      const feeder = feederOf(site)
      if (circuit === undefined || feeder === undefined) continue
      const wanted = BigInt(circuit.demand(at)) * span
      const drawn = !circuit.stores ? wanted : feeder === 'own' ? 0n : least(wanted, room(site, span, 0n))
      if (circuit.stores) intoBattery.set(name, drawn)
      else total.circuits += drawn
      if (feeder === 'own') draw(name, drawn)
      else draw(feeder.spec.seller, transmit(feeder, drawn, power))
    }
    for (const site of sites.values()) {
      const { name } = site.spec
      const load = BigInt(site.spec.load(at)) * span
      const generation = BigInt(site.spec.generation(at)) * span
      const stored = intoBattery.get(name) ?? 0n
      // Positive: the site lacks this much before its battery helps.
      const lack = load + (outflow.get(name) ?? 0n) - generation
      const charged = lack < 0n ? least(-lack, room(site, span, stored)) : -least(lack, available(site, span, stored))
      site.charge += stored + charged
      const net = lack + charged
      if (net >= 0n) site.grid.imported += net
      else site.grid.exported -= net
      site.load = power(load)
      site.generation = power(generation)
      site.battery = power(stored + charged)
      site.net = power(net)
      total.loads += load
      total.generation += generation
    }
    judge.observe(liveOf(), lastWall, until)
  }

  /** Sends `received` down the line and books the loss; what the seller's end has to give. */
  function transmit(line: LineState, received: bigint, power: (energy: bigint) => number): bigint {
    const { lossPermille } = line.spec
    const arriving = 1000n - BigInt(lossPermille)
    const sent = (received * 1000n + arriving - 1n) / arriving
    line.sent.exported += sent
    line.received.imported += received
    line.sentMw = power(sent)
    line.receivedMw = power(received)
    total.losses += sent - received
    return sent
  }

  function available({ spec: { battery }, charge }: SiteState, ms: bigint, taken: bigint): bigint {
    // A battery that is being charged through its circuit gives nothing at the same time.
    return battery === undefined || taken > 0n ? 0n : least(charge, BigInt(battery.powerMw) * ms)
  }

  /** Where a contact really is, after its command or its fault changed. */
  function settle(state: ContactState): void {
    const closed = state.commanded || (state.welded && state.closed)
    if (closed === state.closed) return
    advance()
    const at = clock.now()
    const before = liveNodes()
    state.closed = closed
    liveNow = undefined
    if (closed) judge.closed(keyOf(state.contact), before.has(inward(state)), at)
    judge.observe(liveOf(), at, clock.mono())
    if (closed) options.onClose?.(state.contact, at)
    else options.onOpen?.(state.contact, at)
  }

  /** The side of a contact that has to be dead when it closes: the line's, and for the own supply the circuit's. */
  const inward = ({ contact, a, b }: ContactState): string => (contact.kind === 'buyer' ? a : b)

  function view(register: Register, mw: number, mv: number, mhz: number): MeterView {
    return {
      voltageMv: mv,
      currentMa: milliamps(Math.abs(mw), mv),
      powerMw: mw,
      frequencyMhz: mv === 0 ? 0 : mhz,
      imported: milliwattHours(register.imported / PER_MWH),
      exported: milliwattHours(register.exported / PER_MWH),
    }
  }

  return {
    advance,
    setContact(contact, position) {
      const state = contactOf(contact)
      state.commanded = position === 'closed'
      settle(state)
    },
    position: contact => (contactOf(contact).closed ? 'closed' : 'open'),
    weld(contact, welded) {
      const state = contactOf(contact)
      state.welded = welded
      settle(state)
    },
    setSupply(name, voltageMv, frequencyMhz) {
      advance()
      Object.assign(siteOf(name), { voltageMv, frequencyMhz })
      liveNow = undefined
      judge.observe(liveOf(), clock.now(), clock.mono())
    },
    gridMeter(name) {
      advance()
      const site = siteOf(name)
      return view(site.grid, site.net, site.voltageMv, site.frequencyMhz)
    },
    lineMeter(id, side) {
      advance()
      const line = lineOf(id)
      const [source] = liveNodes().get(lineNode(id)) ?? []
      const { voltageMv, frequencyMhz } = source === undefined ? { voltageMv: 0, frequencyMhz: 0 } : siteOf(source)
      // Energy sent into the line leaves the seller, energy taken from it enters the buyer.
      return side === 'seller'
        ? view(line.sent, -powerNow(line).sent, voltageMv, frequencyMhz)
        : view(line.received, powerNow(line).received, voltageMv, frequencyMhz)
    },
    charge: name => {
      const { spec, charge } = siteOf(name)
      return spec.battery === undefined ? undefined : milliwattHours(charge / PER_MWH)
    },
    flows(name) {
      const { load, generation, battery } = siteOf(name)
      return { loadMw: load, generationMw: generation, batteryMw: battery }
    },
    audit() {
      advance()
      const of = (pick: (site: SiteState) => bigint) => sum([...sites.values()].map(pick))
      const gridImport = of(site => site.grid.imported)
      const gridExport = of(site => site.grid.exported)
      const batteryDelta = of(site => site.charge) - initialCharge
      const { generation, loads, circuits, losses } = total
      const residue = generation + gridImport - loads - circuits - losses - batteryDelta - gridExport
      return { generation, gridImport, gridExport, loads, circuits, losses, batteryDelta, residue }
    },
  }
}

const sum = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n)
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)

function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the wires have no ${what}`)
  return value
}

function siteState(spec: WiredSite): SiteState {
  const charge = (spec.battery?.charge ?? 0n) * PER_MWH
  const grid = { imported: 0n, exported: 0n }
  return { spec, voltageMv: 230_000, frequencyMhz: 50_000, charge, grid, load: 0, generation: 0, battery: 0, net: 0 }
}

const lineState = (spec: WiredLine): LineState => ({
  spec,
  sent: { imported: 0n, exported: 0n },
  received: { imported: 0n, exported: 0n },
  sentMw: 0,
  receivedMw: 0,
})
