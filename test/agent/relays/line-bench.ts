/**
 * A direct line with its two agents' relay controls, on the simulated wires: real drivers over simulated GPIO banks, line
 * meters read once a second, heartbeats four times a second. Trading is played by the test, which sets what each end is
 * told of its deal. A second seller can feed the same circuit.
 */
import type { ControlEvent } from '../../../agent/relays/decide.ts'
import { createRelayControl, type RelayControl } from '../../../agent/relays/run.ts'
import type { Weld } from '../../../agent/relays/state.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { MeterReading, Relay } from '../../../drivers/ports.ts'
import { openGpioRelays } from '../../../drivers/relays/johnny-five.ts'
import { createSimTime, type SimTime } from '../../../hw/sim/clock.ts'
import { createSimGpioBank, type SimGpioBank } from '../../../hw/sim/gpio-bank.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import type { Violation } from '../../../hw/sim/wire-judge.ts'
import type { ContactKind, WireContact } from '../../../hw/sim/wire-plan.ts'
import { createWires, type Wires } from '../../../hw/sim/wires.ts'
import { done, type Fault, fail, must, type Result } from '../../../protocol/result.ts'
import { DEFAULT_LIMITS, type Limits, type LineFacts, type Seen } from '../../../protocol/safety/facts.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { instant, type Mono, mono } from '../../../protocol/time.ts'

const ORIGIN = 1_750_000_000_000
const LATENCY_MS = 20
const BEAT_MS = 250
const METER_MS = 1000
const HOLD_MS = 1000

export type EndName = 'roof' | 'barn' | 'home'

/** What the test does to one end of one line. */
export interface Told {
  deal: LineFacts['deal']
  paid: boolean
  light: LineFacts['light']
  /** Its messages leave. */
  talks: boolean
  meterAnswers: boolean
}

export interface Agent {
  readonly control: RelayControl
  readonly events: ControlEvent[]
  /** What is raised of its relays now. */
  readonly health: Map<string, Fault>
  readonly bank: SimGpioBank
  readonly kept: { welds: readonly Weld[] }
  readonly told: Map<string, Told>
  readonly lines: readonly string[]
  intent: () => Promise<Result<void>>
  watchdogFed: boolean
  /** As the test last set it. */
  manual: boolean
  kill(): void
}

export interface LineBench {
  readonly time: SimTime
  readonly wires: Wires
  readonly violations: Violation[]
  /** Contacts in the order in which they really moved, with the time. */
  readonly moves: { readonly what: string; readonly at: number }[]
  readonly agents: Record<EndName, Agent>
  told(agent: EndName, line: string): Told
  /** A deal of an hour on this line. */
  dealOf(line: string): NonNullable<LineFacts['deal']>
  position(kind: ContactKind, of: string): 'open' | 'closed'
  weld(kind: ContactKind, of: string, welded?: boolean): void
  pass(ms: number): Promise<void>
  /** Both ends of a line wish it live, and time passes until it is. */
  start(line: string): Promise<void>
  setDemand(mw: number): void
}

export interface BenchOptions {
  /** Whether the agents see their contacts on auxiliary inputs or only on the pins that drive them. */
  readonly auxiliary?: boolean
  readonly welds?: readonly Weld[]
  readonly restMs?: number
}

const SELLER_OF: Record<string, EndName> = { L1: 'roof', L2: 'barn' }

export async function lineBench({ auxiliary = true, welds = [], restMs }: BenchOptions = {}): Promise<LineBench> {
  const time = createSimTime(ORIGIN, drainPromises)
  const violations: Violation[] = []
  const moves: { what: string; at: number }[] = []
  let demand = 2_000_000
  const none = constantProfile(0)
  const noted = (to: string) => (contact: WireContact) => {
    moves.push({ what: `${contact.kind} ${contact.of} ${to}`, at: time.clock.mono() })
  }
  const wires = createWires({
    sites: [
      { name: 'roof', load: none, generation: constantProfile(5_000_000) },
      { name: 'barn', load: none, generation: constantProfile(5_000_000) },
      { name: 'home', load: none, generation: none, circuit: { name: 'heat pump', demand: () => demand } },
    ],
    lines: [
      { id: 'L1', seller: 'roof', buyer: 'home', limitMa: 16_000, lossPermille: 4 },
      { id: 'L2', seller: 'barn', buyer: 'home', limitMa: 16_000, lossPermille: 4 },
    ],
    clock: time.clock,
    onViolation: violation => violations.push(violation),
    onClose: noted('closed'),
    onOpen: noted('open'),
  })

  const talk = createTalk(time)
  const agents: Record<EndName, Agent> = {
    roof: await agent('roof', [['L1', 'seller']]),
    barn: await agent('barn', [['L2', 'seller']]),
    home: await agent('home', [
      ['L1', 'buyer'],
      ['L2', 'buyer'],
    ]),
  }

  async function agent(name: EndName, ends: readonly (readonly [string, 'seller' | 'buyer'])[]): Promise<Agent> {
    const part = time.partition()
    const contacts: readonly WireContact[] = ends.flatMap(([line, side], index): WireContact[] =>
      side === 'seller'
        ? [
            { kind: 'seller', of: line },
            { kind: 'upstream', of: line },
          ]
        : [{ kind: 'buyer', of: line }, ...(index === 0 ? [{ kind: 'own', of: name } as const] : [])],
    )
    const bank = createSimGpioBank({
      name,
      lines: contacts.flatMap((_, n) => [
        { name: `OUT${n}`, pull: 0 },
        { name: `AUX${n}`, pull: 0 },
      ]),
      // The board outlives its agent.
      timers: time.timers,
      watchdogMs: HOLD_MS,
      onLevel: (line, level) => {
        const n = Number(line.slice(3))
        if (!line.startsWith('OUT')) return
        wires.setContact(contacts[n]!, level === 1 ? 'closed' : 'open')
        bank.drive(`AUX${n}`, wires.position(contacts[n]!) === 'closed' ? 1 : 0)
      },
    })
    const relays = must(
      await openGpioRelays({
        bank,
        contacts: contacts.map((_, n) => ({
          name: `${name} ${n}`,
          output: `OUT${n}`,
          closedLevel: 1,
          ...(auxiliary ? { auxiliary: { line: `AUX${n}`, closedLevel: 1 } } : {}),
        })),
      }),
    )
    const relay = (kind: ContactKind, of: string): Relay =>
      relays[contacts.findIndex(contact => contact.kind === kind && contact.of === of)]!
    const limits: Limits = { ...DEFAULT_LIMITS, limitMa: 16_000 }
    const told = new Map(
      ends.map(([line]): [string, Told] => [
        line,
        { deal: undefined, paid: false, light: 'healthy', talks: true, meterAnswers: true },
      ]),
    )
    const readings = new Map<string, MeterReading>()
    for (const [line, side] of ends) {
      part.timers.every(METER_MS, () => {
        if (told.get(line)!.meterAnswers) readings.set(line, readMeter(wires, line, side, time))
      })
    }
    const events: ControlEvent[] = []
    const health = new Map<string, Fault>()
    const kept = { welds }
    const self: Agent = {
      events,
      health,
      bank,
      kept,
      told,
      lines: ends.map(([line]) => line),
      intent: async () => done,
      watchdogFed: true,
      manual: false,
      kill: () => part.stop(),
      control: createRelayControl({
        ends: ends.map(([line, side]) => ({
          line,
          side,
          limits,
          contacts:
            side === 'seller'
              ? { line: relay('seller', line), upstream: relay('upstream', line) }
              : { line: relay('buyer', line), own: relay('own', name) },
          ...(side === 'buyer' ? { circuit: 'heat pump' } : {}),
        })),
        facts: line => {
          const { deal, paid, light } = told.get(line)!
          return {
            deal,
            light,
            proof: paid ? { height: 7n, headerTime: instant(ORIGIN + time.clock.mono() - 3000) } : undefined,
            ownHeartbeat: talk.sentBy(name, line),
            peer: talk.heardBy(name, line),
          }
        },
        meterOf: line => readings.get(line),
        watchdogFed: () => (self.watchdogFed ? time.clock.mono() : undefined),
        ...(restMs === undefined ? {} : { restMs }),
        intend: () => self.intent(),
        welds,
        keepWelds: async all => {
          kept.welds = all
          return done
        },
        manual: false,
        keepManual: async () => done,
        onEvent: event => events.push(event),
        health: (raised, fault) => {
          if (fault === undefined) health.delete(raised)
          else health.set(raised, fault)
        },
        clock: part.clock,
        timers: part.timers,
        log: () => {},
      }),
    }
    for (const [line, side] of ends) {
      const peer = side === 'seller' ? 'home' : SELLER_OF[line]!
      part.timers.every(BEAT_MS, () => {
        if (!told.get(line)!.talks) return
        const view = self.control.view(line)!
        talk.say(name, peer, line, view.position, view.welds.length > 0)
      })
    }
    return self
  }

  const bench: LineBench = {
    time,
    wires,
    violations,
    moves,
    agents,
    told: (name, line) => agents[name].told.get(line)!,
    dealOf: line => ({ id: line, start: instant(ORIGIN), end: instant(ORIGIN + 3_600_000) }),
    position: (kind, of) => wires.position({ kind, of }),
    weld: (kind, of, welded = true) => wires.weld({ kind, of }, welded),
    async pass(ms) {
      for (let left = ms; left > 0; left -= 100) {
        await time.advance(Math.min(100, left))
        wires.advance()
      }
    },
    async start(line) {
      for (const name of [SELLER_OF[line]!, 'home'] as const) {
        Object.assign(agents[name].told.get(line)!, {
          deal: bench.dealOf(line),
          paid: true,
        })
        agents[name].control.wish(line, 'energise')
      }
      const through = () =>
        (['upstream', 'seller', 'buyer'] as const).every(kind => bench.position(kind, line) === 'closed')
      for (let n = 0; n < 100 && !through(); n++) await bench.pass(100)
      if (!through()) {
        const why = (name: EndName) => agents[name].control.view(line)?.because.map(({ code }) => code)
        throw new Error(`${line} did not start: ${why(SELLER_OF[line]!)} ${why('home')}`)
      }
      await bench.pass(3000)
    },
    setDemand: mw => {
      demand = mw
    },
  }
  return bench
}

function readMeter(wires: Wires, line: string, side: 'seller' | 'buyer', { clock }: SimTime): MeterReading {
  const view = wires.lineMeter(line, side)
  return {
    meterId: `${line} ${side}`,
    taken: clock.now(),
    takenMono: clock.mono(),
    rawHash: new Uint8Array(32),
    values: [
      { obis: OBIS.voltageL1, value: BigInt(view.voltageMv), scaler: -3, unit: 'V' },
      { obis: OBIS.currentL1, value: BigInt(view.currentMa), scaler: -3, unit: 'A' },
      { obis: OBIS.frequency, value: BigInt(view.frequencyMhz), scaler: -3, unit: 'Hz' },
    ],
  }
}

interface Heard {
  readonly heard: Mono
  readonly line: Seen
  readonly welded: boolean
}

/** Heartbeats with a latency. What is heard counts from its departure, as an echo would tell. */
function createTalk({ clock, timers }: SimTime) {
  const heard = new Map<string, Heard>()
  const sent = new Map<string, Mono>()
  return {
    say(from: EndName, to: EndName, line: string, position: Seen, welded: boolean): void {
      const left = clock.mono()
      sent.set(`${from} ${line}`, left)
      timers.after(LATENCY_MS, () => heard.set(`${to} ${line}`, { heard: mono(left), line: position, welded }))
    },
    sentBy: (name: EndName, line: string) => sent.get(`${name} ${line}`),
    heardBy: (name: EndName, line: string) => heard.get(`${name} ${line}`),
  }
}

export const failing = (fault: Fault) => async (): Promise<Result<void>> => fail(fault)
