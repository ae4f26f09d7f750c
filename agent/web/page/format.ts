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

export const coins = (micro: string, digits = 3): string => plain(Number(micro) / 1e6, digits)

/** Time of day of the street's clock, UTC. */
export const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19)

export const day = (ms: number): string =>
  new Date(ms).toLocaleDateString('en', { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' })

export function age(ms: number | null): string {
  if (ms === null) return 'never'
  if (ms < 10_000) return `${plain(ms / 1000, 1)} s ago`
  if (ms < 120_000) return `${Math.round(ms / 1000)} s ago`
  return `${Math.round(ms / 60_000)} min ago`
}

export const many = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`
