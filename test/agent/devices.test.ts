/** Several meters of one site on one serial line, through the composition that the agent itself uses. */
import { loadConfig } from '../../agent/config/load.ts'
import { openDevices } from '../../agent/devices.ts'
import { openSystemLine } from '../../agent/lines.ts'
import type { World } from '../../agent/world.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { openPty } from '../../drivers/line/pty.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import { createHomeMeter } from '../../hw/sim/home-meter.ts'
import { readMeterFault, strike } from '../../hw/sim/meter-faults.ts'
import { createUnit, serveModbus } from '../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../hw/sim/page-bank.ts'
import { seededRandom } from '../../hw/sim/random.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const { clock, timers } = createSystemTime()
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
  const pty = must(await openPty())
  const units = new Map(
    [1, 2, 3].map(unit => [
      unit,
      createUnit(must(createPageBank({ page, serial: `4100010${unit}`, measure: createHomeMeter(unit, clock) }))),
    ]),
  )
  const third = new Map([[3, units.get(3)!]])
  if (fault !== undefined) strike(must(readMeterFault(fault)), third, { echo: false, secondMasterMs: 0 })
  const timing = { turnaroundMs: 5, characterMs: 10_000 / 9_600, clock, timers, random: seededRandom(1) }
  const stop = serveModbus(pty, units, { ...timing, framing: 'rtu' })
  const loaded = loadConfig(siteOn(pty.path), 'site.yaml')
  assert.ok(loaded.ok)
  const openLine: World['openLine'] = line => openSystemLine(line, clock, timers, log)
  const devices = must(await openDevices(loaded.value, { clock, timers, log, openLine } as unknown as World, {}))
  const good: Record<string, number> = {}
  const end = clock.mono() + forMs
  await Promise.all(
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
  await devices.close()
  stop()
  await pty.close()
  return good
}

const test = suite('devices')

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
})

test.run()
