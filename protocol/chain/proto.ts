/**
 * The part of protobuf that consensus bytes need, written and read in one canonical form (as gogoproto writes it): fields in
 * ascending order, shortest varints, default values left out.
 *
 *     0a 03 61 62 63    field 1, wire type 2 (length-delimited), 3 bytes
 *     10 96 01          field 2, wire type 0 (varint), 150
 *     19 ..8 bytes..    field 3, wire type 1 (fixed64, little-endian)
 *
 * A writer here makes the bytes of one field; a message is their concatenation. The reader takes a shape and refuses
 * everything that the writer would not have written, so one value has one byte string.
 */
import { concat } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'

const NOTHING = new Uint8Array(0)
const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** Shortest base-128 form of a 64-bit integer; a negative one takes ten bytes (two's complement). */
export function varint(value: bigint | number): Uint8Array {
  if (value >= 0 && value < 0x80) return Uint8Array.of(Number(value))
  const out: number[] = []
  let large = BigInt.asUintN(64, BigInt(value))
  // Numbers are ten times faster; a bigint is taken apart only while it has to be one.
  for (; large > MAX_SAFE; large >>= 7n) out.push(Number(large & 0x7fn) | 0x80)
  let rest = Number(large)
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80)
  out.push(rest)
  return new Uint8Array(out)
}

const tag = (field: number, wire: number): Uint8Array => varint(field * 8 + wire)

/** An integer field (int32, int64, uint32, uint64, enum); left out when zero. */
export function varintField(field: number, value: bigint | number): Uint8Array {
  return value === 0 || value === 0n ? NOTHING : concat(tag(field, VARINT), varint(value))
}

/** An sfixed64 field; left out when zero. */
export function fixed64Field(field: number, value: bigint): Uint8Array {
  if (value === 0n) return NOTHING
  const out = new Uint8Array(9)
  out.set(tag(field, FIXED64))
  new DataView(out.buffer).setBigInt64(1, value, true)
  return out
}

/** A bytes or string field; left out when empty. */
export function bytesField(field: number, value: Uint8Array): Uint8Array {
  return value.length === 0 ? NOTHING : messageField(field, value)
}

/** A sub-message or one item of a repeated field: always written, even when empty. */
export function messageField(field: number, body: Uint8Array): Uint8Array {
  if (field >= 16 || body.length >= 0x80) return concat(tag(field, DELIMITED), varint(body.length), body)
  // Nearly all there are: tag and length are a byte each.
  const out = new Uint8Array(2 + body.length)
  out[0] = field * 8 + DELIMITED
  out[1] = body.length
  out.set(body, 2)
  return out
}

/** A message preceded by its length, as in sign bytes and on sockets. */
export const delimited = (body: Uint8Array): Uint8Array => concat(varint(body.length), body)

/** What each field of a message is: by field number. `packed` is a packed repeated varint. */
export type Shape = Readonly<Record<number, 'varint' | 'fixed64' | 'bytes' | 'message' | 'messages' | 'packed'>>

type FieldValue<K extends Shape[number]> = K extends 'varint' | 'fixed64'
  ? bigint
  : K extends 'bytes'
    ? Uint8Array
    : K extends 'message'
      ? Uint8Array | undefined
      : K extends 'messages'
        ? readonly Uint8Array[]
        : readonly bigint[]

/** Integers as unsigned 64 bits; absent scalars are zero or empty (proto3), an absent sub-message is undefined. */
export type Fields<S extends Shape> = { readonly [N in keyof S & number]: FieldValue<S[N]> }

export interface ProtoFault {
  readonly code: 'chain.proto'
  readonly reason: string
  /** Offset in the message at which reading stopped. */
  readonly at: number
  readonly [detail: string]: string | number
}

const EMPTY: Record<Shape[number], () => unknown> = {
  varint: () => 0n,
  fixed64: () => 0n,
  bytes: () => NOTHING,
  message: () => undefined,
  messages: () => [],
  packed: () => [],
}

export interface ReadOptions {
  /**
   * Pass over fields that the shape does not name. For what a program of our own sends and nobody hashes: its next version
   * may say more. Off, an unknown field is a fault.
   */
  readonly skipUnknown?: boolean
  /** Most items of one repeated field: an empty item takes two bytes on the wire and a hundred here. */
  readonly itemsMax?: number
}

/** Read one message of a known shape. The byte strings in the answer are views into `bytes`. */
export function readMessage<S extends Shape>(
  bytes: Uint8Array,
  shape: S,
  { skipUnknown = false, itemsMax = Number.POSITIVE_INFINITY }: ReadOptions = {},
): Result<Fields<S>, ProtoFault> {
  const out: Record<number, unknown> = {}
  for (const [field, kind] of Object.entries(shape)) out[Number(field)] = EMPTY[kind]()
  let at = 0
  let last = 0
  while (at < bytes.length) {
    const bad = (reason: string) => fail<ProtoFault>({ code: 'chain.proto', reason, at })
    const key = readVarint(bytes, at)
    if (typeof key === 'string') return bad(key)
    const field = Number(key.value >> 3n)
    const wire = Number(key.value & 7n)
    const kind = shape[field]
    if (kind === undefined) {
      if (!skipUnknown) return bad(`field ${field} is not of this message`)
      const next = skipValue(bytes, key.next, wire)
      if (typeof next === 'string') return bad(next)
      at = next
      continue
    }
    if (field < last) return bad(`field ${field} comes after field ${last}`)
    if (field === last && kind !== 'messages') return bad(`field ${field} comes twice`)
    if (wire !== WIRE[kind]) return bad(`field ${field} has wire type ${wire} instead of ${WIRE[kind]}`)
    last = field
    at = key.next

    if (kind === 'fixed64') {
      if (at + 8 > bytes.length) return bad('ends inside a fixed64')
      const value = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true)
      if (value === 0n) return bad(`field ${field} writes its default value`)
      out[field] = value
      at += 8
      continue
    }
    const head = readVarint(bytes, at)
    if (typeof head === 'string') return bad(head)
    if (kind === 'varint') {
      if (head.value === 0n) return bad(`field ${field} writes its default value`)
      out[field] = head.value
      at = head.next
      continue
    }
    if (head.value > BigInt(bytes.length - head.next)) return bad(`field ${field} is longer than the message`)
    const end = head.next + Number(head.value)
    const body = bytes.subarray(head.next, end)
    if (kind === 'messages') {
      const items = out[field] as Uint8Array[]
      if (items.length >= itemsMax) return fail({ code: 'chain.proto', reason: 'too many items', at, field, itemsMax })
      items.push(body)
    } else if (kind === 'message') out[field] = body
    else if (body.length === 0) return bad(`field ${field} writes its default value`)
    else if (kind === 'bytes') out[field] = body
    else {
      const list: bigint[] = []
      for (let i = 0; i < body.length; ) {
        const item = readVarint(body, i)
        if (typeof item === 'string') return bad(item)
        list.push(item.value)
        i = item.next
      }
      out[field] = list
    }
    at = end
  }
  return ok(out as Fields<S>)
}

const WIRE: Record<Shape[number], number> = {
  varint: VARINT,
  fixed64: FIXED64,
  bytes: DELIMITED,
  message: DELIMITED,
  messages: DELIMITED,
  packed: DELIMITED,
}

/** Where the value of a field that is passed over ends, or why it has no end. */
function skipValue(bytes: Uint8Array, at: number, wire: number): number | string {
  let next = at
  if (wire === FIXED64) next = at + 8
  else if (wire === FIXED32) next = at + 4
  else {
    if (wire !== VARINT && wire !== DELIMITED) return `wire type ${wire}`
    const head = readVarint(bytes, at)
    if (typeof head === 'string') return head
    if (wire === VARINT) return head.next
    if (head.value > BigInt(bytes.length - head.next)) return 'an unknown field is longer than the message'
    next = head.next + Number(head.value)
  }
  return next <= bytes.length ? next : 'ends inside an unknown field'
}

/** A shortest-form varint of at most 64 bits at `at`, or why there is none. */
function readVarint(bytes: Uint8Array, at: number): { readonly value: bigint; readonly next: number } | string {
  let value = 0n
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) return 'ends inside a varint'
    // The tenth byte holds the 64th bit only.
    if (i === 9 && byte > 1) return 'varint beyond 64 bits'
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
    if (byte < 0x80) return byte === 0 && i > 0 ? 'varint is not in its shortest form' : { value, next: at + i + 1 }
  }
  return 'varint beyond 64 bits'
}
