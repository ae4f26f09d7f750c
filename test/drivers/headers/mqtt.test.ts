/** The ledger over the bus: the contract over a real broker and over a simulated one, and what a hostile broker can do. */
import { createLightAgent } from '../../../agent/light/run.ts'
import { startBroker } from '../../../drivers/bus/broker.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { encodeQuestion } from '../../../drivers/headers/mqtt-form.ts'
import { answerTopic, askTopic, createAssembly, framesOf, readFrame } from '../../../drivers/headers/mqtt-frame.ts'
import { createMqttProvider } from '../../../drivers/headers/mqtt-provider.ts'
import { startMqttRelay } from '../../../drivers/headers/mqtt-relay.ts'
import type { Bus, LedgerRpc } from '../../../drivers/ports.ts'
import { openHeaderStore } from '../../../drivers/store/headers.ts'
import { type BusFaults, createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { createSimRpc, type NodeFaults, withFaults } from '../../../hw/sim/ledger-rpc.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { concat, toHex, utf8 } from '../../../protocol/bytes.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { must } from '../../../protocol/result.ts'
import { makeProducer } from '../../agent/validator/street.ts'
import { ledgerRpcCases } from '../../contracts/ledger-rpc.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { BEGIN, CHAIN_ID, verifier } from '../../protocol/ledger/parties.ts'

const test = suite('the ledger over mqtt')

const { clock, timers } = createSystemTime()
const log = () => {}
const NAME = 'relay-1'

ledgerRpcCases(test, 'mqtt', async validators => {
  const { producer } = makeProducer({ keep: 10 }, validators)
  const broker = must(await startBroker())
  const [near, far] = [
    must(await connectBus({ urls: [broker.url], timers, log })),
    must(await connectBus({ urls: [broker.url], timers, log })),
  ]
  const node = createSimRpc({ name: 'node', producer, timers, latencyMs: 0 })
  const relay = must(await startMqttRelay({ bus: far, name: NAME, node, clock, timers, log, limits: { burst: 1_000 } }))
  return {
    producer,
    rpc: createMqttProvider({ bus: near, relay: NAME, timers, entropy: systemEntropy }),
    async close() {
      relay.stop()
      await near.close()
      await far.close()
      await broker.close()
    },
  }
})

const drain = () => new Promise<void>(resolve => setImmediate(resolve))

/** A node, its relay and a client on simulated brokers. */
async function simulated(
  setup: { brokers?: number; faults?: BusFaults; limits?: object; nodeFaults?: NodeFaults } = {},
) {
  const time = createSimTime(BEGIN, drain)
  const random = seededRandom(7)
  const brokers = Array.from({ length: setup.brokers ?? 1 }, () => createSimBroker(time.timers, random, setup.faults))
  const { producer } = makeProducer({ keep: 100, clock: time.clock, timers: time.timers })
  const node = withFaults(
    createSimRpc({ name: 'node', producer, timers: time.timers, latencyMs: 1 }),
    setup.nodeFaults ?? {},
  )
  const far = createSimBus(brokers)
  const relay = must(
    await startMqttRelay({ bus: far, name: NAME, node, clock: time.clock, timers: time.timers, log, ...setup }),
  )
  const near = createSimBus(brokers)
  const rpc = createMqttProvider({ bus: near, relay: NAME, timers: time.timers, entropy: systemEntropy })
  async function during<T>(call: Promise<T>): Promise<T> {
    let over = false
    void call.then(() => {
      over = true
    })
    for (let i = 0; i < 500 && !over; i++) await time.advance(100)
    return call
  }
  for (let i = 0; i < 3; i++) await producer.produce()
  return { time, brokers, producer, relay, near, rpc, during }
}

const codeOf = (answer: Awaited<ReturnType<LedgerRpc['status']>>) => (answer.ok ? 'ok' : answer.fault.code)

ledgerRpcCases(test, 'simulated bus', async validators => {
  const broker = createSimBroker(timers, seededRandom(3))
  const { producer } = makeProducer({ keep: 10 }, validators)
  const node = createSimRpc({ name: 'node', producer, timers, latencyMs: 0 })
  const bus = createSimBus([broker])
  const relay = must(await startMqttRelay({ bus, name: NAME, node, clock, timers, log }))
  return {
    producer,
    rpc: createMqttProvider({ bus: createSimBus([broker]), relay: NAME, timers, entropy: systemEntropy }),
    close: async () => relay.stop(),
  }
})

test('a light client that reaches only brokers follows and proves over them, while they lose and repeat', async () => {
  const { time, producer, rpc, during, brokers, relay } = await simulated({
    brokers: 2,
    faults: { drop: 0.1, duplicate: 0.3, delayMs: [1, 60] },
  })
  const far = createSimBus(brokers)
  const witness = createSimRpc({ name: 'other node', producer, timers: time.timers, latencyMs: 1 })
  must(await startMqttRelay({ bus: far, name: 'other', node: witness, clock: time.clock, timers: time.timers, log }))
  const second = createMqttProvider({
    bus: createSimBus(brokers),
    relay: 'other',
    timers: time.timers,
    entropy: systemEntropy,
  })
  const { header } = producer.block(1n)!
  time.timers.every(1_000, () => void producer.produce())
  const disk = createSimDisk({ random: () => 0.5 }).mount()
  const agent = createLightAgent({
    config: {
      chainId: CHAIN_ID,
      trustingPeriodMs: 86_400_000,
      maxClockDriftMs: 10_000,
      trustLevel: { numerator: 1, denominator: 3 },
      trust: { height: 1n, hash: hashHeader(header) },
    },
    primary: rpc,
    witnesses: [second],
    clock: time.clock,
    timers: time.timers,
    disk,
    headers: must(await openHeaderStore({ disk, clock: time.clock, chainId: CHAIN_ID, segmentBytes: 65_536 })),
    verifier,
    log,
  })
  must(await during(agent.start()))
  await time.advance(20_000)
  const proven = must(await during(agent.prove(utf8('chain'))))
  assert.ok(proven.headerHeight > 10n)
  assert.is(agent.stats().refusals, 0)
  assert.ok(relay.stats().answered > 20)
  await during(agent.stop())
})

test('two brokers, of which one repeats and one reorders, answer once', async () => {
  const { rpc, relay, during, producer } = await simulated({
    brokers: 2,
    faults: { drop: 0, duplicate: 0.7, delayMs: [1, 400] },
  })
  for (let i = 0; i < 10; i++) assert.equal(must(await during(rpc.lightBlock(2n))), producer.lightBlock(2n))
  assert.is(relay.stats().answered, 10)
})

test('a broker that loses everything, no relay, a node that hangs: a fault in its time, and the place is free again', async () => {
  const lost = await simulated({ faults: { drop: 1, duplicate: 0, delayMs: [1, 1] } })
  assert.is(codeOf(await lost.during(lost.rpc.status())), 'rpc.timeout')
  lost.brokers[0]!.setUp(false)
  assert.is(codeOf(await lost.during(lost.rpc.status())), 'rpc.unreachable')

  const nodeFaults: NodeFaults = { silent: true }
  const hangs = await simulated({ nodeFaults, limits: { running: 2 } })
  for (let i = 0; i < 3; i++) assert.is(codeOf(await hangs.during(hangs.rpc.status())), 'rpc.timeout')
  nodeFaults.silent = false
  assert.is(codeOf(await hangs.during(hangs.rpc.status())), 'ok')
})

test('whoever asks too much is not answered, and takes nothing from the others', async () => {
  const { brokers, relay, rpc, during, time } = await simulated({ limits: { burst: 5, perSecond: 1 } })
  const flood = createSimBus(brokers)
  const client = new Uint8Array(16).fill(9)
  for (let id = 0; id < 200; id++)
    for (const frame of framesOf(client, id, encodeQuestion({ method: 'status' })))
      await flood.publish(askTopic(NAME), frame)
  await time.advance(50)
  assert.is(relay.stats().answered, 5)
  assert.is(relay.stats().dropped, 195)
  assert.is(codeOf(await during(rpc.status())), 'ok')
})

test('clients without end, and questions that never become whole, hold little memory', async () => {
  const { brokers, relay, rpc, during, time } = await simulated({ limits: { clients: 10, heldBytes: 300_000 } })
  const flood = createSimBus(brokers)
  const body = new Uint8Array(200_000)
  for (let i = 0; i < 50; i++) {
    const client = new Uint8Array(16).fill(i)
    const [first, second] = framesOf(client, 1, body)
    await flood.publish(askTopic(NAME), first!)
    await flood.publish(askTopic(NAME), second!)
    await time.advance(2)
  }
  assert.ok(relay.stats().clients <= 10)
  assert.ok(relay.stats().heldBytes <= 300_000, String(relay.stats().heldBytes))
  assert.ok(relay.stats().dropped > 0)
  assert.is(codeOf(await during(rpc.status())), 'ok')
})

test('questions that never became whole are forgotten, also of clients that never speak again', async () => {
  const { brokers, relay, time } = await simulated({ limits: { heldBytes: 300_000 } })
  const flood = createSimBus(brokers)
  const ask = async (fill: number, parts: number) => {
    const frames = framesOf(new Uint8Array(16).fill(fill), 1, new Uint8Array(150_000))
    for (const frame of frames.slice(0, parts)) await flood.publish(askTopic(NAME), frame)
    await time.advance(5)
  }
  for (let i = 0; i < 10; i++) await ask(i, 1)
  const { dropped, heldBytes } = relay.stats()
  assert.ok(dropped > 0 && heldBytes > 200_000)
  await time.advance(11_000)
  assert.is(relay.stats().heldBytes, 0)
  await ask(77, 1)
  assert.is(relay.stats().heldBytes, 65_536, 'there is room again')
})

test('what is no frame, no question or another version is dropped', async () => {
  const { brokers, relay, time } = await simulated()
  const flood = createSimBus(brokers)
  const client = new Uint8Array(16)
  const [good] = framesOf(client, 1, encodeQuestion({ method: 'status' }))
  const version = good!.slice()
  version[0] = 2
  const beyond = good!.slice()
  beyond[22] = 7
  const junk = [new Uint8Array(0), good!.subarray(0, 24), version, beyond, ...framesOf(client, 2, Uint8Array.of(0xff))]
  // A question with a field too many: {1: 0 (status), 2: 5}.
  junk.push(...framesOf(client, 3, Uint8Array.of(0xa2, 0x01, 0x00, 0x02, 0x05)))
  for (const payload of junk) await flood.publish(askTopic(NAME), payload)
  await time.advance(100)
  assert.equal([relay.stats().dropped, relay.stats().answered], [junk.length, 0])
})

/** A client whose answers are written by `lie` instead of a relay. */
async function lied(lie: (client: Uint8Array, id: number) => readonly Uint8Array[]): Promise<string> {
  const time = createSimTime(1_790_000_000_000, drain)
  const broker = createSimBroker(time.timers, seededRandom(1))
  const far: Bus = createSimBus([broker])
  await far.subscribe(askTopic(NAME), payload => {
    const { client, id } = readFrame(payload)!
    for (const frame of lie(client, id)) void far.publish(answerTopic(NAME, toHex(client)), frame)
  })
  const rpc = createMqttProvider({
    bus: createSimBus([broker]),
    relay: NAME,
    timers: time.timers,
    entropy: systemEntropy,
  })
  const call = rpc.lightBlock(1n)
  await time.advance(6_000)
  const answer = await call
  return answer.ok ? 'ok' : answer.fault.code
}

test('an answer that is none is a fault, and one for another client or question is not heard', async () => {
  const junk = Uint8Array.of(0, 1, 2, 3)
  assert.is(await lied((client, id) => framesOf(client, id, junk)), 'rpc.answer')
  assert.is(await lied((client, id) => framesOf(client, id, Uint8Array.of(7))), 'rpc.answer')
  assert.is(await lied((client, id) => framesOf(client, id, new Uint8Array(0))), 'rpc.answer')
  assert.is(await lied((client, id) => framesOf(client, id + 1, junk)), 'rpc.timeout')
  assert.is(await lied((_, id) => framesOf(new Uint8Array(16), id, junk)), 'rpc.timeout')
  // Parts that say that there are more and less of them never become whole.
  assert.is(
    await lied((client, id) => [framesOf(client, id, new Uint8Array(100_000))[0]!, ...framesOf(client, id, junk)]),
    'rpc.timeout',
  )
})

test('a body comes back from its frames in any order, with any of them twice', () => {
  const property = fc.property(
    fc.integer({ min: 0, max: 300_000 }),
    fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
    (length, order) => {
      const body = Uint8Array.from({ length }, (_, i) => i % 251)
      const frames = framesOf(new Uint8Array(16), 5, body)
      const assembly = createAssembly()
      const wholes = [...order.map(i => frames[i % frames.length]!), ...frames].flatMap(frame => {
        const whole = assembly.take(readFrame(frame)!)
        return whole === undefined ? [] : [whole]
      })
      assert.is(wholes.length, 1)
      assert.equal(toHex(wholes[0]!), toHex(body))
    },
  )
  assertProperty(property, 30)
  assert.is(readFrame(concat(new Uint8Array(30), new Uint8Array(70_000))), undefined)
}, 90_000)

test.run()
