import { createServer } from 'node:net'
import { startBroker } from '../../../drivers/bus/broker.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import type { Log } from '../../../drivers/ports.ts'
import { faultLine, must } from '../../../protocol/result.ts'
import { closing } from '../../closing.ts'
import { busCases } from '../../contracts/bus.ts'
import { eventually } from '../../eventually.ts'
import { freePort } from '../../free-port.ts'
import { assert, suite } from '../../harness.ts'
import { unhurried } from '../../unhurried.ts'

const test = suite('mqtt bus')

/** Of real sockets on a machine that is busy with something else. */
const DEADLINE_MS = 120_000
const timers = unhurried(createSystemTime().timers)
const silent: Log = () => {}
busCases(test, 'mqtt', async count => {
  const brokers = await Promise.all(
    Array.from({ length: count }, async () => must(await startBroker(await freePort()))),
  )
  const urls = brokers.map(broker => broker.url)
  const [a, b] = [
    must(await connectBus({ urls, timers, log: silent })),
    must(await connectBus({ urls, timers, log: silent })),
  ]
  const up = brokers.map(() => true)
  let marks = 0
  let closed = false
  /** Each broker that is up tells a mark to every bus that it knows, and before it whatever came there earlier. */
  const marked = async (by: typeof a) => {
    const topic = `mark/${marks++}`
    const heard = [0, 0]
    for (const [n, bus] of [a, b].entries()) await bus.subscribe(topic, () => void heard[n]!++)
    await by.publish(topic, new Uint8Array(0))
    await eventually(() =>
      assert.equal(
        heard,
        [a, b].map(bus => (by.health().up > 0 ? bus.health().up : 0)),
      ),
    )
  }
  return {
    a,
    b: {
      ...b,
      close: () => {
        closed = true
        return b.close()
      },
    },
    setUp: async (broker, on) => {
      up[broker] = on
      if (on) must(await brokers[broker]!.restart())
      else await brokers[broker]!.stop()
    },
    settle: async () => {
      const wanted = up.filter(on => on).length
      await eventually(() => {
        assert.is(a.health().up, wanted)
        assert.ok(b.health().up === wanted || closed)
      })
      await marked(a)
      await marked(b)
    },
    close: async () => {
      await a.close()
      await b.close()
      for (const broker of brokers) await broker.close()
    },
  }
})

test(
  'a round trip takes no 40 ms of delayed acknowledgement',
  closing(async later => {
    const broker = must(await startBroker())
    later(broker.close)
    const bus = must(await connectBus({ urls: [broker.url], timers, log: silent }))
    later(bus.close)
    let heard = 0
    await bus.subscribe('x', () => {
      heard++
    })
    const trips: number[] = []
    for (let n = 0; n < 50; n++) {
      const started = performance.now()
      must(await bus.publish('x', Uint8Array.of(n)))
      trips.push(performance.now() - started)
    }
    await eventually(() => assert.is(heard, 50))
    // An acknowledgement that waits makes every one slow; a busy machine, some.
    const fastest = Math.min(...trips.slice(25))
    assert.ok(fastest < 20, `${fastest.toFixed(2)} ms`)
  }),
  DEADLINE_MS,
)

test(
  'an unreachable broker is a fault that names it, without its password, and one of two is a warning',
  closing(async later => {
    const free = must(await startBroker())
    await free.close()
    const secret = free.url.replace('mqtt://', 'mqtt://ada:secret@')
    const alone = await connectBus({ urls: [secret], timers, log: silent })
    assert.is(alone.ok ? 'ok' : faultLine(alone.fault).includes(free.url.slice(7)), true)
    assert.not.match(alone.ok ? '' : faultLine(alone.fault), 'secret')
    const broker = must(await startBroker())
    later(broker.close)
    const warned: string[] = []
    const log: Log = (level, _room, _text, fault) => {
      if (level === 'warn') warned.push(String(fault?.['broker']))
    }
    const bus = must(await connectBus({ urls: [broker.url, free.url], timers, log }))
    later(bus.close)
    assert.equal(bus.health(), { up: 1, of: 2 })
    assert.equal(warned, [free.url])
  }),
  DEADLINE_MS,
)

test(
  'a broker that takes the connection and says nothing is given up after the connect timeout',
  closing(async later => {
    const mute = createServer(socket => socket.on('error', () => {}))
    later(() => mute.close())
    await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as { port: number }
    const bus = await connectBus({ urls: [`mqtt://127.0.0.1:${port}`], timers, log: silent })
    assert.is(bus.ok ? 'ok' : bus.fault.code, 'bus.silent')
  }),
  DEADLINE_MS,
)

test(
  'a broker on a port that is taken says so',
  closing(async later => {
    const first = must(await startBroker())
    later(first.close)
    const second = await startBroker(Number(new URL(first.url).port))
    assert.is(second.ok ? 'ok' : second.fault.code, 'broker.listen')
  }),
  DEADLINE_MS,
)

test.run()
