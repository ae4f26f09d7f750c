/** What each register is called for people, for Home Assistant and as a metric: the one table of that. */
import { type MeterValue, OBIS, type Obis, type UnitName } from '../../protocol/telegram/obis.ts'

export interface RegisterName {
  readonly obis: Obis
  /** Unique among the registers; part of topics and of what others store. */
  readonly id: string
  /** For people. */
  readonly label: string
  readonly unit: UnitName
  /** Name of the metric family, which ends with its base unit (OpenMetrics 1.0), and the labels that part it. */
  readonly metric: string
  readonly labels: Readonly<Record<string, string>>
  readonly help: string
  /** Home Assistant's device class; its unit is `unit`. */
  readonly deviceClass: string
  /** A counter only rises; a gauge is what it is at the moment. */
  readonly kind: 'counter' | 'gauge'
}

/** Metrics are in base units: what a register of this unit is multiplied by, and the base unit's name. */
const BASE = {
  Wh: { times: 3600n, name: 'joules' },
  W: { times: 1n, name: 'watts' },
  V: { times: 1n, name: 'volts' },
  A: { times: 1n, name: 'amperes' },
  Hz: { times: 1n, name: 'hertz' },
} as const
type BaseUnit = keyof typeof BASE

const entry = (
  obis: Obis,
  id: string,
  label: string,
  unit: BaseUnit,
  quantity: string,
  help: string,
  labels: Readonly<Record<string, string>> = {},
): RegisterName => ({
  ...{ obis, id, label, unit, labels, help },
  metric: `tieline_${quantity}_${BASE[unit].name}`,
  deviceClass: DEVICE_CLASS[unit],
  kind: unit === 'Wh' ? 'counter' : 'gauge',
})

const DEVICE_CLASS: Readonly<Record<BaseUnit, string>> = {
  Wh: 'energy',
  W: 'power',
  V: 'voltage',
  A: 'current',
  Hz: 'frequency',
}

const IMPORT = 'Energy that the meter has counted into the site.'
const EXPORT = 'Energy that the meter has counted out of the site.'
const POWER = 'Active power, import positive.'
const VOLTAGE = 'Voltage of a phase against neutral.'
const CURRENT = 'Current of a phase.'
const phase = (n: 1 | 2 | 3) => ({ phase: `L${n}` })

/** In the order in which they are shown. */
export const REGISTER_NAMES: readonly RegisterName[] = [
  entry(OBIS.energyImport, 'energy_import', 'Energy imported', 'Wh', 'energy_import', IMPORT),
  entry(OBIS.energyExport, 'energy_export', 'Energy exported', 'Wh', 'energy_export', EXPORT),
  entry(OBIS.power, 'power', 'Power', 'W', 'power', POWER),
  entry(OBIS.powerImport, 'power_import', 'Power imported', 'W', 'power_import', 'Active power into the site.'),
  entry(OBIS.powerExport, 'power_export', 'Power exported', 'W', 'power_export', 'Active power out of the site.'),
  entry(OBIS.voltageL1, 'voltage_l1', 'Voltage L1', 'V', 'voltage', VOLTAGE, phase(1)),
  entry(OBIS.voltageL2, 'voltage_l2', 'Voltage L2', 'V', 'voltage', VOLTAGE, phase(2)),
  entry(OBIS.voltageL3, 'voltage_l3', 'Voltage L3', 'V', 'voltage', VOLTAGE, phase(3)),
  entry(OBIS.currentL1, 'current_l1', 'Current L1', 'A', 'current', CURRENT, phase(1)),
  entry(OBIS.currentL2, 'current_l2', 'Current L2', 'A', 'current', CURRENT, phase(2)),
  entry(OBIS.currentL3, 'current_l3', 'Current L3', 'A', 'current', CURRENT, phase(3)),
  entry(OBIS.frequency, 'frequency', 'Frequency', 'Hz', 'frequency', 'Frequency of the grid.'),
]

const BY_OBIS: ReadonlyMap<Obis, RegisterName> = new Map(REGISTER_NAMES.map(name => [name.obis, name]))

/** Undefined for registers that are read and not told to others. */
export const registerName = (obis: Obis): RegisterName | undefined => BY_OBIS.get(obis)

/** The exact decimal in the register's own unit: `-4426.218`. */
export const decimalOf = ({ value, scaler }: Pick<MeterValue, 'value' | 'scaler'>): string => {
  const whole = value * 10n ** BigInt(Math.max(0, scaler))
  const digits = (whole < 0n ? -whole : whole).toString().padStart(1 - Math.min(0, scaler), '0')
  const point = digits.length + Math.min(0, scaler)
  const fraction = digits.slice(point)
  return `${whole < 0n ? '-' : ''}${digits.slice(0, point)}${fraction === '' ? '' : `.${fraction}`}`
}

/** The same in the metric's base unit. A value in another unit than its register's is none of it. */
export function baseDecimalOf(name: RegisterName, { value, scaler, unit }: MeterValue): string | undefined {
  return unit === name.unit ? decimalOf({ value: value * BASE[unit as BaseUnit].times, scaler }) : undefined
}

/** The base unit's name, which ends the metric's. */
export const baseUnitOf = ({ unit }: RegisterName): string => BASE[unit as BaseUnit].name

/** A JSON number where that is exactly this decimal, else its text. */
export function exactNumber(decimal: string): number | string {
  const number = Number(decimal)
  const digits = decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal
  return String(number) === (digits === '-0' ? '0' : digits) ? number : decimal
}
