/** Modbus protocol data units as a slave sees them: requests are read, answers and exceptions are written. */
import { concat } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import {
  encodeRequest,
  LIMIT,
  type ModbusAnswer,
  type ModbusFault,
  type ModbusRequest,
  packBits,
  unpackBits,
} from './pdu.ts'

const word = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!

/**
 * Length of a request's PDU as far as `head` tells, or how many bytes must be there to say more; undefined for a function
 * that we do not speak, or a byte count that the protocol cannot carry.
 */
export function requestLength(head: Uint8Array): { length: number } | { need: number } | undefined {
  switch (head[0]) {
    case undefined:
      return { need: 1 }
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return { length: 5 }
    case 15:
    case 16: {
      if (head.length < 6) return { need: 6 }
      const most = head[0] === 15 ? (LIMIT.writeBits + 7) >> 3 : 2 * LIMIT.writeRegisters
      return head[5]! >= 1 && head[5]! <= most ? { length: 6 + head[5]! } : undefined
    }
    case 23:
      if (head.length < 10) return { need: 10 }
      return head[9]! >= 2 && head[9]! <= 2 * LIMIT.exchange ? { length: 10 + head[9]! } : undefined
    case 43:
      return { length: 4 }
    default:
      return undefined
  }
}

/** Reads a request's PDU. What is no request of the protocol is a fault; which exception it earns is the slave's affair. */
export function decodeRequest(pdu: Uint8Array): Result<ModbusRequest, ModbusFault> {
  const size = requestLength(pdu)
  if (size === undefined) return fail({ code: 'modbus.header', field: 'function', received: pdu[0] ?? -1 })
  const expected = 'length' in size ? size.length : size.need
  if (pdu.length !== expected) return fail({ code: 'modbus.length', expected, received: pdu.length })
  const request = parse(pdu)
  if (request === undefined) return fail({ code: 'modbus.header', field: 'value', received: pdu[0]! })
  try {
    // One rule for both directions: what we could not have sent is no request.
    encodeRequest(request)
  } catch {
    return fail({ code: 'modbus.header', field: 'range', received: pdu[0]! })
  }
  return ok(request)
}

function parse(pdu: Uint8Array): ModbusRequest | undefined {
  const fn = pdu[0]!
  const address = pdu.length >= 5 ? word(pdu, 1) : 0
  const second = pdu.length >= 5 ? word(pdu, 3) : 0
  const registers = (from: number): number[] =>
    Array.from({ length: (pdu.length - from) >> 1 }, (_, i) => word(pdu, from + 2 * i))
  switch (fn) {
    case 1:
    case 2:
    case 3:
    case 4:
      return { fn, address, count: second }
    case 5:
      return second === 0xff00 || second === 0 ? { fn, address, on: second !== 0 } : { fn, address, value: second }
    case 6:
      return { fn, address, value: second }
    case 15:
      return pdu[5] === (second + 7) >> 3 ? { fn, address, bits: unpackBits(pdu.subarray(6), second) } : undefined
    case 16:
      return pdu[5] === 2 * second ? { fn, address, values: registers(6) } : undefined
    case 23:
      return pdu[9] === 2 * word(pdu, 7)
        ? { fn, address, count: second, writeAddress: word(pdu, 5), values: registers(10) }
        : undefined
    default: {
      const code = pdu[2]!
      return pdu[1] === 14 && (code === 1 || code === 2 || code === 3 || code === 4)
        ? { fn: 43, code, object: pdu[3]! }
        : undefined
    }
  }
}

/** The answer's PDU. Throws when the answer does not fit its request: the slave's own bug. */
export function encodeAnswer(request: ModbusRequest, answer: ModbusAnswer): Uint8Array {
  switch (answer.kind) {
    case 'bits': {
      if ((request.fn !== 1 && request.fn !== 2) || answer.bits.length !== request.count)
        throw new RangeError(`bits do not answer function ${request.fn}`)
      const packed = packBits(answer.bits)
      return concat(Uint8Array.of(request.fn, packed.length), packed)
    }
    case 'registers':
      if ((request.fn !== 3 && request.fn !== 4 && request.fn !== 23) || answer.bytes.length !== 2 * request.count)
        throw new RangeError(`registers do not answer function ${request.fn}`)
      return concat(Uint8Array.of(request.fn, answer.bytes.length), answer.bytes)
    case 'written':
      return encodeRequest(request).subarray(0, 5)
    case 'identification': {
      if (request.fn !== 43) throw new RangeError(`an identification does not answer function ${request.fn}`)
      const { conformity, next, objects } = answer.identification
      return concat(
        Uint8Array.of(43, 14, request.code, conformity, next === undefined ? 0 : 0xff, next ?? 0, objects.length),
        ...objects.map(object => concat(Uint8Array.of(object.id, object.bytes.length), object.bytes)),
      )
    }
  }
}

export const encodeException = (fn: number, exception: number): Uint8Array => Uint8Array.of(fn | 0x80, exception)
