/** What a page reads of a bank of registers, through the real master on a line in simulated time. */
import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMeter } from '../../../drivers/meters/modbus-meter.ts'
import type { MeterPage } from '../../../drivers/meters/page.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { MeterReading } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import type { ModbusBank } from '../../../hw/sim/modbus-bank.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import type { Result } from '../../../protocol/result.ts'

export async function readThrough(page: MeterPage, bank: ModbusBank, meterId?: string): Promise<MeterReading> {
  const time = createSimTime(0, drainPromises)
  const { clock, timers } = time
  const characterMs = page.framing === 'rtu' ? 10 / 9.6 : 0
  const { port, device } = createMemoryLine({ name: 'bus', characterMs, latencyMs: 1, clock, timers })
  const { framing } = page
  const slave = { framing, characterMs: 0, turnaroundMs: 2, clock, timers, random: () => 1 }
  serveModbus(device, new Map([[1, createUnit(bank)]]), slave)
  const master = createModbusMaster({ line: port, clock, timers, framing })
  await master.open()
  const meter = createModbusMeter({
    ...{ master, page, unit: 1, clock, characterMs },
    ...(meterId === undefined ? {} : { meterId }),
  })
  let result: Result<MeterReading> | undefined
  void meter.read().then(value => {
    result = value
  })
  for (let n = 0; result === undefined && n < 20_000; n++) await time.advance(1)
  if (result?.ok !== true) throw new Error(`${page.name}: no reading: ${JSON.stringify(result)}`)
  return result.value
}
