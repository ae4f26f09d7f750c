/** What became of the messages of agent/publish, for whoever watches the gateway: counted since the agent started. */
import type { Bus } from '../../drivers/ports.ts'
import type { Family } from './open-metrics-text.ts'

const KINDS = ['availability', 'state', 'history', 'config'] as const
type Kind = (typeof KINDS)[number]
/** `down`: no broker was there; `refused`: a broker took it not, or did not say so in time. */
const FATES = ['published', 'down', 'refused'] as const
type Fate = (typeof FATES)[number]

/** Rows of the history that are on their way. */
export interface Waiting {
  /** Held in memory. */
  readonly rows: number
  /** The journal holds more of them. */
  readonly more: boolean
}

export interface PublishCounts {
  /** The same bus, with what is published on it counted. */
  watch(bus: Bus): Bus
  /** A broker has taken the connection. */
  connected(): void
  follow(waiting: () => Waiting): void
  families(labels: Readonly<Record<string, string>>): readonly Family[]
}

export function createPublishCounts(): PublishCounts {
  const counts = new Map(KINDS.map(kind => [kind, { published: 0, down: 0, refused: 0 } as Record<Fate, number>]))
  let connections = 0
  let bus: Bus | undefined
  let waiting: (() => Waiting) | undefined

  const one = ([name, type]: readonly [string, Family['type']], help: string, samples: Family['samples']): Family => ({
    name: `tieline_mqtt_${name}`,
    type,
    help,
    samples,
  })

  return {
    watch(watched) {
      bus = watched
      return {
        ...watched,
        async publish(topic, payload, how) {
          const sent = await watched.publish(topic, payload, how)
          const kind = topic.slice(topic.lastIndexOf('/') + 1)
          const tally = counts.get(kind as Kind)
          if (tally !== undefined) tally[sent.ok ? 'published' : sent.fault.code === 'bus.down' ? 'down' : 'refused']++
          return sent
        },
      }
    },
    connected() {
      connections++
    },
    follow(source) {
      waiting = source
    },
    families(labels) {
      if (bus === undefined) return []
      const of = (fates: readonly Fate[]) =>
        [...counts].flatMap(([topic, tally]) =>
          fates.map(fate => ({
            labels: { ...labels, topic, ...(fates.length === 1 ? {} : { reason: fate }) },
            value: String(tally[fate]),
          })),
        )
      const plain = (value: number) => [{ labels, value: String(value) }]
      const { up, of: all } = bus.health()
      const held = waiting?.()
      return [
        one(
          ['published_messages', 'counter'],
          'Messages that a broker took, by the last part of their topic.',
          of(['published']),
        ),
        one(
          ['untaken_messages', 'counter'],
          'Messages that no broker took. A state is then dropped, of the history the row comes again.',
          of(['down', 'refused']),
        ),
        one(['connections', 'counter'], 'How often a broker took the connection.', plain(connections)),
        one(['brokers', 'gauge'], 'Brokers of the home that are configured.', plain(all)),
        one(['brokers_up', 'gauge'], 'Brokers of the home that are there.', plain(up)),
        one(
          ['history_held_rows', 'gauge'],
          'Signed readings that are in memory and not yet told.',
          held === undefined ? [] : plain(held.rows),
        ),
        one(
          ['history_behind', 'gauge'],
          'Whether the journal holds more of them, as after an outage.',
          held === undefined ? [] : plain(held.more ? 1 : 0),
        ),
      ]
    },
  }
}
