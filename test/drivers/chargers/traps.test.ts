/** What each controller is known to trip others with. */
import { openAbbTerraCharger } from '../../../drivers/chargers/abb-terra.ts'
import { openAlfenCharger } from '../../../drivers/chargers/alfen.ts'
import { openAmperfiedCharger } from '../../../drivers/chargers/amperfied.ts'
import { openEvseWbCharger } from '../../../drivers/chargers/evse-wb.ts'
import { openOpenEvseCharger } from '../../../drivers/chargers/openevse.ts'
import { openPhoenixCharger } from '../../../drivers/chargers/phoenix-evcc.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { SimCharger } from '../../../hw/sim/chargers/station.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { noise } from '../../../hw/sim/noise.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import type { Result } from '../../../protocol/result.ts'
import { good, settled } from '../../contracts/charger.ts'
import { assert, suite } from '../../harness.ts'
import {
  ALFEN,
  AMPERFIED,
  type Bench,
  EVSE_WB,
  FAILSAFE_MA,
  inMemory,
  KINDS,
  type Kind,
  MOST_MA,
  OPENEVSE,
} from './bench.ts'

const test = suite('charger traps')

const set = async (under: Bench<SimCharger>, ma: number) => good(await settled(under, under.charger.setLimit(ma)))
const look = async (under: Bench<SimCharger>) => good(await settled(under, under.charger.status()))
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

test('evse-wb: a unit turned over between two calls is noticed by the next look, and by the next limit', async () => {
  const under = await inMemory(EVSE_WB)
  await set(under, 8_000)
  under.sim.flipUnit()
  // What stood for 8 A is 0.08 A now.
  assert.is(under.sim.station.offeredMa(), 0)
  assert.is(await set(under, 8_500), 8_500)
  assert.equal([under.sim.station.offeredMa(), under.charger.stepMa], [8_500, 10])
  under.sim.flipUnit()
  // What stood for 8.5 A is 850 A now: the trap that is closed here.
  assert.is(under.sim.station.offeredMa(), 32_000)
  assert.equal([(await look(under)).limitMa, under.sim.station.offeredMa()], [8_000, 8_000])
})

test('evse-wb: a unit turned over in the middle of a write never leaves more than was asked', async () => {
  let [taken, refused] = [0, 0]
  for (let answers = 1; answers <= 12; answers++)
    for (const fine of [false, true]) {
      const under = await inMemory(EVSE_WB)
      if (fine) under.sim.flipUnit()
      await set(under, 6_000)
      under.sim.flipAfter(answers)
      const result = await settled(under, under.charger.setLimit(10_000))
      if (result.ok) taken++
      else refused++
      if (result.ok) assert.ok(result.value <= 10_000)
      assert.ok(under.sim.station.offeredMa() <= 10_000 || answers > 4, `${answers} ${fine}`)
      under.sim.flipAfter(Number.POSITIVE_INFINITY)
      const { limitMa } = await look(under)
      assert.ok(limitMa! <= 10_000 && under.sim.station.offeredMa() <= limitMa!, `${answers} ${fine}`)
    }
  assert.ok(taken > 0 && taken + refused === 24)
})

test('evse-wb: a unit that never stands still gets 0', async () => {
  const under = await inMemory(EVSE_WB)
  await set(under, 8_000)
  const { bank } = [...under.sim.units.values()][0]!
  const { registers } = bank
  let answers = 0
  Object.assign(bank, {
    registers: () => {
      // Between the limit and the second look at its unit, each time.
      if (++answers % 3 === 2) under.sim.flipUnit()
      return registers!()
    },
  })
  const result = await settled(under, under.charger.setLimit(8_000))
  Object.assign(bank, { registers })
  if (!result.ok) assert.is(result.fault.code, 'charger.unit')
  assert.equal([result.ok, under.sim.station.offeredMa()], [false, 0])
})

test('openevse: a thousand limits and looks wear the EEPROM once, by the set-up of supervision', async () => {
  const under = await inMemory(OPENEVSE)
  for (let n = 0; n < 1_000; n++) {
    await set(under, 6_000 + 1_000 * (n % 11))
    if (n % 10 === 0) await look(under)
  }
  assert.is(under.sim.eepromWrites(), 1)
  assert.ok(under.sim.heard.filter(words => words.startsWith('SC')).every(words => words.endsWith(' V')))
})

test('openevse: a missed pulse is taken note of asleep, because that lets the car have all that it may', async () => {
  const under = await inMemory(OPENEVSE)
  await set(under, 10_000)
  const offered: number[] = []
  const watching = async (work: Promise<unknown>) => {
    let over = false
    void work.then(() => {
      over = true
    })
    while (!over) {
      await under.pass(1)
      offered.push(under.sim.station.offeredMa())
    }
  }
  await under.pass(40_000)
  assert.is(under.sim.station.offeredMa(), 6_000)
  await watching(under.charger.setLimit(7_000))
  assert.ok(Math.max(...offered) === 7_000, `${Math.max(...offered)}`)
  const { heard } = under.sim
  const noted = heard.indexOf('SY 165')
  assert.ok(noted > 0 && heard.lastIndexOf('FS') < noted && heard.indexOf('FE', noted) > heard.indexOf('SC 7 V', noted))
})

test('openevse: an answer that comes late is none to a later command', async () => {
  const under = await inMemory(OPENEVSE)
  await set(under, 10_000)
  under.sim.lateNext(520)
  assert.is(codeOf(await settled(under, under.charger.setLimit(6_000))), 'rapi.timeout')
  assert.is(await set(under, 8_000), 8_000)
  assert.equal([(await look(under)).limitMa, under.sim.station.offeredMa()], [8_000, 8_000])
})

test('a look right after a lost answer is not held back: it asks for more registers', async () => {
  for (const kind of [EVSE_WB, AMPERFIED]) {
    const under = await inMemory(kind)
    await set(under, 8_000)
    const { faults } = [...under.sim.units.values()][0]!
    Object.assign(faults, { lateNext: 1, lateMs: 5_000 })
    assert.not.ok((await settled(under, under.charger.status(), 5_000)).ok)
    if (kind === EVSE_WB) assert.is((await look(under)).limitMa, 8_000)
  }
})

test('alfen: phases are switched only while no car is charging, and are read back', async () => {
  const under = await inMemory(ALFEN)
  const switchTo = (phases: 1 | 3) => settled(under, under.charger.setPhases!(phases))
  assert.is((await look(under)).phases, 3)
  assert.ok((await switchTo(1)).ok)
  assert.is((await look(under)).phases, 1)
  await set(under, 6_000)
  assert.is(codeOf(await switchTo(3)), 'charger.charging')
  assert.is((await look(under)).phases, 1)
  assert.is((await inMemory(EVSE_WB)).charger.setPhases, undefined)
})

test('alfen: a safe current or a time longer than declared is a fault of every limit but 0', async () => {
  for (const [watchdogMs, failsafeMa] of [
    [60_000, 0],
    [30_000, FAILSAFE_MA],
  ] as const) {
    const strict: Kind = {
      ...ALFEN,
      open: async parts => {
        const master = createModbusMaster({ ...parts, framing: 'tcp' })
        await master.open()
        return good(openAlfenCharger({ name: 'g', mostMa: MOST_MA, ...parts, master, unit: 7, watchdogMs, failsafeMa }))
      },
    }
    const under = await inMemory(strict)
    assert.is(codeOf(await settled(under, under.charger.setLimit(8_000))), 'charger.unsupervised')
    assert.is(codeOf(await settled(under, under.charger.setLimit(0))), 'ok')
  }
})

test('a controller that is not the one named by the configuration is told nothing', async () => {
  const other: Kind = {
    ...OPENEVSE,
    open: async parts =>
      good(openOpenEvseCharger({ name: 'g', mostMa: MOST_MA, ...parts, identity: '9.9.9, protocol 9' })),
  }
  const under = await inMemory(other)
  assert.is(codeOf(await settled(under, under.charger.setLimit(8_000))), 'charger.identity')
  assert.is(codeOf(await settled(under, under.charger.setLimit(0))), 'charger.identity')
  assert.is(under.sim.station.offeredMa(), 0)
})

test('what cannot be is refused before anything is sent', () => {
  const { clock, timers } = createSimTime(0, drainPromises)
  const { port: line } = createMemoryLine({ name: 'bus', characterMs: 0, clock, timers })
  const master = createModbusMaster({ line, clock, timers, framing: 'rtu' })
  const base = { name: 'g', mostMa: MOST_MA, clock, timers, line, master, unit: 1, failsafeMa: 0 }
  const { failsafeMa: _, ...rest } = base
  assert.equal(
    [
      codeOf(openEvseWbCharger(rest)),
      codeOf(openPhoenixCharger(rest)),
      codeOf(openEvseWbCharger({ ...rest, allowUnsupervised: true })),
      codeOf(openAmperfiedCharger({ ...base, mostMa: 5_999 })),
      codeOf(openAmperfiedCharger({ ...base, watchdogMs: 5_000 })),
      codeOf(openAmperfiedCharger({ ...base, watchdogMs: 70_000 })),
      codeOf(openAmperfiedCharger({ ...base, failsafeMa: 3_000 })),
      codeOf(openAmperfiedCharger({ ...base, failsafeMa: 17_000 })),
      codeOf(openAbbTerraCharger({ ...rest, watchdogMs: 5_000 })),
      codeOf(openAbbTerraCharger({ ...rest, watchdogMs: 10_500 })),
      codeOf(openAlfenCharger({ ...base, watchdogMs: Number.NaN })),
      codeOf(openOpenEvseCharger({ ...rest, failsafeMa: 0 })),
      codeOf(openOpenEvseCharger({ ...rest, failsafeMa: 6_500 })),
      codeOf(openOpenEvseCharger(rest)),
    ],
    [
      'charger.unsupervised',
      'charger.unsupervised',
      'ok',
      'charger.most',
      'charger.watchdog',
      'charger.watchdog',
      'charger.failsafe',
      'charger.failsafe',
      'charger.watchdog',
      'charger.watchdog',
      'charger.watchdog',
      'charger.failsafe',
      'charger.failsafe',
      'ok',
    ],
  )
})

// TCP has checks of its own; what it hands over is as it was sent.
for (const kind of KINDS.filter(({ wire }) => wire !== 'tcp'))
  test(`${kind.name}: on a bad wire no limit is acknowledged that does not stand`, async () => {
    const random = seededRandom(7)
    let bad = false
    const under = await inMemory(kind, bytes =>
      bad ? noise(bytes, { flippedBits: 0.0005, lostBytes: 0.003, extraBytes: 0.002 }, random) : bytes,
    )
    let [taken, failed] = [0, 0]
    for (let n = 0; n < 150; n++) {
      bad = random() < 0.7
      const wanted = random() < 0.2 ? 0 : 6_000 + 1_000 * Math.floor(random() * 11)
      const result = await settled(under, under.charger.setLimit(wanted), 20_000)
      if (result.ok) {
        taken++
        assert.equal([result.value, under.sim.station.offeredMa()], [wanted, wanted])
      } else failed++
      const seen = await settled(under, under.charger.status(), 20_000)
      if (seen.ok) assert.is(seen.value.limitMa, under.sim.station.offeredMa())
      if (!result.ok || !seen.ok) await under.pass(8_000)
    }
    assert.ok(taken > 20 && failed > 3, `${taken} taken, ${failed} failed`)
  })

test.run()
