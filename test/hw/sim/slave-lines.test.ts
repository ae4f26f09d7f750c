import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { preciseTime } from '../../../hw/sim/precise-time.ts'
import { must } from '../../../protocol/result.ts'
import { slaveCases } from '../../contracts/slave.ts'
import { suite } from '../../harness.ts'

const test = suite('slaves on lines')

slaveCases(test, 'in memory', async () => {
  const { clock: whole, timers, advance } = createSimTime(0, drainPromises)
  const clock = { ...whole, mono: whole.fine }
  // The line keeps no pace: the slave does, as on a pseudo-terminal.
  const { port, device } = createMemoryLine({ name: 'bus', characterMs: 0, clock, timers })
  return { line: port, device, clock, timers, pass: advance, slackMs: 1e-6, end: () => device.close() }
})

slaveCases(test, 'on a serial device', async () => {
  const system = createSystemTime()
  const { clock, timers } = preciseTime(system)
  const device = must(await openPty())
  const line = createSerialLine({ path: device.path, baudRate: 9600 }, clock, system.timers)
  return { line, device, clock, timers, pass: system.timers.sleep, slackMs: 500, end: () => device.close() }
})

test.run()
