/**
 * The bus over MQTT 5 or 3.1.1, one broker or several at once: what is published goes to every broker that is up, what is
 * subscribed is subscribed at all of them, and a copy from each is heard.
 *
 * QoS 1 and a clean session: delivery end to end is the post office's own business (QoS 2 is not end to end either), so
 * nothing is stored here.
 */
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Bus, Log, Timers } from '../ports.ts'
import { type Link, openLink, type TlsTexts, tlsOf, type Will } from './mqtt-link.ts'

export type { TlsTexts }

export interface MqttOptions {
  /** As in `mqtt://127.0.0.1:1883` or `mqtts://user:secret@host:8883`. */
  readonly urls: readonly string[]
  readonly timers: Timers
  readonly log: Log
  /** Opens although no broker is there yet; each is tried on as ever. */
  readonly patient?: boolean
  /** Kept by a broker, and told to all when this connection is lost without a word. */
  readonly will?: Will
  /** Each time a broker has taken the connection and the subscriptions. */
  readonly onUp?: () => void
  /** For `mqtts:`, as PEM text. Without `ca` the machine's own authorities count. */
  readonly tls?: TlsTexts
  /** Asked before each further attempt, so that a renewed certificate needs no restart. What is no use leaves those that there are. */
  readonly renewTls?: () => Promise<Result<TlsTexts>>
  /** What was wrong with what `renewTls` gave, or that nothing is. */
  readonly onTls?: (fault: Fault | undefined) => void
  /** 4 is MQTT 3.1.1; left out, 5 is tried first. */
  readonly version?: 4 | 5
}

type Handler = Parameters<Bus['subscribe']>[1]

/** Connects to the brokers; a fault when none of them is there, unless it may be patient. Those that are not are tried again for ever. */
export async function connectBus(options: MqttOptions): Promise<Result<Bus>> {
  const { urls, patient, renewTls, onTls } = options
  const unnamed = urls.find(url => !/^mqtts?:\/\//.test(url) || !URL.canParse(url))
  if (unnamed !== undefined) return fail({ code: 'bus.address', hint: 'a broker is named as in mqtt://127.0.0.1:1883' })
  const secure = options.tls === undefined ? ok(undefined) : tlsOf(options.tls)
  if (!secure.ok) return secure
  let context = secure.value
  const renew = async () => {
    const texts = await renewTls?.()
    if (texts === undefined) return
    const made = texts.ok ? tlsOf(texts.value) : texts
    if (made.ok) context = made.value
    onTls?.(made.ok ? undefined : made.fault)
  }
  const topics = new Map<string, Set<Handler>>()
  let closed = false
  const links = urls.map((url, broker) =>
    openLink(url, { context: () => context, renew }, options, {
      topics: () => topics.keys(),
      hear: (topic, payload) => {
        if (!closed) for (const handler of topics.get(topic) ?? []) handler(payload, broker)
      },
    }),
  )
  const names = links.map(link => link.name)
  const up = () => links.filter(link => link.up())

  /** The first broker that answers well answers for all. */
  async function atAll(act: (link: Link) => Promise<Result<void>>): Promise<Result<void>> {
    if (closed) return fail({ code: 'bus.closed' })
    const live = up()
    if (live.length === 0) return fail({ code: 'bus.down', brokers: names })
    const answers = live.map(act)
    try {
      return await Promise.any(answers.map(answer => answer.then(got => (got.ok ? got : Promise.reject(got)))))
    } catch {
      // Every broker refused or stayed silent: the first one's fault is as good as any.
      return answers[0]!
    }
  }

  const bus: Bus = {
    publish: (topic, payload, how = {}) => atAll(link => link.publish(topic, payload, how)),
    subscribe(topic, handler) {
      const handlers = topics.get(topic) ?? new Set()
      topics.set(topic, handlers.add(handler))
      return atAll(link => link.subscribe(topic))
    },
    health: () => ({ up: up().length, of: links.length }),
    async close() {
      closed = true
      await Promise.all(links.map(link => link.close()))
    },
  }
  await Promise.all(links.map(link => link.tried))
  if (patient === true || up().length > 0) return ok(bus)
  const alone = links.length === 1 ? links[0]!.fault() : undefined
  await bus.close()
  return fail(alone ?? { code: 'bus.unreachable', brokers: names, hint: 'start a broker there, or name another one' })
}
