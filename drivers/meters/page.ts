/**
 * A meter is a page, not a program: which products it covers, where its facts come from, and which register holds what.
 * A register whose unit does not fit the quantity's name does not compile:
 *
 *     energyImported: input(0x0048, 'f32', kWh)     fits
 *     energyImported: input(0x0048, 'f32', V)       type error
 */
import { type NumberFormat, type NumberType, registerCount, type WordOrder } from '../../protocol/modbus/value.ts'
import { OBIS, type Obis, type UnitName } from '../../protocol/telegram/obis.ts'

type Quantity = 'voltage' | 'current' | 'power' | 'energy' | 'frequency'

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
} as const satisfies Record<string, { quantity: Quantity; obis: Obis }>

export type Channel = keyof typeof CHANNELS

export type Table = 'holding' | 'input'

export interface Span {
  readonly table: Table
  readonly address: number
  /** Registers of 16 bits. */
  readonly count: number
}

export interface Register<Q extends Quantity> extends Span {
  readonly type: NumberType
  readonly unit: Unit<Q>
  readonly sentinels?: readonly bigint[]
}

const register =
  (table: Table) =>
  <Q extends Quantity>(
    address: number,
    type: NumberType,
    unit: Unit<Q>,
    sentinels?: readonly bigint[],
  ): Register<Q> => ({
    table,
    address,
    count: registerCount(type),
    type,
    unit,
    ...(sentinels === undefined ? {} : { sentinels }),
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

export interface MeterPage {
  readonly name: string
  readonly products: readonly string[]
  readonly sources: readonly Source[]
  /** Where the replay test's frames come from: a meter of ours, somebody else's capture, or our simulator. */
  readonly replay: 'recorded' | 'foreign' | 'synthetic'
  readonly framing: 'rtu' | 'tcp'
  readonly wordOrder: WordOrder
  /** The register that names this one meter: pinned, and read again with every batch. */
  readonly identity: Span & { readonly as: 'u32' | 'text' | 'text-low-byte-first' }
  /** The most registers that one request may ask for. */
  readonly maxRegisters: number
  /** Milliseconds between the end of a request and the first character of its answer, where the maker or a capture says. */
  readonly turnaroundMs: number
  /** Whether a request may run over registers that the page does not name. */
  readonly holes: 'readable' | 'forbidden'
  /** Power of ten to which a float register of each quantity is rounded, in the register's own unit. */
  readonly resolution: Readonly<Record<Quantity, number>>
  readonly registers: Registers
  readonly caveats: readonly string[]
}

/** How the content of a page's register becomes a whole number; see scalerOf for what one step of it is worth. */
export const formatOf = (page: MeterPage, { type, unit, sentinels }: Register<Quantity>): NumberFormat => ({
  type,
  order: page.wordOrder,
  scaler: type === 'f32' ? page.resolution[unit.quantity] : 0,
  ...(sentinels === undefined ? {} : { sentinels }),
})

/** The power of ten of a decoded number in the unprefixed unit: resolution 0.001 in kWh is 10^0 Wh. */
export const scalerOf = (page: MeterPage, { type, unit }: Register<Quantity>): number =>
  unit.exponent + (type === 'f32' ? page.resolution[unit.quantity] : 0)

/** The meter's identity as text, from the bytes of its identity register; undefined where it holds none. */
export function identityText(page: MeterPage, bytes: Uint8Array): string | undefined {
  const { as } = page.identity
  if (as === 'u32') {
    const serial = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
    // Erased memory reads as all ones, missing memory as all zeros; neither names a meter.
    return serial === 0 || serial === 0xffff_ffff ? undefined : String(serial)
  }
  const chars = bytes.slice()
  if (as === 'text-low-byte-first')
    for (let i = 0; i + 1 < chars.length; i += 2) [chars[i], chars[i + 1]] = [chars[i + 1]!, chars[i]!]
  const text = String.fromCharCode(...chars).replace(/[\0 ]+$/, '')
  return /^[\x21-\x7e]+$/.test(text) ? text : undefined
}
