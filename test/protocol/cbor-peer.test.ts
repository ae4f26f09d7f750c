/** Canonical CBOR beside a second implementation, both ways: cbor2 with its deterministic profile (CDE). */
import { type DecodeOptions, decode as decode2, encode as encode2, Tag } from 'cbor2'
import { equalBytes, hex, toHex } from '../../protocol/bytes.ts'
import { decode, encode } from '../../protocol/cbor.ts'
import { assert, suite } from '../harness.ts'
import { assertProperty, fc } from '../property.ts'
import { anyCbor } from './any-cbor.ts'

const test = suite('canonical CBOR beside cbor2')

/** What their profile leaves open and ours does not, as far as they have a word for it. */
const STRICT: DecodeOptions = {
  cde: true,
  preferMap: true,
  rejectDuplicateKeys: true,
  rejectFloats: true,
  rejectSimple: true,
  rejectUndefined: true,
  rejectStreaming: true,
  requirePreferred: true,
  ignoreGlobalTags: true,
}

/** Their value, or undefined where they refuse by throwing. */
function read2(bytes: Uint8Array): { value: unknown } | undefined {
  try {
    return { value: decode2(bytes, STRICT) }
  } catch {
    return undefined
  }
}

/** Whether a value of theirs is one that ours can say: no tags, keys that are integers or text, sixteen levels. */
function isOurs(value: unknown, depth = 0): boolean {
  if (value === null || value instanceof Uint8Array) return true
  if (value instanceof Tag || depth >= 16) return false
  if (Array.isArray(value)) return value.every(item => isOurs(item, depth + 1))
  if (value instanceof Map)
    return [...value].every(
      ([key, item]) => (typeof key === 'string' || Number.isSafeInteger(key)) && isOurs(item, depth + 1),
    )
  return ['number', 'bigint', 'string', 'boolean'].includes(typeof value)
}

/** Theirs gives -2^53 as a number, where ours has a bigint for every integer that a number cannot tell from its neighbour. */
function unsafeAsBig(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : BigInt(value)
  if (Array.isArray(value)) return value.map(unsafeAsBig)
  return value instanceof Map ? new Map([...value].map(([key, item]) => [key, unsafeAsBig(item)])) : value
}

let [both, neither] = [0, 0]

/** One byte string has one verdict, and where that is yes one value. */
function judge(bytes: Uint8Array): void {
  const ours = decode(bytes)
  // Theirs hands out windows of what it was given, of its very class: a Buffer is no plain Uint8Array to compare.
  const theirs = read2(Uint8Array.from(bytes))
  if (ours.ok) {
    both++
    assert.ok(theirs !== undefined, `only ours reads ${toHex(bytes)}`)
    assert.equal(unsafeAsBig(theirs.value), ours.value, toHex(bytes))
  } else {
    neither++
    assert.not.ok(theirs !== undefined && isOurs(theirs.value), `only theirs reads ${toHex(bytes)}`)
  }
}

test('whatever ours writes, theirs writes the same', () => {
  assertProperty(
    fc.property(anyCbor, value => {
      assert.is(toHex(encode2(value, { cde: true })), toHex(encode(value)))
    }),
    300,
  )
})

test('of honest bytes, damaged bytes and any bytes, both read the same or neither reads', () => {
  assertProperty(
    fc.property(anyCbor, value => judge(encode(value))),
    1000,
  )
  assertProperty(
    fc.property(anyCbor, fc.nat(), fc.integer({ min: 0, max: 255 }), (value, where, byte) => {
      const bytes = encode(value).slice()
      bytes[where % bytes.length] = byte
      judge(bytes)
    }),
    1000,
  )
  assertProperty(fc.property(fc.uint8Array({ maxLength: 12 }), judge), 1000)
  assert.ok(both > 300 && neither > 300, `${both} read, ${neither} refused`)
})

test('every byte string of one byte, every head with a second byte, and heads of three', () => {
  for (let a = 0; a < 256; a++) {
    judge(Uint8Array.of(a))
    // One item or byte follows, or a length or value of one byte: anything else is already complete or cut short.
    if ((a & 31) === 1 || (a & 31) === 24) for (let b = 0; b < 256; b++) judge(Uint8Array.of(a, b))
  }
  // Major types and lengths of three bytes, with the argument at both ends of what would have fitted in fewer.
  for (let major = 0; major < 8; major++) {
    for (const argument of ['0000', '0017', '0018', '00ff', '0100', 'ffff']) {
      judge(hex(((major << 5) | 25).toString(16).padStart(2, '0') + argument))
    }
  }
})

test('this comparison can fail: what theirs takes by default, ours does not', () => {
  const long = hex('1801')
  assert.is(decode2(long), 1)
  assert.not.ok(decode(long).ok)
  assert.ok(equalBytes(encode2(1), Uint8Array.of(1)))
})

test.run()
