/**
 * Frames around protocol data units: RTU and ASCII (MODBUS over Serial Line V1.02, 2.5.1 and 2.5.2) and TCP (MODBUS Messaging
 * on TCP/IP V1.0b, 3.1.3). An RTU frame does not tell its own length, so an answer is cut out of the stream by what its
 * request asked for.
 *
 *     RTU     unit | PDU 1..253 | crc lo hi
 *     ASCII   ':' | two hexadecimal digits for each byte of: unit, PDU 1..253, lrc | CR LF
 *     TCP     transaction 2 | protocol 0 2 | length 2 | unit | PDU 1..253
 */
import { concat } from '../bytes.ts'
import type { Pull } from '../result.ts'
import { crc16, lrc8 } from './crc.ts'
import { answerLength, checkHead, type ModbusFault, type ModbusRequest } from './pdu.ts'
import { decodeRequest, requestLength } from './slave.ts'

const PDU_MAX = 253
const CRC_BYTES = 2
const MBAP_BYTES = 7
const COLON = 0x3a
const CR = 0x0d
const LF = 0x0a
/** Unit, function and LRC: no sound frame holds less. */
const ASCII_LEAST_BYTES = 3

export function encodeRtu(unit: number, pdu: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + pdu.length + CRC_BYTES)
  frame[0] = unit
  frame.set(pdu, 1)
  const crc = crc16(frame, 0, 1 + pdu.length)
  frame[frame.length - 2] = crc & 0xff
  frame[frame.length - 1] = crc >> 8
  return frame
}

export function encodeTcp(transaction: number, unit: number, pdu: Uint8Array): Uint8Array {
  const length = pdu.length + 1
  return concat(Uint8Array.of(transaction >> 8, transaction & 0xff, 0, 0, length >> 8, length & 0xff, unit), pdu)
}

const need = (bytes: number): Pull<never, never> => ({ kind: 'need', bytes })
const junk = (fault: ModbusFault, skip = 1): Pull<never, ModbusFault> => ({ kind: 'junk', skip, fault })

function checkedCrc(bytes: Uint8Array, length: number): ModbusFault | undefined {
  const expected = crc16(bytes, 0, length - CRC_BYTES)
  const received = bytes[length - 2]! | (bytes[length - 1]! << 8)
  return expected === received ? undefined : { code: 'modbus.crc', expected, received }
}

/**
 * The PDU of the RTU frame at the head of `bytes`, if it answers `request` of `unit`: a good answer of exactly the length
 * that was asked for, or an exception. Anything else is junk, one byte at a time.
 */
export function decodeRtuAnswer(
  unit: number,
  request: ModbusRequest,
  bytes: Uint8Array,
): Pull<Uint8Array, ModbusFault> {
  if (bytes.length === 0) return need(1)
  if (bytes[0] !== unit) return junk({ code: 'modbus.unit', expected: unit, received: bytes[0]! })
  const head = bytes.subarray(1)
  const wrong = checkHead(request, head)
  if (wrong !== undefined) return junk(wrong)
  if (head.length === 0) return need(1)
  const size = head[0] === (request.fn | 0x80) ? { length: 2 } : answerLength(request, head)
  const pduLength = 'length' in size ? size.length : size.need
  if (pduLength > PDU_MAX) return junk({ code: 'modbus.length', expected: PDU_MAX, received: pduLength })
  if ('need' in size) return need(size.need - head.length)
  const total = 1 + size.length + CRC_BYTES
  if (bytes.length < total) return need(total - bytes.length)
  const bad = checkedCrc(bytes, total)
  return bad !== undefined ? junk(bad) : { kind: 'frame', value: bytes.slice(1, 1 + size.length), used: total }
}

/** Digits are written in capitals, as the specification has them. */
export function encodeAscii(unit: number, pdu: Uint8Array): Uint8Array {
  const message = concat(Uint8Array.of(unit), pdu)
  const digits = [...message, lrc8(message)].map(byte => byte.toString(16).padStart(2, '0')).join('')
  return new TextEncoder().encode(`:${digits.toUpperCase()}\r\n`)
}

/** The digit's value, small letters too; -1 where it is none. */
function digitOf(character: number): number {
  if (character >= 0x30 && character <= 0x39) return character - 0x30
  const letter = character & ~0x20
  return letter >= 0x41 && letter <= 0x46 ? letter - 0x37 : -1
}

export interface AsciiFrame {
  readonly unit: number
  readonly pdu: Uint8Array
}

/** The ASCII frame at the head of `bytes`. A new colon ends whatever came before it. */
export function decodeAscii(bytes: Uint8Array): Pull<AsciiFrame, ModbusFault> {
  if (bytes.length === 0) return need(2 * ASCII_LEAST_BYTES + 3)
  if (bytes[0] !== COLON) return junk({ code: 'modbus.header', field: 'colon', received: bytes[0]! })
  const most = 2 * (PDU_MAX + 2)
  let end = 1
  while (end < bytes.length && end <= most && digitOf(bytes[end]!) >= 0) end++
  const digits = end - 1
  if (end === bytes.length) return need(2 + (digits % 2) + Math.max(0, 2 * ASCII_LEAST_BYTES - digits - (digits % 2)))
  if (bytes[end] !== CR) return junk({ code: 'modbus.header', field: 'digit', received: bytes[end]! }, end)
  if (end + 1 === bytes.length) return need(1)
  const used = end + 2
  if (bytes[end + 1] !== LF)
    return junk({ code: 'modbus.header', field: 'line end', received: bytes[end + 1]! }, end + 1)
  if (digits % 2 !== 0 || digits < 2 * ASCII_LEAST_BYTES)
    return junk({ code: 'modbus.header', field: 'digits', received: digits }, used)
  const message = Uint8Array.from(
    { length: digits / 2 },
    (_, i) => 16 * digitOf(bytes[1 + 2 * i]!) + digitOf(bytes[2 + 2 * i]!),
  )
  const last = message.length - 1
  const expected = lrc8(message, 0, last)
  if (message[last] !== expected) return junk({ code: 'modbus.lrc', expected, received: message[last]! }, used)
  return { kind: 'frame', value: { unit: message[0]!, pdu: message.slice(1, last) }, used }
}

/** As `decodeRtuAnswer`: the PDU of the ASCII frame at the head of `bytes`, if it answers `request` of `unit`. */
export function decodeAsciiAnswer(
  unit: number,
  request: ModbusRequest,
  bytes: Uint8Array,
): Pull<Uint8Array, ModbusFault> {
  const pull = decodeAscii(bytes)
  if (pull.kind !== 'frame') return pull
  const { unit: from, pdu } = pull.value
  if (from !== unit) return junk({ code: 'modbus.unit', expected: unit, received: from }, pull.used)
  const wrong = checkHead(request, pdu)
  if (wrong !== undefined) return junk(wrong, pull.used)
  const size = pdu[0] === (request.fn | 0x80) ? { length: 2 } : answerLength(request, pdu)
  const expected = 'length' in size ? size.length : size.need
  return pdu.length === expected
    ? { kind: 'frame', value: pdu, used: pull.used }
    : junk({ code: 'modbus.length', expected, received: pdu.length }, pull.used)
}

export interface AddressedRequest {
  readonly unit: number
  readonly request: ModbusRequest
}

/** The RTU request at the head of `bytes`, as every slave on the line sees it; answers of others come out as junk. */
export function decodeRtuRequest(bytes: Uint8Array): Pull<AddressedRequest, ModbusFault> {
  if (bytes.length < 2) return need(2 - bytes.length)
  const size = requestLength(bytes.subarray(1))
  if (size === undefined) return junk({ code: 'modbus.header', field: 'function', received: bytes[1]! })
  if ('need' in size) return need(1 + size.need - bytes.length)
  const total = 1 + size.length + CRC_BYTES
  if (bytes.length < total) return need(total - bytes.length)
  const bad = checkedCrc(bytes, total)
  if (bad !== undefined) return junk(bad)
  const request = decodeRequest(bytes.subarray(1, total - CRC_BYTES))
  if (!request.ok) return junk(request.fault, total)
  return { kind: 'frame', value: { unit: bytes[0]!, request: request.value }, used: total }
}

/** The ASCII request at the head of `bytes`; answers of others come out as junk, a whole frame at once. */
export function decodeAsciiRequest(bytes: Uint8Array): Pull<AddressedRequest, ModbusFault> {
  const pull = decodeAscii(bytes)
  if (pull.kind !== 'frame') return pull
  const request = decodeRequest(pull.value.pdu)
  if (!request.ok) return junk(request.fault, pull.used)
  return { kind: 'frame', value: { unit: pull.value.unit, request: request.value }, used: pull.used }
}

export interface TcpFrame {
  readonly transaction: number
  readonly unit: number
  readonly pdu: Uint8Array
}

/** The TCP frame at the head of `bytes`. Junk means that the stream lost its place: whoever reads it starts a new connection. */
export function decodeTcp(bytes: Uint8Array): Pull<TcpFrame, ModbusFault> {
  const field = (at: number) => (bytes[at]! << 8) | bytes[at + 1]!
  if (bytes.length >= 4 && field(2) !== 0)
    return junk({ code: 'modbus.header', field: 'protocol', received: field(2) }, bytes.length)
  if (bytes.length < MBAP_BYTES - 1) return need(MBAP_BYTES + 1 - bytes.length)
  const length = field(4)
  if (length < 2 || length > PDU_MAX + 1)
    return junk({ code: 'modbus.header', field: 'length', received: length }, bytes.length)
  const total = MBAP_BYTES - 1 + length
  if (bytes.length < total) return need(total - bytes.length)
  return {
    kind: 'frame',
    value: { transaction: field(0), unit: bytes[6]!, pdu: bytes.slice(MBAP_BYTES, total) },
    used: total,
  }
}

export interface TcpRequest extends AddressedRequest {
  readonly transaction: number
}

/** The TCP request at the head of `bytes`, as a server sees it. */
export function decodeTcpRequest(bytes: Uint8Array): Pull<TcpRequest, ModbusFault> {
  const pull = decodeTcp(bytes)
  if (pull.kind !== 'frame') return pull
  const request = decodeRequest(pull.value.pdu)
  if (!request.ok) return junk(request.fault, pull.used)
  const { transaction, unit } = pull.value
  return { kind: 'frame', value: { transaction, unit, request: request.value }, used: pull.used }
}
