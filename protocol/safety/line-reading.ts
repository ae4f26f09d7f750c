/** What the interlock takes from a line meter's reading: voltage and current of each phase, and the frequency. */
import { type Current, type Frequency, milliamps, millihertz, millivolts, type Voltage } from '../quantity.ts'
import { findValue, type MeterValue, OBIS, type Obis, towardZeroAt, type UnitName } from '../telegram/obis.ts'
import type { Mono } from '../time.ts'

export interface LineReading {
  readonly taken: Mono
  /** One entry a phase, as far as the meter gave them. */
  readonly voltages: readonly Voltage[]
  /** One entry a phase, without sign. */
  readonly currents: readonly Current[]
  /** Absent on a dead line with many meters. */
  readonly frequency: Frequency | undefined
  /** Voltages and currents of the wanted phases that the meter did not give. */
  readonly missing: readonly Obis[]
}

const VOLTAGES = [OBIS.voltageL1, OBIS.voltageL2, OBIS.voltageL3]
const CURRENTS = [OBIS.currentL1, OBIS.currentL2, OBIS.currentL3]

/** Milli-units of a value, cut toward zero; undefined where it is absent, in another unit or beyond any real wire. */
function milli(values: readonly MeterValue[], obis: Obis, unit: UnitName): number | undefined {
  const value = findValue(values, obis)
  if (value === undefined || value.unit !== unit) return undefined
  const whole = Number(towardZeroAt(value, -3))
  return Number.isSafeInteger(whole) ? whole : undefined
}

/** Reads `phases` phases out of a meter's values. A wanted value that is not there is named, never taken for zero. */
export function lineReading(values: readonly MeterValue[], taken: Mono, phases: 1 | 3): LineReading {
  const missing: Obis[] = []
  const wanted = (names: readonly Obis[], unit: UnitName) =>
    names.slice(0, phases).flatMap(name => {
      const value = milli(values, name, unit)
      if (value === undefined) missing.push(name)
      return value === undefined ? [] : [value]
    })
  const voltages = wanted(VOLTAGES, 'V').map(millivolts)
  // Some meters sign the current by its direction; heat in a wire has none.
  const currents = wanted(CURRENTS, 'A').map(ma => milliamps(Math.abs(ma)))
  const frequency = milli(values, OBIS.frequency, 'Hz')
  return { taken, voltages, currents, frequency: frequency === undefined ? undefined : millihertz(frequency), missing }
}
