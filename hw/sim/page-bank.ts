/**
 * Any meter page as a Modbus device: what the page would decode is encoded, register by register. A page's own mistakes come
 * back unseen this way; the images written by hand (eastron-image.ts, shelly-image.ts) and captures judge the pages.
 */
import {
  CHANNELS,
  type Channel,
  formatOf,
  identityText,
  type MeterPage,
  type Quantity,
  type Register,
  type Span,
  scalerOf,
} from '../../drivers/meters/page.ts'
import { fromHex, utf8 } from '../../protocol/bytes.ts'
import { encodeNumber } from '../../protocol/modbus/value.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { ILLEGAL_VALUE, type ModbusBank, type RegisterTable } from './modbus-bank.ts'
import { type Counted, type Field, type Measured, type Phase, registersOf, type Words } from './register-image.ts'

export interface PageBankOptions {
  readonly page: MeterPage
  /** The number on the nameplate, as the page's identity register holds it; unused where the page says that it has none. */
  readonly serial: string
  /** Asked once for each answer. */
  readonly measure: () => Measured
  /** Channels that the meter says it has no value of. */
  readonly missing?: readonly Channel[]
}

/** A bank of this page; a fault where the serial number does not fit, or the page knows no way to say that a value is missing. */
export function createPageBank({ page, serial, measure, missing = [] }: PageBankOptions): Result<ModbusBank> {
  const identity = identityBytes(page, serial)
  if (!identity.ok) return identity
  const mute = missing.find(channel => absentRaw(page, page.registers[channel]) === undefined)
  if (mute !== undefined) {
    const able = channelsOf(page).filter(channel => absentRaw(page, page.registers[channel]) !== undefined)
    return fail({ code: 'page-bank.never-missing', page: page.name, channel: mute, able })
  }
  const scales = scalesOf(page)
  const fields = [
    fieldOf(page.identity, () => identity.value),
    ...modelFields(page),
    ...[...scales.values()].map(({ span, exponent }) =>
      fieldOf(span, () => Uint8Array.of((exponent >> 8) & 0xff, exponent & 0xff)),
    ),
    ...channelsOf(page).map(channel => {
      const register = page.registers[channel]!
      const absent = missing.includes(channel) ? rawBytes(page, register, absentRaw(page, register)!) : undefined
      return fieldOf(register, measured => absent ?? valueBytes(page, register, channel, measured, scales))
    }),
  ]
  return ok({
    registers: registersOf(withoutTwins(fields), measure, holeOf(page, fields)),
    refuse: (_table, _address, count) => (count > page.maxRegisters ? ILLEGAL_VALUE : undefined),
    identification: new Map(
      [page.products[0]!.split(' ')[0]!, page.name, 'simulated'].map((text, id) => [id, utf8(text)]),
    ),
  })
}

/** The first code of its model register that belongs to this page, where one is known. */
function modelFields({ name, model }: MeterPage): Field[] {
  const code = model && Object.entries(model.pages).find(([, page]) => page === name)?.[0]
  if (model === undefined || code === undefined) return []
  const bytes = new Uint8Array(2 * model.count)
  bytes.set([Number(code) >> 8, Number(code) & 0xff])
  return [fieldOf(model, () => bytes)]
}

/** The channels of a page, in the order of the list of all. */
export const channelsOf = (page: MeterPage): readonly Channel[] =>
  (Object.keys(CHANNELS) as Channel[]).filter(channel => page.registers[channel] !== undefined)

/** A serial number that fits the page, the `index`th of its kind. */
export function inventSerial(page: MeterPage, index: number): string {
  const { as } = page.identity
  if (as !== 'text' && as !== 'text-low-byte-first') return String(41_000_101 + index)
  const count = page.identity.part?.count ?? page.identity.count
  const digits = String(101 + index)
  return `TIELINE${digits.padStart(Math.max(3, 2 * count - 7), '0')}`.slice(-2 * count)
}

/** What the identity register holds; a kind of meter that has no serial number says the same as all of its kind. */
function identityBytes(page: MeterPage, serial: string): Result<Uint8Array> {
  const { as, count } = page.identity
  if (as === 'none') return ok(Uint8Array.from({ length: 2 * count }, (_, i) => 0x11 + (i & 0x0f)))
  let bytes = new Uint8Array(2 * count)
  if (as.startsWith('u') || as.startsWith('i')) {
    const order = as.endsWith('low-word-first') ? 'low-first' : 'high-first'
    const type = ({ 1: 'u16', 2: 'u32', 4: 'u64' } as const)[count]
    if (type !== undefined && /^\d{1,20}$/.test(serial))
      bytes = new Uint8Array(encodeNumber(BigInt(serial), { type, order, scaler: 0 }))
  } else if (as === 'bcd') bytes = new Uint8Array(fromHex(serial.padStart(4 * count, '0').slice(0, 4 * count)) ?? bytes)
  else {
    const from = 2 * (page.identity.part?.from ?? 0)
    bytes.set(utf8(serial).subarray(0, bytes.length - from), from)
    if (as === 'text-low-byte-first') bytes = bytes.map((_, i) => bytes[i ^ 1]!)
  }
  // The page itself is asked, so that no kind of identity is encoded otherwise than it is read.
  if (identityText(page, bytes) === serial) return ok(bytes)
  const fits = as.startsWith('text') ? `up to ${2 * count} letters and digits` : `a whole number below 2^${16 * count}`
  return fail({ code: 'page-bank.serial', page: page.name, serial, hint: `a serial number of this page is ${fits}` })
}

function fieldOf({ table, address }: Span, bytes: (measured: Measured) => Uint8Array): Field {
  return {
    table,
    address,
    words: (measured): Words => {
      const now = bytes(measured)
      return Array.from({ length: now.length >> 1 }, (_, i) => (now[2 * i]! << 8) | now[2 * i + 1]!)
    },
  }
}

/** Two channels of one register, as total and L1 of a meter of one phase, are one field. */
const withoutTwins = (fields: readonly Field[]): readonly Field[] =>
  fields.filter((field, i) => fields.findIndex(one => one.table === field.table && one.address === field.address) === i)

/** Holes read 0 from the first to the last register of a table, where the page says that they can be read at all. */
function holeOf(page: MeterPage, fields: readonly Field[]) {
  const ends = new Map<RegisterTable, readonly [first: number, last: number]>()
  for (const { table, address } of fields) {
    const [first, last] = ends.get(table) ?? [address, address]
    ends.set(table, [Math.min(first, address), Math.max(last, address)])
  }
  return (table: RegisterTable, address: number): number | undefined => {
    const [first, last] = ends.get(table) ?? [1, 0]
    return page.holes === 'readable' && address >= first && address <= last ? 0 : undefined
  }
}

interface Scale {
  readonly span: Span
  readonly exponent: number
}

const keyOf = ({ table, address }: Span): string => `${table} ${address}`

/** Powers of ten that leave each quantity of a house its usual digits and its place in 16 bits. */
const SCALE: { readonly [Q in Quantity]?: number } = { voltage: -1, current: -2, frequency: -2, 'power factor': -2 }

/** What each scale register holds: the finest that suits whatever it scales. */
function scalesOf(page: MeterPage): ReadonlyMap<string, Scale> {
  const scales = new Map<string, Scale>()
  for (const channel of channelsOf(page)) {
    const register = page.registers[channel]!
    const { scaledBy } = register
    if (scaledBy === undefined) continue
    // A quantity that the page counts in steps already is not divided again.
    const wanted = register.unit.exponent < 0 ? 0 : (SCALE[register.unit.quantity] ?? 0)
    const before = scales.get(keyOf(scaledBy))?.exponent
    scales.set(keyOf(scaledBy), { span: scaledBy, exponent: Math.max(wanted, before ?? wanted) })
  }
  return scales
}

function valueBytes(
  page: MeterPage,
  register: Register<Quantity>,
  channel: Channel,
  measured: Measured,
  scales: ReadonlyMap<string, Scale>,
): Uint8Array {
  const { scaledBy } = register
  const exponent = scalerOf(page, register) + (scaledBy === undefined ? 0 : scales.get(keyOf(scaledBy))!.exponent)
  const thousandths = thousandthsOf(channel, measured)
  // As a meter's display: digits that it does not show are cut off.
  const shift = -3 - exponent
  const steps = shift >= 0 ? thousandths * 10n ** BigInt(shift) : thousandths / 10n ** BigInt(-shift)
  const signed = register.negated === true ? -steps : steps
  // A register without a sign cannot show what flows the other way.
  return encodeNumber(register.type.startsWith('u') && signed < 0n ? 0n : signed, formatOf(page, register))
}

/** Quiet not-a-numbers of IEEE 754. */
const NAN = { f32: 0x7fc0_0000n, f64: 0x7ff8_0000_0000_0000n }

/** What the register holds when the meter has no value for it; undefined where the page knows of nothing. */
function absentRaw(page: MeterPage, register: Register<Quantity> | undefined): bigint | undefined {
  if (register === undefined) return undefined
  const { type } = register
  return formatOf(page, register).sentinels?.[0] ?? (type === 'f32' || type === 'f64' ? NAN[type] : undefined)
}

function rawBytes(page: MeterPage, register: Register<Quantity>, raw: bigint): Uint8Array {
  const type = ({ 1: 'u16', 2: 'u32', 4: 'u64' } as const)[register.count]
  if (type === undefined) throw new Error(`${page.name} has a number of ${register.count} registers`)
  return encodeNumber(raw, { ...formatOf(page, register), type, scaler: 0 })
}

/** Thousandths of the unprefixed unit. A channel is known by its quantity and by what its name ends with. */
export function thousandthsOf(channel: Channel, measured: Measured): bigint {
  const { quantity } = CHANNELS[channel]
  const [, phaseName] = /(?<!L\d)L([123])$/.exec(channel) ?? []
  const flow: Phase = phaseName === undefined ? measured : phasesOf(measured)[Number(phaseName) - 1]!
  switch (quantity as Quantity) {
    case 'voltage':
      return BigInt(Math.round(/L\dL\d$/.test(channel) ? measured.voltageMv * Math.sqrt(3) : flow.voltageMv))
    case 'current':
      return BigInt(Math.round(flow.currentMa))
    case 'power':
      return BigInt(Math.round(flow.powerMw))
    case 'frequency':
      return BigInt(measured.frequencyMhz)
    case 'reactive power':
      return BigInt(Math.round(reactiveOf(measured, phaseName)))
    case 'apparent power':
      return BigInt(Math.round(apparentOf(measured, phaseName)))
    case 'power factor': {
      const apparent = apparentOf(measured, phaseName)
      return BigInt(apparent === 0 ? 1000 : Math.round((1000 * flow.powerMw) / apparent))
    }
    case 'energy':
      return counted(channel, measured, measured.firstTariff)
    case 'reactive energy':
      return counted(channel, measured.reactive ?? { imported: 0n, exported: 0n })
  }
}

const phasesOf = (measured: Measured): readonly [Phase, Phase, Phase] => {
  const idle = { voltageMv: measured.voltageMv, currentMa: 0, powerMw: 0 }
  return measured.phases ?? [measured, idle, idle]
}

/** Reactive power is shared out evenly. */
const reactiveOf = ({ reactiveMvar = 0 }: Measured, phase: string | undefined): number =>
  phase === undefined ? reactiveMvar : reactiveMvar / 3

function apparentOf(measured: Measured, phase: string | undefined): number {
  const powerMw = phase === undefined ? measured.powerMw : phasesOf(measured)[Number(phase) - 1]!.powerMw
  return Math.hypot(powerMw, reactiveOf(measured, phase))
}

function counted(channel: Channel, all: Counted, first: Counted = { imported: 0n, exported: 0n }): bigint {
  const of = channel.includes('Exported') ? (c: Counted) => c.exported : (c: Counted) => c.imported
  if (channel.endsWith('T1')) return of(first)
  if (channel.endsWith('T2')) return of(all) - of(first)
  return /L[123]$/.test(channel) ? of(all) / 3n : of(all)
}
