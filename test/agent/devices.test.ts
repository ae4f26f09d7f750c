/** Several meters of one site on one serial line, through the composition that the agent itself uses. */
import { loadConfig } from '../../agent/config/load.ts'
import { openDevices } from '../../agent/devices.ts'
import type { World } from '../../agent/world.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { createHomeMeter } from '../../hw/sim/home-meter.ts'
import { createMemoryLine } from '../../hw/sim/memory-line.ts'
import { readMeterFault, strike } from '../../hw/sim/meter-faults.ts'
import { createUnit, serveModbus } from '../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../hw/sim/page-bank.ts'
import { seededRandom } from '../../hw/sim/random.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const page = PAGES.get('eastron-sdm630')!
const log = () => {}

const siteOn = (path: string) => `version: 1
site: maple
role: household
data: data
keys: {account: a, metering: m, sealing: s}
ledger: {chain: c, trust: {height: 1, hash: ${'ab'.repeat(32)}}, primary: 'http://127.0.0.1:9', witnesses: []}
brokers: ['mqtt://127.0.0.1:9']
lines: {rs485: {serial: ${path}, baud: 9600}}
meters:
  one: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1}
  two: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 2}
  three: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 3}
trade: {slot: 60s, energy: 1kWh}
`

/** How often each meter was read well in so long, each asked anew as soon as it has answered; unit 3 suffers the fault. */
async function goodReadings(fault: string | undefined, forMs: number): Promise<Record<string, number>> {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const timing = { characterMs: 10_000 / 9_600, clock, timers }
  const wire = createMemoryLine({ name: 'rs485', ...timing })
  const units = new Map(
    [1, 2, 3].map(unit => [
      unit,
      createUnit(must(createPageBank({ page, serial: `4100010${unit}`, measure: createHomeMeter(unit, clock) }))),
    ]),
  )
  const third = new Map([[3, units.get(3)!]])
  if (fault !== undefined) strike(must(readMeterFault(fault)), third, { echo: false, secondMasterMs: 0 })
  const stop = serveModbus(wire.device, units, {
    ...{ ...timing, turnaroundMs: 5, random: seededRandom(1), framing: 'rtu' },
  })
  const loaded = loadConfig(siteOn('/dev/ttyUSB0'), 'site.yaml')
  assert.ok(loaded.ok)
  const world = { clock, timers, log, openLine: () => wire.port } as unknown as World
  const opening = openDevices(loaded.value, world, {})
  await advance(100)
  const devices = must(await opening)
  const good: Record<string, number> = {}
  const end = clock.mono() + forMs
  const reading = Promise.all(
    [...devices.meters].map(async ([name, meter]) => {
      good[name] = 0
      while (clock.mono() < end) {
        const reading = await meter.read()
        if (reading.ok) good[name]++
        // A meter that rests refuses at once; the agent asks it once a second.
        else await timers.sleep(20)
      }
    }),
  )
  await advance(forMs + 20_000)
  await reading
  const closing = devices.close()
  await advance(20_000)
  await closing
  stop()
  return good
}

const test = suite('devices')

test('a line is opened once, though two relay boards are opened on it at the same time', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'rs485', characterMs: 10_000 / 9600, clock, timers })
  let opened = 0
  const openLine: World['openLine'] = () => {
    opened++
    return { ...wire.port, open: listener => timers.sleep(50).then(() => wire.port.open(listener)) }
  }
  const key = 'ab'.repeat(32)
  const text = `${siteOn('/dev/ttyUSB0').replace(/ {2}(two|three): .*\n/g, '')}relays:
  a: {driver: modbus-coils, line: rs485, unit: 20, timed: 1s}
  b: {driver: modbus-coils, line: rs485, unit: 21, timed: 1s}
direct_lines:
  - {id: L1, side: seller, peer: cedar, meter: one, limit: 16A, peer_meter: "99", contacts: {line: a.1, upstream: b.1}}
peers: {cedar: {account: ${key}, sealing: ${key}, metering: ${key}}}
`
  const loaded = loadConfig(text.replace('trade: {', 'trade: {sell: {reserve: 0.10, opening: 0.24}, '), 'site.yaml')
  assert.ok(loaded.ok)
  const opening = openDevices(loaded.value, { clock, timers, log, openLine } as unknown as World, {
    health: () => {},
  })
  await advance(100)
  const devices = must(await opening)
  assert.is(opened, 1)
  const closing = devices.close()
  await advance(20_000)
  await closing
})

test('a meter that is dead, garbled, of the wrong parity or another unit leaves the others on its line nine tenths of their rate', async () => {
  const FOR_MS = 6_000
  const faults = [undefined, 'dead=3', 'garbled', 'parity=0.1', 'wrong-unit=1']
  const [well, ...struck] = await Promise.all(faults.map(fault => goodReadings(fault, FOR_MS)))
  // Three at once a second fit on the line.
  for (const count of Object.values(well!)) assert.ok(count >= 6, JSON.stringify(well))
  for (const [index, good] of struck.entries())
    for (const name of ['one', 'two'])
      assert.ok(
        good[name]! >= 0.9 * well![name]!,
        `${faults[index + 1]}: ${JSON.stringify(good)} of ${JSON.stringify(well)}`,
      )
}, 120_000)

test.run()
