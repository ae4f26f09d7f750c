/**
 * The structs of the GPIO character device, version 2, as bytes, and its ioctl numbers. Source: linux/gpio.h, the kernel's user
 * API, which is the same on every architecture but for the order of bytes; both orders of the machines that we run on are
 * little-endian.
 */
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'

export const GPIO_IOCTL = {
  chipInfo: 0x8044b401,
  lineInfo: 0xc100b405,
  getLine: 0xc250b407,
  setConfig: 0xc110b40d,
  getValues: 0xc010b40e,
  setValues: 0xc010b40f,
} as const

export const LINE_FLAG = { used: 1n, input: 4n, output: 8n } as const

export const SIZE = { chipInfo: 68, lineInfo: 256, config: 272, request: 592, values: 16 } as const

/** Bytes of a name, with the zero that ends it. */
const NAME = 32
const ATTR_OUTPUT_VALUES = 2

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** A kernel's name: what is no text is none. */
function nameAt(bytes: Uint8Array, at: number): string {
  const field = bytes.subarray(at, at + NAME)
  const end = field.indexOf(0)
  return fromUtf8(end === -1 ? field : field.subarray(0, end)) ?? ''
}

export const readChipInfo = (bytes: Uint8Array): { readonly label: string; readonly lines: number } => ({
  label: nameAt(bytes, NAME),
  lines: viewOf(bytes).getUint32(64, true),
})

export function askLineInfo(offset: number): Uint8Array {
  const bytes = new Uint8Array(SIZE.lineInfo)
  viewOf(bytes).setUint32(64, offset, true)
  return bytes
}

interface LineInfo {
  readonly name: string
  readonly consumer: string
  readonly used: boolean
  readonly output: boolean
}

export function readLineInfo(bytes: Uint8Array): LineInfo {
  const flags = viewOf(bytes).getBigUint64(72, true)
  return {
    name: nameAt(bytes, 0),
    consumer: nameAt(bytes, NAME),
    used: (flags & LINE_FLAG.used) !== 0n,
    output: (flags & LINE_FLAG.output) !== 0n,
  }
}

/** Of one line: an input, or an output together with its first level. */
export function lineConfig(level: 0 | 1 | undefined): Uint8Array {
  const bytes = new Uint8Array(SIZE.config)
  const view = viewOf(bytes)
  view.setBigUint64(0, level === undefined ? LINE_FLAG.input : LINE_FLAG.output, true)
  if (level === undefined) return bytes
  view.setUint32(8, 1, true)
  view.setUint32(32, ATTR_OUTPUT_VALUES, true)
  view.setBigUint64(40, BigInt(level), true)
  view.setBigUint64(48, 1n, true)
  return bytes
}

export function lineRequest(offset: number, consumer: string, level: 0 | 1 | undefined): Uint8Array {
  const bytes = new Uint8Array(SIZE.request)
  const view = viewOf(bytes)
  view.setUint32(0, offset, true)
  bytes.set(utf8(consumer).subarray(0, NAME - 1), 256)
  bytes.set(lineConfig(level), 288)
  view.setUint32(560, 1, true)
  view.setInt32(588, -1, true)
  return bytes
}

export const requestedFd = (bytes: Uint8Array): number => viewOf(bytes).getInt32(588, true)

export function lineValues(level: 0 | 1): Uint8Array {
  const bytes = new Uint8Array(SIZE.values)
  const view = viewOf(bytes)
  view.setBigUint64(0, BigInt(level), true)
  view.setBigUint64(8, 1n, true)
  return bytes
}

export const readValue = (bytes: Uint8Array): 0 | 1 => ((viewOf(bytes).getBigUint64(0, true) & 1n) === 1n ? 1 : 0)
