/**
 * A bus in memory, with brokers that lose, delay, repeat, reorder and go down by a seed. A message's way is drawn when it is
 * published; whatever is under way when its broker goes down is lost.
 */
import type { Bus, Timers } from '../../drivers/ports.ts'
import { done, fail } from '../../protocol/result.ts'

export interface BusFaults {
  /** Shares of messages, 0 to 1. */
  readonly drop: number
  readonly duplicate: number
  /** Each copy takes between these many milliseconds; a wide range reorders. */
  readonly delayMs: readonly [least: number, most: number]
}

const CALM: BusFaults = { drop: 0, duplicate: 0, delayMs: [1, 1] }

export interface SimBroker {
  /** Attaches one agent's bus to this broker. */
  attach(topic: string, handler: (payload: Uint8Array) => void): () => void
  /** Whether it was taken: a broker that is down takes nothing. */
  publish(topic: string, payload: Uint8Array): boolean
  isUp(): boolean
  setUp(up: boolean): void
  setFaults(faults: BusFaults): void
  /** Published, and copies delivered. */
  counts(): { readonly published: number; readonly delivered: number }
}

export function createSimBroker(timers: Timers, random: () => number, faults: BusFaults = CALM): SimBroker {
  const topics = new Map<string, Set<(payload: Uint8Array) => void>>()
  let up = true
  /** Rises when the broker goes down: messages of an earlier life are lost. */
  let life = 0
  let way = faults
  let published = 0
  let delivered = 0

  function deliverLater(handler: (payload: Uint8Array) => void, topic: string, payload: Uint8Array): void {
    if (random() < way.drop) return
    const [least, most] = way.delayMs
    const born = life
    timers.after(least + Math.floor(random() * (most - least + 1)), () => {
      if (born !== life || !topics.get(topic)?.has(handler)) return
      delivered++
      handler(Uint8Array.from(payload))
    })
  }

  return {
    attach(topic, handler) {
      const handlers = topics.get(topic) ?? new Set()
      topics.set(topic, handlers.add(handler))
      return () => handlers.delete(handler)
    },
    publish(topic, payload) {
      if (!up) return false
      published++
      const kept = Uint8Array.from(payload)
      for (const handler of topics.get(topic) ?? []) {
        deliverLater(handler, topic, kept)
        if (random() < way.duplicate) deliverLater(handler, topic, kept)
      }
      return true
    },
    isUp: () => up,
    setUp(next) {
      if (up && !next) life++
      up = next
    },
    setFaults(next) {
      way = next
    },
    counts: () => ({ published, delivered }),
  }
}

/** One agent's bus over these brokers. */
export function createSimBus(brokers: readonly SimBroker[]): Bus {
  const detach: (() => void)[] = []
  let closed = false
  const live = () => brokers.filter(broker => broker.isUp())
  const answer = (taken: boolean) =>
    closed
      ? fail({ code: 'bus.closed' })
      : taken
        ? done
        : fail({ code: 'bus.down', brokers: brokers.map((_, i) => `sim:${i}`) })
  return {
    publish: async (topic, payload) =>
      answer(!closed && brokers.map(broker => broker.publish(topic, payload)).some(taken => taken)),
    async subscribe(topic, handler) {
      if (closed) return answer(false)
      for (const [i, broker] of brokers.entries())
        detach.push(broker.attach(topic, payload => !closed && handler(payload, i)))
      return answer(live().length > 0)
    },
    health: () => ({ up: closed ? 0 : live().length, of: brokers.length }),
    async close() {
      closed = true
      for (const one of detach) one()
    },
  }
}
