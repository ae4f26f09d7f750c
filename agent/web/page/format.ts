/** Base units to what a person reads. An unknown value is a dash, never a zero. */

export const UNKNOWN = '–'

const plain = (value: number, digits: number) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** Magnitude of a power: `840 W`, `2.31 kW`. */
export function power(mw: number | null): string {
  if (mw === null) return UNKNOWN
  const watts = Math.abs(mw) / 1000
  return watts < 1000 ? `${plain(watts, 0)} W` : `${plain(watts / 1000, 2)} kW`
}

/** `taking 840 W`, `giving 2.31 kW`, as seen from a site at its grid meter. */
export function gridFlow(mw: number | null): string {
  if (mw === null) return 'power unknown'
  // A tenth of a watt is a meter's noise.
  if (Math.abs(mw) < 100) return 'balanced'
  return `${mw > 0 ? 'taking' : 'giving'} ${power(mw)}`
}

export const energy = (wh: string): string =>
  Number(wh) < 1000 ? `${plain(Number(wh), 0)} Wh` : `${plain(Number(wh) / 1000, 2)} kWh`

/** Of a session, to the watt-hour. */
export const wattHours = (mwh: string): string => `${plain(Number(mwh) / 1e6, 3)} kWh`

export const current = (ma: number): string => `${plain(ma / 1000, 1)} A`

export const coins = (micro: string, digits = 3): string => plain(Number(micro) / 1e6, digits)

/** The zone that times are said in: the site's, which need not be the reader's. */
let zone = 'UTC'
export const zoneName = (): string => zone
export const showIn = (name = 'UTC'): void => {
  zone = name
}

/** To make one takes a hundred times as long as to use it. */
const formats = new Map<string, Intl.DateTimeFormat>()
function inZone(ms: number, options: Intl.DateTimeFormatOptions): string {
  const key = `${zone} ${Object.entries(options).join()}`
  const format = formats.get(key) ?? new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone })
  formats.set(key, format)
  return format.format(ms)
}

/** Time of day, as in `14:05:09`. */
export const clock = (ms: number): string =>
  inZone(ms, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })

/** `14:05`. */
export const minute = (ms: number): string => inZone(ms, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })

/** `Sun 21 Jun`. */
export const day = (ms: number): string =>
  inZone(ms, { weekday: 'short', day: 'numeric', month: 'short' }).replace(',', '')

/** `21 Jun 2026`. */
export const date = (ms: number): string => inZone(ms, { day: 'numeric', month: 'short', year: 'numeric' })

/** `June 2026`. */
export const month = (ms: number): string => inZone(ms, { month: 'long', year: 'numeric' })

/** A time of today without its day. */
export const moment = (ms: number, now: number): string =>
  date(ms) === date(now) ? clock(ms) : `${day(ms)} ${clock(ms)}`

export function age(ms: number | null): string {
  if (ms === null) return 'never'
  if (ms < 10_000) return `${plain(ms / 1000, 1)} s ago`
  if (ms < 120_000) return `${Math.round(ms / 1000)} s ago`
  return ms < 5_400_000 ? `${Math.round(ms / 60_000)} min ago` : `${Math.round(ms / 3_600_000)} h ago`
}

export const many = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`
