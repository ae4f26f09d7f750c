/**
 * OBIS names (IEC 62056-61) and the value that every meter, whatever it speaks, gives: an exact decimal with a name and
 * a unit. This one table also names how a register is called elsewhere.
 */

/** `A-B:C.D.E*F`, or without `*F` where F is 255: `1-0:1.8.0`. */
export type Obis = string

/** DLMS unit codes (IEC 62056-6-2 table of enumerated units), those that we use. `1` is a plain number, as of a power factor. */
export const DLMS_UNIT = {
  degC: 9,
  m3: 13,
  'm3/h': 15,
  J: 25,
  W: 27,
  VA: 28,
  var: 29,
  Wh: 30,
  VAh: 31,
  varh: 32,
  A: 33,
  V: 35,
  Hz: 44,
  '1': 255,
} as const
export type UnitName = keyof typeof DLMS_UNIT
export const UNIT_NAMES: ReadonlyMap<number, UnitName> = new Map(
  (Object.keys(DLMS_UNIT) as UnitName[]).map(name => [DLMS_UNIT[name], name]),
)

/** value x 10^scaler in unit. `4426`, -3, kWh is written here as Wh: the unit is always the unprefixed one. */
export interface MeterValue {
  readonly obis: Obis
  readonly value: bigint
  /** Power of ten, -9..9. */
  readonly scaler: number
  readonly unit: UnitName
  /** The unit as the telegram itself wrote it, where that is a prefixed one (`kWh`, `kW`, ...): for people only. */
  readonly written?: string
  /**
   * The meter's own time of a value that is older than its telegram, YYMMDDhhmmss and S or W for summer or winter where it
   * says so: a gas meter's last hour, a month's peak. Such a value is for people only: it never becomes part of a reading.
   */
  readonly at?: string
  /** Worked out here from other values of the same telegram, which does not say it itself. */
  readonly derived?: true
}

/** The registers that Tieline itself reasons about. Import is energy into the site, export energy out of it. */
export const OBIS = {
  energyImport: '1-0:1.8.0',
  energyExport: '1-0:2.8.0',
  powerImport: '1-0:1.7.0',
  powerExport: '1-0:2.7.0',
  /** Signed sum of both directions, import positive. */
  power: '1-0:16.7.0',
  voltageL1: '1-0:32.7.0',
  voltageL2: '1-0:52.7.0',
  voltageL3: '1-0:72.7.0',
  currentL1: '1-0:31.7.0',
  currentL2: '1-0:51.7.0',
  currentL3: '1-0:71.7.0',
  frequency: '1-0:14.7.0',
  powerL1: '1-0:36.7.0',
  powerL2: '1-0:56.7.0',
  powerL3: '1-0:76.7.0',
  /** Signed sums: inductive (+) less capacitive (-). */
  reactivePower: '1-0:3.7.0',
  apparentPower: '1-0:9.7.0',
  powerFactor: '1-0:13.7.0',
  reactiveEnergyImport: '1-0:3.8.0',
  reactiveEnergyExport: '1-0:4.8.0',
  energyImportT1: '1-0:1.8.1',
  energyImportT2: '1-0:1.8.2',
  energyExportT1: '1-0:2.8.1',
  energyExportT2: '1-0:2.8.2',
} as const satisfies Record<string, Obis>

/** Six bytes A B C D E F of an OBIS name, or undefined where it is none. */
export function obisBytes(obis: Obis): Uint8Array | undefined {
  const match = /^(\d+)-(\d+):(\d+)\.(\d+)\.(\d+)(?:\*(\d+))?$/.exec(obis)
  if (match === null) return undefined
  const fields = match.slice(1).map(field => (field === undefined ? 255 : Number(field)))
  return fields.every(field => field <= 255) ? Uint8Array.from(fields) : undefined
}

/** The OBIS name of six bytes. */
export function obisName(bytes: Uint8Array): Obis {
  const [a, b, c, d, e, f] = bytes
  return `${a}-${b}:${c}.${d}.${e}${f === 255 ? '' : `*${f}`}`
}

/** A value at another power of ten; undefined where that would drop digits. */
export function atScaler(value: MeterValue, scaler: number): bigint | undefined {
  const shift = value.scaler - scaler
  if (shift >= 0) return value.value * 10n ** BigInt(shift)
  const divisor = 10n ** BigInt(-shift)
  return value.value % divisor === 0n ? value.value / divisor : undefined
}

/** A value at another power of ten, digits beyond it cut off toward zero. */
export function towardZeroAt(value: MeterValue, scaler: number): bigint {
  const shift = value.scaler - scaler
  return shift >= 0 ? value.value * 10n ** BigInt(shift) : value.value / 10n ** BigInt(-shift)
}

export const findValue = (values: readonly MeterValue[], obis: Obis): MeterValue | undefined =>
  values.find(value => value.obis === obis)
