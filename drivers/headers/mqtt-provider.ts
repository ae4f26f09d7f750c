/**
 * A ledger node as a LedgerRpc over the bus, for a board that has no route to an RPC port: its questions go to a relay
 * (mqtt-relay.ts) that has one. Neither relay nor broker is trusted for anything.
 */
import { toHex } from '../../protocol/bytes.ts'
import { fail, type Result } from '../../protocol/result.ts'
import type { Bus, Entropy, LedgerRpc, Timers } from '../ports.ts'
import { decodeAnswer, encodeQuestion, type Method, type Question } from './mqtt-form.ts'
import {
  answerTopic,
  askTopic,
  CLIENT_BYTES,
  createAssembly,
  type Frame,
  framesOf,
  isFor,
  MAX_BODY_BYTES,
  readFrame,
} from './mqtt-frame.ts'

interface MqttProviderOptions {
  readonly bus: Bus
  /** The relay's name, as it stands in its topics. */
  readonly relay: string
  readonly timers: Timers
  readonly entropy: Entropy
  readonly timeoutMs?: number
}

/** A relay is two brokers' hops and one call away. */
const TIMEOUT_MS = 5_000
/** A light client asks one question at a time of each node, an account one more. */
const MAX_WAITING = 16

export function createMqttProvider(options: MqttProviderOptions): LedgerRpc {
  const { bus, relay, timers, timeoutMs = TIMEOUT_MS } = options
  const name = `mqtt:${relay}`
  const client = options.entropy.bytes(CLIENT_BYTES)
  const waiting = new Map<number, (frame: Frame) => void>()
  let listening: Promise<Result<void>> | undefined
  let asked = 0

  /** Once: a bus that is down subscribes by itself when it is up again. */
  const listen = () =>
    bus.subscribe(answerTopic(relay, toHex(client)), payload => {
      const frame = readFrame(payload)
      if (frame !== undefined && isFor(frame, client)) waiting.get(frame.id)?.(frame)
    })

  async function ask<M extends Method>(question: Question & { readonly method: M }) {
    type Answered = ReturnType<typeof decodeAnswer<M>>
    const unreachable = (why: string): Answered => fail({ code: 'rpc.unreachable', node: name, why })
    const body = encodeQuestion(question)
    if (body.length > MAX_BODY_BYTES) return fail({ code: 'rpc.too-long', node: name, limit: MAX_BODY_BYTES })
    if (waiting.size >= MAX_WAITING) return unreachable(`${MAX_WAITING} questions wait already`)
    listening ??= listen()
    await listening
    asked = (asked + 1) % 2 ** 32
    const id = asked
    return new Promise<Answered>(resolve => {
      const assembly = createAssembly()
      const settle = (answer: Answered) => {
        cancel()
        waiting.delete(id)
        resolve(answer)
      }
      const cancel = timers.after(timeoutMs, () =>
        settle(fail({ code: 'rpc.timeout', node: name, afterMs: timeoutMs })),
      )
      waiting.set(id, frame => {
        const whole = assembly.take(frame)
        if (whole !== undefined) settle(decodeAnswer(question.method, whole, name))
      })
      void publishAll(bus, askTopic(relay), framesOf(client, id, body)).then(sent => {
        if (!sent.ok) settle(unreachable(sent.fault.code))
      })
    })
  }

  return {
    name,
    status: () => ask({ method: 'status' }),
    lightBlock: height => ask({ method: 'lightBlock', height }),
    query: (key, height) => ask({ method: 'query', key, height }),
    submit: tx => ask({ method: 'submit', tx }),
    tx: hash => ask({ method: 'tx', hash }),
    oldHeader: (height, at) => ask({ method: 'oldHeader', height, at }),
    reportEvidence: evidence => ask({ method: 'reportEvidence', evidence }),
  }
}

/** One frame after the other: a broker's window is not filled by one answer. */
export async function publishAll(bus: Bus, topic: string, frames: readonly Uint8Array[]): Promise<Result<void>> {
  for (const frame of frames) {
    const sent = await bus.publish(topic, frame)
    if (!sent.ok) return sent
  }
  return { ok: true, value: undefined }
}
