/** A simulated SDM630 for the commands to read: on a pseudo-terminal, or as a unit to serve elsewhere. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import type { Channel } from '../../../drivers/meters/page.ts'
import { createHomeMeter } from '../../../hw/sim/home-meter.ts'
import { createSlaveStats, createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'

export const { clock, timers } = createSystemTime()

const page = PAGES.get('eastron-sdm630')!
export const measure = createHomeMeter(1, clock)
export const unitOf = (missing: readonly Channel[] = []) =>
  createUnit(must(createPageBank({ page, serial: '41000101', measure, missing })))
/** The pace of 115,200 baud, which a pseudo-terminal does not keep: an answer faster than the wire is none. */
const CHARACTER_MS = 10_000 / 115_200
export const TIMING = { turnaroundMs: 5, clock, timers, random: seededRandom(1) } as const

/** An SDM630 as unit 1 on a pseudo-terminal. */
export async function onPty(framing: 'rtu' | 'ascii' = 'rtu', missing: readonly Channel[] = []) {
  const pty = must(await openPty())
  const unit = unitOf(missing)
  const stats = createSlaveStats()
  const stop = serveModbus(pty, new Map([[1, unit]]), { ...TIMING, stats, characterMs: CHARACTER_MS, framing })
  return {
    pty,
    unit,
    stats,
    close: async () => {
      stop()
      await pty.close()
    },
  }
}

/** Reads it there; the device follows. */
export const READ = ['read', '--page', 'eastron-sdm630', '--baud', '115200', '--line'] as const
