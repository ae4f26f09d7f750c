/** What every Bus must do, over MQTT brokers and in the simulator. */
import type { Bus } from '../../drivers/ports.ts'
import { concat, toHex, utf8 } from '../../protocol/bytes.ts'
import { assert, type Suite } from '../harness.ts'

export interface BusesUnderTest {
  /** Two agents' buses over the same brokers, all up. */
  readonly a: Bus
  readonly b: Bus
  setUp(broker: number, up: boolean): Promise<void>
  /** Lets what is under way arrive, and what is down reconnect. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** Of real brokers and sockets on a machine that is busy with something else. */
const DEADLINE_MS = 120_000

export function busCases(suite: Suite, name: string, make: (brokers: number) => Promise<BusesUnderTest>): void {
  const t = (title: string, body: () => Promise<void>) => suite(title, body, DEADLINE_MS)
  const on = (brokers: number, body: (buses: BusesUnderTest) => Promise<void>) => async () => {
    const buses = await make(brokers)
    try {
      await body(buses)
    } finally {
      await buses.close()
    }
  }
  const listen = async (bus: Bus, topic: string) => {
    const heard: string[] = []
    assert.is((await bus.subscribe(topic, payload => heard.push(toHex(payload)))).ok, true)
    return heard
  }
  /** The brokers that copies of each payload came through. */
  const through = async (bus: Bus, topic: string) => {
    const by: Record<string, number[]> = {}
    await bus.subscribe(topic, (payload, broker) => {
      by[toHex(payload)] = [...(by[toHex(payload)] ?? []), broker].sort()
    })
    return by
  }
  const code = (result: { ok: boolean; fault?: { code: string } }) => (result.ok ? 'ok' : result.fault!.code)

  t(
    `${name}: any bytes arrive as they were, on their own topic only`,
    on(1, async ({ a, b, settle }) => {
      const heard = await listen(b, 'tieline/1/ab')
      const other = await listen(b, 'tieline/1/abc')
      const every = Uint8Array.from({ length: 256 }, (_, i) => i)
      const large = concat(...Array.from({ length: 16 }, () => every))
      for (const payload of [every, new Uint8Array(0), large]) {
        assert.is(code(await a.publish('tieline/1/ab', payload)), 'ok')
        await settle()
      }
      assert.equal(heard, [toHex(every), '', toHex(large)])
      assert.equal(other, [])
    }),
  )

  t(
    `${name}: each handler hears, the publisher's own too, and what is changed after publishing is not what arrives`,
    on(1, async ({ a, b, settle }) => {
      const [first, second, own] = [await listen(b, 'x'), await listen(b, 'x'), await listen(a, 'x')]
      const payload = utf8('as it was')
      const published = a.publish('x', payload)
      await published
      payload.fill(0)
      await settle()
      const expected = [toHex(utf8('as it was'))]
      assert.equal([first, second, own], [expected, expected, expected])
    }),
  )

  t(
    `${name}: over two brokers a copy comes from each, and with one down everything still arrives`,
    on(2, async ({ a, b, setUp, settle }) => {
      const heard = await listen(b, 'x')
      const by = await through(b, 'x')
      await a.publish('x', utf8('1'))
      await settle()
      assert.equal(heard, ['31', '31'])
      assert.equal(a.health(), { up: 2, of: 2 })
      await setUp(0, false)
      await settle()
      assert.equal(a.health(), { up: 1, of: 2 })
      assert.is(code(await a.publish('x', utf8('2'))), 'ok')
      await settle()
      assert.equal(heard, ['31', '31', '32'])
      assert.equal(by, { 31: [0, 1], 32: [1] })
    }),
  )

  t(
    `${name}: with no broker up publishing is a fault, nothing is sent late, and subscriptions come back by themselves`,
    on(1, async ({ a, b, setUp, settle }) => {
      const heard = await listen(b, 'x')
      await setUp(0, false)
      await settle()
      assert.is(code(await a.publish('x', utf8('lost'))), 'bus.down')
      assert.equal([a.health().up, b.health().up], [0, 0])
      const late: string[] = []
      assert.is(code(await b.subscribe('y', payload => late.push(toHex(payload)))), 'bus.down')
      await setUp(0, true)
      await settle()
      assert.equal(a.health(), { up: 1, of: 1 })
      assert.is(code(await a.publish('x', utf8('3'))), 'ok')
      await a.publish('y', utf8('4'))
      await settle()
      assert.equal([heard, late], [['33'], ['34']])
    }),
  )

  t(
    `${name}: after close nothing is heard or taken, and closing twice is harmless`,
    on(1, async ({ a, b, settle }) => {
      const heard = await listen(b, 'x')
      await b.close()
      await b.close()
      await a.publish('x', utf8('1'))
      await settle()
      assert.equal(heard, [])
      assert.is(code(await b.publish('x', utf8('2'))), 'bus.closed')
      assert.is(b.health().up, 0)
    }),
  )
}
