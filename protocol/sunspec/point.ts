/**
 * Points of SunSpec models (SunSpec Information Model Specification, "Data types"): what a run of registers holds, and when
 * it holds nothing. High word first, always.
 */
import { decodeNumber, type NumberType } from '../modbus/value.ts'

type NumericType =
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'uint64'
  | 'acc32'
  | 'acc64'
  | 'enum16'
  | 'bitfield16'
  | 'bitfield32'
  | 'float32'
  | 'sunssf'

export type PointType = NumericType | 'string' | 'pad'

/** How each type is stored, and the contents by which a device says that it does not have the point. */
const STORAGE: Readonly<Record<NumericType, { readonly type: NumberType; readonly absent: readonly bigint[] }>> = {
  int16: { type: 'i16', absent: [0x8000n] },
  uint16: { type: 'u16', absent: [0xffffn] },
  int32: { type: 'i32', absent: [0x8000_0000n] },
  uint32: { type: 'u32', absent: [0xffff_ffffn] },
  uint64: { type: 'u64', absent: [0xffff_ffff_ffff_ffffn] },
  // An accumulator that was never counted in and one that is not there look alike. All ones is what makers write instead.
  acc32: { type: 'u32', absent: [0n, 0xffff_ffffn] },
  acc64: { type: 'u64', absent: [0n, 0xffff_ffff_ffff_ffffn] },
  enum16: { type: 'u16', absent: [0xffffn] },
  bitfield16: { type: 'u16', absent: [0xffffn] },
  bitfield32: { type: 'u32', absent: [0xffff_ffffn] },
  float32: { type: 'f32', absent: [] },
  sunssf: { type: 'i16', absent: [0x8000n] },
}

const NUMBER_REGISTERS = { i16: 1, u16: 1, i32: 2, u32: 2, i64: 4, u64: 4, f32: 2, f64: 4 } as const

/** Registers of a point; `strings` is the length that its model gives a text. */
export const pointRegisters = (type: PointType, strings = 0): number =>
  type === 'string' ? strings : type === 'pad' ? 1 : NUMBER_REGISTERS[STORAGE[type].type]

/** A float is rounded to this power of ten of its unit: finer than any meter measures, coarser than a single's noise. */
export const FLOAT_SCALER = -3

/** The number that stands in `bytes`, in steps of 10^FLOAT_SCALER where it is a float; undefined where the device has none. */
export function decodePoint(type: NumericType, bytes: Uint8Array): bigint | undefined {
  const storage = STORAGE[type]
  return decodeNumber(bytes, {
    type: storage.type,
    order: 'high-first',
    scaler: FLOAT_SCALER,
    sentinels: storage.absent,
  })
}

/** Text up to its first zero byte, less blanks at its end; undefined where it is empty or no printable ASCII. */
export function decodeText(bytes: Uint8Array): string | undefined {
  const end = bytes.indexOf(0)
  const text = String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end))).replace(/ +$/, '')
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined
}
