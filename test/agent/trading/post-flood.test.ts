/** Twenty thousand messages a second in a neighbour's name, of one who only writes and of one who sees all that passes first. */
import type { Post, PostOptions } from '../../../agent/trading/post.ts'
import type { Bus } from '../../../drivers/ports.ts'
import { concat, utf8 } from '../../../protocol/bytes.ts'
import { xchacha20poly1305 } from '../../../protocol/crypto/ciphers.ts'
import { pairKeys, sealingKey } from '../../../protocol/crypto/seal.ts'
import { done, must } from '../../../protocol/result.ts'
import { topicOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { createVillage, numberOf, people, stopped } from './post-village.ts'

const test = suite('post office, flooded')

const PER_MS = 20
const ASK_EVERY_MS = 200
const REQUESTS = 8
/** In which a bucket of spoilt copies is emptied. */
const LATE_MS = 30
/** An answer's number is its request's and so much. */
const ANSWER = 100
const toBob = topicOf(people.bob.address)

type Village = ReturnType<typeof createVillage>
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!

const spoil = (sealed: Uint8Array) => {
  const copy = Uint8Array.from(sealed)
  copy[60]! ^= 1
  return copy
}

/** Writes in ada's name to bob. */
function startFlood({ time, nodes }: Village, next: () => Uint8Array): () => void {
  const publish = () => nodes[0]!.publish(toBob, next())
  return time.timers.every(1, () => {
    for (let n = 0; n < PER_MS; n++) publish()
  })
}

const pool = Array.from({ length: 500 }, () =>
  concat(Uint8Array.of(1), people.ada.address, crypto.getRandomValues(new Uint8Array(250))),
)
const blind = () => pick(pool)

/** Sees each message to bob before bob does, sends spoilt copies of it first, and then all that it ever saw, as it was and spoilt. */
function observer(village: Village): { next(): Uint8Array; see(bus: Bus): Bus } {
  const seen: Uint8Array[] = []
  return {
    next: () => (seen.length === 0 ? blind() : pick([blind, () => pick(seen), () => spoil(pick(seen))])()),
    see: bus => ({
      ...bus,
      publish(topic, sealed) {
        if (topic === toBob) {
          for (let n = 0; n < 3 * PER_MS; n++) village.nodes[0]!.publish(toBob, spoil(sealed))
          seen.push(sealed)
        }
        return bus.publish(topic, sealed)
      },
    }),
  }
}

/** A sender without stamps: what it seals has a nonce of chance, as if there were no such defence. */
function unstamped(bus: Bus): Bus {
  const { send } = must(pairKeys(sealingKey(people.ada.seed), people.bob.sealingKey))
  return {
    ...bus,
    publish(topic, sealed) {
      const header = sealed.subarray(0, 21)
      const cipher = (nonce: Uint8Array) => xchacha20poly1305(send.seal, nonce, concat(utf8(topic), header))
      const nonce = crypto.getRandomValues(new Uint8Array(24))
      const plain = cipher(sealed.subarray(21, 45)).decrypt(sealed.subarray(45))
      return bus.publish(topic, concat(header, nonce, cipher(nonce).encrypt(plain)))
    },
  }
}

const answering = (bob: Post): Post => {
  bob.onMessage((peer, message) => void bob.send(peer, stopped(numberOf(message) + ANSWER), { reliable: true }))
  return bob
}

/** Asks, and says how long each answer took in virtual milliseconds. */
async function ask({ time }: Village, ada: Post): Promise<number[]> {
  const asked = new Map<number, number>()
  const took: number[] = []
  ada.onMessage((_, message) => {
    const at = asked.get(numberOf(message) - ANSWER)
    if (at !== undefined) took.push(time.clock.mono() - at)
    asked.delete(numberOf(message) - ANSWER)
  })
  for (let n = 1; n <= REQUESTS; n++) {
    asked.set(n, time.clock.mono())
    void ada.send('bob', stopped(n), { reliable: true })
    await time.advance(ASK_EVERY_MS)
  }
  for (let n = 0; n < 30 && asked.size > 0; n++) await time.advance(100)
  return took.sort((a, b) => a - b)
}

interface Attack {
  readonly observing: boolean
  readonly stamps: boolean
}

/** Answers under a flood that began before anything was said. */
async function underFlood({ observing, stamps }: Attack) {
  const village = createVillage()
  const { time, open, bus } = village
  const eve = observer(village)
  const bob = answering(open('bob'))
  startFlood(village, observing ? eve.next : blind)
  await time.advance(500)
  const seen = observing ? eve.see(bus()) : bus()
  const ada = open('ada', { bus: stamps ? seen : unstamped(seen) })
  return { took: await ask(village, ada), refused: bob.stats().refused }
}

test('whoever only writes in a neighbour’s name takes nothing from it: each request is answered at once', async () => {
  const { took, refused } = await underFlood({ observing: false, stamps: true })
  assert.is(took.length, REQUESTS)
  assert.ok(took.at(-1)! <= 10, `${took.at(-1)} ms`)
  assert.ok(refused['seal.rate']! > 20_000, JSON.stringify(refused))
})

test('without stamps none is answered', async () => {
  assert.equal((await underFlood({ observing: false, stamps: false })).took, [])
  assert.equal((await underFlood({ observing: true, stamps: false })).took, [])
})

test('whoever sees each message first, spoils copies of it and repeats them all for ever takes nothing from it either', async () => {
  const { took, refused } = await underFlood({ observing: true, stamps: true })
  assert.is(took.length, REQUESTS)
  assert.ok(took.at(-1)! <= 10, `${took.at(-1)} ms`)
  assert.ok(refused['seal.repeated']! > 10_000, JSON.stringify(refused))
  assert.ok(refused['seal.forged']! > 500, JSON.stringify(refused))
})

test('whoever has one of two brokers hand out spoilt copies first, all the time, takes nothing from what the other brings', async () => {
  const heardWith = async (brokers: number) => {
    const village = createVillage(1, brokers)
    const { time, open, bus, nodes } = village
    const bob = open('bob')
    const real = bus()
    /** What the first broker has seen and not handed on; the last one hands it on late. */
    const kept: { sealed: Uint8Array; until: number }[] = []
    let newest: Uint8Array | undefined
    const publish: Bus['publish'] = async (_, sealed) => {
      newest = spoil(sealed)
      kept.push({ sealed, until: time.clock.mono() + LATE_MS })
      return done
    }
    const ada = open('ada', { bus: { ...real, publish } })
    const stop = time.timers.every(1, () => {
      for (let n = 0; n < 10 * PER_MS && newest !== undefined; n++) nodes[0]!.publish(toBob, newest)
      while (kept[0] !== undefined && kept[0].until <= time.clock.mono())
        nodes.at(-1)!.publish(toBob, kept.shift()!.sealed)
    })
    for (let n = 0; n < 40; n++) {
      void ada.send('bob', stopped(n), { reliable: false })
      await time.advance(2 * LATE_MS)
    }
    stop()
    return { heard: bob.heard.length, refused: bob.stats().refused }
  }
  const two = await heardWith(2)
  assert.is(two.heard, 40, JSON.stringify(two.refused))
  assert.ok(two.refused['seal.rate']! > 10_000, JSON.stringify(two.refused))
  const one = await heardWith(1)
  assert.ok(one.heard < 20, `${one.heard} of 40: with one broker they are lost among the copies`)
})

test('a neighbour that starts anew in the middle of a flood is heard, and so is one whose listener does', async () => {
  for (const who of ['ada', 'bob', 'both'] as const) {
    const village = createVillage()
    const { time, open, bus } = village
    const eve = observer(village)
    let bob = answering(open('bob'))
    startFlood(village, eve.next)
    await time.advance(500)
    const reach: Partial<PostOptions> = { bus: eve.see(bus()) }
    const first = open('ada', reach)
    assert.is((await ask(village, first)).length, REQUESTS, `${who}: before`)
    if (who !== 'bob') first.stop()
    if (who !== 'ada') {
      bob.stop()
      bob = answering(open('bob', { epoch: 2 }))
      // Until then all that was ever seen is new to him.
      await time.advance(500)
    }
    const second = who === 'bob' ? first : open('ada', { ...reach, epoch: 2 })
    assert.is((await ask(village, second)).length, REQUESTS, `${who}: after`)
    bob.stop()
  }
})

test('what was kept back for as long as a listener was away is over with the first message that comes', async () => {
  const village = createVillage()
  const { time, open, wire, nodes } = village
  const ada = open('ada')
  for (let n = 0; n < 5000; n++) await ada.send('bob', stopped(0), { reliable: false })
  const kept = wire.map(one => one.payload)
  let at = 0
  // In the order in which each is newer than all before it, at a pace that leaves no token over.
  const stop = time.timers.every(1, () => {
    for (let n = 0; n < 2 && at < kept.length; n++) nodes[0]!.publish(toBob, kept[at++]!)
  })
  const bob = answering(open('bob'))
  await time.advance(500)
  assert.ok(bob.stats().refused['seal.rate']! > 300, JSON.stringify(bob.stats()))
  const took = await ask(village, ada)
  assert.is(took.length, REQUESTS)
  assert.ok(took.filter(ms => ms > 10).length <= 1, `${took} ms`)
  stop()
})

test.run()
