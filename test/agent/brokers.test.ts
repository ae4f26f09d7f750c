import { openBrokers } from '../../agent/brokers.ts'
import { createHealth } from '../../agent/health.ts'
import type { World } from '../../agent/world.ts'
import { startBroker } from '../../drivers/bus/broker.ts'
import { connectBus } from '../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { must } from '../../protocol/result.ts'
import { closing } from '../closing.ts'
import { eventually } from '../eventually.ts'
import { freePort } from '../free-port.ts'
import { assert, suite } from '../harness.ts'

const test = suite('brokers')

test(
  'without a broker the site starts, says so, and takes it back when one is there',
  closing(async later => {
    const { clock, timers } = createSystemTime()
    const log = () => {}
    const broker = must(await startBroker(await freePort()))
    later(broker.close)
    await broker.stop()
    const world = {
      ...{ clock, timers, log },
      openBus: (urls, how) => connectBus({ urls, timers, log, ...how }),
    } as Pick<World, 'openBus' | 'timers'> as World
    const health = createHealth(clock, log)
    const { bus, close } = await openBrokers({ brokers: [broker.url] }, world, health)
    later(close)
    assert.equal(
      health.items().map(({ fault }) => fault.code),
      ['bus.none-up'],
    )
    assert.not.ok((await bus.publish('x', new Uint8Array(1))).ok)
    must(await broker.restart())
    await eventually(() => assert.equal(health.items(), []))
    assert.ok((await bus.publish('x', new Uint8Array(1))).ok)
  }),
  120_000,
)

test.run()
