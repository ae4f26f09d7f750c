/**
 * An EVerest station with one charging point, as its MQTT interface shows it: an energy node that takes schedules of external
 * limits, an energy manager that enforces the entry of the present once a cycle, and a charging point that follows.
 *
 * The traps: a limit stays for ever unless its schedule ends in another; after a restart there is no external limit, and the
 * car has what the fuse allows; what is enforced is 0 while no car is there, whatever the limit.
 */
import type { Bus } from '../../../drivers/ports.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { instant, isoTime } from '../../../protocol/time.ts'
import { createStation, type SimCharger, type StationOptions } from './station.ts'

export interface EverestStationOptions extends StationOptions {
  readonly bus: Bus
  readonly evse: string
  readonly limits: string
}

export interface EverestStation extends SimCharger {
  /** Steps the station's wall clock. */
  stepClock(ms: number): void
  /** Messages with external limits, as they came. */
  readonly schedules: readonly string[]
}

interface Entry {
  readonly timestamp: string
  readonly limits_to_leaves: { readonly ac_max_current_A: { readonly value: number } }
}

/** update_interval of the energy manager, and how often its meter speaks. */
const CYCLE_MS = 1_000
/** The least that an AC charging point sells. */
const LEAST_MA = 6_000

export function startEverestStation(options: EverestStationOptions): EverestStation {
  const { bus, evse, limits, clock, timers, bootMa } = options
  const station = createStation(options)
  const consumer = `everest_api/1/evse_manager_consumer/${evse}`
  const schedules: string[] = []
  /** As somebody left it: nothing for a car. */
  let schedule: readonly Entry[] = [
    { timestamp: isoTime(instant(0)), limits_to_leaves: { ac_max_current_A: { value: 0 } } },
  ]
  let isCut = false
  let isStubborn = false
  let id = 1
  let clockStepMs = 0
  const now = () => clock.now() + clockStepMs

  const say = (topic: string, text: string) => {
    if (!isCut) void bus.publish(topic, utf8(text))
  }
  const listen = (topic: string, take: (text: string) => void) =>
    void bus.subscribe(topic, payload => {
      if (!isCut) take(fromUtf8(payload) ?? '')
    })

  listen(`${consumer}/m2e/get_evse`, text => {
    const { headers } = JSON.parse(text) as { readonly headers: { readonly replyTo: string } }
    say(headers.replyTo, JSON.stringify({ id, connectors: [{ id: 1, type: 'cType2' }] }))
  })
  listen(`everest_api/1/external_energy_limits_consumer/${limits}/m2e/set_external_limits`, text => {
    schedules.push(text)
    const next = (JSON.parse(text) as { readonly schedule_import: readonly Entry[] }).schedule_import
    if (!isStubborn) schedule = next
  })

  /** The entry of the present, all timestamps being of one form: the first where all are to come, the last where all are past. */
  function allowedMa(): number {
    const past = schedule.filter(({ timestamp }) => timestamp <= isoTime(instant(now())))
    const entry = past.at(-1) ?? schedule[0]
    const ma = entry === undefined ? bootMa : Math.round(1000 * entry.limits_to_leaves.ac_max_current_A.value)
    return ma < LEAST_MA ? 0 : Math.min(ma, bootMa)
  }

  function stateWord(): string {
    const state = station.state()
    if (state === 'unknown') return 'Levitating'
    return { A: 'Unplugged', B: 'WaitingForEnergy', C: 'Charging', D: 'Charging', E: 'Disabled', F: 'Disabled' }[state]
  }

  timers.every(CYCLE_MS, () => {
    const limitMa = allowedMa()
    station.offer(limitMa)
    const state = stateWord()
    const sold = state === 'Unplugged' ? 0 : limitMa
    say(
      `${consumer}/e2m/enforced_limits`,
      JSON.stringify({
        ...{ uuid: evse, valid_for: 10, schedule: [] },
        limits_root_side: {
          ac_max_current_A: { value: sold / 1000, source: 'x' },
          ac_max_phase_count: { value: 3, source: 'x' },
        },
      }),
    )
    const timestamp = isoTime(instant(now()))
    const amperes = station.drawnMa() / 1000
    const current_A = { L1: amperes, L2: amperes, L3: amperes, N: 0 }
    say(`${consumer}/e2m/powermeter`, JSON.stringify({ timestamp, energy_Wh_import: { total: 1 }, current_A }))
    say(`${consumer}/e2m/ac_nr_of_phases_available`, '3')
    const counted = { charged_energy_wh: 0, discharged_energy_wh: 0, latest_total_w: 0, session_duration_s: 0 }
    say(`${consumer}/e2m/session_info`, JSON.stringify({ state, timestamp, ...counted }))
  })

  return {
    station,
    schedules,
    cut: off => {
      isCut = off
    },
    restart: () => {
      schedule = []
      station.offer(bootMa)
    },
    stubborn: on => {
      isStubborn = on
    },
    swap: () => {
      id++
    },
    stepClock: ms => {
      clockStepMs += ms
    },
  }
}
