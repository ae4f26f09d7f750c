/** How a person writes quantities in the configuration: exact decimals with a unit, never a float. */
import type { MbusAddress } from '../../drivers/meters/mbus-meter.ts'
import { fromHex } from '../../protocol/bytes.ts'
import { admissionFault } from '../../protocol/identity/key.ts'
import {
  type Current,
  type Frequency,
  microsPerKwh,
  milliamps,
  millihertz,
  millivolts,
  milliwatts,
  type Power,
  type Price,
  type Voltage,
  type WattHours,
  wattHours,
} from '../../protocol/quantity.ts'

const DECIMAL = /^(\d{1,15})(?:\.(\d{1,9}))?$/

/** A decimal times `factor`, or undefined where that is no whole number: digits are never dropped silently. */
export function exactDecimal(text: string, factor: bigint): bigint | undefined {
  const match = DECIMAL.exec(text)
  if (match === null) return undefined
  const fraction = match[2] ?? ''
  const scaled = BigInt(match[1]! + fraction) * factor
  const divisor = 10n ** BigInt(fraction.length)
  return scaled % divisor === 0n ? scaled / divisor : undefined
}

/** A decimal with one of the units, in base units; blanks between the two are allowed. */
function withUnit(text: string, factors: Readonly<Record<string, bigint>>): bigint | undefined {
  const match = /^([\d.]+)\s*([A-Za-z%]+)$/.exec(text)
  const factor = match === null ? undefined : factors[match[2]!]
  return factor === undefined ? undefined : exactDecimal(match![1]!, factor)
}

function number(value: bigint | undefined): number | undefined {
  return value === undefined || value > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(value)
}

const map = <T, U>(value: T | undefined, make: (value: T) => U): U | undefined =>
  value === undefined ? undefined : make(value)

/** `200ms`, `1s`, `10min`, `2h`, `14d` as milliseconds. */
export const parseDuration = (text: string): number | undefined =>
  number(withUnit(text, { ms: 1n, s: 1000n, min: 60_000n, h: 3_600_000n, d: 86_400_000n }))

/** `4GB`, `500MB` as bytes. */
export const parseBytes = (text: string): number | undefined =>
  number(withUnit(text, { MB: 1_000_000n, GB: 1_000_000_000n }))

/** `16A`, `500mA`. */
export const parseCurrent = (text: string): Current | undefined =>
  map(number(withUnit(text, { A: 1000n, mA: 1n })), milliamps)

/** `3.7kW`, `500W`. */
export const parsePower = (text: string): Power | undefined =>
  map(number(withUnit(text, { kW: 1_000_000n, W: 1000n })), milliwatts)

/** `207V`. */
export const parseVoltage = (text: string): Voltage | undefined => map(number(withUnit(text, { V: 1000n })), millivolts)

/** `49.5Hz`. */
export const parseFrequency = (text: string): Frequency | undefined =>
  map(number(withUnit(text, { Hz: 1000n })), millihertz)

/** `2kWh`, `500Wh`: whole watt-hours. */
export const parseEnergy = (text: string): WattHours | undefined =>
  map(withUnit(text, { kWh: 1000n, Wh: 1n }), wattHours)

/** `0.28`: the ledger's coin per kilowatt-hour, to a millionth. */
export const parsePrice = (text: string): Price | undefined => map(exactDecimal(text, 1_000_000n), microsPerKwh)

/** `2%`, `0.5%` as permille. */
export const parsePermille = (text: string): number | undefined => {
  const permille = number(withUnit(text, { '%': 10n }))
  return permille !== undefined && permille <= 1000 ? permille : undefined
}

export const parseWhole = (text: string): number | undefined =>
  number(/^\d{1,16}$/.test(text) ? BigInt(text) : undefined)

export const parseHeight = (text: string): bigint | undefined =>
  /^[1-9]\d{0,17}$/.test(text) ? BigInt(text) : undefined

export const parseBoolean = (text: string): boolean | undefined =>
  text === 'true' ? true : text === 'false' ? false : undefined

export const parseHex32 = (text: string): Uint8Array | undefined => {
  const bytes = fromHex(text)
  return bytes?.length === 32 ? bytes : undefined
}

/** A raw public key that signs: 32 bytes of Ed25519, or a point on P-256 compressed to 33. */
export function parseSigningKey(text: string): Uint8Array | undefined {
  const bytes = fromHex(text)
  if (bytes?.length === 32) return bytes
  return bytes !== undefined && admissionFault(bytes) === undefined ? bytes : undefined
}

/** `meter.local:502`, `127.0.0.1:8480`, `[::1]:8480`. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  return match !== null && port >= 1 && port <= 65_535 ? { host: (match[1] ?? match[2])!, port } : undefined
}

/** `board.1`: a bank and a channel from 1. */
export function parseContact(text: string): { readonly bank: string; readonly channel: number } | undefined {
  const match = /^([A-Za-z][A-Za-z0-9_-]{0,31})\.([1-9]\d?)$/.exec(text)
  return match === null ? undefined : { bank: match[1]!, channel: Number(match[2]) }
}

/** What names one of several IEC 62056-21 meters on a line (6.3.1). */
export const parseIecAddress = (text: string): string | undefined =>
  /^[A-Za-z0-9 ]{1,32}$/.test(text) ? text : undefined

/**
 * An M-Bus address: a primary one from 0 to 250, or 254 for the only meter; a secondary one of 8 digits, F for any, with
 * maker, version and medium behind them where the number is another meter's too: `12345678`, `12345678-TLN-01-02`.
 */
export function parseMbusAddress(text: string): MbusAddress | undefined {
  const match = /^([\dF]{8})(?:-([A-Z]{3})(?:-([\dA-F]{2})-([\dA-F]{2}))?)?$/i.exec(text)
  if (match !== null) {
    const [, id = '', maker, version, medium] = match
    const more =
      version === undefined ? {} : { version: Number.parseInt(version, 16), medium: Number.parseInt(medium!, 16) }
    return { id: id.toUpperCase(), ...(maker === undefined ? {} : { maker: maker.toUpperCase() }), ...more }
  }
  const primary = parseWhole(text)
  return primary !== undefined && (primary <= 250 || primary === 254) ? { primary } : undefined
}

export const parseUrl =
  (...protocols: readonly string[]) =>
  (text: string): string | undefined =>
    URL.canParse(text) && protocols.includes(new URL(text).protocol) && new URL(text).hostname !== '' ? text : undefined

/** A number of that form between two others, both included. */
export const within = (parse: (text: string) => number | undefined, least: number, most: number) => (text: string) => {
  const value = parse(text)
  return value !== undefined && value >= least && value <= most ? value : undefined
}

/** Reached by this machine alone. */
export const isLoopback = (host: string): boolean => /^(127\.0\.0\.1|::1|localhost)$/.test(host)

const parseRelayName = (text: string): string | undefined => (/^[a-z0-9-]{1,32}$/.test(text) ? text : undefined)

/** An address, or `mqtt:NAME` of a relay. */
export const parseLedgerSource = (text: string): string | undefined =>
  parseUrl('http:', 'https:')(text) ??
  (text.startsWith('mqtt:') && parseRelayName(text.slice(5)) !== undefined ? text : undefined)
