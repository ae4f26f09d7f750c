/**
 * Carries out what `decide` returns, ten times a second and on every reading and answer: tells limits, renews them before a
 * charger's watchdog strikes, looks, and compares. Nothing here waits for trading, the journal or the ledger.
 */
import type { Charger, Clock, Log, MeterReading, Timers } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import type { Fault } from '../../protocol/result.ts'
import { CHARGER_LIMITS, type ChargerLimits, type Hold } from '../../protocol/safety/charger-hold.ts'
import type { FuseReading } from '../../protocol/safety/site-guard.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import { powerOf } from '../metering/decide.ts'
import type { Dispatch } from '../roles/part.ts'
import { type ChargerOrder, type ChargingInput, type ChargingStep, decide } from './decide.ts'
import { createDrive, type Drive } from './drive.ts'
import { followSessions, type SessionPoint } from './follow-sessions.ts'
import { fuseReading } from './fuse-reading.ts'
import type { Sessions } from './sessions.ts'
import { type Agreed, type ChargingState, NOTHING_AGREED, type SiteSpec, startState, withHold } from './state.ts'

/** Half of what a limit may take from a reading to the wire. */
const LOOP_MS = 100
/** A charger that needs a deal has none that runs and is paid. */
const NOT_AGREED: ReadonlySet<string> = new Set([
  'permit.no-deal',
  'permit.not-started',
  'permit.expired',
  'permit.lease-over',
  'permit.payment-unproven',
])
/** As many as can be fresh at once, of a meter that is read twice a second. */
const READINGS = 6

export interface ChargingOptions {
  readonly site: SiteSpec
  readonly chargers: ReadonlyMap<string, Charger>
  /** The meter of each metered fuse. */
  readonly meters: ReadonlyMap<string, string>
  /** The meter at the connection. */
  readonly gridMeter: string | undefined
  readonly watchdogFed: () => Mono | undefined
  /** Where cars are counted: how sessions are begun and ended, and at which chargers. */
  readonly counted?: { readonly sessions: Sessions; readonly points: ReadonlyMap<string, SessionPoint> }
  readonly limits?: ChargerLimits
  readonly health: (what: string, fault: Fault | undefined) => void
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

export interface ChargerView {
  readonly name: string
  readonly hold: Hold
  readonly order: ChargerOrder
  readonly unsupervised: boolean
}

export interface Charging extends Dispatch {
  /** Every believed reading comes by. */
  onReading(meter: string, reading: MeterReading): void
  /** Hands the chargers over to a person: all are told 0. */
  setManual(on: boolean): void
  views(): readonly ChargerView[]
  /** How often the loop has come round by itself. */
  rounds(): number
  /** Tells every charger 0; resolves when each has answered, or has had its time. */
  stop(): Promise<void>
}

export function createCharging(options: ChargingOptions): Charging {
  const { site, clock, timers, log, health, limits = CHARGER_LIMITS } = options
  const readings = new Map<string, FuseReading[]>()
  let state: ChargingState = startState(site, clock.mono())
  let agreed: Agreed = NOTHING_AGREED
  let grid: { readonly exportMw: number; readonly taken: Mono } | undefined
  let manual = false
  let stopped = false
  let last: ChargingStep | undefined
  const counted =
    options.counted && followSessions(options.counted.sessions, options.counted.points, health, () => step())

  const looks = new Map(site.chargers.map(({ line }) => [line, { busy: false }]))
  const drives = site.chargers.map(({ traits, line }): Drive => {
    const { name } = traits
    return createDrive({
      looks: looks.get(line)!,
      ...{ charger: options.chargers.get(name)!, traits, limits, clock, timers, log, onAnswer: step },
      hold: () => state.chargers.get(name)!.hold,
      change: change => {
        state = withHold(state, name, change)
      },
    })
  })

  function inputNow(): ChargingInput {
    const mono = clock.mono()
    const exportMw = grid !== undefined && mono - grid.taken <= limits.meterMs ? grid.exportMw : undefined
    const sessions = new Map(
      site.chargers.flatMap(({ traits: { name } }) => {
        const session = counted?.of(name)
        return session === undefined ? [] : [[name, session] as const]
      }),
    )
    return { now: clock.now(), mono, manual, watchdogFed: options.watchdogFed(), readings, exportMw, agreed, sessions }
  }

  function step(): void {
    if (stopped) return
    last = decide(site, state, inputNow(), limits)
    state = last.state
    // Whoever was looked at longest ago is first.
    for (const drive of [...drives].sort((a, b) => a.lookedAt() - b.lookedAt())) {
      const order = last.orders.get(drive.name)!
      drive.tend(order)
      const agreed = !order.because.some(({ code }) => NOT_AGREED.has(code))
      counted?.follow(
        drive.name,
        { hold: state.chargers.get(drive.name)!.hold, agreed, forgotAt: drive.forgotAt() },
        clock.mono(),
      )
      health(`charger.${drive.name}`, drive.fault())
    }
    for (const [name, fault] of last.fuses) health(`fuse.${name}`, fault)
  }

  let rounds = 0
  const cancel = timers.every(LOOP_MS, () => {
    step()
    rounds++
  })

  return {
    onReading(meter, reading) {
      if (meter === options.gridMeter) {
        const power = powerOf(reading.values)
        grid = power === undefined ? undefined : { exportMw: -power, taken: reading.takenMono }
      }
      let mine = false
      for (const [fuse, of] of options.meters) {
        const read = of === meter ? fuseReading(reading) : undefined
        if (read === undefined) continue
        readings.set(fuse, [...(readings.get(fuse) ?? []), read].slice(-READINGS))
        mine = true
      }
      if (mine) step()
    },
    deal(deal: Deal, on: boolean) {
      const { role, contract, lockHeight } = deal
      const id = toHex(deal.hash)
      const buying = new Map(agreed.buying)
      const selling = new Set(agreed.selling)
      buying.delete(id)
      selling.delete(id)
      if (on && role === 'seller') selling.add(id)
      if (on && role === 'buyer') {
        const facts = { id, start: contract.start, end: contract.end }
        const until = later(clock.mono(), contract.end - clock.now())
        // A wall clock that was set back prolongs nothing.
        const before = agreed.buying.get(id)?.leaseUntil ?? until
        const leaseUntil = before < until ? before : until
        buying.set(id, { facts, leaseUntil, paid: lockHeight !== undefined })
      }
      agreed = { ...agreed, buying, selling }
      step()
    },
    standStill(loads) {
      agreed = { ...agreed, standStill: new Set(loads) }
      step()
    },
    setManual(on) {
      manual = on
      step()
    },
    views: () =>
      drives.map(({ name, unsupervised }) => ({
        ...{ name, unsupervised, hold: state.chargers.get(name)!.hold },
        order: last?.orders.get(name) ?? { ma: 0, switchTo: undefined, because: [] },
      })),
    rounds: () => rounds,
    async stop() {
      stopped = true
      cancel()
      await Promise.all(drives.map(drive => drive.stop()))
    },
  }
}
