/**
 * The bus over MQTT 3.1.1, one broker or several at once: what is published goes to every broker that is up, what is
 * subscribed is subscribed at all of them, and a copy from each is heard.
 *
 * QoS 1 and a clean session: delivery end to end is the post office's own business (QoS 2 is not end to end either), so
 * nothing is stored here. Each connection is a client of its own: mqtt.js's own reconnect would send what it stored, long
 * after it meant anything.
 */
import mqtt, { type MqttClient } from 'mqtt'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Bus, Cancel, Log, Timers } from '../ports.ts'

/** Between two attempts at one broker; doubles up to the second figure. */
const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 10_000
/** Wall-clock milliseconds for TCP, TLS and CONNACK; a broker across the world answers within one second. */
const CONNECT_TIMEOUT_MS = 4000
/** A broker that was silent for one and a half of these is down. */
const KEEPALIVE_S = 5
/** How long a caller waits for a broker's acknowledgement, of a message or a subscription. */
const ACK_MS = 2000
/** A broker that holds back this many acknowledgements is as good as down: nothing more is queued for it. */
const MAX_UNACKNOWLEDGED = 256

export interface MqttOptions {
  /** As in `mqtt://127.0.0.1:1883` or `mqtts://user:secret@host:8883`. */
  readonly urls: readonly string[]
  readonly timers: Timers
  readonly log: Log
}

type Handler = (payload: Uint8Array) => void

/** One broker. */
interface Link {
  readonly name: string
  up(): boolean
  publish(topic: string, payload: Uint8Array): Promise<Result<void>>
  subscribe(topic: string): Promise<Result<void>>
  /** Resolves when the first attempt went one way or the other. */
  readonly tried: Promise<void>
  close(): Promise<void>
}

/** Connects to the brokers; a fault when none of them is there. Those that are not are tried again for ever. */
export async function connectBus({ urls, timers, log }: MqttOptions): Promise<Result<Bus>> {
  const topics = new Map<string, Set<Handler>>()
  let closed = false
  const links = urls.map(url =>
    openLink(url, timers, log, {
      topics: () => topics.keys(),
      hear: (topic, payload) => {
        if (!closed) for (const handler of topics.get(topic) ?? []) handler(payload)
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
    publish: (topic, payload) => atAll(link => link.publish(topic, payload)),
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
  if (up().length > 0) return ok(bus)
  await bus.close()
  return fail({ code: 'bus.unreachable', brokers: names, hint: 'start a broker there, or name another one' })
}

function openLink(
  url: string,
  timers: Timers,
  log: Log,
  sink: { topics(): Iterable<string>; hear(topic: string, payload: Uint8Array): void },
): Link {
  const name = withoutSecrets(url)
  let client: MqttClient | undefined
  let connected = false
  let closed = false
  let told = false
  let unacknowledged = 0
  let wait = FIRST_RETRY_MS
  let cancelRetry: Cancel = () => {}
  let firstTry: () => void
  const tried = new Promise<void>(resolve => {
    firstTry = resolve
  })

  function connect(): void {
    let reason = 'closed'
    const options = {
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepalive: KEEPALIVE_S,
      resubscribe: false,
      queueQoSZero: false,
    } as const
    const mine = mqtt.connect(url, options)
    client = mine
    mine.on('connect', () => {
      // Nagle's algorithm and delayed acknowledgements make a QoS 1 round trip 88 ms instead of 0.2 ms.
      const stream = mine.stream as { setNoDelay?(on: boolean): void }
      stream.setNoDelay?.(true)
      unacknowledged = 0
      const ready = Promise.all([...sink.topics()].map(topic => subscribeOn(mine, topic)))
      void ready.then(() => {
        connected = mine.connected
        if (!connected) return
        wait = FIRST_RETRY_MS
        told = false
        log('info', 'bus', `connected to ${name}`)
        firstTry()
      })
    })
    mine.on('message', (topic, payload) => sink.hear(topic, new Uint8Array(payload)))
    mine.on('error', error => {
      // AggregateError (both address families refused) has its reason in `code`.
      reason = error.message || String((error as { code?: unknown }).code)
    })
    mine.on('close', () => {
      if (client !== mine) return
      connected = false
      client = undefined
      mine.end(true)
      firstTry()
      if (closed) return
      const fault: Fault = { code: 'bus.unreachable', broker: name, reason }
      if (!told) log('warn', 'bus', 'a broker is not there; trying on', fault)
      told = true
      cancelRetry = timers.after(wait, connect)
      wait = Math.min(2 * wait, LONGEST_RETRY_MS)
    })
  }

  const silent: Fault = { code: 'bus.no-acknowledgement', broker: name, afterMs: ACK_MS }
  /** An answer of mqtt.js, or a fault after ACK_MS: its call-back may never come. */
  const answered = (act: (callback: (error?: Error | null) => void) => void): Promise<Result<void>> =>
    new Promise(resolve => {
      const cancel = timers.after(ACK_MS, () => resolve(fail(silent)))
      act(error => {
        cancel()
        resolve(error ? fail({ code: 'bus.refused', broker: name, reason: error.message }) : done)
      })
    })

  const subscribeOn = (to: MqttClient, topic: string) =>
    answered(callback => to.subscribe(topic, { qos: 1 }, error => callback(error)))

  connect()
  return {
    name,
    up: () => connected,
    tried,
    publish(topic, payload) {
      const to = client
      if (to === undefined || unacknowledged >= MAX_UNACKNOWLEDGED) return Promise.resolve(fail(silent))
      unacknowledged++
      return answered(callback =>
        to.publish(topic, payload as Buffer, { qos: 1 }, error => {
          if (client === to) unacknowledged--
          callback(error)
        }),
      )
    },
    subscribe: topic => (client === undefined ? Promise.resolve(fail(silent)) : subscribeOn(client, topic)),
    async close() {
      closed = true
      cancelRetry()
      const last = client
      client = undefined
      connected = false
      firstTry()
      if (last !== undefined) await new Promise<void>(resolve => last.end(true, () => resolve()))
    },
  }
}

/** A broker's address as it may stand in a log. */
function withoutSecrets(url: string): string {
  try {
    const parsed = new URL(url)
    parsed.username = ''
    parsed.password = ''
    return parsed.href.replace(/\/$/, '')
  } catch {
    // mqtt.js will refuse it with its own words; here it is only a name.
    return url
  }
}
