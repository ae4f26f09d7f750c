/**
 * Canonical CBOR: every byte that is signed or hashed goes through here.
 *
 * RFC 8949 section 4.2.1 (core deterministic encoding): shortest integers and lengths, definite lengths only, map keys in
 * bytewise order, no duplicates. Ours is narrower still: no floats, no undefined, no tags (COSE's tag 18 is a fixed prefix
 * byte of its own room), map keys are integers or text, and nothing follows the item. `decode` accepts exactly what
 * `encode` writes: it decodes strictly, encodes again and compares, so one value has one byte string.
 */
import { decode as cborgDecode, encode as cborgEncode, rfc8949EncodeOptions } from 'cborg'
import { equalBytes } from './bytes.ts'
import { fail, ok, type Result } from './result.ts'

/** What canonical bytes can say. Integers read back as number where safe, else bigint. */
export type Cbor =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly Cbor[]
  | ReadonlyMap<number | string, Cbor>

export type CborFault =
  | { readonly code: 'cbor.too-long'; readonly bytes: number; readonly limit: number }
  | { readonly code: 'cbor.too-deep'; readonly depth: number; readonly limit: number }
  | { readonly code: 'cbor.malformed'; readonly reason: string }
  | { readonly code: 'cbor.not-canonical'; readonly reason: string }

/** No signed item of ours nests deeper: transaction > receipt > envelope fields is 5. */
const MAX_DEPTH = 16
/** The largest signed item is a dispute with both meters' envelopes, well below this. */
const DEFAULT_LIMIT = 64 * 1024

const LONE_SURROGATE = /\p{Surrogate}/u

const decodeOptions = {
  useMaps: true,
  strict: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: true,
}
const encodeOptions = { ...rfc8949EncodeOptions, float64: false }

/** Canonical bytes of a value. Throws on a float or another value that has no canonical form: our own bug. */
export function encode(value: Cbor): Uint8Array {
  const fault = shapeFault(value, 0)
  if (fault !== undefined) throw new TypeError(`no canonical CBOR for this value: ${fault.reason}`)
  return cborgEncode(value, encodeOptions)
}

/** Decode exactly one canonical item, or say why it is none. Maps come back as Map. */
export function decode(bytes: Uint8Array, limit: number = DEFAULT_LIMIT): Result<Cbor, CborFault> {
  if (bytes.length > limit) return fail({ code: 'cbor.too-long', bytes: bytes.length, limit })
  const depth = nesting(bytes)
  if (depth > MAX_DEPTH) return fail({ code: 'cbor.too-deep', depth, limit: MAX_DEPTH })
  let value: unknown
  try {
    value = cborgDecode(bytes, decodeOptions)
  } catch (error) {
    // cborg reports every malformed input by throwing; here that is an answer, not a bug.
    return fail({ code: 'cbor.malformed', reason: (error as Error).message })
  }
  const fault = shapeFault(value, 0)
  if (fault !== undefined) return fail({ code: 'cbor.not-canonical', reason: fault.reason })
  if (!equalBytes(cborgEncode(value, encodeOptions), bytes)) {
    return fail({ code: 'cbor.not-canonical', reason: 'encoding it again gives other bytes' })
  }
  return ok(value as Cbor)
}

function shapeFault(value: unknown, depth: number): { reason: string } | undefined {
  if (depth > MAX_DEPTH) return { reason: `nested deeper than ${MAX_DEPTH}` }
  switch (typeof value) {
    case 'string':
      // Half of a surrogate pair has no UTF-8: it would be written as U+FFFD, and two texts would be one byte string.
      return LONE_SURROGATE.test(value) ? { reason: 'text that is not well-formed' } : undefined
    case 'boolean':
      return undefined
    case 'bigint':
      return value >= -(2n ** 64n) && value < 2n ** 64n ? undefined : { reason: 'integer beyond 64 bits' }
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? undefined : { reason: `${value} is not an integer` }
    case 'object':
      break
    default:
      return { reason: `a ${typeof value}` }
  }
  if (value === null || value instanceof Uint8Array) return undefined
  if (Array.isArray(value)) {
    for (const item of value) {
      const fault = shapeFault(item, depth + 1)
      if (fault !== undefined) return fault
    }
    return undefined
  }
  if (value instanceof Map) {
    for (const [key, item] of value) {
      if (typeof key !== 'string' && !Number.isSafeInteger(key))
        return { reason: 'a map key that is neither integer nor text' }
      const fault = shapeFault(key, depth + 1) ?? shapeFault(item, depth + 1)
      if (fault !== undefined) return fault
    }
    return undefined
  }
  return { reason: 'an object that is neither Map, array nor bytes' }
}

/**
 * How deep arrays, maps and tags nest, read without recursion before the decoder recurses over hostile bytes. Malformed
 * input answers with the depth seen so far; the decoder then names the fault.
 */
function nesting(bytes: Uint8Array): number {
  const open: number[] = []
  let deepest = 0
  let at = 0
  while (at < bytes.length) {
    const major = bytes[at]! >> 5
    const info = bytes[at]! & 31
    if (info > 27) return deepest
    const size = info < 24 ? 0 : 1 << (info - 24)
    let argument = info < 24 ? info : 0
    for (let i = 1; i <= size; i++) argument = argument * 256 + (bytes[at + i] ?? 0)
    at += 1 + size
    if (major === 2 || major === 3) at += argument
    else if (major === 4 || major === 5 || major === 6) {
      const items = major === 6 ? 1 : major === 5 ? argument * 2 : argument
      if (items > 0) {
        open.push(items)
        if (open.length > deepest) deepest = open.length
        if (deepest > MAX_DEPTH) return deepest
        continue
      }
    }
    while (open.length > 0) {
      const left = open[open.length - 1]! - 1
      if (left > 0) {
        open[open.length - 1] = left
        break
      }
      open.pop()
    }
    if (open.length === 0) return deepest
  }
  return deepest
}
