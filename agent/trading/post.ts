/**
 * The post office of one agent: messages to and from its neighbours over a bus that may lose, repeat, delay and reorder.
 *
 * What is sent reliably is sent again until it is acknowledged or too old; heartbeats and readings are sent once, because
 * a newer one is worth more than an old one again. What arrives is judged in the order of its cost (protocol/crypto/seal),
 * and handed over once: a repeat is acknowledged again and dropped.
 */
import type { Bus, Cancel, Clock, Entropy, Log, Signer, Timers } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../protocol/crypto/cose.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import {
  MAX_SEALED_BYTES,
  MESSAGE_CONTEXT,
  newReception,
  type PairKeys,
  pairKeys,
  type Reception,
  seal,
  sealedLength,
  sealingKey,
  unseal,
} from '../../protocol/crypto/seal.ts'
import { STAMP_RANDOM_BYTES, stampNonce } from '../../protocol/crypto/stamp.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { decodeAs, encodeAs } from '../../protocol/record.ts'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import { type Body, decodeMessage, encodeMessage, type Message, topicOf } from '../../protocol/trade/message.ts'
import { forget, judgeFreshness, type ReplayWindow, replayWindows } from '../../protocol/trade/replay.ts'

/** First repeat; a round trip is milliseconds on a local broker and below a second on any. Doubles up to LONGEST_WAIT_MS. */
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 5000
/** After this nobody waits for the answer any more: no step of a negotiation or a start is allowed longer. */
const EXPIRY_MS = 60_000
/** A deal has at most ten reliable messages; more than this waiting means a peer that is gone. */
const MAX_WAITING = 64
/**
 * Reliable messages that one peer may have kept, each a block of the journal: the steps of ten deals at once, then of one a second,
 * which is 3.5 GB a day where a peer wants to wear out a card.
 */
const KEEP_BUCKET: BucketSize = { burst: 100, perSecond: 10 }
/** Windows of as many peers as a street has, 161 bytes each. */
const MAX_STATE_BYTES = 64 * 1024

export interface PostPeer {
  readonly name: string
  readonly address: Uint8Array
  /** Ed25519 account key. */
  readonly publicKey: Uint8Array
  /** X25519 public key. */
  readonly sealingKey: Uint8Array
}

export interface PostOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly timers: Timers
  readonly entropy: Entropy
  /** The account key; it also names this agent's address and topic. */
  readonly signer: Signer
  /** The 32 secret bytes that this agent's X25519 key is derived from. */
  readonly sealingKey: Uint8Array
  readonly peers: readonly PostPeer[]
  /** The boot count: higher than in any earlier life. */
  readonly epoch: number
  readonly verifier: Verifier
  readonly log: Log
  /** What was seen before, and where it is kept. Saved before a reliable message is acknowledged and handed over. */
  readonly journal?: { readonly state: Uint8Array | undefined; save(state: Uint8Array): Promise<Result<unknown>> }
}

export interface PostStats {
  readonly sent: number
  readonly resent: number
  readonly received: number
  readonly expired: number
  /** By fault code. */
  readonly refused: Readonly<Record<string, number>>
}

export interface Post {
  /**
   * Resolves when a reliable message was acknowledged (or `post.expired`), another when a broker took it. A caller may
   * leave the promise alone: it never rejects.
   */
  send(peer: string, body: Body, how: { readonly reliable: boolean }): Promise<Result<void>>
  onMessage(handler: (peer: string, message: Message) => void): void
  /** Reliable messages not acknowledged yet. */
  waiting(): number
  stats(): PostStats
  stop(): void
}

interface Peer extends PostPeer {
  readonly keys: PairKeys
  readonly topic: string
  reception: Reception
  /** Of messages that have to be kept. */
  keeping: Bucket
  next: number
  /** Of the transmissions to it. */
  transmitted: number
  readonly outbox: Map<number, Waiting>
}

interface Waiting {
  readonly sign1: Uint8Array
  readonly until: Mono
  wait: number
  cancel: Cancel
  settle(result: Result<void>): void
}

export function createPost(options: PostOptions): Post {
  const { bus, clock, timers, entropy, signer, epoch, verifier, log, journal } = options
  const own = addressOf(signer.publicKey)
  const topic = topicOf(own)
  const header = protectedHeader(signer.alg, kidOf(signer.alg, signer.publicKey))
  const byAddress = new Map<string, Peer>()
  const byName = new Map<string, Peer>()
  let windows = restoreWindows()
  const handlers: ((peer: string, message: Message) => void)[] = []
  const refused: Record<string, number> = {}
  const count = { sent: 0, resent: 0, received: 0, expired: 0 }
  /** Saving and handing over, one message after the other. */
  let saving: Promise<void> = Promise.resolve()
  let stopped = false

  const ownKeys = sealingKey(options.sealingKey)
  const brokers = bus.health().of
  for (const peer of options.peers) {
    const keys = pairKeys(ownKeys, peer.sealingKey)
    if (!keys.ok) {
      log('error', 'post', `${peer.name} cannot be written to or heard: its sealing key is not usable`, keys.fault)
      continue
    }
    const known: Peer = {
      ...peer,
      keys: keys.value,
      topic: topicOf(peer.address),
      reception: newReception(clock.mono(), brokers),
      keeping: fullBucket(KEEP_BUCKET, clock.mono()),
      next: 1,
      transmitted: 0,
      outbox: new Map(),
    }
    byName.set(peer.name, known)
    byAddress.set(toHex(peer.address), known)
  }

  function restoreWindows(): ReadonlyMap<string, ReplayWindow> {
    if (journal?.state === undefined) return new Map()
    const read = decodeAs(replayWindows, journal.state, 'post', MAX_STATE_BYTES)
    if (read.ok) return read.value
    log('error', 'post', 'what was seen before the restart is lost; old messages could be taken for new', read.fault)
    return new Map()
  }

  // --- Out

  async function send(name: string, body: Body, { reliable }: { readonly reliable: boolean }): Promise<Result<void>> {
    const peer = byName.get(name)
    if (peer === undefined) return fail({ code: 'post.no-such-peer', peer: name })
    if (stopped) return fail({ code: 'post.stopped' })
    if (reliable && peer.outbox.size >= MAX_WAITING) {
      return fail({ code: 'post.outbox-full', peer: name, waiting: MAX_WAITING })
    }
    const sequence = peer.next++
    const message: Message = { from: own, to: peer.address, epoch, sequence, sent: clock.now(), reliable, body }
    const payload = encodeMessage(message)
    const signature = await signer.sign(toBeSigned(header, payload, MESSAGE_CONTEXT))
    if (!signature.ok) return signature
    const sign1 = assemble(header, payload, signature.value)
    const bytes = sealedLength(sign1)
    if (bytes > MAX_SEALED_BYTES) return fail({ code: 'post.too-long', bytes, limit: MAX_SEALED_BYTES })
    if (stopped) return fail({ code: 'post.stopped' })
    count.sent++
    if (!reliable) return transmit(peer, sign1)
    return new Promise(resolve => {
      const waiting: Waiting = {
        sign1,
        until: (clock.mono() + EXPIRY_MS) as Mono,
        wait: FIRST_WAIT_MS,
        cancel: () => {},
        settle(result) {
          waiting.cancel()
          peer.outbox.delete(sequence)
          resolve(result)
        },
      }
      peer.outbox.set(sequence, waiting)
      attempt(peer, sequence, waiting)
    })
  }

  /** Sealed anew each time: a repeat is told from a copy that somebody else makes by the number of its own. */
  function transmit(peer: Peer, sign1: Uint8Array): Promise<Result<void>> {
    const stamp = { epoch, number: ++peer.transmitted }
    const nonce = stampNonce(peer.keys.send.stamp, stamp, entropy.bytes(STAMP_RANDOM_BYTES))
    return bus.publish(peer.topic, seal(peer.keys.send.seal, own, peer.topic, nonce, sign1))
  }

  function attempt(peer: Peer, sequence: number, waiting: Waiting): void {
    if (clock.mono() >= waiting.until) {
      count.expired++
      waiting.settle(fail({ code: 'post.expired', peer: peer.name, sequence, afterMs: EXPIRY_MS }))
      return
    }
    // A bus that is down is no reason to stop: the next attempt comes by itself.
    void transmit(peer, waiting.sign1)
    waiting.cancel = timers.after(waiting.wait, () => {
      count.resent++
      attempt(peer, sequence, waiting)
    })
    waiting.wait = Math.min(2 * waiting.wait, LONGEST_WAIT_MS)
  }

  // --- In

  function refuse(fault: Fault): void {
    refused[fault.code] = (refused[fault.code] ?? 0) + 1
    log('debug', 'post', 'refused', fault)
  }

  function hear(sealed: Uint8Array, broker: number): void {
    if (stopped) return
    const { result, after } = unseal(
      sealed,
      {
        topic,
        verifier,
        peerOf: from => {
          const peer = byAddress.get(from)
          return peer && { publicKey: peer.publicKey, keys: peer.keys.receive, reception: peer.reception }
        },
      },
      clock.mono(),
      broker,
    )
    if (after !== undefined) byAddress.get(after.from)!.reception = after.reception
    if (!result.ok) return refuse(result.fault)
    const { from, payload } = result.value
    const read = decodeMessage(payload)
    if (!read.ok) return refuse(read.fault)
    const message = read.value
    if (toHex(message.from) !== from || !equalBytes(message.to, own)) {
      return refuse({ code: 'post.misdirected', from, to: toHex(message.to) })
    }
    take(byAddress.get(from)!, from, message)
  }

  function take(peer: Peer, from: string, message: Message): void {
    const { epoch: boot, sequence, reliable, body } = message
    const judge = () => judgeFreshness(windows.get(from), boot, sequence)
    const { verdict, window } = judge()
    if (verdict !== 'fresh') {
      refuse({ code: `post.${verdict}`, from, epoch: boot, sequence })
      // Its acknowledgement may have been lost: a repeat of what was kept is answered again.
      if (reliable) {
        saving = saving.then(() => {
          if (judge().verdict === 'duplicate') acknowledge(peer, message)
        })
      }
      return
    }
    if (reliable) {
      // Before it is taken, so that the other side's next try finds it fresh.
      const kept = takeTokens(peer.keeping, KEEP_BUCKET, 1, clock.mono())
      if (kept === undefined) return refuse({ code: 'post.too-many-reliable', from, perSecond: KEEP_BUCKET.perSecond })
      peer.keeping = kept
    }
    windows = new Map(windows).set(from, window)
    count.received++
    if (body.kind === 'ack') {
      if (body.epoch === epoch) peer.outbox.get(body.sequence)?.settle(done)
      return
    }
    if (!reliable) return handOver(peer, message)
    saving = saving.then(async () => {
      const kept = await journal?.save(encodeAs(replayWindows, windows))
      if (kept?.ok === false) {
        // Handed over unkept, it could come a second time after a restart. The other side will send it again.
        refuse(kept.fault)
        windows = new Map(windows).set(from, forget(windows.get(from)!, boot, sequence))
        return
      }
      acknowledge(peer, message)
      handOver(peer, message)
    })
  }

  function acknowledge(peer: Peer, { epoch, sequence }: Message): void {
    void send(peer.name, { kind: 'ack', epoch, sequence }, { reliable: false })
  }

  function handOver(peer: Peer, message: Message): void {
    if (!stopped) for (const handler of handlers) handler(peer.name, message)
  }

  // A site that knows nobody hears nobody.
  if (options.peers.length > 0)
    void bus.subscribe(topic, hear).then(subscribed => {
      if (!subscribed.ok) log('warn', 'post', 'not listening yet: the bus is not up', subscribed.fault)
    })

  return {
    send,
    onMessage: handler => {
      handlers.push(handler)
    },
    waiting: () => [...byName.values()].reduce((sum, peer) => sum + peer.outbox.size, 0),
    stats: () => ({ ...count, refused: { ...refused } }),
    stop() {
      stopped = true
      for (const peer of byName.values()) {
        for (const waiting of peer.outbox.values()) waiting.settle(fail({ code: 'post.stopped' }))
      }
    },
  }
}
