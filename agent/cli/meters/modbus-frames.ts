/**
 * A recorded RTU line, both directions in one stream: an answer is known by the request before it, or else by its form.
 * Only a frame whose CRC holds is one.
 */
import { decodeRtuAnswer, decodeRtuRequest } from '../../../protocol/modbus/frame.ts'
import { decodeAnswer, LIMIT, type ModbusAnswer, type ModbusRequest } from '../../../protocol/modbus/pdu.ts'
import type { Pull } from '../../../protocol/result.ts'

export type ModbusFrame = { readonly unit: number } & (
  | { readonly kind: 'request'; readonly request: ModbusRequest }
  | { readonly kind: 'answer'; readonly fn: number; readonly answer: ModbusAnswer }
  | { readonly kind: 'exception'; readonly fn: number; readonly exception: number; readonly name: string }
)

type Asked = Extract<ModbusFrame, { kind: 'request' }>

export interface ModbusStream {
  readonly decode: (bytes: Uint8Array) => Pull<ModbusFrame>
  /** To be told of each frame before the next is decoded: what a request asked for decides how its answer is read. */
  readonly follow: (frame: ModbusFrame) => void
}

const EXCEPTION_BIT = 0x80

export function createModbusStream(): ModbusStream {
  let asked: Asked | undefined
  return {
    decode: bytes => {
      const pulls = [
        // A write's answer repeats the request byte by byte: only this order tells the two apart.
        ...(asked === undefined ? [] : [answerTo(asked.unit, asked.request, bytes)]),
        requestAt(bytes),
        answerByForm(bytes),
      ]
      return (
        pulls.find(pull => pull.kind === 'frame') ??
        pulls.find(pull => pull.kind === 'need') ??
        pulls.find(pull => pull.kind === 'junk' && pull.fault.code === 'modbus.crc') ?? {
          kind: 'junk',
          skip: 1,
          fault: { code: 'modbus.no-frame' },
        }
      )
    },
    follow: frame => {
      // Nobody answers a broadcast.
      asked = frame.kind === 'request' && frame.unit !== 0 ? frame : undefined
    },
  }
}

function requestAt(bytes: Uint8Array): Pull<ModbusFrame> {
  const pull = decodeRtuRequest(bytes)
  return pull.kind === 'frame' ? { ...pull, value: { kind: 'request', ...pull.value } } : oneByte(pull)
}

function answerTo(unit: number, request: ModbusRequest, bytes: Uint8Array): Pull<ModbusFrame> {
  const pull = decodeRtuAnswer(unit, request, bytes)
  if (pull.kind !== 'frame') return oneByte(pull)
  const answer = decodeAnswer(request, pull.value)
  if (answer.ok) return { ...pull, value: { kind: 'answer', unit, fn: request.fn, answer: answer.value } }
  const { fault } = answer
  if (fault.code !== 'modbus.exception') return { kind: 'junk', skip: 1, fault }
  const { exception, name } = fault
  return { ...pull, value: { kind: 'exception', unit, fn: request.fn, exception, name } }
}

/** Without its request, an answer is read against the request that it would answer. */
function answerByForm(bytes: Uint8Array): Pull<ModbusFrame> {
  if (bytes.length < 4) return { kind: 'need', bytes: 4 - bytes.length }
  const request = requestBehind(bytes)
  return request === undefined
    ? { kind: 'junk', skip: 1, fault: { code: 'modbus.no-frame' } }
    : answerTo(bytes[0]!, request, bytes)
}

/** A request that the frame at the head of `bytes` could answer; undefined where it can be no answer. */
function requestBehind(bytes: Uint8Array): ModbusRequest | undefined {
  const fn = bytes[1]! & ~EXCEPTION_BIT
  const isException = fn !== bytes[1]
  const size = isException ? 2 : bytes[2]!
  const count = isException || bytes.length < 6 ? 1 : (bytes[4]! << 8) | bytes[5]!
  const address = isException ? 0 : (bytes[2]! << 8) | bytes[3]!
  const inRange = (most: number) => count >= 1 && count <= most && address + count <= 0x1_0000
  switch (fn) {
    case 1:
    case 2:
      return size >= 1 && size <= LIMIT.readBits / 8 ? { fn, address: 0, count: 8 * size } : undefined
    case 3:
    case 4:
    case 23: {
      if (size < 2 || size % 2 !== 0 || size > 2 * LIMIT.readRegisters) return undefined
      const read = { address: 0, count: size / 2 }
      return fn === 23 ? { fn, ...read, writeAddress: 0, values: [0] } : { fn, ...read }
    }
    case 5:
      return { fn, address: 0, on: false }
    case 6:
      return { fn, address: 0, value: 0 }
    case 15:
      return inRange(LIMIT.writeBits) ? { fn, address, bits: Array(count).fill(false) } : undefined
    case 16:
      return inRange(LIMIT.writeRegisters) ? { fn, address, values: Array(count).fill(0) } : undefined
    case 43: {
      const code = isException ? 1 : bytes[3]!
      return code >= 1 && code <= 4 ? { fn, code: code as 1 | 2 | 3 | 4, object: 0 } : undefined
    }
    default:
      return undefined
  }
}

/** A sound frame that means nothing may still hide a beginning: the recording is gone through byte by byte. */
const oneByte = (pull: Exclude<Pull<unknown>, { kind: 'frame' }>): Exclude<Pull<never>, { kind: 'frame' }> =>
  pull.kind === 'junk' ? { ...pull, skip: 1 } : pull

const word = (value: number): string => value.toString(16).padStart(4, '0')
const words = (bytes: Uint8Array): string[] =>
  Array.from({ length: bytes.length >> 1 }, (_, i) => word((bytes[2 * i]! << 8) | bytes[2 * i + 1]!))

/** A frame as JSON: registers in hex as they stood on the wire, addresses from 0. */
export function modbusJson(frame: ModbusFrame): Readonly<Record<string, unknown>> {
  const { kind, unit } = frame
  if (kind === 'exception')
    return { frame: kind, unit, function: frame.fn, exception: frame.exception, name: frame.name }
  if (kind === 'answer') return { frame: kind, unit, function: frame.fn, ...answerJson(frame.answer) }
  const { fn, ...rest } = frame.request
  return { frame: kind, unit, function: fn, ...requestJson(rest) }
}

function requestJson(request: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(request).map(([key, value]) => {
      if (key === 'values') return ['registers', (value as number[]).map(word)]
      if (key === 'value') return ['registers', [word(value as number)]]
      return [key, value]
    }),
  )
}

function answerJson(answer: ModbusAnswer): Readonly<Record<string, unknown>> {
  switch (answer.kind) {
    case 'bits':
      return { bits: answer.bits }
    case 'registers':
      return { registers: words(answer.bytes) }
    case 'written':
      return { written: true }
    case 'identification':
      return {
        objects: answer.identification.objects.map(({ id, bytes }) => ({ id, text: String.fromCharCode(...bytes) })),
      }
  }
}

/** A frame as one line for people. */
export function modbusText(frame: ModbusFrame): string {
  const { frame: kind, unit, function: fn, ...rest } = modbusJson(frame)
  const details = Object.entries(rest).map(
    ([key, value]) =>
      `${key} ${Array.isArray(value) ? value.map(item => (typeof item === 'object' ? JSON.stringify(item) : String(item))).join(' ') : value}`,
  )
  return `${kind} unit ${unit} function ${fn}${details.length > 0 ? `: ${details.join(', ')}` : ''}`
}
