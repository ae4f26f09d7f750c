import { createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { busCases } from '../../contracts/bus.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('simulated bus')

const drain = () => new Promise<void>(resolve => setImmediate(resolve))
const newTime = () => createSimTime(1_800_000_000_000, drain)

busCases(test, 'simulated', async count => {
  const time = newTime()
  const brokers = Array.from({ length: count }, (_, i) => createSimBroker(time.timers, seededRandom(i + 1)))
  const [a, b] = [createSimBus(brokers), createSimBus(brokers)]
  return {
    a,
    b,
    setUp: async (broker, up) => brokers[broker]!.setUp(up),
    settle: () => time.advance(1000),
    close: async () => {
      await a.close()
      await b.close()
    },
  }
})

const run = async (seed: number) => {
  const time = newTime()
  const broker = createSimBroker(time.timers, seededRandom(seed), { drop: 0.3, duplicate: 0.2, delayMs: [0, 400] })
  const [a, b] = [createSimBus([broker]), createSimBus([broker])]
  const heard: number[] = []
  await b.subscribe('x', payload => heard.push(payload[0]!))
  for (let n = 0; n < 200; n++) {
    await a.publish('x', Uint8Array.of(n))
    await time.advance(10)
  }
  await time.advance(1000)
  return heard
}

test('a share is lost, a share comes twice, the order is not kept, and the seed repeats it exactly', async () => {
  const heard = await run(7)
  const distinct = new Set(heard).size
  assert.ok(distinct > 120 && distinct < 190, `${distinct} of 200 arrived`)
  assert.ok(heard.length > distinct, 'none came twice')
  assert.not.equal(
    heard,
    [...heard].sort((x, y) => x - y),
  )
  assert.equal(await run(7), heard)
  assert.not.equal(await run(8), heard)
})

test('what is under way when a broker goes down is lost', async () => {
  const time = newTime()
  const broker = createSimBroker(time.timers, seededRandom(1), { drop: 0, duplicate: 0, delayMs: [100, 100] })
  const bus = createSimBus([broker])
  let heard = 0
  await bus.subscribe('x', () => {
    heard++
  })
  await bus.publish('x', Uint8Array.of(1))
  broker.setUp(false)
  broker.setUp(true)
  await time.advance(500)
  assert.is(heard, 0)
  assert.equal(broker.counts(), { published: 1, delivered: 0 })
})

test.run()
