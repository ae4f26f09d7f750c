import { connect } from 'mqtt'
import { startBroker } from '../../../drivers/bus/broker.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Bus, Observed } from '../../../drivers/ports.ts'
import { type ShellyOptions, shellyRelays } from '../../../drivers/relays/shelly.ts'
import { type BusFaults, createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { startShellyPlug } from '../../../hw/sim/shelly-plug.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { type RelayUnderTest, relayCases } from '../../contracts/relay.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { fc } from '../../property.ts'
import { unhurried } from '../../unhurried.ts'

const test = suite('relays/shelly')

const DEVICE = 'shellypro2-a8032abcdef0'
const SRC = 'tieline-7f3a'
const CONTACTS = [
  { name: 'L1.line', channel: 2 },
  { name: 'L1.upstream', channel: 1 },
] as const

/** A device of two switches on a bus in memory. */
async function plug({ timedMs, seed = 1 }: { readonly timedMs?: number; readonly seed?: number } = {}) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const broker = createSimBroker(timers, seededRandom(seed))
  const moves: number[] = []
  const deviceBus = createSimBus([broker])
  const shelly = must(
    await startShellyPlug({
      ...{ bus: deviceBus, device: DEVICE, channels: 2, clock, timers },
      moved: channel => void (channel === 1 && moves.push(clock.mono())),
    }),
  )
  const options: ShellyOptions = {
    ...{ name: 'plug', bus: createSimBus([broker]), device: DEVICE, src: SRC, contacts: CONTACTS, clock, timers },
    ...(timedMs === undefined ? { allowUnsupervised: true } : { timedMs }),
  }
  const relays = must(await shellyRelays(options))
  const after = async <T>(work: Promise<T>, ms = 900): Promise<T> => {
    await advance(ms)
    return work
  }
  const under: RelayUnderTest = {
    relay: relays[0]!,
    clock,
    contact: () => shelly.position(1),
    moves: () => moves.length,
    cut: off => {
      shelly.faults.dead = off
    },
    pass: advance,
  }
  return { under, relays, shelly, advance, after, options, broker, deviceBus, moves, clock }
}

relayCases(test, 'with its timer', async () => (await plug({ timedMs: 2_900 })).under, 200)
relayCases(test, 'without a timer', async () => (await plug()).under, 200)

/** What comes over a real broker has come a few turns of this process later, in each of which no more virtual time than this passes. */
const STEP_MS = 5

const ends: (() => Promise<void>)[] = []
relayCases(
  test,
  'over a broker',
  async () => {
    const { timers: real } = createSystemTime()
    const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
    const broker = must(await startBroker())
    const join = async () => must(await connectBus({ urls: [broker.url], timers: unhurried(real), log: () => {} }))
    const [deviceBus, bus] = [await join(), await join()]
    let moves = 0
    const common = { device: DEVICE, clock, timers }
    const shelly = must(await startShellyPlug({ bus: deviceBus, channels: 2, moved: () => moves++, ...common }))
    const made = await shellyRelays({ name: 'plug', bus, src: SRC, contacts: CONTACTS, timedMs: 1_000, ...common })
    ends.push(async () => {
      await Promise.all([deviceBus.close(), bus.close()])
      await broker.close()
    })
    return {
      relay: must(made)[0]!,
      clock,
      contact: () => shelly.position(1),
      moves: () => moves,
      cut: off => {
        shelly.faults.dead = off
      },
      // Old answers are told by their ids: nothing is feared for twenty seconds.
      pass: async ms => {
        for (let left = ms === 20_000 ? 1_000 : ms; left >= 0; left -= STEP_MS) {
          await real.sleep(1)
          await advance(Math.min(STEP_MS, left))
        }
      },
    }
  },
  1_000,
)

const codeOf = (seen: Observed) => (seen.seen === 'unknown' ? seen.why.code : seen.seen)

test('the time is rounded down to whole seconds, and never longer than declared on the device', async () => {
  const { relays, after, advance, moves, clock } = await plug({ timedMs: 2_900 })
  assert.equal(relays[0]!.onAgentDeath, { kind: 'opens', withinMs: 2_000, by: 'toggle_after of plug' })
  await after(relays[0]!.command('closed'), 100)
  const renewed = clock.mono()
  await after(relays[0]!.command('closed'), 100)
  await advance(5_000)
  assert.is(moves.length, 2)
  assert.ok(moves[1]! - renewed <= 2_000 + 2, `open ${moves[1]! - renewed} ms after the last renewal was sent`)
})

test('a device that would close a contact by itself is named, and nothing closes on it', async () => {
  for (const unsafe of [
    { initial_state: 'on' },
    { initial_state: 'restore_last' },
    { initial_state: 'match_input' },
    { auto_on: true },
    { in_mode: 'follow' },
  ] as const) {
    const { relays, shelly, after } = await plug({ timedMs: 2_000 })
    Object.assign(shelly.settings, unsafe)
    const closed = await after(relays[0]!.command('closed'), 2_000)
    assert.equal(
      [closed.ok, !closed.ok && closed.fault.code, !closed.ok && closed.fault['setting'], shelly.position(1)],
      [false, 'shelly.closes-by-itself', Object.keys(unsafe)[0], 'open'],
    )
    assert.ok((await after(relays[0]!.command('open'))).ok)
    Object.assign(shelly.settings, { initial_state: 'off', auto_on: false, in_mode: 'detached' })
    assert.ok((await after(relays[0]!.command('closed'), 200)).ok)
    assert.is(shelly.position(1), 'closed')
  }
})

test('an open contact whose timer runs is about to close: it is not seen open', async () => {
  const { relays, after, deviceBus, shelly } = await plug({ timedMs: 2_000 })
  const strange = { id: 1, src: 'somebody', method: 'Switch.Set', params: { id: 1, on: false, toggle_after: 600 } }
  await after(deviceBus.publish(`${DEVICE}/rpc`, utf8(JSON.stringify(strange))))
  assert.is(shelly.position(1), 'open')
  assert.is(codeOf(await after(relays[0]!.observe())), 'shelly.will-close')
  assert.ok((await after(relays[0]!.command('open'))).ok)
  assert.is(codeOf(await after(relays[0]!.observe())), 'open')
})

test('a device that was away may have been exchanged: its settings are looked at again', async () => {
  const { relays, shelly, after } = await plug({ timedMs: 2_000 })
  assert.ok((await after(relays[0]!.command('closed'), 200)).ok)
  await after(relays[0]!.command('open'))
  shelly.faults.dead = true
  assert.is(codeOf(await after(relays[0]!.observe())), 'shelly.no-answer')
  shelly.faults.dead = false
  shelly.settings.initial_state = 'on'
  const closed = await after(relays[0]!.command('closed'), 2_000)
  assert.equal([!closed.ok && closed.fault.code, shelly.position(1)], ['shelly.closes-by-itself', 'open'])
})

test('what the device says by itself, or said in another run, is no look', async () => {
  const { relays, shelly, after, deviceBus, advance } = await plug({ timedMs: 2_000 })
  const lie = (topic: string, value: object) => deviceBus.publish(topic, utf8(JSON.stringify(value)))
  shelly.faults.dead = true
  const looking = relays[0]!.observe()
  await advance(10)
  await lie(`${DEVICE}/status/switch:1`, { id: 1, output: false })
  await lie(`${SRC}/rpc`, { id: 4711, src: DEVICE, dst: SRC, result: { id: 1, output: false } })
  await lie(`${SRC}/rpc`, { id: '1', src: DEVICE, dst: SRC, result: { id: 1, output: false } })
  assert.is(codeOf(await after(looking)), 'shelly.no-answer')
})

test('retained messages of another day are no look, on a broker that keeps them', async () => {
  const { timers, clock } = createSystemTime()
  const broker = must(await startBroker())
  const before = connect(broker.url)
  const retain = (topic: string, value: object) =>
    new Promise<void>(resolve =>
      before.publish(topic, JSON.stringify(value), { retain: true, qos: 1 }, () => resolve()),
    )
  await retain(`${DEVICE}/status/switch:1`, { id: 1, output: true })
  await retain(`${SRC}/rpc`, { id: 1, src: DEVICE, result: { id: 1, output: true } })
  const joined = must(await connectBus({ urls: [broker.url], timers: unhurried(timers), log: () => {} }))
  let kept = 0
  const bus: Bus = {
    ...joined,
    subscribe: (topic, hear) =>
      joined.subscribe(topic, (...heard) => {
        kept++
        hear(...heard)
      }),
  }
  const common = { name: 'plug', device: DEVICE, src: SRC, contacts: CONTACTS, clock, timers }
  const relays = must(await shellyRelays({ ...common, bus, timedMs: 1_000 }))
  await eventually(() => assert.is(kept, 1))
  assert.is(codeOf(await relays[0]!.observe()), 'shelly.no-answer')
  await new Promise<void>(resolve => before.end(true, () => resolve()))
  await bus.close()
  await broker.close()
})

test('a late answer answers nothing, and one that comes twice answers once', async () => {
  const { relays, shelly, after, advance } = await plug({ timedMs: 2_000 })
  shelly.faults.lateMs = 850
  const late = relays[0]!.observe()
  await advance(850)
  shelly.faults.twice = true
  await after(relays[0]!.command('closed'), 100)
  assert.is(codeOf(await late), 'shelly.no-answer')
  assert.is(codeOf(await after(relays[0]!.observe(), 100)), 'closed')
})

test('lost, repeated and reordered messages leave no contact closed longer than its time after the last opening', async () => {
  const rough: BusFaults = { drop: 0.1, duplicate: 0.3, delayMs: [1, 600] }
  let opened = 0
  for (let seed = 1; seed <= 20; seed++) {
    const { relays, shelly, broker, advance } = await plug({ timedMs: 1_000, seed })
    broker.setFaults(rough)
    for (let n = 0; n < 6; n++) {
      void relays[0]!.command(n % 2 === 0 ? 'closed' : 'open')
      await advance(37 * n)
    }
    // The last copy of the last closing comes at most 600 ms later, and a second after that its timer has run out.
    await advance(3_300)
    if (shelly.position(1) === 'open') opened++
  }
  assert.is(opened, 20)
})

test('a closing that is still on its way does not overtake the opening for good', async () => {
  const { relays, shelly, broker, advance } = await plug()
  const slow = (ms: number) => broker.setFaults({ drop: 0, duplicate: 0, delayMs: [ms, ms] })
  void relays[0]!.observe()
  await advance(100)
  slow(300)
  const closing = relays[0]!.command('closed')
  slow(1)
  const opening = relays[0]!.command('open')
  await advance(250)
  assert.ok((await opening).ok)
  await advance(100)
  await advance(500)
  assert.ok((await closing).ok)
  assert.is(shelly.position(1), 'open')
})

test('a closing is not sent to a device that has not just answered: a broker would hand it over much later', async () => {
  const { relays, shelly, after, deviceBus } = await plug({ timedMs: 2_000 })
  shelly.faults.dead = true
  const sent: string[] = []
  await deviceBus.subscribe(`${DEVICE}/rpc`, payload => void sent.push(new TextDecoder().decode(payload)))
  const closing = await after(relays[0]!.command('closed'))
  assert.equal(closing.ok ? 'ok' : closing.fault.code, 'shelly.no-answer')
  assert.equal([sent.length, sent.some(text => text.includes('Switch.Set'))], [1, false])
  await after(relays[0]!.command('open'))
  assert.ok(sent.some(text => text.includes('Switch.Set')))
})

test('a contact that is closed without a timer is not seen as closed, whoever closed it', async () => {
  const byHand = await plug({ timedMs: 2_000 })
  byHand.shelly.press(1)
  assert.is(codeOf(await byHand.after(byHand.relays[0]!.observe())), 'shelly.no-timer')
  const old = await plug({ timedMs: 2_000 })
  old.shelly.faults.noTimer = true
  await old.after(old.relays[0]!.command('closed'), 100)
  assert.is(codeOf(await old.after(old.relays[0]!.observe())), 'shelly.no-timer')
})

test('answers that are none are faults, never positions', async () => {
  const { relays, shelly, after } = await plug({ timedMs: 2_000 })
  for (const [says, code] of [
    ['{"id":1,"result":{"id":1,"output":"true"}}', 'shelly.answer'],
    ['{"id":2,"result":{"id":0,"output":false}}', 'shelly.answer'],
    ['{"id":3,"error":{"code":-103,"message":"no"}}', 'shelly.refused'],
    ['{"id":4}', 'shelly.answer'],
    ['[5]', 'shelly.no-answer'],
    ['{"id":6,', 'shelly.no-answer'],
    [`{"id":7,"result":{"id":1,"output":false,"x":"${'x'.repeat(5000)}"}}`, 'shelly.no-answer'],
  ] as const) {
    shelly.faults.says = says
    assert.is(codeOf(await after(relays[0]!.observe())), code, says.slice(0, 50))
  }
})

test('whatever comes where answers come: a position is seen only in a status of this switch', async () => {
  const { relays, shelly, deviceBus, advance } = await plug({ timedMs: 2_000 })
  shelly.faults.dead = true
  // Mostly that of the question that waits.
  const id = fc.constantFrom('ID', 'ID', 'ID', 0, '1', null)
  const result = fc.oneof(
    fc.record({ id: fc.constantFrom(1, 1, 0), output: fc.constantFrom(false, false, true, 'false') }),
    fc.jsonValue(),
  )
  const said = fc.oneof(
    fc.record({ id, result }).map(value => JSON.stringify(value)),
    fc.json(),
    fc.string(),
  )
  let seen = 0
  for (const [n, shape] of fc.sample(said, { numRuns: 300, seed: 1 }).entries()) {
    const text = shape.replace('"ID"', String(n + 1))
    const looking = relays[0]!.observe()
    await deviceBus.publish(`${SRC}/rpc`, utf8(text))
    await advance(900)
    const position = codeOf(await looking)
    if (position !== 'open' && position !== 'closed') continue
    seen++
    const status = JSON.parse(text).result
    // Closed without a timer is not believed.
    assert.equal([status.id, status.output, position], [1, false, 'open'])
  }
  assert.ok(seen > 2 && seen < 100, `${seen}`)
})

test('a device that is not there is not asked without end', async () => {
  const { relays, shelly, after } = await plug({ timedMs: 2_000 })
  shelly.faults.dead = true
  const looks = await after(Promise.all(Array.from({ length: 40 }, () => relays[0]!.observe())))
  assert.is(looks.filter(seen => codeOf(seen) === 'shelly.busy').length, 8)
})

test('a time below a second, no time without saying so, and a switch that no device has are refused by name', async () => {
  const { options } = await plug({ timedMs: 2_000 })
  const refused = async (change: Partial<ShellyOptions>, without: readonly string[] = []) => {
    const kept = Object.entries({ ...options, ...change }).filter(([key]) => !without.includes(key))
    const result = await shellyRelays(Object.fromEntries(kept) as unknown as ShellyOptions)
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(await refused({ timedMs: 900 }), 'shelly.timed')
  assert.is(await refused({}, ['timedMs']), 'shelly.unsupervised')
  assert.is(await refused({ contacts: [{ name: 'c', channel: 0 }] }), 'shelly.channel')
})

test('what this file opened is closed', async () => {
  for (const end of ends) await end()
})

test.run()
