/**
 * JSON (RFC 8259) with exact numbers: they go in as their digits and never pass through a float. The same value is always
 * the same text: no blanks, members in the order given, and ASCII alone, so that no transport changes what was signed.
 */

/** A number by its text. */
export class JsonNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Members that are undefined are left out. */
export type Json = string | boolean | JsonNumber | readonly Json[] | { readonly [name: string]: Json | undefined }

export function writeJson(value: Json): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'boolean') return String(value)
  if (value instanceof JsonNumber) return value.text
  if (isList(value)) return `[${value.map(writeJson).join(',')}]`
  const members = Object.entries(value).flatMap(([name, member]) =>
    member === undefined ? [] : `${quote(name)}:${writeJson(member)}`,
  )
  return `{${members.join(',')}}`
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value)

/** The bar is escaped too: OCMF puts its sections between bars and allows none inside. */
const quote = (text: string): string =>
  JSON.stringify(text).replace(/[|\u007f-\uffff]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** value x 10^scaler with as many decimals as it has, zeros included, and no exponent: 12340, -3 is `12.340`. */
export function decimalText(value: bigint, scaler: number): string {
  if (scaler >= 0) return String(value * 10n ** BigInt(scaler))
  const digits = String(value < 0n ? -value : value).padStart(1 - scaler, '0')
  return `${value < 0n ? '-' : ''}${digits.slice(0, scaler)}.${digits.slice(scaler)}`
}
