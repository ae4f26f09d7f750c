/**
 * Energy counters never go back. One that does was reset, replaced or misread: it is left out, and stays out until it has
 * passed its highest believed value again or a person restarts the meter's driver.
 */
import { atScaler, type MeterValue, type Obis } from '../../protocol/telegram/obis.ts'
import type { Log } from '../ports.ts'

/** Comparing in millionths keeps every digit that any meter gives. */
const FINEST = -6

export interface CounterWatch {
  /** `values` without the counters that went back. */
  keepRising(values: readonly MeterValue[]): readonly MeterValue[]
}

export function createCounterWatch(meter: string, log?: Log): CounterWatch {
  const highest = new Map<Obis, bigint>()
  return {
    keepRising: values =>
      values.filter(value => {
        if (value.unit !== 'Wh') return true
        const now = atScaler(value, FINEST)
        if (now === undefined) return true
        const before = highest.get(value.obis)
        if (before !== undefined && now < before) {
          const fault = {
            code: 'meter.counter-back',
            obis: value.obis,
            believed: before,
            received: now,
            scaler: FINEST,
          }
          log?.('warn', 'meters', `${meter} gave a counter that went back`, fault)
          return false
        }
        highest.set(value.obis, now)
        return true
      }),
  }
}
