/** The eight public homes as slots of an hour, for tests and benches. */
import { type Energy, milliwattHours } from '../../protocol/quantity.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import { sharedText } from '../data.ts'

export const HOUR_MS = 3_600_000
/** The first row is hour 24 of a Sunday, 31 July; in 2016 that date is a Sunday. */
export const PROFILES_START: Instant = instant(Date.UTC(2016, 6, 31, 23))

export interface Home {
  readonly name: string
  /** mWh of each hour. */
  readonly load: readonly Energy[]
  readonly generation: readonly Energy[]
  readonly batteryWh: number
  readonly batteryW: number
}

interface Sizes {
  readonly pv_kw: number
  readonly battery_kwh: number
  readonly battery_kw: number
}

export function readHomes(hours = Number.POSITIVE_INFINITY): Home[] {
  const sizes = JSON.parse(sharedText('profiles/pv-and-battery.json')) as Record<string, Sizes>
  return Array.from({ length: 8 }, (_, i) => {
    const { pv_kw, battery_kwh, battery_kw } = sizes[`Building_${i + 1}`]!
    const [header, ...lines] = sharedText(`profiles/home-${i + 1}.csv`)
      .trim()
      .split('\n')
    const columns = header!.split(',')
    const [load, solar] = [columns.indexOf('non_shiftable_load'), columns.indexOf('solar_generation')]
    const rows = lines.slice(0, hours).map(line => line.split(',').map(Number))
    return {
      name: `home-${i + 1}`,
      // kWh, and Wh a kW of panels.
      load: rows.map(row => milliwattHours(BigInt(Math.round(row[load]! * 1e6)))),
      generation: rows.map(row => milliwattHours(BigInt(Math.round(row[solar]! * pv_kw * 1e3)))),
      batteryWh: battery_kwh * 1000,
      batteryW: battery_kw * 1000,
    }
  })
}
