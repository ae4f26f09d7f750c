/** What an earlier run left at a real Mosquitto, as a client finds it when nobody is there any more. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { startPublisher } from '../../../agent/publish/mqtt.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { must } from '../../../protocol/result.ts'
import { closing, type Later } from '../../closing.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { noMosquitto, startMosquitto } from '../real-mosquitto.ts'
import { runningMaple } from './running-maple.ts'

const test = suite('what an earlier run left at a broker')

const { timers } = createSystemTime()
const CONFIG = 'homeassistant/device/tieline_maple/config'

/** Of a real broker on a machine that is busy with something else. */
const DEADLINE_MS = 120_000

/** All that the broker keeps, by topic: it comes before what is published after the subscription. */
async function keptAt(url: string): Promise<ReadonlyMap<string, string>> {
  const client = await mqtt.connectAsync(url)
  try {
    const kept = new Map<string, string>()
    const over = new Promise<void>(resolve =>
      client.on('message', (topic, payload, { retain }) => {
        if (retain) kept.set(topic, payload.toString())
        else if (topic === 'over') resolve()
      }),
    )
    await client.subscribeAsync('#')
    await client.publishAsync('over', '')
    await over
    return kept
  } finally {
    await client.endAsync(true)
  }
}

const componentsAt = async (url: string): Promise<Record<string, { unique_id?: string }>> =>
  JSON.parse((await keptAt(url)).get(CONFIG) ?? '{}').cmps

async function house(later: Later) {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-left-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  const broker = await startMosquitto({ conf: ['allow_anonymous true'], folder })
  later(broker.close)
  const { agent, clock, stop } = await runningMaple()
  later(stop)
  const url = `mqtt://127.0.0.1:${broker.port}`
  const ear = await mqtt.connectAsync(url)
  later(() => ear.endAsync(true))
  let states = 0
  ear.on('message', () => states++)
  await ear.subscribeAsync('tieline/tieline_maple/state')
  return {
    url,
    agent,
    /** Runs for ten states, of which each is told behind what was to be said before it, its configuration changed. */
    async run(discovery: boolean, meters = agent.config.meters) {
      const bus = must(await connectBus({ urls: [url], timers, log: () => {} }))
      const publisher = await startPublisher({
        agent: { ...agent, config: { ...agent.config, meters } },
        ...{ bus, version: '1', clock, timers, log: () => {}, discovery, prefix: 'homeassistant', everyMs: 50 },
      })
      const before = states
      await eventually(() => assert.ok(states >= before + 10)).finally(publisher.stop)
    },
  }
}

test.skipIf(
  noMosquitto,
  'Home Assistant’s message is gone once it is switched off; no state is kept',
  closing(async later => {
    const { url, run } = await house(later)
    await run(true)
    assert.equal([...(await keptAt(url)).keys()].sort(), [CONFIG, 'tieline/tieline_maple/availability'])
    assert.is((await keptAt(url)).get('tieline/tieline_maple/availability'), 'offline')
    await run(false)
    assert.equal([...(await keptAt(url)).keys()], ['tieline/tieline_maple/availability'])
  }),
  DEADLINE_MS,
)

test.skipIf(
  noMosquitto,
  'of a meter that left the configuration each entity is taken back, and of the others none',
  closing(async later => {
    const { url, agent, run } = await house(later)
    await run(true)
    const before = Object.keys(await componentsAt(url))
    const [leaving, ...staying] = Object.keys(agent.config.meters).sort()
    const ofLeaving = before.filter(id => id.startsWith(`${leaving}_`))
    assert.ok(ofLeaving.length >= 2 && staying.length > 0)
    const ear = await mqtt.connectAsync(url)
    later(() => ear.endAsync(true))
    const heard: Record<string, Record<string, unknown>>[] = []
    ear.on('message', (_topic, payload, { retain }) => {
      if (!retain) heard.push(JSON.parse(payload.toString()).cmps)
    })
    await ear.subscribeAsync(CONFIG)
    await run(true, Object.fromEntries(staying.map(name => [name, agent.config.meters[name]!])))
    // Home Assistant takes away a component that has nothing but its platform.
    await eventually(() => {
      for (const id of ofLeaving)
        assert.ok(
          heard.some(cmps => Object.keys(cmps[id] ?? {}).join() === 'p'),
          id,
        )
    })
    const left = await componentsAt(url)
    assert.equal(Object.keys(left).sort(), before.filter(id => !ofLeaving.includes(id)).sort())
    assert.ok(Object.values(left).every(({ unique_id }) => unique_id !== undefined))
    const times = heard.length
    await run(true, Object.fromEntries(staying.map(name => [name, agent.config.meters[name]!])))
    assert.ok(heard.length - times <= 2, 'what is taken back once stays so')
    // What others put there is answered at most once, and never told on.
    const forged = {
      cmps: { 'x y': { p: 'sensor', unique_id: 'of another' }, z: { p: 'switch', unique_id: 'tieline_maple_z' } },
    }
    await ear.publishAsync(CONFIG, JSON.stringify(forged), { retain: true })
    await run(true)
    assert.equal(Object.keys(await componentsAt(url)).sort(), before.sort())
    assert.ok(!JSON.stringify(heard.slice(times)).includes('"p":"switch"},'))
  }),
  DEADLINE_MS,
)

test.run()
