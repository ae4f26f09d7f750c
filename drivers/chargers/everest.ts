/**
 * A charging point of an EVerest station, over its MQTT interface: ISO 15118-20 and bidirectional charging come from there.
 *
 *     everest_api/1/evse_manager_consumer/<evse>/m2e/get_evse             who is there; answered on the topic it names
 *     everest_api/1/evse_manager_consumer/<evse>/e2m/session_info         state, at each event and each reading of its meter
 *     everest_api/1/evse_manager_consumer/<evse>/e2m/enforced_limits      what its energy manager enforces, each cycle (1 s)
 *     everest_api/1/evse_manager_consumer/<evse>/e2m/powermeter           currents
 *     everest_api/1/evse_manager_consumer/<evse>/e2m/ac_nr_of_phases_available
 *     everest_api/1/external_energy_limits_consumer/<limits>/m2e/set_external_limits
 *
 * An external limit of EVerest does not lapse: "the last entry is valid for any time after the schedule ends". So a limit is
 * sent as a schedule of two entries, itself from now on and the failsafe current from the end of the watchdog on, which the
 * energy manager enforces by itself when nothing new comes. Entries are by wall time: a station whose clock differs from ours
 * is not supervised, and is told nothing but 0. A station that restarts has forgotten the schedule and lets a car have what
 * its own configuration allows, until it is found above its limit at the next look: set `fuse_limit_A` of its energy node to
 * what the wiring carries. The energy node must be this agent's alone: whoever else sets its limits replaces ours.
 *
 * The older `everest_api/<connector>/cmd/set_limit_amps` of the module API knows no schedule, so that a limit set by it stays
 * for ever; it is not used.
 *
 * Second-hand, not tried on hardware: the AsyncAPI documents of version 1 in EVerest's everest-core (external_energy_limits_
 * consumer_API.yaml, evse_manager_consumer_API.yaml, powermeter_API.yaml, 2025), and its EnergyManager as documented there.
 */
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type Instant, isoTime, later, type Mono } from '../../protocol/time.ts'
import { afterListening } from '../listening.ts'
import type { Bus, Charger, PilotState, Timers } from '../ports.ts'
import {
  type Applied,
  type ChargerOptions,
  type Controller,
  createChargingPoint,
  gaveWay,
  refuseOptions,
  type Watchdog,
} from './charging-point.ts'
import { unknownState } from './registers.ts'

const CONTROLLER = 'everest'
const WATCHDOG_S = 30
/** The energy manager sells current in slices of 0.5 A, as it comes (`slice_ampere`). */
const STEP_MA = 500
/** Its cycle (`update_interval`) and its meter's, and as much again for a busy station. */
const ANSWER_MS = 3_000
/** Wall clocks that are set by the same source differ by less. */
const CLOCKS_DIFFER_MS = 2_000
/** From the entry's time to the enforced limit: a cycle of the energy manager, and what the clocks may differ. */
const ENFORCE_MS = CLOCKS_DIFFER_MS + 1_000
/** An enforced schedule has an entry for each hour and each limit of the station's tree. */
const MOST_BYTES = 65_536
/** No station has more charging points (EVSE ids end at 128). */
const MOST_EVSES = 128
const SOURCE = 'tieline'

/** EvseStateEnum; `Unknown` is none. */
const STATES: ReadonlyMap<unknown, PilotState> = new Map([
  ['Unplugged', 'A'],
  ['Reserved', 'A'],
  // A car may be there already.
  ['Preparing', 'B'],
  ['AuthRequired', 'B'],
  ['WaitingForEnergy', 'B'],
  ['ChargingPausedEV', 'B'],
  ['ChargingPausedEVSE', 'B'],
  ['AuthTimeout', 'B'],
  ['Finished', 'B'],
  ['FinishedEVSE', 'B'],
  ['FinishedEV', 'B'],
  ['Charging', 'C'],
  ['Disabled', 'F'],
])

export interface EverestOptions extends ChargerOptions {
  readonly bus: Bus
  readonly timers: Timers
  /** Ids of the modules evse_manager_consumer_API and external_energy_limits_consumer_API in EVerest's configuration. */
  readonly evse: string
  readonly limits: string
  /** Where answers come, unlike that of any other run or agent. */
  readonly src: string
  readonly watchdogS?: number
  readonly failsafeMa?: number
}

type Fields = { readonly [key: string]: unknown }

/** The last message of each kind, counted. */
interface Heard<T> {
  readonly count: number
  readonly at: Mono
  readonly wall: Instant
  readonly value: T
}

export function openEverestCharger(options: EverestOptions): Result<Charger> {
  const { name, bus, clock, timers, evse, limits, src, watchdogS = WATCHDOG_S, failsafeMa = 0 } = options
  const watchdog: Watchdog = {
    watchdogMs: 1000 * watchdogS,
    failsafeMa,
    by: 'schedule of external limits, by the wall time of the station',
  }
  const refused = refuseOptions(options, CONTROLLER, watchdog)
  if (refused !== undefined) return fail(refused)

  const heard = new Map<string, Heard<Fields | number>>()
  const waiting = new Set<() => void>()
  const hear = (kind: string, topic: string) =>
    // A bus that is down subscribes when it is up; until then nothing is heard, and every answer is a fault.
    void bus.subscribe(topic, payload => {
      const value = payload.length > MOST_BYTES ? undefined : parse(payload)
      if (value === undefined) return
      const count = (heard.get(kind)?.count ?? 0) + 1
      heard.set(kind, { count, value, at: clock.mono(), wall: clock.now() })
      for (const look of [...waiting]) look()
    })
  const consumer = `everest_api/1/evse_manager_consumer/${evse}`
  const replyTo = `everest_api/1/evse_manager_consumer/${evse}/e2m/get_evse/${src}`
  hear('evse', replyTo)
  hear('session', `${consumer}/e2m/session_info`)
  hear('enforced', `${consumer}/e2m/enforced_limits`)
  hear('meter', `${consumer}/e2m/powermeter`)
  hear('phases', `${consumer}/e2m/ac_nr_of_phases_available`)

  const countOf = (kind: string): number => heard.get(kind)?.count ?? 0
  const lastOf = (kind: string): Fields | number | undefined => heard.get(kind)?.value
  const fieldsOf = (kind: string): Fields => {
    const value = lastOf(kind)
    return isObject(value) ? value : {}
  }
  /** Of a message newer than `than`. */
  const isNewer = (kind: string, than: number) => countOf(kind) > than

  /** Whether it came true within `ANSWER_MS`, looked at with each message, and before `signal` was aborted. */
  function come(ready: () => boolean, signal?: AbortSignal): Promise<boolean> {
    if (ready() || signal?.aborted) return Promise.resolve(ready())
    return new Promise(resolve => {
      const settle = (came: boolean) => {
        cancel()
        waiting.delete(look)
        resolve(came)
      }
      const look = () => ready() && settle(true)
      const cancel = afterListening(ANSWER_MS, clock, timers, () => settle(false))
      waiting.add(look)
      signal?.addEventListener('abort', () => settle(false), { once: true })
    })
  }

  const silent = (about: string, signal?: AbortSignal): { readonly ok: false; readonly fault: Fault } =>
    signal?.aborted ? gaveWay(name) : fail({ code: 'charger.no-answer', charger: name, about, afterMs: ANSWER_MS })

  /** What the energy manager lets the car have, in mA; where it says nothing of current, nothing is known. */
  function enforcedMa(): number | undefined {
    const root = fieldsOf('enforced')['limits_root_side']
    const current = isObject(root) ? root['ac_max_current_A'] : undefined
    // A negative one is for feeding back.
    return milliamps(isObject(current) ? current['value'] : current, true)
  }

  const entry = (at: Instant, ma: number) => ({
    timestamp: isoTime(at),
    limits_to_root: {},
    limits_to_leaves: { ac_max_current_A: { value: ma / 1000, source: SOURCE } },
  })

  const controller: Controller = {
    name: CONTROLLER,
    stepMa: () => STEP_MA,

    async identify(signal) {
      if (signal?.aborted) return gaveWay(name)
      const before = countOf('evse')
      const asked = await bus.publish(`${consumer}/m2e/get_evse`, utf8(JSON.stringify({ headers: { replyTo } })))
      if (!asked.ok) return asked
      if (!(await come(() => isNewer('evse', before), signal))) return silent('get_evse', signal)
      const { id } = fieldsOf('evse')
      if (typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= MOST_EVSES) return ok(`evse ${id}`)
      return fail({ code: 'charger.answer', charger: name, about: 'get_evse' })
    },

    async supervise(signal) {
      const last = heard.get('session')
      const before = last !== undefined && clock.mono() - last.at < ANSWER_MS ? last.count - 1 : countOf('session')
      if (!(await come(() => isNewer('session', before), signal))) return silent('session_info', signal)
      const { timestamp } = fieldsOf('session')
      const theirs = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN
      const differsMs = Math.abs(theirs - heard.get('session')!.wall)
      if (differsMs <= CLOCKS_DIFFER_MS) return ok(false)
      return fail({
        code: 'charger.clock-differs',
        charger: name,
        timestamp: String(timestamp).slice(0, 40),
        ...(Number.isNaN(differsMs) ? {} : { differsMs }),
        hint: 'set both clocks by NTP: a limit lapses by the wall time of the station',
      })
    },

    async look(signal) {
      const [session, enforced] = [countOf('session'), countOf('enforced')]
      if (!(await come(() => isNewer('session', session), signal))) return silent('session_info', signal)
      if (!(await come(() => isNewer('enforced', enforced), signal))) return silent('enforced_limits', signal)
      const raw = fieldsOf('session')['state']
      const state = STATES.get(raw)
      if (state === undefined) return unknownState(name, CONTROLLER, String(raw).slice(0, 40))
      const limitMa = enforcedMa()
      if (limitMa === undefined) return fail({ code: 'charger.answer', charger: name, about: 'enforced_limits' })
      const phases = lastOf('phases')
      const currentsMa = currentsOf(fieldsOf('meter'), clock.mono() - (heard.get('meter')?.at ?? 0))
      return ok({
        state,
        limitMa,
        ...(phases === 1 || phases === 3 ? { phases } : {}),
        ...(currentsMa === undefined ? {} : { currentsMa }),
      })
    },

    async apply(ma): Promise<Result<Applied>> {
      const now = clock.now()
      const schedule = [entry(now, ma)]
      if (ma !== failsafeMa)
        schedule.push(entry(later(now, watchdog.watchdogMs - ENFORCE_MS), Math.min(ma, failsafeMa)))
      const before = countOf('enforced')
      const message = { schedule_import: schedule, schedule_export: [entry(now, 0)], schedule_setpoints: [] }
      const sent = await bus.publish(
        `everest_api/1/external_energy_limits_consumer/${limits}/m2e/set_external_limits`,
        utf8(JSON.stringify(message)),
      )
      if (!sent.ok) return sent
      const isEmpty = () => STATES.get(fieldsOf('session')['state']) === 'A'
      // Without a car nothing is sold to it, whatever the limit.
      const isTaken = () => isNewer('enforced', before) && (enforcedMa() === ma || (isEmpty() && enforcedMa() === 0))
      // The first cycle may have begun before the limit came.
      if (!(await come(() => isTaken() || isNewer('enforced', before + 1)))) return silent('enforced_limits')
      return ok({ wantedMa: ma, readMa: isTaken() ? ma : enforcedMa() })
    },
  }
  return ok(createChargingPoint(options, controller, watchdog))
}

/** Per phase, from a reading of the station's own meter that is not old; a direct current is none of a phase. */
function currentsOf(meter: Fields, ageMs: number): readonly number[] | undefined {
  const currents = meter['current_A']
  if (!isObject(currents) || ageMs > ANSWER_MS) return undefined
  const found = ['L1', 'L2', 'L3'].map(phase => currents[phase]).filter(value => value !== undefined)
  const values = found.map(value => milliamps(value, false))
  return values.length === 0 || values.includes(undefined) ? undefined : (values as readonly number[])
}

/** A number of amperes of a power grid, as whole mA: up where it is a limit that must not be understated. */
function milliamps(value: unknown, up: boolean): number | undefined {
  if (typeof value !== 'number' || !(Math.abs(value) < 10_000)) return undefined
  // 0.5 A and less of a single-precision number's last digits.
  const ma = Math.round(value * 1_000_000) / 1000
  return up ? Math.max(0, Math.ceil(ma)) : Math.round(ma)
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parse(bytes: Uint8Array): Fields | number | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(bytes) ?? '')
    return isObject(value) || typeof value === 'number' ? value : undefined
  } catch {
    return undefined
  }
}
