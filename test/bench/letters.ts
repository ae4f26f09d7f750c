/** Letters without a bus: encoded, counted and read again, neither sealed nor signed, each heard a moment later. */
import type { Post } from '../../agent/trading/post.ts'
import type { Clock, Timers } from '../../drivers/ports.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { done, fail, must } from '../../protocol/result.ts'
import { decodeMessage, encodeMessage, type Message } from '../../protocol/trade/message.ts'
import type { Site } from './grid-sites.ts'

/** There and back on a local broker. */
const WAY_MS = 5

export interface Letters {
  postOf(site: Site, peers: readonly Site[]): Post
  readonly traffic: { messages: number; bytes: number }
}

export function createLetters({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }): Letters {
  const traffic = { messages: 0, bytes: 0 }
  const handlers = new Map<string, ((peer: string, message: Message) => void)[]>()
  return {
    traffic,
    postOf(site, peers) {
      const own: ((peer: string, message: Message) => void)[] = []
      handlers.set(site.name, own)
      const from = addressOf(site.account.publicKey)
      const known = new Map(peers.map(({ name, account }) => [name, addressOf(account.publicKey)]))
      let sequence = 0
      return {
        async send(peer, body, { reliable }) {
          const to = known.get(peer)
          if (to === undefined) return fail({ code: 'post.no-such-peer', peer })
          sequence++
          const bytes = encodeMessage({ from, to, epoch: 1, sequence, sent: clock.now(), reliable, body })
          traffic.messages++
          traffic.bytes += bytes.length
          timers.after(WAY_MS, () => {
            const message = must(decodeMessage(bytes))
            for (const handler of handlers.get(peer) ?? []) handler(site.name, message)
          })
          return done
        },
        onMessage: handler => void own.push(handler),
        waiting: () => 0,
        stats: () => ({ sent: sequence, resent: 0, received: 0, expired: 0, refused: {} }),
        stop: () => {},
      }
    },
  }
}
