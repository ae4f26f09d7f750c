/**
 * Passes on what nobody is to know the origin of: first from one to one, each time with an even chance to go on so, then to all
 * at once. Whoever hands something over may be its maker or may have been handed it; whoever tells all is mostly not its maker.
 *
 * After Fanti and others, "Dandelion++" (2018), with a walk that is drawn anew for each message. It hides a maker from peers;
 * a broker that carries all letters of a site still sees that it wrote one.
 */
import type { Clock, Entropy } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'

/** Whoever has been handed something passes it on at once: what has not come back to its maker by then is lost. */
const BACK_MS = 2_000
/** Orders and meetings of a few slots of a whole district; the oldest is forgotten first. */
const MAX_SEEN = 4_096
/** What one peer may hand over: the orders of a district at once. */
const PASSED: BucketSize = { burst: 400, perSecond: 20 }

export interface RelayOptions {
  readonly peers: ReadonlyMap<string, Uint8Array>
  readonly entropy: Entropy
  readonly clock: Clock
  send(peer: string, body: Body): void
  /** Whether it is worth passing on. */
  take(what: BodyOf<'passed'>['what'], bytes: Uint8Array): boolean
}

export interface Relay {
  /** This site's own, until then. */
  originate(what: BodyOf<'passed'>['what'], bytes: Uint8Array, until: number): void
  hear(peer: string, body: BodyOf<'passed'>): void
  sweep(): void
}

export function createRelay({ peers, entropy, clock, send, take }: RelayOptions): Relay {
  /** Told to all, or heard to be. */
  const told = new Set<string>()
  const seen = new Set<string>()
  const buckets = new Map<string, Bucket>()
  const own = new Map<string, { body: BodyOf<'passed'>; until: number; again: Mono }>()

  function one(not?: string): string | undefined {
    const others = [...peers.keys()].filter(name => name !== not)
    return others[new DataView(entropy.bytes(4).slice().buffer).getUint32(0) % others.length]
  }
  const even = () => (entropy.bytes(1)[0]! & 1) === 0

  function remember(set: Set<string>, id: string): void {
    set.add(id)
    if (set.size > MAX_SEEN) set.delete(set.values().next().value!)
  }

  function hand(body: BodyOf<'passed'>, not?: string): void {
    const to = one(not)
    if (to !== undefined) send(to, { ...body, walking: true })
  }

  function tell(id: string, body: BodyOf<'passed'>): void {
    if (told.has(id)) return
    remember(told, id)
    for (const peer of peers.keys()) send(peer, { ...body, walking: false })
  }

  return {
    originate(what, bytes, until) {
      const body = { kind: 'passed', what, bytes, walking: true } as const
      const id = toHex(sha256(bytes))
      remember(seen, id)
      own.set(id, { body, until, again: (clock.mono() + BACK_MS) as Mono })
      hand(body)
    },
    hear(peer, body) {
      const tokens = takeTokens(buckets.get(peer) ?? fullBucket(PASSED, clock.mono()), PASSED, 1, clock.mono())
      if (tokens === undefined) return
      buckets.set(peer, tokens)
      const id = toHex(sha256(body.bytes))
      if (!body.walking) {
        own.delete(id)
        remember(told, id)
      }
      const known = seen.has(id)
      if (!known) {
        if (!take(body.what, body.bytes)) return
        remember(seen, id)
      }
      if (!body.walking) return
      // A walk that comes back has gone far enough.
      if (known || even()) tell(id, body)
      else hand(body, peer)
    },
    sweep() {
      for (const [id, one] of own) {
        if (clock.now() >= one.until) own.delete(id)
        else if (clock.mono() >= one.again) {
          one.again = (clock.mono() + BACK_MS) as Mono
          hand(one.body)
        }
      }
    },
  }
}
