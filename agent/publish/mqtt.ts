/**
 * A site on MQTT for the home: its state every few seconds, whether it is there at all, and the discovery message of Home
 * Assistant.
 *
 *     tieline/<device>/availability   online | offline   retained; offline is also the connection's last will
 *     tieline/<device>/history        each signed reading, replay.ts says how
 *     tieline/<device>/state          state.ts says what; not retained: whoever comes later hears the next one, never an old one
 *
 * Nothing is read from it: no message switches anything.
 */
import type { Bus, Clock, Log, Timers } from '../../drivers/ports.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { faultLine } from '../../protocol/result.ts'
import type { Agent } from '../compose.ts'
import type { PublishConfig } from '../config/publish-config.ts'
import { keepBill } from './bill-told.ts'
import { createCounters } from './counters.ts'
import { startDiscovering } from './discover.ts'
import { slug } from './names.ts'
import { chargersIn, contactNames, stateOf } from './state.ts'

export interface PublisherOptions extends Pick<PublishConfig, 'discovery' | 'prefix' | 'everyMs' | 'currency'> {
  readonly agent: Agent
  readonly bus: Bus
  readonly version: string
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

export interface Publisher {
  /** A broker has taken the connection: it is told everything anew. */
  announce(): void
  /** Says that the site is gone. */
  stop(): Promise<void>
}

/** So many periods without a state, and the last one counts no more. */
const EXPIRE_PERIODS = 6

export const deviceOf = (site: string): string => `tieline_${slug(site)}`
export const historyTopic = (device: string): string => `tieline/${device}/history`
export const availabilityTopic = (device: string): string => `tieline/${device}/availability`
const stateTopic = (device: string): string => `tieline/${device}/state`
export const OFFLINE = utf8('offline')
const ONLINE = utf8('online')

export async function startPublisher(options: PublisherOptions): Promise<Publisher> {
  const { agent, bus, clock, timers, log, version } = options
  const { config } = agent
  const device = deviceOf(config.site)
  const counters = createCounters({ journal: agent.journal, metering: agent.metering, log })
  const { bills } = agent.parts
  const bill = bills === undefined ? undefined : keepBill(bills, clock, timers, log)

  const send = async (topic: string, payload: Uint8Array, retain: boolean) => {
    const sent = await bus.publish(topic, payload, { retain })
    // While no broker is there that is the bus's to say, and it has.
    if (!sent.ok && sent.fault.code !== 'bus.down') log('debug', 'publish', `${topic}: ${faultLine(sent.fault)}`)
  }

  const discovering = startDiscovering({
    ...{ bus, prefix: options.prefix, on: options.discovery, send, onBirth: announce },
    meters: Object.keys(config.meters),
    about: () => ({
      ...{ device, site: config.site, version },
      ...{ contacts: contactNames(agent), chargers: chargersIn(agent), account: config.ledger !== undefined },
      ...(bill === undefined ? {} : { bill: { currency: options.currency } }),
      ...{ stateTopic: stateTopic(device), availabilityTopic: availabilityTopic(device) },
      expireS: Math.ceil((EXPIRE_PERIODS * options.everyMs) / 1000),
    }),
  })

  function tell(again = false): void {
    const today = bill?.latest()
    const said = stateOf(agent, counters, clock, discovering.saw)
    const state = utf8(JSON.stringify(today === undefined ? said : { ...said, bill: today }))
    discovering.tell(again)
    void send(stateTopic(device), state, false)
  }

  function announce(): void {
    void send(availabilityTopic(device), ONLINE, true)
    tell(true)
  }

  const cancel = timers.every(options.everyMs, tell)
  announce()
  return {
    announce,
    async stop() {
      cancel()
      bill?.stop()
      await send(availabilityTopic(device), OFFLINE, true)
      await bus.close()
    },
  }
}
