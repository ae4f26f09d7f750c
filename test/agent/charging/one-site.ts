/** A whole agent in virtual time: a meter at its connection and three wall boxes, all on one RS-485 line of 9,600 baud. */
import { type Agent, startAgent } from '../../../agent/compose.ts'
import { loadConfig } from '../../../agent/config/load.ts'
import { configLine } from '../../../agent/config/read-form.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { createAmperfied } from '../../../hw/sim/chargers/amperfied.ts'
import type { ModbusCharger } from '../../../hw/sim/chargers/modbus-charger.ts'
import type { StationOptions } from '../../../hw/sim/chargers/station.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { CALM } from '../../../hw/sim/site-config.ts'
import type { StreetSite } from '../../../hw/sim/street.ts'
import { fail, must } from '../../../protocol/result.ts'

const HEX = 'ab'.repeat(32)
const CHARACTER_MS = 10_000 / 9600
const VOLTS = 230

const CONFIG = `version: 1
site: maple
role: household
bench: true
data: maple
keys: {seed: ${HEX}}
ledger: {chain: c, trust: {height: 1, hash: ${HEX}}, primary: 'http://node.sim', witnesses: []}
brokers: ['mqtt://broker0.sim:1883']
lines: {rs485: {serial: /dev/rs485, baud: 9600, format: 8N1}}
meters:
  grid: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1, every: 500ms}
fuses:
  connection: {rating: 25A, meter: grid}
chargers:
  one: {controller: amperfied, line: rs485, unit: 11, most: 16A, phases: L1 L2 L3, fuse: connection, watchdog: 15s}
  two: {controller: amperfied, line: rs485, unit: 12, most: 16A, phases: L2 L3 L1, fuse: connection, watchdog: 15s}
  three: {controller: amperfied, line: rs485, unit: 13, most: 16A, phases: L3 L1 L2, fuse: connection, watchdog: 15s}
trade: {slot: 60s, energy: 1kWh}
`

const dead = async () => fail({ code: 'rpc.down' })
const NO_LEDGER = new Proxy({ name: 'none' } as LedgerRpc, {
  get: (target, key) => (key === 'name' ? target.name : key === 'then' ? undefined : dead),
})

type MakeBox = (options: StationOptions & { readonly unit: number }) => ModbusCharger

/** The wall boxes stand at units from 11 on, in the order of `makes`. */
export async function createSite(
  seed: number,
  change: (config: string) => string = text => text,
  makes: readonly MakeBox[] = [createAmperfied, createAmperfied, createAmperfied],
) {
  const ports = createSimPorts({
    ...{ seed, sites: [{ name: 'maple' } as StreetSite], brokers: 1, realSigner: false, pace: CALM },
    logOf: () => () => {},
  })
  const { clock, timers } = ports.time
  const base = [2000, 2000, 2000]
  const line = createMemoryLine({ name: 'rs485', characterMs: CHARACTER_MS, clock, timers })
  const boxes = new Map(
    makes.map((make, n): [number, ModbusCharger] => [
      11 + n,
      make({ unit: 11 + n, clock, timers, bootMa: 16_000, carMa: 16_000, reactionMs: 200 }),
    ]),
  )
  /** What flows through the connection, in mA per phase, by Kirchhoff: cars take as much from each phase. */
  const flow = () => {
    const cars = [...boxes.values()].reduce((sum, { station }) => sum + station.drawnMa(), 0)
    return base.map(ma => ma + cars)
  }
  const measure = () => {
    const phases = flow().map(ma => ({ voltageMv: 1000 * VOLTS, currentMa: Math.abs(ma), powerMw: VOLTS * ma }))
    const sum = (of: (phase: (typeof phases)[number]) => number) =>
      phases.reduce((total, phase) => total + of(phase), 0)
    const total = { currentMa: sum(({ currentMa }) => currentMa), powerMw: sum(({ powerMw }) => powerMw) }
    const counted = { imported: 1_000_000n, exported: 0n }
    return {
      ...{ voltageMv: 1000 * VOLTS, ...total, frequencyMhz: 50_000, ...counted },
      ...{ phases: phases as never, reactiveMvar: 0, reactive: counted, firstTariff: counted },
    }
  }
  const meter = createUnit(must(createPageBank({ page: PAGES.get('eastron-sdm630')!, serial: '41000101', measure })))
  const units = new Map([[1, meter], ...[...boxes.values()].flatMap(({ units }) => [...units])])
  serveModbus(line.device, units, {
    ...{ framing: 'rtu', turnaroundMs: 5, characterMs: CHARACTER_MS, clock, timers, random: seededRandom(seed) },
  })
  const loaded = loadConfig(change(CONFIG), 'site.yaml')
  if (!loaded.ok) throw new Error(loaded.faults.map(fault => configLine(fault)).join('\n'))
  const world = ports.worldOf({ name: 'maple' } as StreetSite, loaded.value, undefined as never)
  const starting = startAgent(loaded.value, { ...world, openLine: () => line.port, openLedger: () => NO_LEDGER })
  let agent: Agent | undefined
  void starting.then(started => {
    agent = must(started)
  })
  while (agent === undefined) await ports.time.advance(10)
  const running = agent
  const stop = async () => {
    let stopped = false
    void running.stop().then(() => {
      stopped = true
    })
    while (!stopped) await ports.time.advance(10)
  }
  return { agent: running, stop, time: ports.time, base, boxes, flow, meter }
}
