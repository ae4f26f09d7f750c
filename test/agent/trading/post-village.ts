/** Three who know each other, their post offices on simulated brokers, and all that is put on them. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { createPost, type Post, type PostOptions } from '../../../agent/trading/post.ts'
import type { Bus, Signer } from '../../../drivers/ports.ts'
import { createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import { nobleVerifier } from '../../../protocol/crypto/verify.ts'
import { ok } from '../../../protocol/result.ts'
import type { Body, Message } from '../../../protocol/trade/message.ts'

const agent = (fill: number) => {
  const secret = new Uint8Array(32).fill(fill)
  const publicKey = ed25519.getPublicKey(secret)
  const sign = async (message: Uint8Array) => ok(ed25519.sign(message, secret))
  const signer: Signer = { alg: 'EdDSA', publicKey, trust: 'software', sign }
  const seed = new Uint8Array(32).fill(fill + 100)
  return { signer, seed, publicKey, address: addressOf(publicKey), sealingKey: sealingKey(seed).publicKey }
}
export const people = { ada: agent(1), bob: agent(2), eve: agent(3) }
type Name = keyof typeof people

export const stopped = (n: number): Body => ({ kind: 'stopped', hash: new Uint8Array(32).fill(n) })
export const numberOf = ({ body }: Message) => (body.kind === 'stopped' ? body.hash[0]! : -1)

export function createVillage(seed = 1, brokers = 1) {
  const time = createSimTime(1_800_000_000_000, () => new Promise(resolve => setImmediate(resolve)))
  const random = seededRandom(seed)
  const nodes = Array.from({ length: brokers }, () => createSimBroker(time.timers, random))
  const entropy = { bytes: (n: number) => Uint8Array.from({ length: n }, () => Math.floor(random() * 256)) }
  const wire: { topic: string; payload: Uint8Array }[] = []
  const bus = (): Bus => {
    const inner = createSimBus(nodes)
    return {
      ...inner,
      publish: (topic, payload) => {
        wire.push({ topic, payload })
        return inner.publish(topic, payload)
      },
    }
  }
  const open = (name: Name, change: Partial<PostOptions> = {}): Post & { heard: Message[] } => {
    const post = createPost({
      bus: bus(),
      clock: time.clock,
      timers: time.timers,
      entropy,
      signer: people[name].signer,
      sealingKey: people[name].seed,
      peers: (Object.keys(people) as Name[]).filter(one => one !== name).map(one => ({ ...people[one], name: one })),
      epoch: 1,
      verifier: nobleVerifier,
      log: () => {},
      ...change,
    })
    const heard: Message[] = []
    post.onMessage((_, message) => heard.push(message))
    return Object.assign(post, { heard })
  }
  return { time, nodes, wire, open, bus }
}
