import { createServer } from 'node:net'
import { startBroker } from '../../../drivers/bus/broker.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import type { Log } from '../../../drivers/ports.ts'
import { faultLine, must } from '../../../protocol/result.ts'
import { busCases } from '../../contracts/bus.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('mqtt bus')

const { timers } = createSystemTime()
const silent: Log = () => {}
const until = async (done: () => boolean) => {
  for (let waited = 0; !done(); waited += 10) {
    if (waited > 8000) throw new Error('not reached after 8 s')
    await timers.sleep(10)
  }
}

busCases(test, 'mqtt', async count => {
  const brokers = await Promise.all(Array.from({ length: count }, async () => must(await startBroker())))
  const urls = brokers.map(broker => broker.url)
  const [a, b] = [
    must(await connectBus({ urls, timers, log: silent })),
    must(await connectBus({ urls, timers, log: silent })),
  ]
  const up = brokers.map(() => true)
  return {
    a,
    b,
    setUp: async (broker, on) => {
      up[broker] = on
      if (on) must(await brokers[broker]!.restart())
      else await brokers[broker]!.stop()
    },
    settle: async () => {
      const wanted = up.filter(on => on).length
      await until(() => a.health().up === wanted && (b.health().up === wanted || b.health().up === 0))
      await timers.sleep(150)
      await until(() => a.health().up === wanted)
    },
    close: async () => {
      await a.close()
      await b.close()
      for (const broker of brokers) await broker.close()
    },
  }
})

test('a round trip takes no 40 ms of delayed acknowledgement', async () => {
  const broker = must(await startBroker())
  const bus = must(await connectBus({ urls: [broker.url], timers, log: silent }))
  let heard = 0
  await bus.subscribe('x', () => {
    heard++
  })
  const started = performance.now()
  for (let n = 0; n < 50; n++) await bus.publish('x', Uint8Array.of(n))
  const each = (performance.now() - started) / 50
  await until(() => heard === 50)
  await bus.close()
  await broker.close()
  assert.ok(each < 20, `${each.toFixed(2)} ms`)
})

test('an unreachable broker is a fault that names it, without its password, and one of two is a warning', async () => {
  const free = must(await startBroker())
  await free.close()
  const secret = free.url.replace('mqtt://', 'mqtt://ada:secret@')
  const alone = await connectBus({ urls: [secret], timers, log: silent })
  assert.is(alone.ok ? 'ok' : faultLine(alone.fault).includes(free.url.slice(7)), true)
  assert.not.match(alone.ok ? '' : faultLine(alone.fault), 'secret')
  const broker = must(await startBroker())
  const warned: string[] = []
  const log: Log = (level, _room, _text, fault) => {
    if (level === 'warn') warned.push(String(fault?.['broker']))
  }
  const bus = must(await connectBus({ urls: [broker.url, free.url], timers, log }))
  assert.equal(bus.health(), { up: 1, of: 2 })
  assert.equal(warned, [free.url])
  await bus.close()
  await broker.close()
})

test('a broker that takes the connection and says nothing is given up after the connect timeout', async () => {
  const mute = createServer(socket => socket.on('error', () => {}))
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
  const { port } = mute.address() as { port: number }
  const started = performance.now()
  const bus = await connectBus({ urls: [`mqtt://127.0.0.1:${port}`], timers, log: silent })
  assert.is(bus.ok ? 'ok' : bus.fault.code, 'bus.unreachable')
  assert.ok(performance.now() - started < 8000)
  mute.close()
})

test('a broker on a port that is taken says so', async () => {
  const first = must(await startBroker())
  const second = await startBroker(Number(new URL(first.url).port))
  assert.is(second.ok ? 'ok' : second.fault.code, 'broker.listen')
  await first.close()
})

test.run()
