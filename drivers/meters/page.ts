/**
 * A meter is a page, not a program: which products it covers, where its facts come from, and which register holds what.
 * A register whose unit does not fit the quantity's name does not compile:
 *
 *     energyImported: input(0x0048, 'f32', kWh)     fits
 *     energyImported: input(0x0048, 'f32', V)       type error
 */
import { toHex } from '../../protocol/bytes.ts'
import {
  decodeNumber,
  type NumberFormat,
  type NumberType,
  registerCount,
  type WordOrder,
} from '../../protocol/modbus/value.ts'
import { type MeterValue, OBIS, type Obis, type UnitName } from '../../protocol/telegram/obis.ts'

export type Quantity =
  | 'voltage'
  | 'current'
  | 'power'
  | 'energy'
  | 'frequency'
  | 'reactive power'
  | 'apparent power'
  | 'reactive energy'
  | 'power factor'

/** A unit as the maker writes it: `unit` times ten to the `exponent`. */
export interface Unit<Q extends Quantity> {
  readonly quantity: Q
  readonly unit: UnitName
  readonly exponent: number
}

const makeUnit = <Q extends Quantity>(quantity: Q, unit: UnitName, exponent = 0): Unit<Q> => ({
  quantity,
  unit,
  exponent,
})

export const V = makeUnit('voltage', 'V')
export const A = makeUnit('current', 'A')
export const W = makeUnit('power', 'W')
export const Wh = makeUnit('energy', 'Wh')
export const kWh = makeUnit('energy', 'Wh', 3)
export const Hz = makeUnit('frequency', 'Hz')
export const kW = makeUnit('power', 'W', 3)
export const var_ = makeUnit('reactive power', 'var')
export const VA = makeUnit('apparent power', 'VA')
export const kvarh = makeUnit('reactive energy', 'varh', 3)
export const varh = makeUnit('reactive energy', 'varh')
export const ratio = makeUnit('power factor', '1')

/** What an integer register counts, as in `steps(-1, V)`: tenths of a volt. */
export const steps = <Q extends Quantity>(exponent: number, unit: Unit<Q>): Unit<Q> => ({
  ...unit,
  exponent: unit.exponent + exponent,
})

/** Every quantity that a page can name, with its OBIS name. Import is energy into what lies behind the meter. */
export const CHANNELS = {
  voltageL1: { quantity: 'voltage', obis: OBIS.voltageL1 },
  voltageL2: { quantity: 'voltage', obis: OBIS.voltageL2 },
  voltageL3: { quantity: 'voltage', obis: OBIS.voltageL3 },
  currentL1: { quantity: 'current', obis: OBIS.currentL1 },
  currentL2: { quantity: 'current', obis: OBIS.currentL2 },
  currentL3: { quantity: 'current', obis: OBIS.currentL3 },
  /** Signed, import positive. */
  power: { quantity: 'power', obis: OBIS.power },
  frequency: { quantity: 'frequency', obis: OBIS.frequency },
  energyImported: { quantity: 'energy', obis: OBIS.energyImport },
  energyExported: { quantity: 'energy', obis: OBIS.energyExport },
  powerL1: { quantity: 'power', obis: OBIS.powerL1 },
  powerL2: { quantity: 'power', obis: OBIS.powerL2 },
  powerL3: { quantity: 'power', obis: OBIS.powerL3 },
  reactivePower: { quantity: 'reactive power', obis: OBIS.reactivePower },
  apparentPower: { quantity: 'apparent power', obis: OBIS.apparentPower },
  powerFactor: { quantity: 'power factor', obis: OBIS.powerFactor },
  reactiveEnergyImported: { quantity: 'reactive energy', obis: OBIS.reactiveEnergyImport },
  reactiveEnergyExported: { quantity: 'reactive energy', obis: OBIS.reactiveEnergyExport },
  energyImportedT1: { quantity: 'energy', obis: OBIS.energyImportT1 },
  energyImportedT2: { quantity: 'energy', obis: OBIS.energyImportT2 },
  energyExportedT1: { quantity: 'energy', obis: OBIS.energyExportT1 },
  energyExportedT2: { quantity: 'energy', obis: OBIS.energyExportT2 },
} as const satisfies Record<string, { quantity: Quantity; obis: Obis }>

export type Channel = keyof typeof CHANNELS

export type Table = 'holding' | 'input'

export interface Span {
  readonly table: Table
  readonly address: number
  /** Registers of 16 bits. */
  readonly count: number
}

/** What else a maker may say of one register. */
export interface RegisterTraits {
  /** Raw contents that mean "not available", besides those of the page for its type. */
  readonly sentinels?: readonly bigint[]
  /** The maker counts the other way: power positive for export, say. */
  readonly negated?: boolean
  /** Sources or firmwares differ on this register's sign, and only its size can be meant: a counter of export, say. */
  readonly magnitude?: boolean
  /** Where one register's words stand otherwise than the page's. */
  readonly wordOrder?: WordOrder
  /**
   * A register (i16) that holds the power of ten to multiply with, as in SunSpec; read in the same request, so that the
   * two never are of different moments.
   */
  readonly scaledBy?: Span
}

export interface Register<Q extends Quantity> extends Span, RegisterTraits {
  readonly type: NumberType
  readonly unit: Unit<Q>
}

const register =
  (table: Table) =>
  <Q extends Quantity>(address: number, type: NumberType, unit: Unit<Q>, traits: RegisterTraits = {}): Register<Q> => ({
    table,
    address,
    count: registerCount(type),
    type,
    unit,
    ...traits,
  })

/** A register that function 4 reads, by its protocol address from 0. */
export const input = register('input')
/** A register that function 3 reads, by its protocol address from 0. */
export const holding = register('holding')

export type Registers = { readonly [C in Channel]?: Register<(typeof CHANNELS)[C]['quantity']> }

export interface Source {
  readonly title: string
  /** Whether the author of the page opened the maker's document, or only what somebody else wrote about it. */
  readonly seen: 'manual' | 'manual not seen'
}

/** What is read to know one meter from another; re-read with every batch. */
export type Identity =
  /** `bcd`: each half byte a decimal digit, all of them shown. */
  | (Span & {
      readonly as: 'u32' | 'u32-low-word-first' | 'u64' | 'bcd' | 'text' | 'text-low-byte-first'
      /** Where in the span it stands, for makers that give a block whole only. */
      readonly part?: { readonly from: number; readonly count: number }
    })
  /**
   * The maker gives no serial number over the bus. The id has to be configured and is believed as long as this register,
   * which says what kind of meter it is, says the same; the canary reads it.
   */
  | (Span & { readonly as: 'none'; readonly why: string })

/** Tells products of one maker apart whose other registers look alike; by the code in its first register. */
export interface ModelRegister extends Span {
  /** The page that each known code belongs to. A code that is not here tells nothing. */
  readonly pages: Readonly<Record<number, string>>
}

export interface MeterPage {
  readonly name: string
  readonly products: readonly string[]
  readonly sources: readonly Source[]
  /** Where the replay test's frames come from: a meter of ours, somebody else's capture, or our simulator. */
  readonly replay: 'recorded' | 'foreign' | 'synthetic'
  /** What the product speaks; a serial meter behind a gateway may be read over TCP all the same. */
  readonly framing: 'rtu' | 'tcp'
  /** As it leaves the factory: what `tieline detect` tries first. Absent for TCP. */
  readonly factory?: { readonly baud: number; readonly format: '8N1' | '8N2' | '8E1' | '8O1'; readonly unit: number }
  readonly wordOrder: WordOrder
  readonly identity: Identity
  /** Where a product of another page may answer as this one would. A meter that has no such register is taken at its page's word. */
  readonly model?: ModelRegister
  /** Raw contents of a register of a type that mean "not available" throughout this product. */
  readonly sentinels?: { readonly [T in NumberType]?: readonly bigint[] }
  /** A signed number of a type this large or larger, in either direction, says that the meter's range was exceeded. */
  readonly overflow?: { readonly [T in NumberType]?: bigint }
  /** The most registers that one request may ask for. */
  readonly maxRegisters: number
  /**
   * The most that can flow through this product, in watts: an energy counter that rises faster has to be read twice. Three
   * phases of 100 A at 250 V where left out; to be given for products behind current transformers.
   */
  readonly maxPowerW?: number
  /** Milliseconds between the end of a request and the first character of its answer, where the maker or a capture says. */
  readonly turnaroundMs: number
  /** Whether a request may run over registers that the page does not name. */
  readonly holes: 'readable' | 'forbidden'
  /** Power of ten to which a float register of each quantity is rounded, in the register's own unit; only of those that it has. */
  readonly resolution: { readonly [Q in Quantity]?: number }
  readonly registers: Registers
  readonly caveats: readonly string[]
}

const isFloat = (type: NumberType): boolean => type === 'f32' || type === 'f64'

function resolutionOf(page: MeterPage, { quantity }: Unit<Quantity>): number {
  const resolution = page.resolution[quantity]
  if (resolution === undefined) throw new Error(`${page.name} has a float of ${quantity} and no resolution for it`)
  return resolution
}

/** How the content of a page's register becomes a whole number; see scalerOf for what one step of it is worth. */
export const formatOf = (page: MeterPage, { type, unit, sentinels, wordOrder }: Register<Quantity>): NumberFormat => ({
  type,
  order: wordOrder ?? page.wordOrder,
  scaler: isFloat(type) ? resolutionOf(page, unit) : 0,
  sentinels: [...(page.sentinels?.[type] ?? []), ...(sentinels ?? [])],
  ...(page.overflow?.[type] === undefined ? {} : { overflow: page.overflow[type] }),
})

/** The power of ten of a decoded number in the unprefixed unit: resolution 0.001 in kWh is 10^0 Wh. */
export const scalerOf = (page: MeterPage, { type, unit }: Register<Quantity>): number =>
  unit.exponent + (isFloat(type) ? resolutionOf(page, unit) : 0)

/** SunSpec's "not implemented" of a scale register, and how far one reaches (Device Information Model V1.9, type sunssf). */
const SCALE: NumberFormat = { type: 'i16', order: 'high-first', scaler: 0, sentinels: [0x8000n] }
const SCALE_REACH = 10n
/** What a signed record can say. */
const SCALER_REACH = 9

/**
 * What a register says, from its bytes and those of its scale register where it has one. Undefined where the meter says
 * that it has no such number, or says it in a way that means none: a sentinel, a scale beyond its reach.
 */
export function readRegister(
  page: MeterPage,
  register: Register<Quantity>,
  bytes: Uint8Array,
  scaleBytes?: Uint8Array,
): Omit<MeterValue, 'obis'> | undefined {
  const scale = register.scaledBy === undefined ? 0n : scaleBytes && decodeNumber(scaleBytes, SCALE)
  const value = decodeNumber(bytes, formatOf(page, register))
  if (value === undefined || scale === undefined || scale > SCALE_REACH || scale < -SCALE_REACH) return undefined
  const scaler = scalerOf(page, register) + Number(scale)
  if (Math.abs(scaler) > SCALER_REACH) return undefined
  const turned = register.negated || (register.magnitude && value < 0n)
  return { value: turned ? -value : value, scaler, unit: register.unit.unit }
}

/** The page to which the code in a model register belongs; undefined of a code that no source names. */
export const pageOfModel = ({ pages }: ModelRegister, [high = 0, low = 0]: Uint8Array): string | undefined =>
  pages[(high << 8) | low]

/** The meter's identity as text, from the bytes of its identity's span; undefined where it holds none or has none. */
export function identityText({ identity }: MeterPage, block: Uint8Array): string | undefined {
  if (identity.as === 'none') return undefined
  const { as, part = { from: 0, count: identity.count } } = identity
  const bytes = block.subarray(2 * part.from, 2 * (part.from + part.count))
  // Erased memory reads as all ones, missing memory as all zeros; neither names a meter.
  if (bytes.every(byte => byte === 0) || bytes.every(byte => byte === 0xff)) return undefined
  if (as === 'u32' || as === 'u64' || as === 'u32-low-word-first') {
    const type = as === 'u64' ? 'u64' : 'u32'
    const order = as === 'u32-low-word-first' ? 'low-first' : 'high-first'
    return decodeNumber(bytes, { type, order, scaler: 0 })?.toString()
  }
  if (as === 'bcd') {
    const digits = toHex(bytes)
    return /^\d+$/.test(digits) ? digits : undefined
  }
  const chars = bytes.slice()
  if (as === 'text-low-byte-first')
    for (let i = 0; i + 1 < chars.length; i += 2) [chars[i], chars[i + 1]] = [chars[i + 1]!, chars[i]!]
  // Some products put one character into each register; a zero byte is no character wherever it stands.
  const text = String.fromCharCode(...chars)
    .replaceAll('\0', '')
    .trimEnd()
  return /^[\x21-\x7e]+$/.test(text) ? text : undefined
}
