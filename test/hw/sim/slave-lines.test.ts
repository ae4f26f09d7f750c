import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { must } from '../../../protocol/result.ts'
import { slaveCases } from '../../contracts/slave.ts'
import { follow } from '../../drivers/followed-bytes.ts'
import { suite } from '../../harness.ts'

const test = suite('slaves on lines')
/** Of virtual time, between two looks at a real device. */
const STEP_MS = 0.5

slaveCases(test, 'in memory', async () => {
  const { clock: whole, timers, advance } = createSimTime(0, drainPromises)
  const clock = { ...whole, mono: whole.fine }
  // The line keeps no pace: the slave does, as on a pseudo-terminal.
  const { port, device } = createMemoryLine({ name: 'bus', characterMs: 0, clock, timers })
  return { line: port, device, clock, timers, pass: advance, slackMs: 1e-6, end: () => device.close() }
})

slaveCases(test, 'on a serial device', async () => {
  const { clock: whole, timers, advance } = createSimTime(0, drainPromises)
  const clock = { ...whole, mono: whole.fine }
  const followed = follow()
  const device = must(await openPty())
  const line = createSerialLine({ path: device.path, baudRate: 9600 }, clock, createSystemTime().timers)
  return {
    ...{ line: followed.line(line), device: followed.device(device), clock, timers },
    pass: ms => followed.pass(advance, ms, STEP_MS),
    slackMs: 2 * STEP_MS,
    end: () => device.close(),
  }
})

test.run()
