/**
 * A site's state as it is told over MQTT, units as in the table of registers, A, W, Wh and coins:
 *
 *     {"time": "2026-01-01T12:00:00Z",
 *      "meters": {"grid": {"energy_import": 4426.218, "power": 1200}},
 *      "contacts": {"L1_line": {"commanded": "open", "seen": "open", "because": ["..."]}},
 *      "chargers": {"box": {"limit": 16, "current": 15.8, "state": "charging", "power": 10900, "session_energy": 4200}},
 *      "bill": {"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T11:45:00Z", "cost": 1.23, "saved": 0.2, "missing": []},
 *      "balance": 12.5, "problems": [{"name": "meter.grid.unreadable", "what": "...", "meter": "grid"}]}
 *
 * What is not known now is absent.
 */
import type { Clock } from '../../drivers/ports.ts'
import { faultLine } from '../../protocol/result.ts'
import { isoTime } from '../../protocol/time.ts'
import type { Agent } from '../compose.ts'
import { sentenceOf } from '../relays/sentences.ts'
import { COUNTER_SCALER, type Counters } from './counters.ts'
import type { DiscoveredCharger } from './home-assistant.ts'
import { PILOT_WORDS, slug } from './names.ts'
import { decimalOf, exactNumber, type RegisterName, registerName } from './registers.ts'

type Told = Readonly<Record<string, number | string>>

const MILLI = -3
const MICRO = -6
const told = (value: number | bigint, scaler: number) => exactNumber(decimalOf({ value: BigInt(value), scaler }))

/** `onRegister` hears each register that a meter is seen to have. */
export function stateOf(
  agent: Agent,
  counters: Counters,
  clock: Clock,
  onRegister: (meter: string, register: RegisterName) => void,
): object {
  const { config } = agent

  function meterState(meter: string): Told {
    const state: Record<string, number | string> = {}
    for (const value of agent.metering.latest(meter)?.reading.values ?? []) {
      const name = registerName(value.obis)
      if (name === undefined || value.unit !== name.unit) continue
      // Of a counter, what is signed, which may be some seconds older than the rest.
      const counter = name.kind === 'counter' ? counters.told(meter, name.id) : undefined
      if (name.kind === 'counter' && counter === undefined) continue
      onRegister(meter, name)
      state[name.id] = counter === undefined ? exactNumber(decimalOf(value)) : told(counter, COUNTER_SCALER)
    }
    return state
  }

  const meters = Object.keys(config.meters).map(meter => [slug(meter), meterState(meter)])
  const balance = agent.account.balance()
  return {
    time: isoTime(clock.now()),
    meters: Object.fromEntries(meters),
    contacts: contactsOf(agent),
    ...(agent.charging === undefined ? {} : { chargers: chargersOf(agent) }),
    ...(balance === undefined ? {} : { balance: told(balance, MICRO) }),
    problems: agent.health
      .items()
      .map(({ name, fault }) => ({ name, what: faultLine(fault), ...whoseOf(agent, name) })),
  }
}

function contactsOf(agent: Agent): object {
  const ends = agent.config.directLines.flatMap(({ id }) => agent.relays.view(id) ?? [])
  const contacts = ends.flatMap(end =>
    end.contacts.map(({ contact, commanded, seen, trouble }) => [
      slug(contact),
      {
        commanded,
        ...(seen === 'unknown' ? {} : { seen }),
        because: [...end.because, ...(trouble === undefined ? [] : [trouble])].map(sentenceOf),
      },
    ]),
  )
  return Object.fromEntries(contacts)
}

function chargersOf(agent: Agent): object {
  const sessions = agent.sessions?.list() ?? []
  const chargers = agent.charging!.views().map(({ name, hold }) => {
    // Of a charger that is out of reach nothing is known but what it was told last.
    const look = hold.reach === 'heard' ? hold.look : undefined
    const meter = agent.config.charging?.chargers[name]?.counts?.meter
    const power = meter === undefined ? undefined : agent.metering.latest(meter)?.power
    const energy = sessions.find(({ port }) => port === name)?.energy
    const state = {
      ...(hold.commandedMa === undefined ? {} : { limit: told(hold.commandedMa, MILLI) }),
      ...(look === undefined ? {} : { state: PILOT_WORDS[look.state] }),
      ...(look?.currentsMa === undefined ? {} : { current: told(Math.max(0, ...look.currentsMa), MILLI) }),
      ...(power === undefined ? {} : { power: told(power, MILLI) }),
      ...(energy === undefined ? {} : { session_energy: told(energy, MILLI) }),
    }
    return [slug(name), state]
  })
  return Object.fromEntries(chargers)
}

/** The meter or the charger that is meant by `meter.grid.unreadable` or `charger.box`; names may have dots of their own. */
function whoseOf({ config }: Agent, health: string): object {
  const meter = Object.keys(config.meters).find(name => health.slice(0, health.lastIndexOf('.')) === `meter.${name}`)
  if (meter !== undefined) return { meter: slug(meter) }
  const charger = Object.keys(config.charging?.chargers ?? {}).find(name => health === `charger.${name}`)
  return charger === undefined ? {} : { charger: slug(charger) }
}

export const contactNames = (agent: Agent): readonly string[] =>
  agent.config.directLines.flatMap(({ id }) => agent.relays.view(id)?.contacts ?? []).map(({ contact }) => contact)

export const chargersIn = ({ config }: Agent): readonly DiscoveredCharger[] =>
  Object.entries(config.charging?.chargers ?? {}).map(([name, { counts }]) => ({ name, counts: counts !== undefined }))
