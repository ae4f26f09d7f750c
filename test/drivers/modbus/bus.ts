/** A bus in simulated time for the master's tests: any framing, any number of units, a wire that can be disturbed. */
import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMaster, type ModbusMasterParts } from '../../../drivers/modbus/master.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, type ModbusUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { noise } from '../../../hw/sim/noise.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import type { Result } from '../../../protocol/result.ts'

export const CHARACTER_MS = 10_000 / 9_600

/** A bus in simulated time with units whose registers hold their own address. */
export function makeBus(
  more: Partial<ModbusMasterParts> & { units?: readonly number[]; characterMs?: number; flippedBits?: number } = {},
) {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const random = seededRandom(7)
  const framing = more.framing ?? 'rtu'
  const characterMs = more.characterMs ?? (framing === 'tcp' ? 0 : CHARACTER_MS)
  const flips = { flippedBits: more.flippedBits ?? 0, lostBytes: 0 }
  const toDevice: { at: number; length: number }[] = []
  const toGateway: { at: number; length: number }[] = []
  const wire = createMemoryLine({
    name: 'bus',
    characterMs,
    clock,
    timers,
    disturb: (bytes, towards) => {
      const log = towards === 'device' ? toDevice : toGateway
      // Written now, so that its first bit is on the wire now.
      log.push({ at: clock.fine(), length: bytes.length })
      return noise(bytes, flips, random)
    },
  })
  const written = new Map<number, number>()
  const coils = [false, false, false, false]
  const units = new Map<number, ModbusUnit>(
    (more.units ?? [1]).map(unit => [
      unit,
      createUnit({
        registers: () => (_table, address) => (address < 0x1000 ? address : undefined),
        writeRegister: (address, value) => {
          written.set(address, value)
          return true
        },
        discreteInput: address => (address < 16 ? address % 3 === 0 : undefined),
        identification: new Map([
          [0, new TextEncoder().encode('Tieline')],
          [1, Uint8Array.of(0x42)],
          [2, Uint8Array.of()],
        ]),
        coil: address => coils[address],
        writeCoil: (address, on) => {
          if (address >= coils.length) return false
          coils[address] = on
          return true
        },
      }),
    ]),
  )
  serveModbus(wire.device, units, { framing, characterMs: 0, turnaroundMs: 5, clock, timers, random })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing, ...more })
  return { clock, timers, advance, wire, units, coils, written, master, toDevice, toGateway }
}

export type Bus = ReturnType<typeof makeBus>

/** Lets the simulated time run until a promise has settled. */
export async function settled<T>(bus: Bus, promise: Promise<T>, stepMs = 10): Promise<T> {
  let result: { value: T } | undefined
  void promise.then(value => {
    result = { value }
  })
  for (let steps = 0; result === undefined; steps++) {
    if (steps > 100_000) throw new Error('never settled')
    await bus.advance(stepMs)
  }
  return result.value
}

export const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
