/**
 * Modbus protocol data units as the master sees them (MODBUS Application Protocol V1.1b3): a request becomes bytes, and an
 * answer is read only against the request that it answers.
 */
import { fail, ok, type Result } from '../result.ts'

/** A request, told apart by its function code `fn`. Addresses are the protocol's, from 0. */
export type ModbusRequest =
  /** 1 read coils, 2 read discrete inputs: 1 to 2,000 bits. */
  | { readonly fn: 1 | 2; readonly address: number; readonly count: number }
  /** 3 read holding registers, 4 read input registers: 1 to 125. */
  | { readonly fn: 3 | 4; readonly address: number; readonly count: number }
  /** 5 write single coil. */
  | { readonly fn: 5; readonly address: number; readonly on: boolean }
  /** 5 with another value than on and off, which a maker may give a meaning of its own (6.5 calls it illegal). */
  | { readonly fn: 5; readonly address: number; readonly value: number }
  /** 6 write single register. */
  | { readonly fn: 6; readonly address: number; readonly value: number }
  /** 15 write multiple coils: 1 to 1,968. */
  | { readonly fn: 15; readonly address: number; readonly bits: readonly boolean[] }
  /** 16 write multiple registers: 1 to 123. */
  | { readonly fn: 16; readonly address: number; readonly values: readonly number[] }
  /** 23 write 1 to 121 registers, then read 1 to 125. */
  | {
      readonly fn: 23
      readonly address: number
      readonly count: number
      readonly writeAddress: number
      readonly values: readonly number[]
    }
  /** 43/14 read device identification: 1 basic, 2 regular, 3 extended, 4 one object; from `object` on. */
  | { readonly fn: 43; readonly code: 1 | 2 | 3 | 4; readonly object: number }

/** What a good answer carries. */
export type ModbusAnswer =
  | { readonly kind: 'bits'; readonly bits: readonly boolean[] }
  /** Register bytes as they stood on the wire, high byte first in each register. */
  | { readonly kind: 'registers'; readonly bytes: Uint8Array }
  | { readonly kind: 'written' }
  | { readonly kind: 'identification'; readonly identification: Identification }

export interface Identification {
  readonly conformity: number
  /** The object to ask for next; undefined when this answer ends the list. */
  readonly next: number | undefined
  readonly objects: readonly { readonly id: number; readonly bytes: Uint8Array }[]
}

/** What can be wrong with a frame or an answer. */
export type ModbusFault =
  | { readonly code: 'modbus.crc'; readonly expected: number; readonly received: number }
  | { readonly code: 'modbus.lrc'; readonly expected: number; readonly received: number }
  | { readonly code: 'modbus.unit'; readonly expected: number; readonly received: number }
  | { readonly code: 'modbus.function'; readonly expected: number; readonly received: number }
  | { readonly code: 'modbus.length'; readonly expected: number; readonly received: number }
  | { readonly code: 'modbus.echo'; readonly expected: string; readonly received: string }
  | { readonly code: 'modbus.exception'; readonly function: number; readonly exception: number; readonly name: string }
  | { readonly code: 'modbus.header'; readonly field: string; readonly received: number }

/** Exception codes (V1.1b3 chapter 7). */
const EXCEPTION: Readonly<Record<number, string>> = {
  1: 'illegal function',
  2: 'illegal data address',
  3: 'illegal data value',
  4: 'device failure',
  5: 'acknowledge',
  6: 'device busy',
  8: 'memory parity error',
  10: 'gateway path unavailable',
  11: 'gateway target failed to respond',
}

/** Limits of V1.1b3 chapter 6, each what still fits into a PDU of 253 bytes. */
export const LIMIT = {
  readBits: 2000,
  readRegisters: 125,
  writeBits: 1968,
  writeRegisters: 123,
  exchange: 121,
} as const

const MEI_DEVICE_IDENTIFICATION = 14
/** What function 5 writes for on (V1.1b3, 6.5); for off it is 0. */
const COIL_ON = 0xff00

const u16 = (value: number): readonly [number, number] => [value >> 8, value & 0xff]
const words = (values: readonly number[]): number[] => values.flatMap(u16)

/** Eight bits a byte, the first in the lowest bit (V1.1b3 6.1). */
export function packBits(bits: readonly boolean[]): Uint8Array {
  const out = new Uint8Array((bits.length + 7) >> 3)
  bits.forEach((bit, i) => {
    if (bit) out[i >> 3]! |= 1 << (i & 7)
  })
  return out
}

export const unpackBits = (bytes: Uint8Array, count: number): boolean[] =>
  Array.from({ length: count }, (_, i) => ((bytes[i >> 3]! >> (i & 7)) & 1) === 1)

function within(value: number, low: number, high: number, what: string): void {
  if (!Number.isInteger(value) || value < low || value > high)
    throw new RangeError(`modbus ${what} must be ${low} to ${high}, not ${value}`)
}

function checkSpan(address: number, count: number, most: number): void {
  within(count, 1, most, 'count')
  within(address, 0, 0x1_0000 - count, 'address')
}

/** The request's PDU. Throws on a request that the protocol cannot carry: our own bug. */
export function encodeRequest(request: ModbusRequest): Uint8Array {
  switch (request.fn) {
    case 1:
    case 2:
    case 3:
    case 4:
      checkSpan(request.address, request.count, request.fn <= 2 ? LIMIT.readBits : LIMIT.readRegisters)
      return Uint8Array.of(request.fn, ...u16(request.address), ...u16(request.count))
    case 5:
      checkSpan(request.address, 1, 1)
      if ('on' in request) return Uint8Array.of(5, ...u16(request.address), request.on ? COIL_ON >> 8 : 0, 0)
      within(request.value, 1, 0xffff, 'coil value')
      if (request.value === COIL_ON) throw new RangeError('modbus coil value is on itself')
      return Uint8Array.of(5, ...u16(request.address), ...u16(request.value))
    case 6:
      checkSpan(request.address, 1, 1)
      within(request.value, 0, 0xffff, 'register value')
      return Uint8Array.of(6, ...u16(request.address), ...u16(request.value))
    case 15: {
      checkSpan(request.address, request.bits.length, LIMIT.writeBits)
      const packed = packBits(request.bits)
      return Uint8Array.of(15, ...u16(request.address), ...u16(request.bits.length), packed.length, ...packed)
    }
    case 16:
      checkSpan(request.address, request.values.length, LIMIT.writeRegisters)
      for (const value of request.values) within(value, 0, 0xffff, 'register value')
      return Uint8Array.of(
        16,
        ...u16(request.address),
        ...u16(request.values.length),
        2 * request.values.length,
        ...words(request.values),
      )
    case 23:
      checkSpan(request.address, request.count, LIMIT.readRegisters)
      checkSpan(request.writeAddress, request.values.length, LIMIT.exchange)
      for (const value of request.values) within(value, 0, 0xffff, 'register value')
      return Uint8Array.of(
        23,
        ...u16(request.address),
        ...u16(request.count),
        ...u16(request.writeAddress),
        ...u16(request.values.length),
        2 * request.values.length,
        ...words(request.values),
      )
    case 43:
      within(request.object, 0, 0xff, 'object')
      return Uint8Array.of(43, MEI_DEVICE_IDENTIFICATION, request.code, request.object)
  }
}

/** Bytes that a good answer to a read carries after its byte count; undefined where the answer has no byte count. */
function dataBytes(request: ModbusRequest): number | undefined {
  switch (request.fn) {
    case 1:
    case 2:
      return (request.count + 7) >> 3
    case 3:
    case 4:
    case 23:
      return 2 * request.count
    default:
      return undefined
  }
}

/**
 * How long a good answer's PDU is, as far as `head` (its first bytes) tells: a number when it is certain, else how many
 * bytes must be there to say more. Only device identification needs more than the request to know.
 */
export function answerLength(request: ModbusRequest, head: Uint8Array): { length: number } | { need: number } {
  const data = dataBytes(request)
  if (data !== undefined) return { length: 2 + data }
  if (request.fn !== 43) return { length: 5 }
  // fn mei code conformity more next count | id length value ...
  let at = 7
  if (head.length < at) return { need: at }
  for (let left = head[6]!; left > 0; left--) {
    if (head.length < at + 2) return { need: at + 2 }
    at += 2 + head[at + 1]!
  }
  return { length: at }
}

/**
 * The fields of an answer that must repeat the request, wherever they are already there: what tells a foreign frame from
 * ours before its end has come.
 */
export function checkHead(request: ModbusRequest, head: Uint8Array): ModbusFault | undefined {
  const fn = head[0]
  if (fn === undefined || fn === (request.fn | 0x80)) return undefined
  if (fn !== request.fn) return { code: 'modbus.function', expected: request.fn, received: fn }
  const data = dataBytes(request)
  if (data !== undefined) {
    return head.length >= 2 && head[1] !== data
      ? { code: 'modbus.length', expected: data, received: head[1]! }
      : undefined
  }
  const echo =
    request.fn === 43
      ? Uint8Array.of(43, MEI_DEVICE_IDENTIFICATION, request.code)
      : encodeRequest(request).subarray(0, 5)
  for (let i = 1; i < Math.min(echo.length, head.length); i++) {
    if (head[i] !== echo[i])
      return { code: 'modbus.echo', expected: echo.join(' '), received: head.subarray(0, echo.length).join(' ') }
  }
  return undefined
}

/**
 * All by which a good answer to `request` can be told from another answer of the same unit: function and length, or the
 * repeated fields. Two requests of one signature have answers that nobody can tell apart.
 */
export function answerSignature(request: ModbusRequest): string {
  const data = dataBytes(request)
  if (data !== undefined) return `${request.fn}/${data}`
  return request.fn === 43 ? `43/${request.code}` : encodeRequest(request).subarray(0, 5).join('/')
}

/** Reads an answer's PDU against its request. An exception is a fault, and so is any byte that is not as it must be. */
export function decodeAnswer(request: ModbusRequest, pdu: Uint8Array): Result<ModbusAnswer, ModbusFault> {
  if (pdu[0] === (request.fn | 0x80)) {
    if (pdu.length !== 2) return fail({ code: 'modbus.length', expected: 2, received: pdu.length })
    const exception = pdu[1]!
    return fail({
      code: 'modbus.exception',
      function: request.fn,
      exception,
      name: EXCEPTION[exception] ?? 'unknown exception',
    })
  }
  if (pdu.length === 0) return fail({ code: 'modbus.length', expected: 2, received: 0 })
  const wrong = checkHead(request, pdu)
  if (wrong !== undefined) return fail(wrong)
  const size = answerLength(request, pdu)
  const expected = 'length' in size ? size.length : size.need
  if (pdu.length !== expected) return fail({ code: 'modbus.length', expected, received: pdu.length })
  switch (request.fn) {
    case 1:
    case 2:
      return ok({ kind: 'bits', bits: unpackBits(pdu.subarray(2), request.count) })
    case 3:
    case 4:
    case 23:
      return ok({ kind: 'registers', bytes: pdu.slice(2) })
    case 43:
      return ok({ kind: 'identification', identification: decodeIdentification(pdu) })
    default:
      return ok({ kind: 'written' })
  }
}

function decodeIdentification(pdu: Uint8Array): Identification {
  const objects: { id: number; bytes: Uint8Array }[] = []
  for (let at = 7; at < pdu.length; at += 2 + pdu[at + 1]!)
    objects.push({ id: pdu[at]!, bytes: pdu.slice(at + 2, at + 2 + pdu[at + 1]!) })
  return { conformity: pdu[3]!, next: pdu[4] === 0xff ? pdu[5]! : undefined, objects }
}
