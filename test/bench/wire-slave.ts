/** Simulated slaves in a process of their own, for bench:modbus and bench:late: one pseudo-terminal for each line of the task. */
import { createInterface } from 'node:readline'
import { createSystemTime } from '../../drivers/clock.ts'
import { openPty } from '../../drivers/line/pty.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import { createHomeMeter } from '../../hw/sim/home-meter.ts'
import type { ModbusBank } from '../../hw/sim/modbus-bank.ts'
import { createSlaveStats, createUnit, serveModbus, type UnitFaults } from '../../hw/sim/modbus-slave.ts'
import { createPageBank, inventSerial } from '../../hw/sim/page-bank.ts'
import { preciseTime } from '../../hw/sim/precise-time.ts'
import { seededRandom } from '../../hw/sim/random.ts'
import { must } from '../../protocol/result.ts'
import { TELLING_IDENTITY, tellingWord } from './telling.ts'

export interface SlaveTask {
  readonly lines: readonly {
    readonly baud: number
    readonly turnaroundMs: number
    /** A page by name, or registers that tell where they stand and when they were read. */
    readonly bank: string
    readonly units: readonly number[]
    readonly faults: Partial<UnitFaults>
  }[]
}

const { clock, timers } = preciseTime(createSystemTime())

const tellingBank = (unit: number): ModbusBank => ({
  registers: () => {
    const ms = clock.now() & 0xffff
    return (table, address) => {
      if (table === 'holding') return address >= TELLING_IDENTITY.address ? unit + 1 : undefined
      return address % 2 === 0 ? tellingWord(unit, address) : ms
    }
  },
})

function pageBank(name: string, unit: number): ModbusBank {
  const page = PAGES.get(name)!
  return must(createPageBank({ page, serial: inventSerial(page, unit), measure: createHomeMeter(unit, clock) }))
}

const task = JSON.parse(process.argv[2]!) as SlaveTask
const lines = await Promise.all(
  task.lines.map(async ({ baud, turnaroundMs, bank, units, faults }, index) => {
    const pty = must(await openPty())
    const stats = createSlaveStats()
    const characterMs = 10_000 / baud
    const random = seededRandom(index + 1)
    const serve = (wrong: Partial<UnitFaults>) => {
      const served = new Map(
        units.map(unit => [unit, createUnit(bank === 'telling' ? tellingBank(unit) : pageBank(bank, unit))]),
      )
      for (const unit of served.values()) Object.assign(unit.faults, wrong)
      return serveModbus(pty, served, {
        ...{ framing: 'rtu', characterMs, sliceMs: 1, turnaroundMs, stats, clock, timers, random },
      })
    }
    return { pty, stats, serve, stop: serve(faults) }
  }),
)
process.stdout.write(`${JSON.stringify(lines.map(({ pty }) => pty.path))}\n`)

// A line of input names a line: what was counted on it is told, and counted anew; with faults behind it, new slaves have them.
for await (const asked of createInterface({ input: process.stdin })) {
  const [index, faults] = asked.split(' ', 2)
  const line = lines[Number(index)]!
  if (faults !== undefined) {
    line.stop()
    line.stop = line.serve(JSON.parse(faults))
  }
  process.stdout.write(`${JSON.stringify(line.stats)}\n`)
  Object.assign(line.stats, createSlaveStats())
}
for (const { stop, pty } of lines) {
  stop()
  await pty.close()
}
