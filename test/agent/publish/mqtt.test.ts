/** A running site on a real broker, as Home Assistant and a plain subscriber hear it. */
import mqtt from 'mqtt'
import type { Agent } from '../../../agent/compose.ts'
import { discoveryOf } from '../../../agent/publish/home-assistant.ts'
import { availabilityTopic, deviceOf, OFFLINE, startPublisher } from '../../../agent/publish/mqtt.ts'
import { slug } from '../../../agent/publish/names.ts'
import { REGISTER_NAMES } from '../../../agent/publish/registers.ts'
import { startBroker } from '../../../drivers/bus/broker.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { must } from '../../../protocol/result.ts'
import { closing, type Later } from '../../closing.ts'
import { eventually } from '../../eventually.ts'
import { freePort } from '../../free-port.ts'
import { assert, suite } from '../../harness.ts'
import { runningMaple } from './running-maple.ts'

const test = suite('a site on MQTT')

const { timers } = createSystemTime()
const EVERY_MS = 50
/** Of a real broker on a machine that is busy with something else. */
const DEADLINE_MS = 120_000

/** Everything that a subscriber of its own heard, newest last. */
async function listen(url: string, later: Later) {
  const client = await mqtt.connectAsync(url)
  later(() => client.endAsync(true))
  const heard: { topic: string; text: string; retained: boolean }[] = []
  client.on('message', (topic, payload, { retain }) =>
    heard.push({ topic, text: payload.toString(), retained: retain }),
  )
  await client.subscribeAsync('#')
  return {
    heard,
    client,
    async until(topic: string, holds: (text: string) => boolean = () => true): Promise<string> {
      return eventually(() => {
        const found = heard.findLast(one => one.topic === topic && holds(one.text))
        assert.ok(found, `${topic} was not heard: ${JSON.stringify(heard.map(one => one.topic))}`)
        return found.text
      })
    },
    close: () => client.endAsync(true),
  }
}

async function published(
  agent: Agent,
  clock: Parameters<typeof startPublisher>[0]['clock'],
  url: string,
  later: Later,
) {
  const device = deviceOf(agent.config.site)
  let announce = () => {}
  const bus = must(
    await connectBus({
      ...{ urls: [url], timers, log: () => {}, patient: true, onUp: () => announce() },
      will: { topic: availabilityTopic(device), payload: OFFLINE },
    }),
  )
  const publisher = await startPublisher({
    ...{
      agent,
      bus,
      version: '1',
      clock,
      timers,
      log: () => {},
      discovery: true,
      prefix: 'homeassistant',
      everyMs: EVERY_MS,
    },
  })
  announce = publisher.announce
  later(publisher.stop)
  return { device, bus, publisher }
}

test(
  'its state holds each meter’s digits, its discovery names every one of them, and it says when it is gone',
  closing(async later => {
    const broker = must(await startBroker())
    later(broker.close)
    const { agent, clock, stop } = await runningMaple()
    later(stop)
    const ear = await listen(broker.url, later)
    const { device, publisher } = await published(agent, clock, broker.url, later)
    assert.is(await ear.until(`tieline/${device}/availability`), 'online')
    const state = JSON.parse(await ear.until(`tieline/${device}/state`))
    const discovery = JSON.parse(await ear.until(`homeassistant/device/${device}/config`))
    let sensors = 0
    for (const meter of Object.keys(agent.config.meters)) {
      for (const { obis, value, scaler } of agent.metering.latest(meter)!.reading.values) {
        const name = REGISTER_NAMES.find(one => one.obis === obis)!
        // Counters are told as they are signed, some seconds earlier.
        const behind = Number(value) * 10 ** scaler - state.meters[slug(meter)][name.id]
        assert.ok(
          name.kind === 'counter' ? behind >= 0 && behind < 100 : Math.abs(behind) < 1e-9,
          `${meter} ${name.id}`,
        )
        const sensor = discovery.cmps[`${slug(meter)}_${name.id}`]
        assert.is(sensor.unit_of_measurement, name.unit)
        assert.is(sensor.state_class, name.unit === 'Wh' ? 'total_increasing' : 'measurement')
        sensors++
      }
    }
    assert.ok(sensors >= 6)
    await publisher.stop()
    await ear.until(`tieline/${device}/availability`, text => text === 'offline')
  }),
  DEADLINE_MS,
)

test(
  'Home Assistant that starts again is told everything again, and so is a broker that comes back',
  closing(async later => {
    const broker = must(await startBroker(await freePort()))
    later(broker.close)
    const { agent, clock, stop } = await runningMaple()
    later(stop)
    const { device } = await published(agent, clock, broker.url, later)
    const ear = await listen(broker.url, later)
    const config = `homeassistant/device/${device}/config`
    const times = () => ear.heard.filter(({ topic, retained }) => topic === config && !retained).length
    await ear.until(`tieline/${device}/state`)
    const before = times()
    await ear.client.publishAsync('homeassistant/status', 'online')
    await eventually(() => assert.is(times(), before + 1))
    await ear.close()
    await broker.stop()
    must(await broker.restart())
    const newcomer = await listen(broker.url, later)
    assert.is(await newcomer.until(`tieline/${device}/availability`, text => text === 'online'), 'online')
    await newcomer.until(config)
  }),
  DEADLINE_MS,
)

test(
  'a connection that is lost without a word is told by the broker',
  closing(async later => {
    const broker = must(await startBroker())
    later(broker.close)
    const will = { topic: 'tieline/x/availability', payload: OFFLINE }
    const bus = must(await connectBus({ urls: [broker.url], timers, log: () => {}, will }))
    const ear = await listen(broker.url, later)
    await bus.close()
    assert.is(await ear.until('tieline/x/availability'), 'offline')
  }),
  DEADLINE_MS,
)

test(
  'where no broker is, a patient bus opens all the same, and one that may not wait says so',
  closing(async later => {
    const broker = must(await startBroker())
    await broker.close()
    const patient = must(await connectBus({ urls: [broker.url], timers, log: () => {}, patient: true }))
    later(patient.close)
    assert.equal(patient.health(), { up: 0, of: 1 })
    assert.not.ok((await connectBus({ urls: [broker.url], timers, log: () => {} })).ok)
  }),
  DEADLINE_MS,
)

/** Of the device discovery payload and its sensors, what Home Assistant's documentation (2026.10) allows. */
const ROOT = ['dev', 'o', 'cmps', 'state_topic', 'qos', 'encoding', 'command_topic', 'availability']
const SENSOR = [
  ...['p', 'unique_id', 'name', 'value_template', 'expire_after', 'device_class', 'unit_of_measurement', 'state_class'],
  ...['availability', 'availability_mode', 'json_attributes_topic', 'json_attributes_template', 'options'],
  ...['entity_category', 'state_topic', 'suggested_display_precision', 'icon', 'enabled_by_default'],
]

test('a discovery message has what Home Assistant asks for and nothing that it refuses, whatever names a site has', () => {
  const meters = new Map([
    ['grid', REGISTER_NAMES],
    ['a-b', REGISTER_NAMES],
    ['a_b', REGISTER_NAMES],
  ])
  const names = { device: 'tieline_x', site: 'x', version: '1', contacts: ['L1.line'], chargers: [], account: true }
  const message = discoveryOf({ ...names, meters, stateTopic: 's', availabilityTopic: 'a', expireS: 60 })
  for (const key of Object.keys(message)) assert.ok(ROOT.includes(key), key)
  assert.ok('ids' in message.dev && 'name' in message.o)
  const ids = new Set<string>()
  for (const [id, component] of Object.entries(message.cmps)) {
    assert.match(id, /^[A-Za-z0-9_-]+$/)
    for (const key of Object.keys(component)) assert.ok(SENSOR.includes(key), key)
    ids.add((component as { unique_id: string }).unique_id)
  }
  assert.is(ids.size, 3 * (REGISTER_NAMES.length + 1) + 3)
})

test.run()
