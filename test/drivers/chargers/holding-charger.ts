/** A program that holds a charger at a limit until it is killed: kind, path of the device or port on this machine, mA. */
import { writeSync } from 'node:fs'
import { createSystemTime } from '../../../drivers/clock.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createTcpLine } from '../../../drivers/line/tcp.ts'
import { KINDS } from './bench.ts'

/** Much more often than any watchdog here wants it. */
const RENEWED_MS = 250

const [kindName, place = '', limit] = process.argv.slice(2)
const kind = KINDS.find(({ name }) => name === kindName)!
const { clock, timers } = createSystemTime()
const line =
  kind.wire === 'tcp'
    ? createTcpLine('127.0.0.1', Number(place), clock, timers)
    : createSerialLine({ path: place, ...kind.wire }, clock, timers)
const charger = await kind.open({ line, clock, timers })

/** Says `held` each time that the limit stands, and looks in between, as an agent does. */
for (;;) {
  const set = await charger.setLimit(Number(limit))
  const seen = await charger.status()
  // Past Node's streams: what was said must not die with the process.
  if (set.ok && seen.ok) writeSync(1, 'held\n')
  await timers.sleep(RENEWED_MS)
}
