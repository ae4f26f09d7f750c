/**
 * A model's registers as named values, and those of a meter or inverter under their OBIS names.
 *
 * Signs: in meter models `Imp` is energy into the site, and W is taken as positive for import unless the maker is known, or said,
 * to count the other way. An inverter's W is positive and WH (701: TotWhInj) grows while it produces: that is export of what
 * lies behind the meter, so its power is turned around. A battery model does not say which way its W points: somebody must.
 */
import { fail, ok, type Result } from '../result.ts'
import { type MeterValue, OBIS, type Obis, type UnitName } from '../telegram/obis.ts'
import { HEADER_REGISTERS, type Model, modelOf, type Point } from './models.ts'
import { decodePoint, decodeText, FLOAT_SCALER } from './point.ts'

/** `value` x 10^`scaler` in `unit` (empty for enumerations and counts), or a text. */
export type PointValue =
  | { readonly kind: 'number'; readonly value: bigint; readonly scaler: number; readonly unit: string }
  | { readonly kind: 'text'; readonly text: string }

/** Points by name; what the device does not have is absent. */
export type PointValues = ReadonlyMap<string, PointValue>

export interface ModelReading {
  readonly id: number
  readonly points: PointValues
  /** What repeats: the modules of model 160, the ports of model 714. */
  readonly repeated: readonly PointValues[]
}

/** The standard's range of scale factors. */
const SCALE_MOST = 10n

const word = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!

/** Repetitions in a model of this length; undefined where the length does not fit the definition. */
export function repetitionsIn(model: Model, length: number): number | undefined {
  if (model.group === undefined) return model.lengths.includes(length) ? 0 : undefined
  const rest = length - model.lengths[0]!
  return rest >= 0 && rest % model.group.registers === 0 ? rest / model.group.registers : undefined
}

/**
 * The points in `bytes`, a model's registers from its id on; those that lie beyond them are left out. Faults:
 * `sunspec.unknown-model`, `sunspec.model-length` (the model's length is not one that its definition has).
 */
export function readModel(bytes: Uint8Array): Result<ModelReading> {
  if (bytes.length < 2 * HEADER_REGISTERS) return fail({ code: 'sunspec.answer', received: bytes.length })
  const id = word(bytes, 0)
  const length = word(bytes, 2)
  const model = modelOf(id)
  if (model === undefined) return fail({ code: 'sunspec.unknown-model', model: id })
  const repetitions = repetitionsIn(model, length)
  if (repetitions === undefined)
    return fail({ code: 'sunspec.model-length', model: id, length, expected: model.lengths[0]! })
  const end = Math.min(bytes.length >> 1, HEADER_REGISTERS + length)
  const registers = (point: Point, start: number): Uint8Array | undefined => {
    const from = start + point.offset
    return from + point.registers <= end ? bytes.subarray(2 * from, 2 * (from + point.registers)) : undefined
  }

  const scales = new Map<string, bigint>()
  for (const point of model.points) {
    const at = point.type === 'sunssf' ? registers(point, 0) : undefined
    const scale = at && decodePoint('sunssf', at)
    if (scale !== undefined && scale >= -SCALE_MOST && scale <= SCALE_MOST) scales.set(point.name, scale)
  }

  function pointValue(point: Point, start: number): PointValue | undefined {
    const { type } = point
    const at = registers(point, start)
    if (at === undefined || type === 'pad' || type === 'sunssf') return undefined
    if (type === 'string') {
      const text = decodeText(at)
      return text === undefined ? undefined : { kind: 'text', text }
    }
    const value = decodePoint(type, at)
    const scale = point.scale === undefined ? 0n : scales.get(point.scale)
    // Without its scale factor a number means nothing.
    if (value === undefined || scale === undefined) return undefined
    return { kind: 'number', value, scaler: type === 'float32' ? FLOAT_SCALER : Number(scale), unit: point.unit }
  }

  const valuesOf = (points: readonly Point[], start: number): PointValues =>
    new Map(
      points.flatMap(point => {
        const value = pointValue(point, start)
        return value === undefined ? [] : [[point.name, value] as const]
      }),
    )
  const { group } = model
  return ok({
    id,
    points: valuesOf(model.points, 0),
    repeated: Array.from({ length: group === undefined ? 0 : repetitions }, (_, i) =>
      valuesOf(group!.points, HEADER_REGISTERS + model.lengths[0]! + i * group!.registers),
    ),
  })
}

/** Registers from a model's id on at which no point is cut in two, the model's end included. */
export function cutsOf(model: Model, length: number): readonly number[] {
  const repetitions = repetitionsIn(model, length) ?? 0
  const start = HEADER_REGISTERS + model.lengths[0]!
  const end = HEADER_REGISTERS + length
  const offsets = [
    ...model.points.map(({ offset }) => offset),
    ...Array.from({ length: repetitions }, (_, i) =>
      model.group!.points.map(({ offset }) => start + i * model.group!.registers + offset),
    ).flat(),
  ]
  return [...offsets.filter(offset => offset < end), end]
}

interface Meaning {
  readonly obis: Obis
  readonly unit: UnitName
  /** Momentary power, whose sign depends on who counts. */
  readonly signed?: true
}

const meaning = (obis: Obis, unit: UnitName): Meaning => ({ obis, unit })
const signedPower = (obis: Obis): Meaning => ({ obis, unit: 'W', signed: true })

/** Energy of one phase alone has no name in OBIS's table of ours: import is x1.8.0, export x2.8.0 with x = 2, 4, 6. */
const phaseEnergy = (phase: 1 | 2 | 3, direction: 'import' | 'export'): Meaning =>
  meaning(`1-0:${2 * phase}${direction === 'import' ? 1 : 2}.8.0`, 'Wh')

const PHASES = {
  PhVphA: meaning(OBIS.voltageL1, 'V'),
  PhVphB: meaning(OBIS.voltageL2, 'V'),
  PhVphC: meaning(OBIS.voltageL3, 'V'),
  AphA: meaning(OBIS.currentL1, 'A'),
  AphB: meaning(OBIS.currentL2, 'A'),
  AphC: meaning(OBIS.currentL3, 'A'),
  Hz: meaning(OBIS.frequency, 'Hz'),
  W: signedPower(OBIS.power),
}
const METER = {
  ...PHASES,
  WphA: signedPower(OBIS.powerL1),
  WphB: signedPower(OBIS.powerL2),
  WphC: signedPower(OBIS.powerL3),
  TotWhImp: meaning(OBIS.energyImport, 'Wh'),
  TotWhExp: meaning(OBIS.energyExport, 'Wh'),
  TotWhImpPhA: phaseEnergy(1, 'import'),
  TotWhImpPhB: phaseEnergy(2, 'import'),
  TotWhImpPhC: phaseEnergy(3, 'import'),
  TotWhExpPhA: phaseEnergy(1, 'export'),
  TotWhExpPhB: phaseEnergy(2, 'export'),
  TotWhExpPhC: phaseEnergy(3, 'export'),
}
const INVERTER = { ...PHASES, WH: meaning(OBIS.energyExport, 'Wh') }
const DER = {
  VL1: meaning(OBIS.voltageL1, 'V'),
  VL2: meaning(OBIS.voltageL2, 'V'),
  VL3: meaning(OBIS.voltageL3, 'V'),
  AL1: meaning(OBIS.currentL1, 'A'),
  AL2: meaning(OBIS.currentL2, 'A'),
  AL3: meaning(OBIS.currentL3, 'A'),
  Hz: meaning(OBIS.frequency, 'Hz'),
  W: signedPower(OBIS.power),
  WL1: signedPower(OBIS.powerL1),
  WL2: signedPower(OBIS.powerL2),
  WL3: signedPower(OBIS.powerL3),
  TotWhAbs: meaning(OBIS.energyImport, 'Wh'),
  TotWhInj: meaning(OBIS.energyExport, 'Wh'),
  TotWhAbsL1: phaseEnergy(1, 'import'),
  TotWhAbsL2: phaseEnergy(2, 'import'),
  TotWhAbsL3: phaseEnergy(3, 'import'),
  TotWhInjL1: phaseEnergy(1, 'export'),
  TotWhInjL2: phaseEnergy(2, 'export'),
  TotWhInjL3: phaseEnergy(3, 'export'),
}
const BATTERY = { W: signedPower(OBIS.power) }

/** What flows when a power is positive, seen from what lies behind the meter. */
export type PositivePower = 'import' | 'export'

interface Family {
  readonly kind: 'meter' | 'inverter' | 'battery'
  readonly ids: readonly number[]
  readonly points: Readonly<Record<string, Meaning>>
  /** undefined: the model does not say. */
  readonly positive: PositivePower | undefined
}

/** The models that measure, the best of each kind first. */
const FAMILIES: readonly Family[] = [
  { kind: 'meter', ids: [201, 202, 203, 204, 211, 212, 213, 214], points: METER, positive: 'import' },
  { kind: 'inverter', ids: [701], points: DER, positive: 'export' },
  { kind: 'inverter', ids: [101, 102, 103, 111, 112, 113], points: INVERTER, positive: 'export' },
  { kind: 'battery', ids: [802], points: BATTERY, positive: undefined },
]

/**
 * Makers of devices whose meter models count export as positive power, whoever made the meter behind them
 * (evcc-io/evcc, templates/definition/meter/solaredge-hybrid.yaml; tjko/sunspec-monitor, issue 4: a WattNode behind a SolarEdge).
 */
const EXPORT_POSITIVE: readonly string[] = ['SolarEdge']

/**
 * Some meters count export down from zero, as a negative number (KOSTAL Smart Energy Meter: CJNE/ha-sunspec, issue 249). An
 * accumulator of 32 bits (models 201 to 204) with its highest bit set is taken for one of those, and for no energy.
 */
const isNegative = (id: number, unit: UnitName, value: bigint): boolean =>
  id <= 204 && unit === 'Wh' && value >= 1n << 31n

const familyOf = (id: number): Family | undefined => FAMILIES.find(({ ids }) => ids.includes(id))

/** The ids of the models that a meter, an inverter or a battery may be read from, the best first. */
export const modelsOfKind = (kind: Family['kind']): readonly number[] =>
  FAMILIES.filter(family => family.kind === kind).flatMap(({ ids }) => ids)

/** How many registers from the model's id on hold all that `meterValues` looks for, scale factors included; 0 for none. */
export function meterRegisters(model: Model): number {
  const wanted = Object.keys(familyOf(model.id)?.points ?? {})
  const points = model.points.filter(({ name }) => wanted.includes(name))
  const scales = model.points.filter(({ name }) => points.some(point => point.scale === name))
  return Math.max(0, ...[...points, ...scales].map(({ offset, registers }) => offset + registers))
}

/** Within the range of a MeterValue's scaler; undefined where that would drop digits. */
function normal(value: bigint, scaler: number): Pick<MeterValue, 'value' | 'scaler'> | undefined {
  if (scaler > 9) return { value: value * 10n ** BigInt(scaler - 9), scaler: 9 }
  if (scaler >= -9) return { value, scaler }
  const divisor = 10n ** BigInt(-9 - scaler)
  return value % divisor === 0n ? { value: value / divisor, scaler: -9 } : undefined
}

/**
 * The values with OBIS names in a model's reading. `manufacturer` is that of the device that serves the models: the first common
 * model's; `positive` overrules what is known of the model and the maker.
 */
export function meterValues(
  { id, points }: ModelReading,
  manufacturer: string,
  positive?: PositivePower,
): readonly MeterValue[] {
  const family = familyOf(id)
  if (family === undefined) return []
  const makers = family.kind === 'meter' && EXPORT_POSITIVE.includes(manufacturer) ? 'export' : family.positive
  const sign = positive ?? makers
  return Object.entries(family.points).flatMap(([name, { obis, unit, signed }]) => {
    const point = points.get(name)
    if (point?.kind !== 'number' || (signed && sign === undefined)) return []
    if (family.kind === 'meter' && isNegative(id, unit, point.value)) return []
    const number = normal(signed && sign === 'export' ? -point.value : point.value, point.scaler)
    return number === undefined ? [] : [{ obis, ...number, unit }]
  })
}
