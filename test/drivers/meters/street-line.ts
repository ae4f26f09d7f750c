/** A line at 9,600 baud with simulated meters, in simulated time. */
import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMeter, type ModbusMeterParts } from '../../../drivers/meters/modbus-meter.ts'
import type { MeterPage } from '../../../drivers/meters/page.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, type ModbusBank, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import type { Measured } from '../../../hw/sim/register-image.ts'
import type { Result } from '../../../protocol/result.ts'

const CHARACTER_MS = 10_000 / 9_600

/** -1,919.7 W at 230.2 V and 8.339 A, 1,551.374 kWh in, 1,335.693 kWh out. */
export const MEASURED: Measured = {
  voltageMv: 230_200,
  currentMa: 8_339,
  powerMw: -1_919_700,
  frequencyMhz: 49_950,
  imported: 1_551_374_000n,
  exported: 1_335_693_000n,
}

export function makeStreetLine(banks: readonly ModbusBank[]) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'rs485', characterMs: CHARACTER_MS, clock, timers })
  const units = new Map(banks.map((bank, i) => [i + 1, createUnit(bank)]))
  const random = seededRandom(3)
  serveModbus(wire.device, units, { framing: 'rtu', characterMs: 0, turnaroundMs: 5, clock, timers, random })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing: 'rtu' })
  const meter = (page: MeterPage, more: Partial<ModbusMeterParts> = {}) =>
    createModbusMeter({ master, page, unit: 1, clock, characterMs: CHARACTER_MS, ...more })
  return { clock, timers, advance, wire, units, random, master, meter }
}

export async function settled<T>(bus: { advance(ms: number): Promise<void> }, promise: Promise<T>): Promise<T> {
  let result: { value: T } | undefined
  void promise.then(value => {
    result = { value }
  })
  while (result === undefined) await bus.advance(10)
  return result.value
}

export const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
