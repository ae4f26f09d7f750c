/** Brokers, and what a site tells the home over MQTT (agent/publish): settings and their form. */
import { about, brokerUrl, duration, group, oneOf, path, set, spelt, v } from './schema-words.ts'

/** PEM files for `mqtts:` brokers. */
export interface BrokerTlsConfig {
  /** Without it the machine's own authorities count. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface PublishConfig {
  /** Absent: the brokers of the site. */
  readonly brokers?: readonly string[]
  /** Whether Home Assistant is told; off, what an earlier run told it is taken back. */
  readonly discovery: boolean
  /** Home Assistant's prefix for discovery. */
  readonly prefix: string
  readonly everyMs: number
  /** Of the bill, by ISO 4217; absent: it is told in coins. */
  readonly currency?: string
  /** Readings that no broker took are told later, up to this age; absent: signed readings are not told. */
  readonly historyMs?: number
  /** Absent: as the site's own brokers are reached, where it is told to those. */
  readonly tls?: BrokerTlsConfig
}

/** `mqtt://` or `mqtts://` addresses, at least one. */
export const brokersForm = v.pipe(
  v.array(brokerUrl, 'must be a list of addresses'),
  v.minLength(1, 'must name at least one broker'),
)

const tlsFiles = {
  ca: about(
    'PEM file of the authority that certifies the brokers; without it the machine’s own count.',
    v.optional(path),
  ),
  cert: about('PEM file of the certificate that is shown to the brokers.', v.optional(path)),
  key: about('PEM file of its private key.', v.optional(path)),
}
const PAIR = 'names a cert and its key, or neither'

export const brokerTlsForm = v.pipe(
  group(tlsFiles),
  v.check(it => (it.cert === undefined) === (it.key === undefined), PAIR),
  v.transform((it): BrokerTlsConfig => set(it)),
)

const topicPart = spelt(/^[A-Za-z0-9_-]{1,32}$/, 'a part of a topic: at most 32 letters, digits, - or _')

export const publishForm = v.pipe(
  group({
    brokers: about('Brokers of the home; without them, those of the site.', v.optional(brokersForm)),
    home_assistant: about('Whether Home Assistant finds the devices by itself.', v.optional(oneOf('on', 'off'), 'on')),
    prefix: about('The prefix of Home Assistant’s discovery topics.', v.optional(topicPart, 'homeassistant')),
    every: about(
      'How often states are published.',
      v.optional(duration(1000, 3_600_000, 'a duration from 1s to 1h'), '10s'),
    ),
    currency: about(
      'The money of the ledger, as Home Assistant names it: EUR. Without it the bill is told in coins.',
      v.optional(spelt(/^[A-Z]{3}$/, 'a currency by ISO 4217: three capital letters, as EUR')),
    ),
    history: about(
      'Whether every signed reading is published too, those of an outage afterwards.',
      v.optional(oneOf('on', 'off'), 'on'),
    ),
    history_age: about(
      'How old a reading may be to be published afterwards.',
      v.optional(duration(3_600_000, 90 * 86_400_000, 'a duration from 1h to 90d'), '7d'),
    ),
    ...tlsFiles,
  }),
  v.check(it => (it.cert === undefined) === (it.key === undefined), PAIR),
  v.transform(
    ({ brokers, home_assistant, prefix, every, currency, history, history_age, ca, cert, key }): PublishConfig => {
      const tls = set({ ca, cert, key })
      return {
        ...{ everyMs: every, prefix, discovery: home_assistant === 'on' },
        ...(history === 'on' ? { historyMs: history_age } : {}),
        ...set({ brokers, currency }),
        ...(Object.keys(tls).length === 0 ? {} : { tls }),
      }
    },
  ),
)
