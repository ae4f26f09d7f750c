/**
 * A whole agent in virtual time with one wall box behind a fuse: a meter at the connection, and one that counts what the car
 * takes. The agent can be killed with its disks as a power cut leaves them, and started again.
 */
import { type Agent, startAgent } from '../../../agent/compose.ts'
import { loadConfig } from '../../../agent/config/load.ts'
import { configLine } from '../../../agent/config/read-form.ts'
import { keysFromSeed, type World } from '../../../agent/world.ts'
import { createP256Signer } from '../../../drivers/crypto/signer.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createAmperfied } from '../../../hw/sim/chargers/amperfied.ts'
import { startEverestStation } from '../../../hw/sim/chargers/everest-station.ts'
import type { SimCharger } from '../../../hw/sim/chargers/station.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { CALM } from '../../../hw/sim/site-config.ts'
import type { StreetSite } from '../../../hw/sim/street.ts'
import { fail, must, ok, type Result } from '../../../protocol/result.ts'

const HEX = 'ab'.repeat(32)
const CHARACTER_MS = 10_000 / 9600
const MILLIVOLTS = 230_000
const COUNT_MS = 100
const NAME = { name: 'maple' } as StreetSite

export const SESSION_CONFIG = `version: 1
site: maple
role: household
bench: true
data: maple
keys: {account: a.key, metering: m.key, sealing: s.key, ocmf: o.key}
ledger: {chain: c, trust: {height: 1, hash: ${HEX}}, primary: 'http://node.sim', witnesses: []}
brokers: ['mqtt://broker0.sim:1883']
lines: {rs485: {serial: /dev/rs485, baud: 9600, format: 8N1}}
meters:
  grid: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1, every: 500ms}
  car: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 2, every: 1s}
fuses:
  connection: {rating: 25A, meter: grid}
chargers:
  garage: {controller: amperfied, line: rs485, unit: 11, most: 16A, fuse: connection, watchdog: 15s, meter: car, tariff: 0.39}
trade: {slot: 60s, energy: 1kWh}
`

const dead = async () => fail({ code: 'rpc.down' })
const NO_LEDGER = new Proxy({ name: 'none' } as LedgerRpc, {
  get: (target, key) => (key === 'name' ? target.name : key === 'then' ? undefined : dead),
})

export const ocmfSigner = createP256Signer(new Uint8Array(32).fill(5))

/** The same with an EVerest station in the wall box's place, on a broker of its own. */
export const EVEREST_CONFIG = SESSION_CONFIG.replace(
  'controller: amperfied, line: rs485, unit: 11',
  'controller: everest, broker: mqtt://station.sim:1883, evse: evse_api, limits: limits_api',
)

export async function createSessionSite(text = SESSION_CONFIG) {
  const ports = createSimPorts({
    ...{ seed: 1, sites: [NAME], brokers: 1, realSigner: false, pace: CALM },
    logOf: () => () => {},
  })
  const { clock, timers, advance } = ports.time
  const line = createMemoryLine({ name: 'rs485', characterMs: CHARACTER_MS, clock, timers })
  const car = { clock, timers, bootMa: 10_000, carMa: 16_000, reactionMs: 200 }
  const wallBox = createAmperfied({ unit: 11, ...car })
  const stationBroker = createSimBroker(timers, seededRandom(2))
  const everest = () =>
    startEverestStation({
      ...car,
      bootMa: 20_000,
      bus: createSimBus([stationBroker]),
      evse: 'evse_api',
      limits: 'limits_api',
    })
  const box: SimCharger = text.includes('controller: everest') ? everest() : wallBox
  box.station.plug(false)
  let baseMa = 2000
  /** What has flowed into the car, in mWh, by the simulation's own sum; the counter began at 12 kWh. */
  let flowed = 0
  timers.every(COUNT_MS, () => {
    flowed += (3 * (MILLIVOLTS / 1000) * box.station.drawnMa() * COUNT_MS) / 3_600_000
  })
  const measure = (others: () => number) => () => {
    const currentMa = others() + box.station.drawnMa()
    const phase = { voltageMv: MILLIVOLTS, currentMa, powerMw: (MILLIVOLTS / 1000) * currentMa }
    const imported = 12_000_000n + BigInt(Math.floor(flowed))
    return {
      ...{ voltageMv: MILLIVOLTS, currentMa: 3 * currentMa, powerMw: 3 * phase.powerMw, frequencyMhz: 50_000 },
      ...{ imported, exported: 0n, phases: [phase, phase, phase] as const },
    }
  }
  const page = PAGES.get('eastron-sdm630')!
  const unitOf = (serial: string, others: () => number) =>
    createUnit(must(createPageBank({ page, serial, measure: measure(others) })))
  const carMeter = unitOf('41000102', () => 0)
  const units = new Map([[1, unitOf('41000101', () => baseMa)], [2, carMeter], ...wallBox.units])
  serveModbus(line.device, units, {
    ...{ framing: 'rtu', turnaroundMs: 5, characterMs: CHARACTER_MS, clock, timers, random: seededRandom(1) },
  })
  const loaded = loadConfig(text, 'site.yaml')
  if (!loaded.ok) throw new Error(loaded.faults.map(fault => configLine(fault)).join('\n'))
  const seed = new Uint8Array(32).fill(7)

  async function settled<T>(work: Promise<T>): Promise<T> {
    let found: { readonly value: T } | undefined
    void work.then(value => {
      found = { value }
    })
    while (found === undefined) await advance(10)
    return found.value
  }
  const start = (): Promise<Result<Agent>> => {
    const world = ports.worldOf(NAME, loaded.value, undefined as never)
    const openKeys = async () => ok({ ...keysFromSeed(seed, ports.signer), ocmf: ocmfSigner })
    const openBus: World['openBus'] = async (urls, how) =>
      urls.join() === 'mqtt://station.sim:1883' ? ok(createSimBus([stationBroker])) : world.openBus(urls, how)
    const openLine = () => line.port
    return settled(startAgent(loaded.value, { ...world, openKeys, openBus, openLine, openLedger: () => NO_LEDGER }))
  }
  let agent = must(await start())
  return {
    agent: () => agent,
    box,
    carMeter,
    ...{ advance, clock, timers },
    /** The power of the gateway goes; the wall box stays on. */
    kill() {
      ports.sites.get('maple')!.crash('now', () => void line.port.close())
    },
    async restart() {
      agent = must(await start())
    },
    /** What the house takes beside the car, in mA of each phase. */
    takeBeside(ma: number) {
      baseMa = ma
    },
    flowedMwh: () => flowed,
    stop: () => settled(agent.stop()),
  }
}
