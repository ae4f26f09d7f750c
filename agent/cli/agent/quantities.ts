/** Whole numbers of base units, as the API gives them, in the units that a person reads: exact, nothing is rounded. */

/** `units` of 10 to the power of -`places`: `decimal('1234567', 6)` is `1.234567`; zeros at the end are left out. */
export function decimal(units: string | bigint, places: number): string {
  const text = String(units)
  const negative = text.startsWith('-')
  const digits = (negative ? text.slice(1) : text).padStart(places + 1, '0')
  const whole = digits.slice(0, digits.length - places)
  const rest = digits.slice(digits.length - places).replace(/0+$/, '')
  return `${negative ? '-' : ''}${whole}${rest === '' ? '' : `.${rest}`}`
}

/** Micro-units of the ledger's money, as coins. */
export const coins = (micro: string | bigint): string => decimal(micro, 6)
export const kilowattHours = (wh: string | bigint): string => `${decimal(wh, 3)} kWh`

/** `3 s`, `12 min`, `5 h`, `2 d`: the greatest unit of which there are two or more, rounded down. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}
