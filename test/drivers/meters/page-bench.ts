/**
 * A page served without the page's own arithmetic: numbers go into registers through DataView here, so that encoder and
 * decoder cannot be wrong in the same way.
 */
import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMeter, type ModbusMeterParts } from '../../../drivers/meters/modbus-meter.ts'
import type { MeterPage, Quantity, Register, Span, Table } from '../../../drivers/meters/page.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { MeterReading } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, type ModbusBank, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import type { Result } from '../../../protocol/result.ts'

const ILLEGAL_VALUE = 3

/** What stands in registers, by table and address. */
export type Image = Map<string, number>

export const put = (
  image: Image,
  { table, address }: Pick<Span, 'table' | 'address'>,
  words: readonly number[],
): void =>
  words.forEach((word, i) => {
    image.set(`${table} ${address + i}`, word)
  })

/** 16-bit words of raw register content, high word first. */
export const wordsOf = (raw: bigint, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number((raw >> BigInt(16 * (count - 1 - i))) & 0xffffn))

/** The words of `raw` as this page lays them out in this register. */
export const laidOut = (page: MeterPage, register: Register<Quantity>, raw: bigint): number[] => {
  const words = wordsOf(raw, register.count)
  return (register.wordOrder ?? page.wordOrder) === 'low-first' ? words.reverse() : words
}

/** The raw content by which a register says `steps` of its integer, or of its float's resolution. */
export function rawOf(page: MeterPage, register: Register<Quantity>, steps: bigint): bigint {
  const { type } = register
  const number = register.negated ? -steps : steps
  if (type !== 'f32' && type !== 'f64') return BigInt.asUintN(16 * register.count, number)
  const view = new DataView(new ArrayBuffer(8))
  const value = Number(`${number}e${page.resolution[register.unit.quantity]!}`)
  if (type === 'f64') view.setFloat64(0, value)
  else view.setFloat32(0, value)
  return type === 'f64' ? view.getBigUint64(0) : BigInt(view.getUint32(0))
}

/** The identity that `identified` puts there, as the page reads it. */
export const identityOf = ({ identity: { as, count } }: MeterPage): string =>
  as === 'bcd' ? '3159'.padStart(4 * count, '0') : '3159'

/** An image with nothing but an identity. */
export function identified(page: MeterPage): Image {
  const image: Image = new Map()
  const { as, count } = page.identity
  const text = (bytes: readonly number[]) =>
    Array.from({ length: count }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0))
  const words = {
    u32: wordsOf(3159n, 2),
    u64: wordsOf(3159n, 4),
    bcd: wordsOf(0x3159n, count),
    'u32-low-word-first': wordsOf(3159n, 2).reverse(),
    text: text([0x33, 0x31, 0x35, 0x39]),
    'text-low-byte-first': text([0x31, 0x33, 0x39, 0x35]),
    none: wordsOf(0x0102n, count),
  }[as]
  const block = wordsOf(0n, count)
  block.splice(page.identity.as === 'none' ? 0 : (page.identity.part?.from ?? 0), words.length, ...words)
  put(image, page.identity, block.slice(0, count))
  return image
}

/** One meter of this page, alone on its line, read by the real master; `image` may be changed between reads. */
export function servePage(
  page: MeterPage,
  image: Image,
  more: Partial<ModbusMeterParts> & Pick<ModbusBank, 'refuse'> = {},
) {
  const { refuse, ...parts } = more
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'wire', characterMs: 0, latencyMs: 1, clock, timers })
  const bank: ModbusBank = {
    registers: () => (table: Table, address: number) => image.get(`${table} ${address}`),
    refuse: refuse ?? ((_table, _address, count) => (count > page.maxRegisters ? ILLEGAL_VALUE : undefined)),
  }
  const { framing } = page
  const random = seededRandom(1)
  const unit = createUnit(bank)
  serveModbus(wire.device, new Map([[1, unit]]), { framing, characterMs: 0, turnaroundMs: 1, clock, timers, random })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing })
  const meterId = page.identity.as === 'none' ? { meterId: identityOf(page) } : {}
  // As at 9,600 baud, so that reads are joined as on a serial line.
  const characterMs = page.framing === 'rtu' ? 10_000 / 9_600 : 0
  const meter = createModbusMeter({ master, page, unit: 1, clock, characterMs, ...meterId, ...parts })
  let opened = false
  const read = async (): Promise<Result<MeterReading>> => {
    if (!opened) await master.open()
    opened = true
    let result: Result<MeterReading> | undefined
    void meter.read().then(value => {
      result = value
    })
    while (result === undefined) await advance(5)
    return result
  }
  return { clock, advance, master, unit, read }
}
