/**
 * Serves a ledger node to boards that reach only a broker (mqtt-provider.ts asks). Anybody on the broker may ask: each
 * client has a rate, all of them together a number of questions under way, and what is held for them is bounded.
 */
import { toHex } from '../../protocol/bytes.ts'
import { fail, type Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Bus, Clock, LedgerRpc, Log, Timers } from '../ports.ts'
import { decodeQuestion, encodeAnswer, type Question } from './mqtt-form.ts'
import {
  type Assembly,
  answerTopic,
  askTopic,
  createAssembly,
  type Frame,
  framesOf,
  MAX_BODY_BYTES,
  readFrame,
} from './mqtt-frame.ts'
import { publishAll } from './mqtt-provider.ts'

interface MqttRelayOptions {
  readonly bus: Bus
  readonly name: string
  readonly node: LedgerRpc
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly limits?: Partial<RelayLimits>
}

export interface RelayLimits {
  /** Frames that a client may send at once, and each second. */
  readonly burst: number
  readonly perSecond: number
  /** Questions of all clients under way at the node. */
  readonly running: number
  /** Clients that are remembered; beyond it the one is forgotten that was silent longest. */
  readonly clients: number
  /** Bytes of questions that are not whole yet, of all clients. */
  readonly heldBytes: number
}

/** A client that follows a block a second asks three questions a second, and a few dozen at once when it begins. */
const LIMITS: RelayLimits = { burst: 60, perSecond: 10, running: 32, clients: 1_000, heldBytes: 8 * 1024 * 1024 }
/** A question whose parts do not come together within this time never will. */
const ASSEMBLY_MS = 10_000
/** A node's answer is of no use to a client that waits five seconds. */
const NODE_MS = 5_000
/** Question numbers that are remembered of a client: each broker hands its own copy of a question. */
const REMEMBERED = 64

interface Client {
  tokens: number
  filledAt: Mono
  readonly seen: Set<number>
  readonly parts: Map<number, { readonly assembly: Assembly; readonly since: Mono }>
}

export interface MqttRelay {
  /** Questions answered, and frames dropped as too many or as no frames. */
  stats(): { readonly answered: number; readonly dropped: number; readonly clients: number; readonly heldBytes: number }
  stop(): void
}

export async function startMqttRelay(options: MqttRelayOptions): Promise<Result<MqttRelay>> {
  const { bus, name, node, clock, timers, log } = options
  const limits = { ...LIMITS, ...options.limits }
  const clients = new Map<string, Client>()
  let running = 0
  let answered = 0
  let dropped = 0
  let stopped = false

  /** Of questions that may still become whole; the others are forgotten, whether their client speaks again or not. */
  function heldBytes(): number {
    const now = clock.mono()
    let held = 0
    for (const { parts } of clients.values())
      for (const [id, { assembly, since }] of parts)
        if (now >= later(since, ASSEMBLY_MS)) parts.delete(id)
        else held += assembly.bytes
    return held
  }

  function clientOf(key: string): Client {
    const now = clock.mono()
    const client = clients.get(key) ?? { tokens: limits.burst, filledAt: now, seen: new Set(), parts: new Map() }
    // Taken out and put back: the map's order is that of the last word.
    clients.delete(key)
    clients.set(key, client)
    if (clients.size > limits.clients) clients.delete(clients.keys().next().value!)
    client.tokens = Math.min(limits.burst, client.tokens + ((now - client.filledAt) * limits.perSecond) / 1000)
    client.filledAt = now
    return client
  }

  /** The whole question, once it is there. */
  function take(client: Client, frame: Frame): Uint8Array | undefined {
    if (client.seen.has(frame.id)) return undefined
    if (frame.parts > 1 && heldBytes() + frame.bytes.length > limits.heldBytes) {
      dropped++
      return undefined
    }
    const known = client.parts.get(frame.id) ?? { assembly: createAssembly(), since: clock.mono() }
    const whole = known.assembly.take(frame)
    if (whole === undefined) {
      client.parts.set(frame.id, known)
      return undefined
    }
    client.parts.delete(frame.id)
    client.seen.add(frame.id)
    if (client.seen.size > REMEMBERED) client.seen.delete(client.seen.values().next().value!)
    return whole
  }

  function hear(payload: Uint8Array): void {
    const frame = stopped ? undefined : readFrame(payload)
    if (frame === undefined) {
      dropped++
      return
    }
    const key = toHex(frame.client)
    const client = clientOf(key)
    if (client.tokens < 1) {
      dropped++
      return
    }
    client.tokens--
    const body = take(client, frame)
    if (body === undefined) return
    if (running >= limits.running) {
      dropped++
      return
    }
    running++
    void answer(frame, key, body).finally(() => {
      running--
    })
  }

  async function answer(frame: Frame, key: string, body: Uint8Array): Promise<void> {
    const question = decodeQuestion(body)
    if (!question.ok) {
      dropped++
      return
    }
    const bytes = await Promise.race([put(node, question.value), timers.sleep(NODE_MS)])
    // Whoever asked has given up by now; a node that hangs must not keep the place of others.
    if (bytes === undefined) return
    const sent = await publishAll(bus, answerTopic(name, key), framesOf(frame.client, frame.id, bytes))
    if (sent.ok) answered++
    else log('warn', 'relay', `an answer of ${node.name} did not go out`, sent.fault)
  }

  const listening = await bus.subscribe(askTopic(name), hear)
  if (!listening.ok) return listening
  log('info', 'relay', `${node.name} is served over the brokers as ${name}`)
  return {
    ok: true,
    value: {
      stats: () => ({ answered, dropped, clients: clients.size, heldBytes: heldBytes() }),
      stop() {
        stopped = true
        clients.clear()
      },
    },
  }
}

/** What the node says, encoded; more than a body can hold is said to be so. */
async function put(node: LedgerRpc, question: Question): Promise<Uint8Array> {
  const bytes = await encoded(node, question)
  if (bytes.length <= MAX_BODY_BYTES) return bytes
  return encodeAnswer(question.method, fail({ code: 'rpc.refused', message: `an answer of ${bytes.length} bytes` }))
}

async function encoded(node: LedgerRpc, question: Question): Promise<Uint8Array> {
  switch (question.method) {
    case 'status':
      return encodeAnswer('status', await node.status())
    case 'lightBlock':
      return encodeAnswer('lightBlock', await node.lightBlock(question.height))
    case 'query':
      return encodeAnswer('query', await node.query(question.key, question.height))
    case 'submit':
      return encodeAnswer('submit', await node.submit(question.tx))
    case 'tx':
      return encodeAnswer('tx', await node.tx(question.hash))
    case 'oldHeader':
      return encodeAnswer('oldHeader', await node.oldHeader(question.height, question.at))
    case 'reportEvidence':
      return encodeAnswer('reportEvidence', await node.reportEvidence(question.evidence))
  }
}
