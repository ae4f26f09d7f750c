/** How meter values are shown: as JSON for programs, and in words for people. */
import { CHANNELS, type Channel } from '../../../drivers/meters/page.ts'
import { decimalText } from '../../../protocol/json-write.ts'
import type { MeterValue, Obis, UnitName } from '../../../protocol/telegram/obis.ts'

/** `value` times ten to the `scaler`, in `unit`. The value is text, because it may have more digits than a double holds. */
export interface ValueJson {
  readonly obis: Obis
  readonly value: string
  readonly scaler: number
  readonly unit: string
  /** The meter's own time of a value older than its telegram: YYMMDDhhmmss, and S or W for summer or winter where it says so. */
  readonly at?: string
}

const PREFIXES: Readonly<Record<string, number>> = { k: 3, M: 6, G: 9 }

/** The power of ten by which a telegram's own unit stands above the plain one: 3 of kWh. */
const prefixOf = (written: string | undefined): number => PREFIXES[written?.[0] ?? ''] ?? 0

/** In the unit that the telegram itself wrote, where it wrote one. */
export function valueJson({ obis, value, scaler, unit, written, at }: MeterValue): ValueJson {
  const prefix = prefixOf(written)
  const said = { obis, value: String(value), scaler: scaler - prefix, unit: prefix === 0 ? unit : written! }
  return at === undefined ? said : { ...said, at }
}

const CHANNEL_WORDS: Readonly<Record<Channel, string>> = {
  voltageL1: 'voltage L1',
  voltageL2: 'voltage L2',
  voltageL3: 'voltage L3',
  currentL1: 'current L1',
  currentL2: 'current L2',
  currentL3: 'current L3',
  power: 'power, import positive',
  frequency: 'frequency',
  energyImported: 'energy imported',
  energyExported: 'energy exported',
  powerL1: 'power L1, import positive',
  powerL2: 'power L2, import positive',
  powerL3: 'power L3, import positive',
  reactivePower: 'reactive power',
  apparentPower: 'apparent power',
  powerFactor: 'power factor',
  reactiveEnergyImported: 'reactive energy imported',
  reactiveEnergyExported: 'reactive energy exported',
  energyImportedT1: 'energy imported, tariff 1',
  energyImportedT2: 'energy imported, tariff 2',
  energyExportedT1: 'energy exported, tariff 1',
  energyExportedT2: 'energy exported, tariff 2',
}

const CHANNEL_OF: ReadonlyMap<Obis, Channel> = new Map(
  (Object.keys(CHANNELS) as Channel[]).map(channel => [CHANNELS[channel].obis, channel]),
)

/** The name by which pages know a quantity; undefined where none has it. */
export const channelOf = (obis: Obis): Channel | undefined => CHANNEL_OF.get(obis)

export const channelWords = (channel: Channel): string => CHANNEL_WORDS[channel]

/** IEC 62056-61: group C of electricity, less its phase. */
const QUANTITY_WORDS: Readonly<Record<number, string>> = {
  1: 'import',
  2: 'export',
  3: 'reactive import',
  4: 'reactive export',
  5: 'reactive, quadrant 1',
  6: 'reactive, quadrant 2',
  7: 'reactive, quadrant 3',
  8: 'reactive, quadrant 4',
  9: 'apparent import',
  10: 'apparent export',
  11: 'current',
  12: 'voltage',
  13: 'power factor',
  14: 'frequency',
  15: 'absolute active',
  16: 'active, import less export',
}
/** Group A: what is metered. */
const MEDIUM_WORDS: Readonly<Record<number, string>> = {
  4: 'heat cost',
  5: 'cooling',
  6: 'heat',
  7: 'gas',
  8: 'cold water',
  9: 'hot water',
}
/** What a unit says of quantities that come as power and as energy. */
const KIND_WORDS: { readonly [U in UnitName]?: string } = {
  W: 'power',
  Wh: 'energy',
  var: 'power',
  varh: 'energy',
  VA: 'power',
  VAh: 'energy',
}

/** What a register is in words, as far as its name says; empty where it does not. */
function obisWords({ obis, unit }: Pick<MeterValue, 'obis' | 'unit'>): string {
  const channel = channelOf(obis)
  if (channel !== undefined) return CHANNEL_WORDS[channel]
  const match = /^(\d+)-\d+:(\d+)\.(\d+)\.(\d+)/.exec(obis)
  if (match === null) return ''
  const [a, c, d, e] = match.slice(1).map(Number) as [number, number, number, number]
  if (a === 0 && c === 24) return 'meter on the M-Bus'
  if (a !== 1) return MEDIUM_WORDS[a] ?? ''
  // 21 to 40 are phase L1 of what 1 to 20 are in sum, 41 to 60 L2, 61 to 80 L3.
  const phase = c > 20 && c <= 80 ? ` L${Math.floor((c - 1) / 20)}` : ''
  const words = QUANTITY_WORDS[phase === '' ? c : ((c - 1) % 20) + 1]
  if (words === undefined) return ''
  const kind = KIND_WORDS[unit]
  const tariff = d === 8 && e > 0 ? `, tariff ${e}` : ''
  const most = d === 6 ? ', maximum' : d === 4 || d === 5 || d === 24 || d === 25 ? ', mean' : ''
  return `${words}${kind === undefined ? '' : ` ${kind}`}${phase}${tariff}${most}`
}

/** The exact decimal with its unit, energy in kWh: `4426.123 kWh`; behind it the time of what is not of now. */
export function valueText({ value, scaler, unit, at }: MeterValue): string {
  const kilo = unit === 'Wh' || unit === 'varh' || unit === 'VAh'
  const number = `${decimalText(value, kilo ? scaler - 3 : scaler)}${unit === '1' ? '' : ` ${kilo ? 'k' : ''}${unit}`}`
  return at === undefined ? number : `${number}, of ${meterTime(at)}`
}

const SEASONS: Readonly<Record<string, string>> = { S: ' summer time', W: ' winter time' }

/** `170102192000W` as `2017-01-02 19:20:00 winter time`. */
const meterTime = (at: string): string =>
  at.replace(
    /^(..)(..)(..)(..)(..)(..)(.?)$/,
    (_, year, month, day, hour, minute, second, season) =>
      `20${year}-${month}-${day} ${hour}:${minute}:${second}${SEASONS[season] ?? ''}`,
  )

/** Columns two blanks apart, the last one as it is; lines end with a line feed. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row => row.map((cell, column) => (column < row.length - 1 ? cell.padEnd(widths[column]!) : cell)).join('  '))
    .map(line => `${line.trimEnd()}\n`)
    .join('')
}

/** One line for each value: name, words, value. */
export const valueTable = (values: readonly MeterValue[]): string =>
  table(values.map(value => [`  ${value.obis}`, obisWords(value), valueText(value)]))
