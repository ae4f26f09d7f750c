/** The real post office of a bench's site, and what it puts on its bus. */
import { createPost, type Post } from '../../agent/trading/post.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import type { Bus, Clock, Timers } from '../../drivers/ports.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { sealingKey } from '../../protocol/crypto/seal.ts'
import type { Site } from './grid-sites.ts'

/** All that was put on a bus: acknowledgements and repeats, too. */
export interface Traffic {
  messages: number
  bytes: number
  /** By sender's name and topic. */
  readonly pairs: Map<string, { messages: number; bytes: number }>
}

export const countedBus = (bus: Bus, name: string, traffic: Traffic): Bus => ({
  ...bus,
  publish(topic, payload) {
    const key = `${name} ${topic}`
    const pair = traffic.pairs.get(key) ?? { messages: 0, bytes: 0 }
    traffic.pairs.set(key, pair)
    for (const counts of [traffic, pair]) {
      counts.messages++
      counts.bytes += payload.length
    }
    return bus.publish(topic, payload)
  },
})

const verifier = createVerifier()
const publicKeys = new Map<string, Uint8Array>()

/** A key is worked out once, however many neighbours want it. */
function sealingPublicOf({ name, sealing }: Site): Uint8Array {
  const known = publicKeys.get(name)
  if (known !== undefined) return known
  const { publicKey } = sealingKey(sealing!)
  publicKeys.set(name, publicKey)
  return publicKey
}

export const sealedPost = (site: Site, peers: readonly Site[], bus: Bus, clock: Clock, timers: Timers): Post =>
  createPost({
    ...{ bus, clock, timers, entropy: systemEntropy, signer: site.account, sealingKey: site.sealing!, epoch: 1 },
    ...{ verifier, log: () => {} },
    peers: peers.map(peer => ({
      ...{ name: peer.name, publicKey: peer.account.publicKey, sealingKey: sealingPublicOf(peer) },
      address: addressOf(peer.account.publicKey),
    })),
  })
