import { drainPromises } from '../../../drivers/drain.ts'
import { createSunspecMeter, type SunspecMeterParts } from '../../../drivers/meters/sunspec-meter.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { MeterReading } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, type ModbusBank, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { type SunspecModel, sunspecBank, sunspecText } from '../../../hw/sim/sunspec-image.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('SunSpec meter')

const CHARACTER_MS = 10_000 / 9_600

/** Registers by their offset behind the length register: how the Alliance's tables count, less 2. */
function words(count: number, at: Readonly<Record<number, readonly number[]>>): readonly number[] {
  const all = Array.from({ length: count }, () => 0)
  for (const [offset, content] of Object.entries(at)) all.splice(Number(offset), content.length, ...content)
  return all
}

const common = (maker: string, serial: string): SunspecModel => ({
  id: 1,
  words: words(66, { 0: sunspecText(maker, 16), 16: sunspecText('Model X', 16), 48: sunspecText(serial, 16) }),
})

/** 230.1 V, 4.35 A, -1,000 W, 50.00 Hz; `imported` x 10^scale Wh in, 7 x 10^scale Wh out. */
const meter203 = (imported: number, scale = 0): SunspecModel => ({
  id: 203,
  words: words(105, {
    0: [435, 435, 0, 0, 0xfffe],
    5: [2301, 2301, 2300, 2299, 0, 0, 0, 0, 0xffff],
    14: [5000, 0xfffe],
    16: [-1000 & 0xffff, 0x8000, 0x8000, 0x8000, 0],
    36: [0, 7],
    44: [imported >>> 16, imported & 0xffff],
    52: [scale & 0xffff],
  }),
})

/** 1,500 W produced, 123,456 Wh in all. */
const inverter103: SunspecModel = {
  id: 103,
  words: words(50, {
    8: [2305, 2306, 2307, 0xffff],
    12: [150, 1],
    14: [49_98, 0xfffe],
    22: [1, 0xe240, 0],
  }),
}

/** Float meter: 12,345.5 Wh in. */
const meter213: SunspecModel = { id: 213, words: words(124, { 26: [0xc0e8, 0], 66: [0x4640, 0xe600] }) }

/** State of charge 85.0 %, 500 x 10 W. */
const battery802: SunspecModel = { id: 802, words: words(62, { 9: [850], 45: [500], 54: [0xffff], 61: [1] }) }

/** Eight modules: 168 registers, more than one answer carries; DCW of each is its number x 10^scale W. */
const mppt = (scale: number): SunspecModel => ({
  id: 160,
  words: words(168, {
    0: [0, 0, scale & 0xffff, 0],
    6: [8, 0],
    ...Object.fromEntries(Array.from({ length: 8 }, (_, i) => [8 + 20 * i + 11, [i + 1]])),
  }),
})

const site = (): SunspecModel[] => [
  common('Fronius', 'INV-1'),
  inverter103,
  { id: 64_123, words: [1, 2, 3] },
  mppt(0),
  battery802,
  common('Fronius', 'MTR-9'),
  meter203(1_234_567, 1),
  meter213,
]

function makeLine(bank: ModbusBank) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'rs485', characterMs: CHARACTER_MS, clock, timers })
  const unit = createUnit(bank)
  const random = seededRandom(5)
  serveModbus(wire.device, new Map([[1, unit]]), {
    framing: 'rtu',
    characterMs: 0,
    turnaroundMs: 5,
    clock,
    timers,
    random,
  })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing: 'rtu' })
  const open = (which: SunspecMeterParts['which'], more: Partial<SunspecMeterParts> = {}) =>
    createSunspecMeter({ master, unit: 1, clock, which, ...more })
  async function settled<T>(promise: Promise<T>): Promise<T> {
    let result: { value: T } | undefined
    void promise.then(value => {
      result = { value }
    })
    while (result === undefined) await advance(10)
    return result.value
  }
  return { clock, advance, master, unit, open, settled }
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const shown = ({ values }: MeterReading) =>
  values.map(({ obis, value, scaler, unit }) => `${obis} ${value}e${scaler} ${unit}`)

test('a meter, an inverter and a battery of one device are each read under their own serial number', async () => {
  const line = makeLine(sunspecBank({ models: site }))
  await line.master.open()
  const meter = must(await line.settled(line.open('meter').read()))
  assert.is(meter.meterId, 'Fronius MTR-9')
  assert.equal(shown(meter), [
    '1-0:32.7.0 2301e-1 V',
    '1-0:52.7.0 2300e-1 V',
    '1-0:72.7.0 2299e-1 V',
    '1-0:31.7.0 435e-2 A',
    '1-0:51.7.0 0e-2 A',
    '1-0:71.7.0 0e-2 A',
    '1-0:14.7.0 5000e-2 Hz',
    '1-0:16.7.0 -1000e0 W',
    '1-0:1.8.0 1234567e1 Wh',
    '1-0:2.8.0 7e1 Wh',
  ])
  const inverter = must(await line.settled(line.open('inverter').read()))
  assert.is(inverter.meterId, 'Fronius INV-1')
  assert.equal(
    shown(inverter).filter(line => line.endsWith(' W') || line.endsWith(' Wh')),
    ['1-0:16.7.0 -150e1 W', '1-0:2.8.0 123456e0 Wh'],
  )
  assert.is(codeOf(await line.settled(line.open('battery').read())), 'meter.nothing-certain')
  assert.equal(shown(must(await line.settled(line.open('battery', { positive: 'export' }).read()))), [
    '1-0:16.7.0 -500e1 W',
  ])
  const float = must(await line.settled(line.open(213).read()))
  assert.ok(shown(float).includes('1-0:1.8.0 12345500e-3 Wh'))
  assert.ok(shown(float).includes('1-0:16.7.0 -7250e-3 W'))
})

test('a plant of 500 kW that is read once a minute is no leap', async () => {
  let counted = 1_000_000
  const line = makeLine(sunspecBank({ models: () => [common('X', 'M1'), meter203(counted)] }))
  await line.master.open()
  const meter = line.open('meter')
  for (let minute = 0; minute < 5; minute++) {
    const reading = must(await line.settled(meter.read()))
    assert.ok(shown(reading).includes(`1-0:1.8.0 ${counted}e0 Wh`), `minute ${minute}`)
    counted += 8_333
    await line.advance(60_000)
  }
})

test('the second of two meters behind one inverter is read under its own serial number', async () => {
  const line = makeLine(
    sunspecBank({
      models: () => [common('X', 'I'), inverter103, common('X', 'M1'), meter203(1), common('X', 'M2'), meter203(2)],
    }),
  )
  await line.master.open()
  const first = must(await line.settled(line.open('meter').read()))
  const second = must(await line.settled(line.open('meter', { nth: 1 }).read()))
  assert.equal([first.meterId, second.meterId], ['X M1', 'X M2'])
  assert.ok(shown(second).includes('1-0:1.8.0 2e0 Wh'))
  assert.is(codeOf(await line.settled(line.open('meter', { nth: 2 }).read())), 'sunspec.no-such-model')
})

test('a meter of another maker counts as the inverter that speaks for it', async () => {
  const readings = async (server: string, meter: string) => {
    const models = () => [common(server, 'INV-1'), inverter103, common(meter, 'MTR-9'), meter203(1)]
    const line = makeLine(sunspecBank({ models }))
    await line.master.open()
    const reading = must(await line.settled(line.open('meter').read()))
    assert.is(reading.meterId, `${meter} MTR-9`)
    return shown(reading).filter(text => text.endsWith(' W') || text.endsWith(' Wh'))
  }
  // W is -1,000: a SolarEdge takes in 1,000 W, whoever made its meter; a Fronius gives them out.
  assert.equal(await readings('SolarEdge', 'WattNode'), ['1-0:16.7.0 1000e0 W', '1-0:1.8.0 1e0 Wh', '1-0:2.8.0 7e0 Wh'])
  assert.equal(await readings('Fronius', 'WattNode'), ['1-0:16.7.0 -1000e0 W', '1-0:1.8.0 1e0 Wh', '1-0:2.8.0 7e0 Wh'])
})

test('after the walk a reading is two requests: who it is, and the values with their scale factors', async () => {
  const line = makeLine(sunspecBank({ models: site }))
  await line.master.open()
  const meter = line.open('meter')
  must(await line.settled(meter.read()))
  const sent = line.master.health().counts.sent
  must(await line.settled(meter.read()))
  assert.is(line.master.health().counts.sent - sent, 2)
})

test('a scale factor that changes between two readings is read in the same answer as what it scales', async () => {
  let reads = 0
  // The device counts in Wh, then in hundreds: either way it means 1,200,000 Wh.
  const models = () => [common('Maker', 'S'), ++reads % 2 === 0 ? meter203(1_200_000, 0) : meter203(12_000, 2)]
  const line = makeLine(sunspecBank({ models }))
  await line.master.open()
  const meter = line.open('meter')
  const seen = new Set<string>()
  for (let i = 0; i < 9; i++) {
    const reading = await line.settled(meter.read())
    if (reading.ok) for (const text of shown(reading.value)) if (text.startsWith('1-0:1.8.0')) seen.add(text)
    // Another number of requests between two readings.
    if (i % 2 === 0) await line.settled(meter.models())
    reads += i % 3
  }
  for (const text of seen) assert.ok(['1-0:1.8.0 1200000e0 Wh', '1-0:1.8.0 12000e2 Wh'].includes(text), text)
  assert.is(seen.size, 2)
})

test('a device that gives few registers at a time is read in small requests, none of which cuts a number in two', async () => {
  const most = 9
  const asked: number[] = []
  const bank = sunspecBank({ models: site })
  const line = makeLine({
    ...bank,
    refuse: (_table, _address, count) => {
      asked.push(count)
      // The common model's serial number comes whole.
      return count > most && count !== 66 ? 3 : undefined
    },
  })
  await line.master.open()
  for (const which of ['meter', 'inverter', 213] as const) {
    const whole = makeLine(sunspecBank({ models: site }))
    await whole.master.open()
    const expected = shown(must(await whole.settled(whole.open(which).read())))
    assert.equal(shown(must(await line.settled(line.open(which, { maxRegisters: most }).read()))), expected)
  }
  assert.ok(asked.every(count => count <= most || count === 66))
  assert.ok(asked.includes(most))
})

test('a model longer than one answer is read in several, and refused when its scale factors moved meanwhile', async () => {
  let scale = 0
  let moving = false
  const next = (): number => {
    if (moving) scale = (scale + 1) % 5
    return scale
  }
  const line = makeLine(sunspecBank({ models: () => [common('Maker', 'S'), mppt(next())] }))
  await line.master.open()
  const meter = line.open('inverter')
  const { repeated } = must(await line.settled(meter.readPoints(160)))
  assert.equal(
    repeated.map(module => {
      const power = module.get('DCW')
      return power?.kind === 'number' ? power.value : undefined
    }),
    [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n],
  )
  moving = true
  assert.is(codeOf(await line.settled(meter.readPoints(160))), 'sunspec.scale-moved')
  moving = false
  assert.is(codeOf(await line.settled(meter.readPoints(160))), 'ok')
})

test('models that moved are found again; another device in the same place is refused by name', async () => {
  let models = [common('Maker', 'S-1'), meter203(1_000)]
  let base = 40_000
  const line = makeLine({ registers: () => sunspecBank({ base, models: () => models }).registers!() })
  await line.master.open()
  const meter = line.open('meter')
  assert.is(codeOf(await line.settled(meter.read())), 'ok')
  // A model more in front of the meter's: another length stands where it was.
  models = [common('Maker', 'S-1'), { id: 64_000, words: [1, 2, 3, 4, 5] }, meter203(1_001)]
  assert.is(codeOf(await line.settled(meter.read())), 'ok')
  // Everything gone from there: exception 2, then found elsewhere.
  base = 50_000
  assert.is(codeOf(await line.settled(meter.read())), 'ok')
  models = [common('Maker', 'S-2'), meter203(1_002)]
  assert.is(codeOf(await line.settled(meter.read())), 'meter.identity')
  models = [common('Maker', ''), meter203(1_002)]
  assert.is(codeOf(await line.settled(meter.read())), 'meter.no-identity')
  models = [common('Maker', 'S-1'), inverter103]
  assert.is(codeOf(await line.settled(meter.read())), 'sunspec.no-such-model')
  models = [common('Maker', 'S-1'), { ...meter203(1_003), words: meter203(1_003).words.slice(1) }]
  assert.is(codeOf(await line.settled(line.open('meter').read())), 'sunspec.model-length')
  base = 1_000
  assert.is(codeOf(await line.settled(line.open('meter').read())), 'sunspec.no-marker')
})

test('a configured serial number that is not there gives no values at all', async () => {
  const line = makeLine(sunspecBank({ models: site }))
  await line.master.open()
  assert.is(codeOf(await line.settled(line.open('meter', { meterId: 'Fronius INV-1' }).read())), 'meter.identity')
  assert.is(codeOf(await line.settled(line.open('meter', { meterId: 'Fronius MTR-9' }).read())), 'ok')
})

test('what is there of all models is told, known or not', async () => {
  const line = makeLine(sunspecBank({ models: site }))
  await line.master.open()
  const meter = line.open('meter')
  assert.equal(
    must(await line.settled(meter.models())).map(({ id, length }) => [id, length]),
    [
      [1, 66],
      [103, 50],
      [64_123, 3],
      [160, 168],
      [802, 62],
      [1, 66],
      [203, 105],
      [213, 124],
    ],
  )
  assert.is(codeOf(await line.settled(meter.readPoints(64_123))), 'sunspec.unknown-model')
  assert.is(codeOf(await line.settled(line.open(160).read())), 'sunspec.no-meter-model')
  const soc = must(await line.settled(meter.readPoints(802))).points.get('SoC')
  assert.equal(soc, { kind: 'number', value: 850n, scaler: -1, unit: '%WHRtg' })
})

test('late answers: readings are right or absent, and most have a value', async () => {
  let imported = 1
  const line = makeLine(sunspecBank({ models: () => [common('Maker', 'S'), meter203(imported), inverter103] }))
  await line.master.open()
  const meter = line.open('meter')
  const inverter = line.open('inverter')
  const { faults } = line.unit
  faults.lateShare = 0.04
  let right = 0
  let absent = 0
  for (let second = 0; second < 400; second++) {
    faults.lateMs = 300 + 10 * second
    faults.lateQueued = second % 20 < 10
    imported += 10
    const before = BigInt(imported)
    const started = line.clock.mono()
    const readings = [await line.settled(meter.read()), await line.settled(inverter.read())]
    const took = line.clock.mono() - started
    await line.advance(2_000 - (took % 2_000))
    for (const [i, reading] of readings.entries()) {
      if (!reading.ok) {
        absent++
        continue
      }
      const wanted = i === 0 ? '1-0:1.8.0' : '1-0:2.8.0'
      const energy = reading.value.values.find(({ obis }) => obis === wanted)
      if (energy === undefined) absent++
      else {
        right++
        assert.is(energy.value, i === 0 ? before : 123_456n)
      }
    }
  }
  console.log(`SunSpec, one answer in 25 late: ${right} right, 0 wrong, ${absent} absent of 800`)
  assert.ok(right > 560, `${right} right, ${absent} absent`)
}, 60_000)

test.run()
