/**
 * What Home Assistant is told of a site, so that its entities appear by themselves: MQTT device discovery
 * (home-assistant.io/integrations/mqtt, "Device discovery payload"), one message for all of them. Each reads its part of the
 * state (state.ts) and commands nothing.
 */
import { PILOT_WORDS, slug } from './names.ts'
import type { RegisterName } from './registers.ts'

export interface Discovered {
  readonly device: string
  readonly site: string
  readonly version: string
  /** The registers that each meter was seen to have. */
  readonly meters: ReadonlyMap<string, readonly RegisterName[]>
  readonly contacts: readonly string[]
  readonly chargers: readonly DiscoveredCharger[]
  /** Whether the site has an account on a ledger. */
  readonly account: boolean
  /** Absent of a site that has no bill; its money by ISO 4217, where that is known. */
  readonly bill?: { readonly currency: string | undefined }
  readonly stateTopic: string
  readonly availabilityTopic: string
  /** A state that is older than this is none. */
  readonly expireS: number
}

export interface DiscoveredCharger {
  readonly name: string
  /** It has a meter of its own: its power and its sessions' energy are known. */
  readonly counts: boolean
}

interface Component {
  readonly p: 'sensor' | 'binary_sensor'
  readonly unique_id: string
  readonly name: string
  readonly value_template: string
  readonly expire_after: number
  readonly device_class?: string
  readonly unit_of_measurement?: string
  readonly state_class?: string
  readonly options?: readonly string[]
  readonly last_reset_value_template?: string
  readonly entity_category?: 'diagnostic'
  readonly availability?: readonly object[]
  readonly availability_mode?: 'all'
  readonly json_attributes_topic?: string
  readonly json_attributes_template?: string
}

/** A component without anything else is one that Home Assistant takes away. */
type Gone = Pick<Component, 'p'>

export interface Discovery {
  readonly dev: Readonly<Record<string, unknown>>
  readonly o: Readonly<Record<string, unknown>>
  readonly cmps: Readonly<Record<string, Component | Gone>>
  readonly state_topic: string
  readonly availability: readonly object[]
  readonly qos: 1
}

type Kind = Omit<Component, 'unique_id' | 'name' | 'value_template' | 'expire_after'>
const MEASURED: Pick<Kind, 'p' | 'state_class'> = { p: 'sensor', state_class: 'measurement' }
const AMPERES: Kind = { ...MEASURED, device_class: 'current', unit_of_measurement: 'A' }
const POWER: Kind = { ...MEASURED, device_class: 'power', unit_of_measurement: 'W' }
/** Of one session, which begins at 0 again: no sum is made of it. */
const SESSION: Kind = { p: 'sensor', device_class: 'energy', unit_of_measurement: 'Wh' }
const STATE: Kind = { p: 'sensor', device_class: 'enum', options: Object.values(PILOT_WORDS) }
/** No currency that Home Assistant knows. */
const COIN = 'coins'
const COINS: Kind = { ...MEASURED, unit_of_measurement: COIN }
/** A sum of the day, which may also fall: what is earned is taken off, and a deal may settle for less than it stood at. */
const billKind = (currency: string | undefined): Kind => ({
  ...{ p: 'sensor', device_class: 'monetary', state_class: 'total', unit_of_measurement: currency ?? COIN },
  last_reset_value_template: `{{ ${BILL}.since | default('') }}`,
})
const BILL = '(value_json.bill | default({}))'
const PROBLEM: Kind = { p: 'binary_sensor', device_class: 'problem', entity_category: 'diagnostic' }

export const discoveryTopic = (prefix: string, device: string): string => `${prefix}/device/${device}/config`

/** `gone` are components that an earlier message named. */
export function discoveryOf(one: Discovered, gone: Readonly<Record<string, Gone>> = {}): Discovery {
  const { device, stateTopic } = one
  const cmps: Record<string, Component | Gone> = { ...gone }
  const site = [{ topic: one.availabilityTopic }]

  function add(id: string, name: string, kind: Kind, template: string): void {
    const common = { unique_id: `${device}_${id}`, name, expire_after: one.expireS }
    cmps[id] = { ...kind, ...common, value_template: template }
  }
  /** A value that is missing is unknown, never 0 and never the one before. */
  const value = (path: string) => `{{ value_json.${path} | default('None') }}`
  const withAttributes = (template: string) => ({
    json_attributes_topic: stateTopic,
    json_attributes_template: template,
  })
  function addProblem(id: string, name: string, chosen: string): void {
    const because = `{{ {'because': ${chosen} | map(attribute='what') | list} | tojson }}`
    add(id, name, { ...PROBLEM, ...withAttributes(because) }, `{{ 'ON' if ${chosen} | list else 'OFF' }}`)
  }

  for (const [meter, registers] of one.meters) {
    const key = slug(meter)
    const read = `{{ 'online' if value_json.meters.${key} | default({}) else 'offline' }}`
    const availability = [...site, { topic: stateTopic, value_template: read }]
    for (const register of registers) {
      const kind: Kind = {
        p: 'sensor',
        device_class: register.deviceClass,
        unit_of_measurement: register.unit,
        state_class: register.kind === 'counter' ? 'total_increasing' : 'measurement',
        // A meter that is not read is unavailable, while the rest of the site is not.
        ...{ availability, availability_mode: 'all' },
      }
      const name = `${meter} ${register.label.toLowerCase()}`
      add(`${key}_${register.id}`, name, kind, value(`meters.${key}.${register.id}`))
    }
    addProblem(`${key}_problem`, `${meter} problem`, `value_json.problems | selectattr('meter', 'eq', '${key}')`)
  }
  for (const contact of one.contacts) {
    const entry = `(value_json.contacts.${slug(contact)} | default({}))`
    const why = withAttributes(`{{ {'because': ${entry}.because | default([])} | tojson }}`)
    // Seen, not commanded; unknown where nothing was seen.
    const seen = `{{ {'closed': 'ON', 'open': 'OFF'}.get(${entry}.seen, 'None') }}`
    add(`contact_${slug(contact)}`, `contact ${contact}`, { p: 'binary_sensor', ...why }, seen)
  }
  for (const { name, counts } of one.chargers) {
    const key = slug(name)
    const own = (part: string) => value(`chargers.${key}.${part}`)
    add(`charger_${key}_limit`, `charger ${name} limit`, AMPERES, own('limit'))
    add(`charger_${key}_current`, `charger ${name} current`, AMPERES, own('current'))
    add(`charger_${key}_state`, `charger ${name} state`, STATE, own('state'))
    if (counts) {
      add(`charger_${key}_power`, `charger ${name} power`, POWER, own('power'))
      add(`charger_${key}_session`, `charger ${name} last session`, SESSION, own('session_energy'))
    }
    const chosen = `value_json.problems | selectattr('charger', 'eq', '${key}')`
    addProblem(`charger_${key}_problem`, `charger ${name} problem`, chosen)
  }
  if (one.bill !== undefined) {
    const kind = billKind(one.bill.currency)
    const about = withAttributes(
      `{{ {'until': ${BILL}.until, 'missing': ${BILL}.missing} | tojson if value_json.bill is defined else {} }}`,
    )
    add('bill_today', 'cost today', { ...kind, ...about }, `{{ ${BILL}.cost | default('None') }}`)
    add('saved_today', 'saved today by trading', kind, `{{ ${BILL}.saved | default('None') }}`)
  }
  if (one.account) add('balance', 'balance', COINS, value('balance'))
  addProblem('problem', 'problem', 'value_json.problems')
  return {
    dev: { ids: [device], name: one.site, mf: 'Tieline', mdl: 'meter gateway', sw: one.version },
    o: { name: 'Tieline', sw: one.version },
    cmps,
    state_topic: stateTopic,
    availability: site,
    qos: 1,
  }
}

/** A bound on what anybody may have put there: a hundred meters with every register. */
const LARGEST_BYTES = 1 << 20
const isPlatform = (it: unknown): it is Component['p'] => it === 'sensor' || it === 'binary_sensor'

/** Of a message that an earlier run left at a broker, the components of this device that `possible` does not name. */
export function goneOf(message: string, device: string, possible: ReadonlySet<string>): Readonly<Record<string, Gone>> {
  if (message.length > LARGEST_BYTES) return {}
  try {
    const { cmps } = JSON.parse(message) as { cmps: Record<string, Partial<Component>> }
    const gone = Object.entries(cmps).flatMap(([id, it]): [string, Gone][] =>
      !possible.has(id) && it.unique_id === `${device}_${id}` && isPlatform(it.p) ? [[id, { p: it.p }]] : [],
    )
    return Object.fromEntries(gone)
  } catch {
    return {}
  }
}
