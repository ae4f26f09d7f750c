import { toHex } from '../../../protocol/bytes.ts'
import { nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { done, fail, type Result } from '../../../protocol/result.ts'
import { topicOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { createVillage, numberOf, people, stopped } from './post-village.ts'

const test = suite('post office')

test('a message comes from whom it says, once, and is acknowledged', async () => {
  const { time, open, wire } = createVillage()
  const [ada, bob] = [open('ada'), open('bob')]
  let from = ''
  bob.onMessage(peer => {
    from = peer
  })
  let acknowledged: Result<void> | undefined
  void ada.send('bob', stopped(7), { reliable: true }).then(result => {
    acknowledged = result
  })
  await time.advance(100)
  assert.equal(bob.heard.map(numberOf), [7])
  assert.is(from, 'ada')
  assert.is(acknowledged?.ok, true)
  assert.is(ada.waiting(), 0)
  assert.equal(
    wire.map(one => one.topic),
    [topicOf(people.bob.address), topicOf(people.ada.address)],
  )
  // Neither the contract's hash nor the word of the kind is to be seen on the way.
  assert.not.ok(wire.some(one => toHex(one.payload).includes('07'.repeat(16))))
})

test('what is lost is sent again until it is acknowledged, a heartbeat is not', async () => {
  const { time, open, nodes } = createVillage()
  const [ada, bob] = [open('ada'), open('bob')]
  nodes[0]!.setUp(false)
  void ada.send('bob', stopped(1), { reliable: true })
  assert.is((await ada.send('bob', stopped(2), { reliable: false })).ok, false)
  await time.advance(3000)
  assert.equal(bob.heard, [])
  nodes[0]!.setUp(true)
  await time.advance(5000)
  assert.equal(bob.heard.map(numberOf), [1])
  assert.is(ada.waiting(), 0)
})

test('a message that nobody acknowledges expires after a minute, with a fault', async () => {
  const { time, open } = createVillage()
  const ada = open('ada')
  let result: Result<void> | undefined
  void ada.send('bob', stopped(1), { reliable: true }).then(one => {
    result = one
  })
  await time.advance(59_000)
  assert.is(result, undefined)
  await time.advance(10_000)
  assert.is(result?.ok === false && result.fault.code, 'post.expired')
  assert.is(ada.stats().expired, 1)
})

test('through a broker that loses 30 %, repeats 30 % and reorders over 8 s every message comes exactly once', async () => {
  const { time, open, nodes } = createVillage(5, 2)
  for (const node of nodes) node.setFaults({ drop: 0.3, duplicate: 0.3, delayMs: [0, 8000] })
  const [ada, bob] = [open('ada'), open('bob')]
  let failed = 0
  for (let n = 0; n < 60; n++) {
    void ada.send('bob', stopped(n), { reliable: true }).then(result => {
      if (!result.ok) failed++
    })
    await time.advance(200)
  }
  await time.advance(120_000)
  assert.equal(
    bob.heard.map(numberOf).sort((a, b) => a - b),
    Array.from({ length: 60 }, (_, n) => n),
  )
  assert.is(failed, 0)
  assert.ok(bob.stats().refused['post.duplicate']! > 60, 'duplicates were there to be dropped')
})

test('what a broker recorded and plays again has no effect, in this life and after a restart', async () => {
  const { time, open, wire, nodes } = createVillage()
  const saved: Uint8Array[] = []
  const journal = {
    state: undefined,
    save: async (state: Uint8Array) => {
      saved.push(state)
      return done
    },
  }
  const [ada, bob] = [open('ada'), open('bob', { journal })]
  void ada.send('bob', stopped(1), { reliable: true })
  await time.advance(100)
  const recorded = wire.filter(one => one.topic === topicOf(people.bob.address))
  const replay = async () => {
    for (const { topic, payload } of recorded) nodes[0]!.publish(topic, payload)
    await time.advance(100)
  }
  await replay()
  assert.is(bob.heard.length, 1)
  bob.stop()
  const reborn = open('bob', { epoch: 2, journal: { ...journal, state: saved.at(-1) } })
  await replay()
  assert.is(reborn.heard.length, 0)
  reborn.stop()
  // The defence switched off: a bob that kept nothing takes the old message for new.
  const forgetful = open('bob', { epoch: 3 })
  await replay()
  assert.is(forgetful.heard.length, 1)
})

test('a message that cannot be kept is neither handed over nor acknowledged, and comes again', async () => {
  const { time, open } = createVillage()
  let broken = true
  const journal = {
    state: undefined,
    save: async () => (broken ? fail({ code: 'disk.full' }) : done),
  }
  const [ada, bob] = [open('ada'), open('bob', { journal })]
  void ada.send('bob', stopped(1), { reliable: true })
  await time.advance(3000)
  assert.equal([bob.heard.length, ada.waiting()], [0, 1])
  broken = false
  await time.advance(10_000)
  assert.equal([bob.heard.length, ada.waiting()], [1, 0])
})

test('an agent that restarts with a higher epoch is heard from its first message on, its old ones are over', async () => {
  const { time, open, wire, nodes } = createVillage()
  const [ada, bob] = [open('ada'), open('bob')]
  await ada.send('bob', stopped(1), { reliable: false })
  await time.advance(10)
  ada.stop()
  const again = open('ada', { epoch: 2 })
  await again.send('bob', stopped(2), { reliable: false })
  await time.advance(10)
  nodes[0]!.publish(wire[0]!.topic, wire[0]!.payload)
  await time.advance(10)
  assert.equal(bob.heard.map(numberOf), [1, 2])
  assert.is(bob.stats().refused['post.older-epoch'], 1)
})

test('a stranger, a forger, garbage and a message to somebody else are refused by name', async () => {
  const { time, open, wire, nodes } = createVillage()
  const [ada, bob] = [open('ada'), open('bob', { peers: [{ ...people.ada, name: 'ada' }] })]
  const eve = open('eve')
  const toBob = topicOf(people.bob.address)
  void eve.send('bob', stopped(1), { reliable: false })
  nodes[0]!.publish(toBob, new Uint8Array(100))
  nodes[0]!.publish(toBob, new Uint8Array(5000).fill(1))
  await ada.send('bob', stopped(2), { reliable: false })
  const flipped = Uint8Array.from(wire.at(-1)!.payload)
  flipped[60]! ^= 1
  nodes[0]!.publish(toBob, flipped)
  await ada.send('eve', stopped(3), { reliable: false })
  nodes[0]!.publish(toBob, wire.at(-1)!.payload)
  await time.advance(100)
  assert.equal(bob.heard.map(numberOf), [2])
  assert.equal(bob.stats().refused, {
    'seal.version': 1,
    'seal.length': 1,
    'seal.stranger': 1,
    'seal.repeated': 1,
    'seal.forged': 1,
  })
})

test('a flood in a peer’s name costs no signature check and stops being opened', async () => {
  const { time, open, nodes } = createVillage()
  let checks = 0
  const verifier: Verifier = {
    verify: (...args) => {
      checks++
      return nobleVerifier.verify(...args)
    },
  }
  const bob = open('bob', { verifier })
  const forged = new Uint8Array(200)
  forged[0] = 1
  forged.set(people.ada.address, 1)
  for (let n = 0; n < 5000; n++) nodes[0]!.publish(topicOf(people.bob.address), forged)
  await time.advance(1)
  assert.is(checks, 0)
  assert.equal(bob.stats().refused, { 'seal.forged': 2000, 'seal.rate': 3000 })
  const ada = open('ada')
  await ada.send('bob', stopped(1), { reliable: false })
  await time.advance(1)
  assert.is(bob.heard.length, 1, 'the peer itself is heard')
})

test('reliable messages wear the card of whoever keeps them, so a peer has a few a second; what was too much comes again', async () => {
  const { time, open } = createVillage()
  const [ada, bob] = [open('ada'), open('bob')]
  // An outbox holds 64 that wait.
  for (let wave = 0; wave < 3; wave++) {
    for (let n = 0; n < 50; n++) void ada.send('bob', stopped(n), { reliable: true })
    await time.advance(100)
  }
  const heard = bob.heard.length
  assert.ok(heard >= 100 && heard <= 103, `${heard} of 150 in a third of a second`)
  assert.ok(bob.stats().refused['post.too-many-reliable']! >= 47)
  await ada.send('bob', stopped(1), { reliable: false })
  await time.advance(50)
  assert.is(bob.heard.length, heard + 1, 'a heartbeat passes')
  await time.advance(30_000)
  assert.is(bob.heard.length, 151, 'nothing was lost')
  assert.is(ada.waiting(), 0)
})

test('an outbox is bounded, an unknown name and a stopped post are faults', async () => {
  const { open, time } = createVillage()
  const ada = open('ada')
  const code = (result: Result<void>) => (result.ok ? 'ok' : result.fault.code)
  assert.is(code(await ada.send('nobody', stopped(1), { reliable: true })), 'post.no-such-peer')
  for (let n = 0; n < 64; n++) void ada.send('bob', stopped(n), { reliable: true })
  await time.advance(1)
  assert.is(code(await ada.send('bob', stopped(99), { reliable: true })), 'post.outbox-full')
  ada.stop()
  assert.is(ada.waiting(), 0)
  assert.is(code(await ada.send('bob', stopped(1), { reliable: true })), 'post.stopped')
})

test.run()
