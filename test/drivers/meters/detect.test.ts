/** Five meters, a relay board and many units that are not there, on a line in memory at 9,600 baud: what is found, and how soon. */
import { drainPromises } from '../../../drivers/drain.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { detectUnits, listenTo, SEARCH_ANSWERS } from '../../../drivers/meters/detect.ts'
import { fitsOf } from '../../../drivers/meters/detect-decide.ts'
import type { Span } from '../../../drivers/meters/page.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createCoilBoard } from '../../../hw/sim/coil-board.ts'
import { createHomeMeter } from '../../../hw/sim/home-meter.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, type ModbusUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank, inventSerial } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { startSmlMeter } from '../../../hw/sim/telegram-meters.ts'
import { hex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const CHARACTER_MS = 10_000 / 9_600
const START = Date.UTC(2026, 0, 1)
const ALL = Array.from({ length: 247 }, (_, i) => i + 1)

/** A line with these meters by unit; `search` looks for them and says how long it took. */
function bench(
  meters: Readonly<Record<number, string>>,
  others: (time: ReturnType<typeof createSimTime>) => Map<number, ModbusUnit> = () => new Map(),
) {
  const time = createSimTime(START, drainPromises)
  const { clock, timers } = time
  const line = createMemoryLine({ name: 'wire', characterMs: CHARACTER_MS, clock, timers })
  const units = new Map<number, ModbusUnit>(others(time))
  for (const [unit, name] of Object.entries(meters)) {
    const page = PAGES.get(name)!
    const measure = createHomeMeter(Number(unit), clock)
    units.set(Number(unit), createUnit(must(createPageBank({ page, serial: inventSerial(page, 0), measure }))))
  }
  const sent: number[] = []
  const device = {
    ...line.device,
    onBytes: (hear: (chunk: Uint8Array) => void) =>
      line.device.onBytes(chunk => {
        sent.push(chunk[1]!)
        hear(chunk)
      }),
  }
  serveModbus(device, units, {
    framing: 'rtu',
    characterMs: 0,
    turnaroundMs: 30,
    clock,
    timers,
    random: seededRandom(1),
  })
  const master = createModbusMaster({ line: line.port, clock, timers, framing: 'rtu', answers: SEARCH_ANSWERS })
  return {
    units,
    /** Functions of every request that was sent. */
    sent,
    async search(asked: readonly number[] = ALL) {
      must(await master.open())
      const begun = clock.mono()
      let ended: number | undefined
      const running = detectUnits(
        { master, pages: [...PAGES.values()], clock, timers, live: () => true, onUnit: () => {}, onGarbled: () => {} },
        asked,
      )
      void running.then(() => {
        ended = clock.mono()
      })
      while (ended === undefined) await time.advance(500)
      await master.close()
      return { found: await running, tookMs: ended - begun }
    },
  }
}

const test = suite('detect')

test('five meters among 247 addresses at 9,600 baud are found within a minute, each by its identity', async () => {
  const meters = {
    1: 'eastron-sdm630',
    17: 'abb-b23',
    42: 'carlo-gavazzi-em340',
    100: 'eastron-sdm630',
    247: 'siemens-pac2200',
  }
  const { search, sent } = bench(meters)
  const { found, tookMs } = await search()
  assert.equal(
    found.map(({ unit }) => unit),
    Object.keys(meters).map(Number),
  )
  for (const { unit, fits } of found) {
    const page = PAGES.get(meters[unit as keyof typeof meters])!
    const best = fits.filter(fit => fit.certainty === fits[0]!.certainty).map(fit => fit.page)
    assert.ok(best.includes(page.name), `${unit}: ${JSON.stringify(fits)}`)
    if (page.identity.as !== 'none') assert.is(fits.find(fit => fit.page === page.name)!.meterId, inventSerial(page, 0))
  }
  assert.ok(tookMs <= 60_000, `${tookMs} ms`)
  // Reads and nothing else: registers, and what the device calls itself.
  assert.equal(
    [...new Set(sent)].sort((a, b) => a - b),
    [3, 4, 43],
  )
}, 60_000)

test('a relay board answers and fits no page', async () => {
  const { search } = bench(
    {},
    ({ clock, timers }) => new Map([[20, createCoilBoard({ channels: 4, moved: () => {}, clock, timers }).unit]]),
  )
  const { found } = await search([19, 20, 21])
  assert.equal(
    found.map(({ unit, fits, models }) => ({ unit, fits, models })),
    [{ unit: 20, fits: [], models: [] }],
  )
})

test('a meter that answers later than the search waits is found all the same', async () => {
  const { search, units } = bench({ 5: 'eastron-sdm630' })
  units.get(5)!.faults.lateShare = 1
  units.get(5)!.faults.lateMs = 250
  const { found } = await search([4, 5, 6, 7])
  assert.equal(
    found.map(({ unit, fits }) => [unit, fits.length > 0]),
    [[5, true]],
  )
})

test('every page is recognised on a meter that is its own, and what fits as well is not called likely', async () => {
  for (const page of PAGES.values()) {
    if (page.framing !== 'rtu') continue
    const { search } = bench({ 3: page.name })
    const { found } = await search([3])
    const [{ fits = [] } = {}] = found
    const own = fits.find(fit => fit.page === page.name)
    const tests = ['voltageL1', 'frequency'].some(channel => channel in page.registers)
    if (!tests) continue
    assert.ok(own !== undefined, `${page.name}: ${JSON.stringify(fits)}`)
    const likely = fits.filter(fit => fit.certainty === 'likely')
    assert.ok(likely.length <= 1, `${page.name}: ${JSON.stringify(likely)}`)
    const certain = fits.filter(fit => fit.certainty === 'certain')
    assert.ok(certain.every(fit => fit === own) && (certain.length === 0 || fits[0] === own), page.name)
    if (own.certainty === 'possible')
      assert.ok(fits.length > 1 || own.meterId === undefined || own.because.length < 2, page.name)
  }
}, 60_000)

test('the code of a product makes one page certain, and others of its maker none', async () => {
  const { search } = bench({ 1: 'eastron-sdm630', 2: 'eastron-sdm72-v2', 3: 'eastron-sdm72', 4: 'carlo-gavazzi-em540' })
  const { found } = await search([1, 2, 3, 4])
  assert.equal(
    found.map(({ fits }) => [fits[0]?.page, fits[0]?.certainty, fits[0]?.because[0]]),
    [
      ['eastron-sdm630', 'certain', 'model 0070'],
      ['eastron-sdm72-v2', 'certain', 'model 0087'],
      ['eastron-sdm72', 'certain', 'model 0084'],
      ['carlo-gavazzi-em540', 'certain', 'model 06d0'],
    ],
  )
  const eastrons = found.map(({ fits }) =>
    fits.filter(({ page }) => page.startsWith('eastron')).map(({ page }) => page),
  )
  assert.equal(eastrons, [['eastron-sdm630'], ['eastron-sdm72-v2'], ['eastron-sdm72'], []])
})

test('a voltage that no grid has, and a serial number that is none, are no fit', () => {
  const page = PAGES.get('eastron-sdm120')!
  const float = (value: number) => {
    const view = new DataView(new ArrayBuffer(4))
    view.setFloat32(0, value)
    return new Uint8Array(view.buffer)
  }
  const holding = (volts: number, hertz: number, serial: string) => (span: Span) =>
    span.table === 'holding'
      ? hex(serial)
      : span.address === 0
        ? float(volts)
        : span.address === 0x46
          ? float(hertz)
          : undefined
  const fits = (volts: number, hertz: number, serial: string) => fitsOf([page], holding(volts, hertz, serial))
  assert.equal(fits(230.1, 50, '00 00 30 39'), [
    { page: page.name, certainty: 'likely', meterId: '12345', because: ['voltageL1 230.1', 'frequency 50'] },
  ])
  assert.equal(fits(0, 50, '00 00 30 39'), [])
  assert.equal(fits(2301, 50, '00 00 30 39'), [])
  assert.equal(fits(230, 500, '00 00 30 39'), [])
  assert.equal(fits(Number.NaN, 50, '00 00 30 39'), [])
  assert.equal(fits(230, 50, 'ff ff ff ff'), [])
  assert.equal(fits(230, 50, '00 00 00 00'), [])
})

test('a meter that speaks unasked is heard without a word to it', async () => {
  const time = createSimTime(START, drainPromises)
  const { clock, timers } = time
  const line = createMemoryLine({ name: 'eye', characterMs: CHARACTER_MS, clock, timers })
  const asked: Uint8Array[] = []
  line.device.onBytes(chunk => asked.push(chunk))
  const serverId = hex('0a 01 54 4c 4e 00 00 00 00 01')
  const end = { ...line.device, onBytes: () => {} }
  startSmlMeter({
    end,
    measure: createHomeMeter(1, clock),
    characterMs: 0,
    clock,
    timers,
    random: seededRandom(1),
    serverId,
    maker: 'TLN',
  })
  const heard = listenTo(line.port, timers)
  await time.advance(3_000)
  const result = await heard
  assert.ok(!('code' in result))
  assert.equal(result.telegrams, [{ kind: 'sml', meterId: '0a01544c4e0000000001' }])
  assert.equal(asked, [])
})

test.run()
