/** What a simulated Modbus device holds, and what each request gets out of it. */
import type { Identification, ModbusAnswer, ModbusRequest } from '../../protocol/modbus/pdu.ts'

export type RegisterTable = 'holding' | 'input'

/** The registers as they stand at one moment; undefined where the device has none. */
export type Registers = (table: RegisterTable, address: number) => number | undefined

/** What a device holds. A write answers whether there is such an address. */
export interface ModbusBank {
  /** Called once for each answer, so that no value in it is torn between two moments. */
  registers?(): Registers
  writeRegister?(address: number, value: number): boolean
  coil?(address: number): boolean | undefined
  writeCoil?(address: number, on: boolean): boolean
  /** Function 5 with a value that is neither on nor off; absent where the device keeps to the standard. */
  writeCoilValue?(address: number, value: number): boolean
  discreteInput?(address: number): boolean | undefined
  /** Objects of function 43/14 by their ids: 0 maker, 1 product, 2 revision, from 0x80 on the maker's own (V1.1b3, 6.21). */
  identification?: ReadonlyMap<number, Uint8Array>
  /** The exception that a span of registers earns by its shape, as where a maker limits length or refuses odd addresses. */
  refuse?(table: RegisterTable, address: number, count: number): number | undefined
}

export const ILLEGAL_FUNCTION = 1
const ILLEGAL_ADDRESS = 2
export const ILLEGAL_VALUE = 3

/** What a request does: its answer, or the exception that it earns. `registers` are asked after all writes. */
export function perform(bank: ModbusBank, registers: () => Registers, request: ModbusRequest): ModbusAnswer | number {
  switch (request.fn) {
    case 1:
      return readBits(bank.coil, request)
    case 2:
      return readBits(bank.discreteInput, request)
    case 3:
    case 4:
      return readRegisters(bank, registers, request.fn === 3 ? 'holding' : 'input', request)
    case 5:
      if ('on' in request) return written(bank.writeCoil?.(request.address, request.on))
      if (bank.writeCoilValue === undefined) return ILLEGAL_VALUE
      return written(bank.writeCoilValue(request.address, request.value))
    case 6:
      return written(bank.writeRegister?.(request.address, request.value))
    case 15:
      return written(request.bits.every((on, i) => bank.writeCoil?.(request.address + i, on)))
    case 16:
      return written(request.values.every((value, i) => bank.writeRegister?.(request.address + i, value)))
    case 23: {
      const did = written(request.values.every((value, i) => bank.writeRegister?.(request.writeAddress + i, value)))
      return typeof did === 'number' ? did : readRegisters(bank, registers, 'holding', request)
    }
    case 43:
      return identify(bank.identification, request.code, request.object)
  }
}

interface Span {
  readonly address: number
  readonly count: number
}

const span = ({ address, count }: Span): readonly number[] => Array.from({ length: count }, (_, i) => address + i)

const written = (did: boolean | undefined): ModbusAnswer | number => (did ? { kind: 'written' } : ILLEGAL_ADDRESS)

function readBits(bit: ModbusBank['coil'], wanted: Span): ModbusAnswer | number {
  if (bit === undefined) return ILLEGAL_FUNCTION
  const bits = span(wanted).map(address => bit(address))
  return bits.every(one => one !== undefined) ? { kind: 'bits', bits } : ILLEGAL_ADDRESS
}

function readRegisters(
  bank: ModbusBank,
  registers: () => Registers,
  table: RegisterTable,
  wanted: Span,
): ModbusAnswer | number {
  const refused = bank.refuse?.(table, wanted.address, wanted.count)
  if (refused !== undefined) return refused
  const now = registers()
  const bytes = new Uint8Array(2 * wanted.count)
  for (const [i, address] of span(wanted).entries()) {
    const value = now(table, address)
    if (value === undefined) return ILLEGAL_ADDRESS
    bytes[2 * i] = value >> 8
    bytes[2 * i + 1] = value & 0xff
  }
  return { kind: 'registers', bytes }
}

/** Streams and single objects; the first object of each category, and what follows those of it. */
const CATEGORY_END = { 1: 0x02, 2: 0x7f, 3: 0xff } as const
/** Objects of one answer: 253 bytes less the seven before them. */
const OBJECT_BYTES = 246
/** Streams and single objects are both answered (conformity 0x80), with objects of all three categories (0x03). */
const CONFORMITY = 0x83

function identify(
  held: ReadonlyMap<number, Uint8Array> | undefined,
  code: 1 | 2 | 3 | 4,
  object: number,
): ModbusAnswer | number {
  if (held === undefined) return ILLEGAL_FUNCTION
  const answer = (objects: Identification['objects'], next?: number): ModbusAnswer => ({
    kind: 'identification',
    identification: { conformity: CONFORMITY, next, objects },
  })
  if (code === 4) {
    const bytes = held.get(object)
    return bytes === undefined ? ILLEGAL_ADDRESS : answer([{ id: object, bytes }])
  }
  const all = [...held].filter(([id]) => id <= CATEGORY_END[code]).sort(([a], [b]) => a - b)
  // A stream that is asked to begin with an object that is not there begins anew (V1.1b3, 6.21).
  const from = Math.max(
    0,
    all.findIndex(([id]) => id === object),
  )
  const objects: { id: number; bytes: Uint8Array }[] = []
  let left = OBJECT_BYTES
  for (const [id, bytes] of all.slice(from)) {
    left -= 2 + bytes.length
    if (left < 0) return answer(objects, id)
    objects.push({ id, bytes })
  }
  return answer(objects)
}
