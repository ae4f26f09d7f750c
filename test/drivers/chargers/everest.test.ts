import { startBroker } from '../../../drivers/bus/broker.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { type EverestOptions, openEverestCharger } from '../../../drivers/chargers/everest.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Bus } from '../../../drivers/ports.ts'
import { createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { startEverestStation } from '../../../hw/sim/chargers/everest-station.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { type ChargerFacts, chargerCases, good, settled } from '../../contracts/charger.ts'
import { assert, suite } from '../../harness.ts'
import { counted } from './bench.ts'

const MOST_MA = 16_000
const CAR = { bootMa: 20_000, carMa: 32_000, reactionMs: 2_000 } as const
const MODULES = { evse: 'evse_api', limits: 'limits_api' } as const
const CONSUMER = `everest_api/1/evse_manager_consumer/${MODULES.evse}`
const LIMITS = `everest_api/1/external_energy_limits_consumer/${MODULES.limits}/m2e/set_external_limits`
const FACTS: ChargerFacts = { states: ['A', 'B', 'C', 'F'], stepMa: 500, mostMa: MOST_MA, bootMa: CAR.bootMa }

async function bench(more: Partial<EverestOptions> = {}) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const broker = createSimBroker(timers, seededRandom(1))
  const sim = startEverestStation({ ...CAR, ...MODULES, bus: createSimBus([broker]), clock, timers })
  const simBus = createSimBus([broker])
  const { write, sent, atWrite } = counted(simBus.publish)
  const bus: Bus = { ...simBus, publish: write }
  const named = { name: 'garage', src: 'tieline-7f3a', mostMa: MOST_MA, ...MODULES }
  const charger = must(openEverestCharger({ ...named, bus, clock, timers, ...more }))
  // Its first cycle: an agent that starts before it hears nothing at first.
  await advance(1_000)
  return { charger, sim, clock, sent, atWrite, bus, pass: advance, end: async () => {} }
}

const test = suite('chargers/everest')

chargerCases(test, 'everest', FACTS, () => bench())

test('a limit is a schedule that ends in the failsafe current, so that silence is obeyed by the station alone', async () => {
  const under = await bench()
  assert.equal(under.charger.onAgentSilence, {
    ...{ kind: 'falls-back', withinMs: 35_000, toMa: 0 },
    by: 'schedule of external limits, by the wall time of the station',
  })
  good(await settled(under, under.charger.setLimit(10_000)))
  const sent = JSON.parse(under.sim.schedules.at(-1)!)
  const amperes = (list: { timestamp: string; limits_to_leaves: { ac_max_current_A: { value: number } } }[]) =>
    list.map(({ timestamp, limits_to_leaves }) => [
      Date.parse(timestamp) - Date.parse(list[0]!.timestamp),
      limits_to_leaves.ac_max_current_A.value,
    ])
  assert.equal(amperes(sent.schedule_import), [
    [0, 10],
    [27_000, 0],
  ])
  // Nothing is drawn from the car.
  assert.equal(amperes(sent.schedule_export), [[0, 0]])
})

test('a look that waits for the station ends when a lower limit comes', async () => {
  const under = await bench()
  good(await settled(under, under.charger.setLimit(10_000)))
  const looking = under.charger.status()
  await under.pass(100)
  const limit = under.charger.setLimit(8_000)
  const seen = await settled(under, looking)
  assert.is(seen.ok ? 'ok' : seen.fault.code, 'charger.gave-way')
  assert.is(good(await settled(under, limit)), 8_000)
  assert.is(good(await settled(under, under.charger.status())).limitMa, 8_000)
})

test('a limit without an end stays for ever: the trap that the schedule is for', async () => {
  const under = await bench()
  const [timestamp, value] = ['2023-11-14T22:13:20.000Z', 10]
  const schedule_import = [
    { timestamp, limits_to_root: {}, limits_to_leaves: { ac_max_current_A: { value, source: 'x' } } },
  ]
  await under.bus.publish(
    LIMITS,
    utf8(JSON.stringify({ schedule_import, schedule_export: [], schedule_setpoints: [] })),
  )
  await under.pass(3_600_000)
  assert.is(under.sim.station.drawnMa(), 10_000)
})

test('a station whose clock differs is told nothing but 0, as its fallback would come at another time', async () => {
  const under = await bench()
  good(await settled(under, under.charger.setLimit(10_000)))
  for (const stepMs of [-600_000, 1_200_000]) {
    under.sim.stepClock(stepMs)
    await under.pass(1_500)
    const raised = await settled(under, under.charger.setLimit(12_000))
    assert.is(raised.ok ? '' : raised.fault.code, 'charger.clock-differs')
    const looked = await settled(under, under.charger.status())
    assert.is(looked.ok ? '' : looked.fault.code, 'charger.clock-differs')
    good(await settled(under, under.charger.setLimit(0)))
    assert.is(under.sim.station.offeredMa(), 0)
  }
  under.sim.stepClock(-600_000)
  await under.pass(1_500)
  assert.is(good(await settled(under, under.charger.setLimit(12_000))), 12_000)
})

test('messages of strangers, floods and another form are no status', async () => {
  for (const text of ['', '{', 'null', '[]', '{"state":7}', '{"limits_root_side":[]}', `"${'x'.repeat(100_000)}"`]) {
    const under = await bench()
    under.sim.cut(true)
    const work = under.charger.status()
    for (const part of ['e2m/session_info', 'e2m/enforced_limits', 'e2m/powermeter', 'e2m/get_evse/tieline-7f3a'])
      await under.bus.publish(`${CONSUMER}/${part}`, utf8(text))
    const answer = await settled(under, work, 10_000)
    assert.not.ok(answer.ok, text.slice(0, 20))
  }
})

test('a power that is enforced without a current leaves the limit unknown', async () => {
  const under = await bench()
  under.sim.cut(true)
  const heard = (part: string, value: unknown) => under.bus.publish(`${CONSUMER}/${part}`, utf8(JSON.stringify(value)))
  const work = under.charger.status()
  await under.pass(10)
  await heard('e2m/get_evse/tieline-7f3a', { id: 1 })
  await under.pass(10)
  await heard('e2m/session_info', { state: 'Charging', timestamp: new Date(under.clock.now()).toISOString() })
  await under.pass(10)
  await heard('e2m/enforced_limits', { limits_root_side: { total_power_W: { value: 11_000, source: 'x' } } })
  const answer = await settled(under, work)
  assert.is(answer.ok ? '' : answer.fault.code, 'charger.answer')
})

test('what cannot be supervised, or is no limit, is refused before anything is sent', async () => {
  const under = await bench()
  const codeOf = (more: Partial<EverestOptions>): string => {
    const parts = { ...under, ...createSystemTime(), name: 'garage', src: 'x', mostMa: MOST_MA, ...MODULES }
    const opened = openEverestCharger({ ...parts, ...more })
    return opened.ok ? '' : opened.fault.code
  }
  assert.equal([{ watchdogS: 9 }, { failsafeMa: 3_000 }, { failsafeMa: 20_000 }, { mostMa: 5_000 }].map(codeOf), [
    'charger.watchdog',
    'charger.failsafe',
    'charger.failsafe',
    'charger.most',
  ])
})

test('over a real broker: a limit is set, read back, and lapses when the agent is gone', async () => {
  const { clock, timers } = createSystemTime()
  const broker = must(await startBroker())
  const join = async () => must(await connectBus({ urls: [broker.url], timers, log: () => {} }))
  const [stationBus, bus] = [await join(), await join()]
  // The station's cycle in virtual time, its messages over a socket.
  const virtual = createSimTime(clock.now(), drainPromises)
  const sim = startEverestStation({ ...CAR, ...MODULES, bus: stationBus, clock: virtual.clock, timers: virtual.timers })
  const named = { name: 'garage', src: 'tieline-7f3a', mostMa: MOST_MA, ...MODULES, watchdogS: 10 }
  const charger = must(openEverestCharger({ ...named, bus, clock: virtual.clock, timers: virtual.timers }))
  let going = true
  const run = (async () => {
    while (going) {
      await timers.sleep(2)
      // No faster than this machine: what is awaited of the broker takes its time there.
      await virtual.advance(2)
    }
  })()
  try {
    let set = await charger.setLimit(8_000)
    // Until each has heard of the other, or where a message took too long.
    while (!set.ok) {
      await timers.sleep(20)
      set = await charger.setLimit(8_000)
    }
    assert.is(set.value, 8_000)
    const { state, limitMa } = good(await charger.status())
    assert.equal([state, limitMa, sim.station.offeredMa()], ['C', 8_000, 8_000])
  } finally {
    going = false
    await run
    await bus.close()
  }
  await virtual.advance(15_000)
  assert.equal([sim.station.offeredMa(), sim.station.drawnMa()], [0, 0])
  await stationBus.close()
  await broker.close()
}, 120_000)

test.run()
