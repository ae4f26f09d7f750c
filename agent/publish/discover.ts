/**
 * Keeps the message that Home Assistant finds a site by as the configuration has it, at each broker: told as registers are
 * seen and whenever Home Assistant starts; what an earlier run left there is heard from the broker itself, and taken back.
 */
import type { Bus } from '../../drivers/ports.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { type Discovered, discoveryOf, discoveryTopic, goneOf } from './home-assistant.ts'
import { REGISTER_NAMES, type RegisterName } from './registers.ts'

export interface DiscoverOptions {
  readonly bus: Pick<Bus, 'subscribe'>
  readonly prefix: string
  /** Off, nothing of it is left at a broker. */
  readonly on: boolean
  /** All but the meters' registers, which are learnt. */
  readonly about: () => Omit<Discovered, 'meters'>
  readonly meters: readonly string[]
  readonly send: (topic: string, payload: Uint8Array, retain: boolean) => Promise<void>
  /** Home Assistant has started, and knows nothing yet. */
  readonly onBirth: () => void
}

export interface Discovering {
  saw(meter: string, register: RegisterName): void
  /** Tells what has changed, or `again` all of it. */
  tell(again: boolean): void
}

/** Components that are taken back at most: whoever else writes to the topic costs no more than that. */
const MOST_GONE = 1000
/** Home Assistant says `online` here when it starts. */
const birthTopic = (prefix: string): string => `${prefix}/status`

export function startDiscovering(options: DiscoverOptions): Discovering {
  const { bus, prefix, on, about, meters, send, onBirth } = options
  const topic = discoveryTopic(prefix, about().device)
  const seen = new Map<string, Set<RegisterName>>(meters.map(meter => [meter, new Set()]))
  const gone = new Set<string>()
  let told = ''

  const message = (takenBack = {}) => {
    const known = [...seen].map(([meter, registers]) => {
      return [meter, REGISTER_NAMES.filter(name => registers.has(name))] as const
    })
    return JSON.stringify(discoveryOf({ ...about(), meters: new Map(known) }, takenBack))
  }

  function heard(payload: Uint8Array): void {
    const every = new Map(meters.map(meter => [meter, REGISTER_NAMES]))
    const possible = new Set(Object.keys(discoveryOf({ ...about(), meters: every }).cmps))
    const { device } = about()
    const found = Object.entries(goneOf(fromUtf8(payload) ?? '', device, possible)).filter(([id]) => !gone.has(id))
    if (found.length === 0 || gone.size + found.length > MOST_GONE) return
    for (const [id] of found) gone.add(id)
    void send(topic, utf8(message(Object.fromEntries(found))), true)
    void send(topic, utf8(message()), true)
  }

  if (on) {
    void bus.subscribe(topic, heard)
    void bus.subscribe(birthTopic(prefix), payload => {
      if (fromUtf8(payload) === 'online') onBirth()
    })
  }
  return {
    saw: (meter, register) => void seen.get(meter)?.add(register),
    tell(again) {
      // An empty message is kept by no broker, and ends the one that is.
      const next = on ? message() : ''
      if (next === told && !again) return
      told = next
      void send(topic, utf8(next), true)
    },
  }
}
