/**
 * What stands behind the line of bench:control's chargers, on a pseudo-terminal at 9,600 baud: the meter of a fuse, and four chargers
 * whose cars draw what they are let.
 */
import { createSystemTime } from '../../drivers/clock.ts'
import { openPty } from '../../drivers/line/pty.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import { createAbbTerra } from '../../hw/sim/chargers/abb-terra.ts'
import { createAmperfied } from '../../hw/sim/chargers/amperfied.ts'
import type { ModbusCharger } from '../../hw/sim/chargers/modbus-charger.ts'
import type { StationOptions } from '../../hw/sim/chargers/station.ts'
import { createUnit, serveModbus } from '../../hw/sim/modbus-slave.ts'
import { createPageBank, inventSerial } from '../../hw/sim/page-bank.ts'
import { seededRandom } from '../../hw/sim/random.ts'
import { must } from '../../protocol/result.ts'
import { BAUD } from './control-line.ts'

export const METER_UNIT = 1
/** By controller, in the order of their units from 10: those that measure what their cars draw, so that all that is free is shared. */
export const STATIONS = ['amperfied', 'abb-terra', 'amperfied', 'abb-terra'] as const
export const FIRST_UNIT = 10
export const FUSE_MA = 40_000
export const CHARGER_MA = 16_000
const MAKE: Readonly<
  Record<(typeof STATIONS)[number], (options: StationOptions & { readonly unit: number }) => ModbusCharger>
> = { amperfied: createAmperfied, 'abb-terra': createAbbTerra }
/** Cars follow sooner than the standard's 5 s; a slower one makes no limit later. */
const REACTION_MS = 500
const TURNAROUND_MS = 15

export interface BenchChargers {
  readonly path: string
  /** Everything else behind the fuse, per phase in mA. */
  base(ma: number): void
  /** What the chargers let their cars have together, per phase in mA. */
  offeredMa(): number
  close(): Promise<void>
}

export async function openBenchChargers(): Promise<BenchChargers> {
  const { clock, timers } = createSystemTime()
  let baseMa = 0
  const stations = STATIONS.map((name, n) =>
    MAKE[name]({ clock, timers, unit: FIRST_UNIT + n, bootMa: 0, carMa: CHARGER_MA, reactionMs: REACTION_MS }),
  )
  const page = PAGES.get('eastron-sdm630')!
  const measure = () => {
    const currentMa = baseMa + stations.reduce((sum, { station }) => sum + station.drawnMa(), 0)
    const phase = { voltageMv: 230_000, currentMa, powerMw: 230 * currentMa }
    return {
      ...{ ...phase, phases: [phase, phase, phase] as const, frequencyMhz: 50_000 },
      ...{ imported: 1_000_000n, exported: 0n },
    }
  }
  const meter = createUnit(must(createPageBank({ page, serial: inventSerial(page, 1), measure })))
  const units = new Map([[METER_UNIT, meter], ...stations.flatMap(station => [...station.units])])
  const pty = must(await openPty())
  const stop = serveModbus(pty, units, {
    ...{ framing: 'rtu', characterMs: 10_000 / BAUD, turnaroundMs: TURNAROUND_MS },
    ...{ clock, timers, random: seededRandom(1) },
  })
  return {
    path: pty.path,
    base: ma => {
      baseMa = ma
    },
    offeredMa: () => stations.reduce((sum, { station }) => sum + station.offeredMa(), 0),
    async close() {
      stop()
      await pty.close()
    },
  }
}
