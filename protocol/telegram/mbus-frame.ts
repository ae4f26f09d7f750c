/**
 * The link layer of wired M-Bus (EN 13757-2, frame format FT 1.2 of IEC 60870-5-2), 8 data bits and even parity:
 *
 *     E5                               a single character: "done"
 *     10 C A CS 16                     short: a command without data
 *     68 L L 68 C A CI data CS 16      long: L bytes from C on; CS is the sum of these, modulo 256
 *
 * The sum lets one corrupted frame in 256 through, and any two changes that cancel out.
 */
import { concat } from '../bytes.ts'
import type { Pull } from '../result.ts'

export type MbusFrame =
  | { readonly kind: 'done' }
  | { readonly kind: 'short'; readonly control: number; readonly address: number }
  | {
      readonly kind: 'long'
      readonly control: number
      readonly address: number
      /** Control information: what the data is. */
      readonly ci: number
      readonly data: Uint8Array
    }

export type MbusLinkFault =
  | { readonly code: 'mbus.noise'; readonly bytes: number }
  | { readonly code: 'mbus.form'; readonly at: number }
  | { readonly code: 'mbus.checksum'; readonly expected: number; readonly received: number }

const SINGLE = 0xe5
const SHORT = 0x10
const LONG = 0x68
const STOP = 0x16
const SHORT_LENGTH = 5
/** 68 L L 68 before what L counts, CS 16 behind. */
const AROUND = 6
/** C, A and CI are always there; with them alone it is a control frame. */
const LEAST_L = 3

type Part = Pull<MbusFrame, MbusLinkFault>

/** Decodes the frame at the start of `bytes`. */
export function decodeMbusFrame(bytes: Uint8Array): Part {
  const [start, l, again, second] = bytes
  switch (start) {
    case undefined:
      return { kind: 'need', bytes: 1 }
    case SINGLE:
      return { kind: 'frame', value: { kind: 'done' }, used: 1 }
    case SHORT: {
      if (bytes.length < SHORT_LENGTH) return { kind: 'need', bytes: SHORT_LENGTH - bytes.length }
      const [, control = 0, address = 0] = bytes
      const fault = endFault(bytes, 1, SHORT_LENGTH)
      return fault === undefined
        ? { kind: 'frame', value: { kind: 'short', control, address }, used: SHORT_LENGTH }
        : junk(bytes, fault)
    }
    case LONG: {
      if (l !== undefined && l < LEAST_L) return junk(bytes, { code: 'mbus.form', at: 1 })
      if (again !== undefined && again !== l) return junk(bytes, { code: 'mbus.form', at: 2 })
      if (second !== undefined && second !== LONG) return junk(bytes, { code: 'mbus.form', at: 3 })
      const length = (l ?? LEAST_L) + AROUND
      if (bytes.length < length) return { kind: 'need', bytes: length - bytes.length }
      const fault = endFault(bytes, 4, length)
      if (fault !== undefined) return junk(bytes, fault)
      const [control = 0, address = 0, ci = 0] = bytes.subarray(4)
      const data = bytes.slice(7, length - 2)
      return { kind: 'frame', value: { kind: 'long', control, address, ci, data }, used: length }
    }
    default: {
      const skip = nextStart(bytes)
      return { kind: 'junk', skip, fault: { code: 'mbus.noise', bytes: skip } }
    }
  }
}

/** What is wrong with the last two bytes of a frame whose sum begins at `from`. */
function endFault(bytes: Uint8Array, from: number, length: number): MbusLinkFault | undefined {
  const expected = sum(bytes.subarray(from, length - 2))
  const received = bytes[length - 2]!
  if (bytes[length - 1] !== STOP) return { code: 'mbus.form', at: length - 1 }
  return expected === received ? undefined : { code: 'mbus.checksum', expected, received }
}

const junk = (bytes: Uint8Array, fault: MbusLinkFault): Part => ({ kind: 'junk', skip: nextStart(bytes), fault })

/** Where the next frame may begin, or the end. */
function nextStart(bytes: Uint8Array): number {
  let at = 1
  while (at < bytes.length && bytes[at] !== LONG && bytes[at] !== SHORT && bytes[at] !== SINGLE) at++
  return at
}

export const mbusShortFrame = (control: number, address: number): Uint8Array =>
  Uint8Array.of(SHORT, control, address, (control + address) & 0xff, STOP)

/** `data` is 252 bytes at most. */
export function mbusLongFrame(control: number, address: number, ci: number, data: Uint8Array): Uint8Array {
  const inner = concat(Uint8Array.of(control, address, ci), data)
  if (inner.length > 0xff) throw new Error(`${inner.length} bytes in an M-Bus frame`)
  return concat(Uint8Array.of(LONG, inner.length, inner.length, LONG), inner, Uint8Array.of(sum(inner), STOP))
}

function sum(bytes: Uint8Array): number {
  let total = 0
  for (const byte of bytes) total += byte
  return total & 0xff
}
