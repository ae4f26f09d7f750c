/** The day's bill and the publisher's own counters, judged by Home Assistant's code and by the reference parser of OpenMetrics. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SiteBill } from '../../../agent/bill/site-bill.ts'
import { keepBill } from '../../../agent/publish/bill-told.ts'
import { createPublishCounts } from '../../../agent/publish/counts.ts'
import { type Discovered, discoveryOf } from '../../../agent/publish/home-assistant.ts'
import { openMetrics } from '../../../agent/publish/open-metrics-text.ts'
import { REGISTER_NAMES } from '../../../agent/publish/registers.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Bus } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { done, type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('bill and counters as they are told')

const PYTHON = '/usr/bin/python3'
const WHEEL = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'tieline/homeassistant-2026.2.3-py3-none-any.whl',
)
const JUDGE = fileURLToPath(new URL('./home-assistant-judge.py', import.meta.url))
const without =
  existsSync(WHEEL) && spawnSync(PYTHON, ['-c', 'import voluptuous, jinja2, yaml']).status === 0
    ? undefined
    : 'no-home-assistant'
const noParser =
  spawnSync(PYTHON, ['-c', 'import prometheus_client.openmetrics.parser']).status === 0 ? undefined : 'no-prometheus'

/** What it answers of its entities: of each its states, one for each of the states that it was shown. */
function judged(message: object, states: readonly object[]) {
  const input = JSON.stringify({ messages: [JSON.stringify(message)], states: states.map(one => JSON.stringify(one)) })
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-B', JUDGE, WHEEL], { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const [verdict] = JSON.parse(stdout) as [
    { refused?: string; entities?: Record<string, { states: string[]; attributes?: string[] }> },
  ]
  return verdict
}

const about = (more: Partial<Discovered>): Discovered => ({
  ...{ device: 'tieline_x', site: 'x', version: '1', contacts: [], chargers: [], account: true, meters: new Map() },
  ...{ stateTopic: 'tieline/tieline_x/state', availabilityTopic: 'tieline/tieline_x/availability', expireS: 60 },
  ...more,
})

const MIDNIGHT = instant(Date.UTC(2026, 0, 15))
const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const billOf = (money: bigint, saved: bigint): SiteBill => ({
  ...{ period: 'day', start: MIDNIGHT, end: instant(MIDNIGHT + DAY_MS), until: instant(MIDNIGHT + 900_000) },
  ...{ complete: false, money, withoutTrading: money - saved, saved, fees: micros(0n) },
  missing: [
    { start: MIDNIGHT, end: instant(MIDNIGHT + 900_000), why: 'not-settled' },
    { start: MIDNIGHT, end: instant(MIDNIGHT + 900_000), why: 'not-settled' },
  ],
  energy: { bought: wattHours(0n), sold: wattHours(0n), drawn: wattHours(0n), 'fed-in': wattHours(0n) },
  now: { pays: microsPerKwh(0n), gets: microsPerKwh(0n) },
})

/** A site at a quarter past midnight, whose bill is what `answer` says. */
function site(answer: () => Result<SiteBill>) {
  const time = createSimTime(MIDNIGHT + 900_000, drainPromises)
  const asked: Instant[] = []
  const logged: string[] = []
  const bills = {
    async bill(_: 'day' | 'month', at: Instant) {
      asked.push(at)
      return answer()
    },
  }
  const kept = keepBill(bills, time.clock, time.timers, (_level, _room, text) => logged.push(text))
  return { time, kept, asked, logged }
}

test('what is paid is positive, to the last micro-unit, and why some of the day is missing is said once', async () => {
  const { time, kept, asked } = site(() => ok(billOf(-1_234_567n, 265_433n)))
  await time.advance(10)
  assert.equal(kept.latest(), {
    ...{ since: '2026-01-15T00:00:00.000Z', until: '2026-01-15T00:15:00.000Z' },
    ...{ cost: 1.234567, saved: 0.265433, missing: ['not-settled'] },
  })
  await time.advance(10 * MINUTE_MS)
  assert.is(asked.length, 11, 'once a minute, however often it is told')
  const sold = site(() => ok(billOf(5n, -5n)))
  await sold.time.advance(10)
  assert.equal([sold.kept.latest()!.cost, sold.kept.latest()!.saved], [-0.000005, -0.000005])
})

test('a bill that is old, or of the day before, is not told; what stands in the way is logged once', async () => {
  let fault: Fault | undefined
  const { time, kept, logged } = site(() => (fault === undefined ? ok(billOf(0n, 0n)) : fail(fault)))
  await time.advance(10)
  assert.is(kept.latest()!.cost, 0)
  fault = { code: 'history.index' }
  await time.advance(2 * MINUTE_MS)
  assert.ok(kept.latest() !== undefined, 'of two minutes ago')
  await time.advance(2 * MINUTE_MS)
  assert.is(kept.latest(), undefined)
  assert.equal(logged, ["today's bill is not told: history.index"])
  fault = undefined
  await time.advance(MINUTE_MS)
  assert.ok(kept.latest() !== undefined)
  await time.advance(DAY_MS)
  assert.is(kept.latest(), undefined, 'it is the next day, and this is the bill of the one before')
})

test('a bill that takes longer than a minute is not asked for twice at once, and nothing is asked after the end', async () => {
  let answer = () => {}
  const { time, kept, asked } = site(() => ok(billOf(0n, 0n)))
  await time.advance(10)
  const slow = createSimTime(MIDNIGHT, drainPromises)
  let questions = 0
  const bills = {
    bill: () => {
      questions++
      return new Promise<Result<SiteBill>>(resolve => {
        answer = () => resolve(ok(billOf(0n, 0n)))
      })
    },
  }
  const waiting = keepBill(bills, slow.clock, slow.timers, () => {})
  await slow.advance(5 * MINUTE_MS)
  assert.equal([questions, waiting.latest()], [1, undefined])
  answer()
  await slow.advance(MINUTE_MS)
  assert.is(questions, 2)
  kept.stop()
  const before = asked.length
  await time.advance(5 * MINUTE_MS)
  assert.is(asked.length, before)
})

test.skipIf(
  without,
  'Home Assistant takes the bill as money that begins anew each day, in the currency that is named',
  () => {
    const bill = {
      since: '2026-01-15T00:00:00.000Z',
      until: '2026-01-15T00:15:00.000Z',
      cost: 1.25,
      saved: -0.5,
      missing: ['no-reading'],
    }
    for (const currency of ['EUR', undefined]) {
      const message = discoveryOf(about({ bill: { currency } }))
      const cost = message.cmps['bill_today'] as unknown as Record<string, string>
      assert.equal(
        [cost['device_class'], cost['state_class'], cost['unit_of_measurement']],
        ['monetary', 'total', currency ?? 'coins'],
      )
      const { refused, entities } = judged(message, [{ bill, problems: [] }, { problems: [] }])
      assert.is(refused, undefined)
      assert.equal(entities!['bill_today']!.states, ['1.25', 'None'])
      assert.equal(entities!['saved_today']!.states, ['-0.5', 'None'])
      const [known, unknown] = entities!['bill_today']!.attributes!.map(text => JSON.parse(text))
      assert.equal([known, unknown], [{ until: bill.until, missing: ['no-reading'] }, {}])
    }
    assert.is(discoveryOf(about({})).cmps['bill_today'], undefined, 'of a site without a bill there is none')
    // A measured sum is none: that class of device takes totals only.
    const message = discoveryOf(about({ bill: { currency: 'EUR' } }))
    const wrong = {
      ...message,
      cmps: {
        bill_today: { ...message.cmps['bill_today'], state_class: 'measurement', last_reset_value_template: undefined },
      },
    }
    assert.ok(judged(wrong, []).refused !== undefined || judged(wrong, []).entities!['bill_today'] === undefined)
  },
)

/** What brokers and Home Assistant take at most in one message, as Mosquitto and HiveMQ are shipped. */
const LARGEST_BYTES = 262_144

test('one message names the entities of 32 meters with every register, and stays well below what a broker takes', () => {
  const bytesOf = (count: number) => {
    const meters = new Map(Array.from({ length: count }, (_, n) => [`a-meter-with-a-name-${n + 10}`, REGISTER_NAMES]))
    const message = discoveryOf(about({ meters, bill: { currency: 'EUR' }, contacts: ['L1.line', 'L1.own'] }))
    return JSON.stringify(message).length
  }
  const [none, one, all] = [bytesOf(0), bytesOf(1), bytesOf(32)]
  assert.ok(none < 4_000, `${none} for the site itself`)
  assert.ok(one - none < 8_000, `${one - none} for a meter`)
  assert.ok(all < LARGEST_BYTES, `${all} for 32 meters`)
  assert.ok(all <= none + 32 * (one - none) + 32, 'no meter costs more than the first')
})

test('each message is counted by what became of it, and what waits is as the replay says', async () => {
  let fate: Result<void> = done
  const bus: Bus = {
    publish: async () => fate,
    subscribe: async () => done,
    health: () => ({ up: 1, of: 2 }),
    close: async () => {},
  }
  const counts = createPublishCounts()
  assert.equal(counts.families({ site: 'x' }), [], 'nothing is published by this site')
  const watched = counts.watch(bus)
  const send = (topic: string) => watched.publish(topic, new Uint8Array(0))
  counts.connected()
  for (const topic of ['tieline/x/state', 'tieline/x/state', 'homeassistant/device/x/config', 'other/topic'])
    await send(topic)
  fate = fail({ code: 'bus.down' })
  await send('tieline/x/state')
  fate = fail({ code: 'bus.refused' })
  assert.equal(await send('tieline/x/history'), fate, 'whoever publishes is told as before')
  counts.connected()
  const text = openMetrics(counts.families({ site: 'x' }))
  for (const line of [
    'tieline_mqtt_published_messages_total{site="x",topic="state"} 2',
    'tieline_mqtt_published_messages_total{site="x",topic="config"} 1',
    'tieline_mqtt_published_messages_total{site="x",topic="history"} 0',
    'tieline_mqtt_untaken_messages_total{site="x",topic="state",reason="down"} 1',
    'tieline_mqtt_untaken_messages_total{site="x",topic="history",reason="refused"} 1',
    'tieline_mqtt_untaken_messages_total{site="x",topic="history",reason="down"} 0',
    'tieline_mqtt_connections_total{site="x"} 2',
    'tieline_mqtt_brokers{site="x"} 2',
    'tieline_mqtt_brokers_up{site="x"} 1',
  ])
    assert.ok(text.split('\n').includes(line), `${line} in\n${text}`)
  assert.not.match(text, /history_held/)
  counts.follow(() => ({ rows: 7, more: true }))
  assert.match(openMetrics(counts.families({ site: 'x' })), /held_rows\{site="x"\} 7\n[\s\S]*behind\{site="x"\} 1\n/)
})

const PARSE = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(json.dumps([[f.name, f.type, len(f.samples)] for f in parse(sys.stdin.read())]))
`

test.skipIf(noParser, 'the counters are read by another implementation', () => {
  const counts = createPublishCounts()
  counts.watch({ health: () => ({ up: 0, of: 1 }) } as Bus)
  counts.follow(() => ({ rows: 0, more: false }))
  const input = openMetrics(counts.families({ site: 'x' }))
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', PARSE], { input, encoding: 'utf8' })
  assert.is(status, 0, stderr)
  assert.equal(JSON.parse(stdout), [
    ['tieline_mqtt_published_messages', 'counter', 4],
    ['tieline_mqtt_untaken_messages', 'counter', 8],
    ['tieline_mqtt_connections', 'counter', 1],
    ['tieline_mqtt_brokers', 'gauge', 1],
    ['tieline_mqtt_brokers_up', 'gauge', 1],
    ['tieline_mqtt_history_held_rows', 'gauge', 1],
    ['tieline_mqtt_history_behind', 'gauge', 1],
  ])
})

test.run()
