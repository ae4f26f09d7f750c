/**
 * The connection to one broker, tried again for ever: MQTT 5, and 3.1.1 with a broker that does not speak it.
 *
 * Each connection is a client of its own: mqtt.js's own reconnect would send what it stored, long after it meant anything. The
 * sockets are opened here, so that what TLS finds wrong is heard whole.
 */
import { connect as connectTcp, isIP } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import mqtt from 'mqtt'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Cancel, Kept, Log, Timers } from '../ports.ts'
import { type Ended, isOfVersion, refusalOf, type Stage } from './broker-refusal.ts'
import { pacedSocket } from './paced-socket.ts'

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
/** A connection that held for so long was one: its end is news again, and the next attempt is made at once. */
const STEADY_MS = 10_000

export interface Will {
  readonly topic: string
  readonly payload: Uint8Array
}

export interface TlsTexts {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface LinkOptions {
  readonly timers: Timers
  readonly log: Log
  readonly will?: Will | undefined
  readonly onUp?: (() => void) | undefined
  /** 4 is MQTT 3.1.1; left out, 5 is tried first. */
  readonly version?: 4 | 5 | undefined
}

/** What TLS is spoken with; `renew` is awaited before each attempt but the first. */
export interface Secure {
  context(): SecureContext | undefined
  renew(): Promise<void>
}

export interface Sink {
  topics(): Iterable<string>
  hear(topic: string, payload: Uint8Array): void
}

/** One broker. */
export interface Link {
  readonly name: string
  up(): boolean
  /** Why the last attempt failed; undefined while it is up. */
  fault(): Fault | undefined
  publish(topic: string, payload: Uint8Array, how: Kept): Promise<Result<void>>
  subscribe(topic: string): Promise<Result<void>>
  /** Resolves when the first attempt went one way or the other. */
  readonly tried: Promise<void>
  close(): Promise<void>
}

/** The texts as TLS takes them; `bus.certificate-form` where they are none, or a key is not of its certificate. */
export function tlsOf(texts: TlsTexts): Result<SecureContext> {
  try {
    return ok(createSecureContext(texts))
  } catch (error) {
    // OpenSSL's reason names no content.
    const { code } = error as NodeJS.ErrnoException
    return fail({ code: 'bus.certificate-form', reason: code ?? 'unreadable', hint: 'ca, cert and key are PEM files' })
  }
}

export function openLink(url: string, secure: Secure, options: LinkOptions, sink: Sink): Link {
  const { timers, log, will, onUp } = options
  const address = new URL(url)
  const tls = address.protocol === 'mqtts:'
  const name = withoutSecrets(address)
  let version: 4 | 5 = options.version ?? 5
  let client: mqtt.MqttClient | undefined
  let connected = false
  let closed = false
  let last: Fault | undefined
  /** What was said of this broker since it was last up for long: each reason once. */
  const told = new Set<string>()
  let unacknowledged = 0
  let wait = FIRST_RETRY_MS
  let cancelRetry: Cancel = () => {}
  let cancelSteady: Cancel = () => {}
  let firstTry: () => void
  const tried = new Promise<void>(resolve => {
    firstTry = resolve
  })

  function tell(fault: Fault, text: string): void {
    if (told.has(fault.code)) return
    told.add(fault.code)
    log('warn', 'bus', text, fault)
  }

  function connect(): void {
    let stage: Stage = 'opening'
    let ended: Partial<Ended> = {}
    const mine = new mqtt.MqttClient(
      () => {
        const host = address.hostname.replace(/^\[|\]$/g, '')
        const port = Number(address.port) || (tls ? 8883 : 1883)
        // Nagle's algorithm and delayed acknowledgements make a QoS 1 round trip 88 ms instead of 0.2 ms.
        const to = { host, port, noDelay: true }
        const named = isIP(host) === 0 ? { servername: host } : {}
        const secureContext = secure.context()
        const socket = tls ? connectTls({ ...to, ...named, ...(secureContext && { secureContext }) }) : connectTcp(to)
        socket.on(tls ? 'secureConnect' : 'connect', () => {
          stage = 'asking'
        })
        socket.on('error', error => {
          ended = { error, ...ended }
        })
        return pacedSocket(socket)
      },
      {
        protocolVersion: version,
        clean: true,
        reconnectPeriod: 0,
        connectTimeout: CONNECT_TIMEOUT_MS,
        keepalive: KEEPALIVE_S,
        resubscribe: false,
        queueQoSZero: false,
        // Sixty-five thousand ready-made numbers of two bytes each would be 7 MB.
        writeCache: false,
        ...(address.username === '' ? {} : { username: decodeURIComponent(address.username) }),
        ...(address.password === '' ? {} : { password: decodeURIComponent(address.password) }),
        ...(will === undefined
          ? {}
          : { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1 as const, retain: true } }),
      },
    )
    client = mine
    mine.on('connect', () => {
      stage = 'up'
      unacknowledged = 0
      const ready = Promise.all([...sink.topics()].map(topic => subscribeOn(mine, topic)))
      void ready.then(() => {
        connected = mine.connected
        if (!connected) return
        last = undefined
        if (told.size > 0 || wait === FIRST_RETRY_MS) log('info', 'bus', `connected to ${name}`)
        cancelSteady = timers.after(STEADY_MS, () => {
          wait = FIRST_RETRY_MS
          told.clear()
        })
        firstTry()
        onUp?.()
      })
    })
    mine.on('message', (topic, payload) => sink.hear(topic, new Uint8Array(payload)))
    mine.on('disconnect', ({ reasonCode }) => {
      ended = { ...ended, mqttCode: reasonCode }
    })
    mine.on('error', error => {
      const { code } = error as { code?: unknown }
      if (error.message === 'connack timeout') ended = { ...ended, silentMs: CONNECT_TIMEOUT_MS }
      else if (typeof code === 'number') ended = { ...ended, mqttCode: code }
      else ended = { error: error as { code?: unknown } & Error, ...ended }
    })
    mine.on('close', () => {
      if (client !== mine) return
      connected = false
      client = undefined
      cancelSteady()
      mine.end(true)
      // A timeout is told after the socket it ended.
      void Promise.resolve().then(() => over({ ...ended, broker: name, tls, stage }))
    })
  }

  function over(ended: Ended): void {
    const otherVersion = options.version === undefined && isOfVersion(ended)
    if (otherVersion) version = version === 5 ? 4 : 5
    // Only when neither version was answered is it final.
    if (otherVersion && version === 4 && !closed) return connect()
    firstTry()
    if (closed) return
    last = refusalOf(ended)
    tell(last, ended.stage === 'up' ? 'a broker is lost; trying on' : 'a broker is not there; trying on')
    cancelRetry = timers.after(wait, () => {
      void secure.renew().then(() => {
        if (!closed) connect()
      })
    })
    wait = Math.min(2 * wait, LONGEST_RETRY_MS)
  }

  const silent: Fault = { code: 'bus.no-acknowledgement', broker: name, afterMs: ACK_MS }
  /** An answer of mqtt.js, or a fault after ACK_MS: its call-back may never come. */
  const answered = (topic: string, act: (callback: (error?: Error | null) => void) => void): Promise<Result<void>> =>
    new Promise(resolve => {
      const cancel = timers.after(ACK_MS, () => resolve(fail(silent)))
      act(error => {
        cancel()
        if (!error) return resolve(done)
        const { code } = error as { code?: unknown }
        if (typeof code !== 'number') return resolve(fail({ code: 'bus.refused', broker: name, reason: error.message }))
        // What the broker answered: MQTT 5's reason code, or a refused subscription of 3.1.1.
        const hint = "the broker's access list does not allow it"
        const fault = { code: 'bus.not-allowed', broker: name, topic, answer: code, hint }
        tell(fault, 'a broker refuses a topic')
        resolve(fail(fault))
      })
    })

  const subscribeOn = (to: mqtt.MqttClient, topic: string) =>
    answered(topic, callback => to.subscribe(topic, { qos: 1 }, error => callback(error)))

  connect()
  return {
    name,
    up: () => connected,
    fault: () => last,
    tried,
    publish(topic, payload, { retain = false }) {
      const to = client
      if (to === undefined || unacknowledged >= MAX_UNACKNOWLEDGED) return Promise.resolve(fail(silent))
      unacknowledged++
      return answered(topic, callback =>
        to.publish(topic, payload as Buffer, { qos: 1, retain }, error => {
          if (client === to) unacknowledged--
          callback(error)
        }),
      )
    },
    subscribe: topic => (client === undefined ? Promise.resolve(fail(silent)) : subscribeOn(client, topic)),
    async close() {
      closed = true
      cancelRetry()
      cancelSteady()
      const to = client
      client = undefined
      connected = false
      firstTry()
      if (to !== undefined) await new Promise<void>(resolve => to.end(true, () => resolve()))
    },
  }
}

/** A broker's address as it may stand in a log. */
const withoutSecrets = ({ protocol, host }: URL): string => `${protocol}//${host}`
