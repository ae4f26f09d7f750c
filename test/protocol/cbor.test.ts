import { equalBytes, hex, toHex } from '../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../protocol/cbor.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'
import { assertCovering, assertProperty, fc } from '../property.ts'
import { anyCbor } from './any-cbor.ts'

const test = suite('canonical CBOR')

const codeOf = (bytes: Uint8Array): string => {
  const found = decode(bytes)
  return found.ok ? 'accepted' : found.fault.code
}

/** RFC 8949 Appendix A, the examples that our subset has. */
const EXAMPLES: readonly (readonly [string, Cbor])[] = [
  ['00', 0],
  ['01', 1],
  ['0a', 10],
  ['17', 23],
  ['1818', 24],
  ['1819', 25],
  ['1864', 100],
  ['1903e8', 1000],
  ['1a000f4240', 1000000],
  ['1b000000e8d4a51000', 1000000000000],
  ['1bffffffffffffffff', 18446744073709551615n],
  ['3bffffffffffffffff', -18446744073709551616n],
  ['20', -1],
  ['29', -10],
  ['3863', -100],
  ['3903e7', -1000],
  ['f4', false],
  ['f5', true],
  ['f6', null],
  ['40', new Uint8Array(0)],
  ['4401020304', Uint8Array.of(1, 2, 3, 4)],
  ['60', ''],
  ['6161', 'a'],
  ['6449455446', 'IETF'],
  ['62225c', '"\\'],
  ['62c3bc', 'ü'],
  ['63e6b0b4', '水'],
  ['64f0908591', '𐅑'],
  ['80', []],
  ['83010203', [1, 2, 3]],
  ['8301820203820405', [1, [2, 3], [4, 5]]],
  ['a0', new Map()],
  [
    'a201020304',
    new Map([
      [1, 2],
      [3, 4],
    ]),
  ],
  [
    'a26161016162820203',
    new Map<string, Cbor>([
      ['a', 1],
      ['b', [2, 3]],
    ]),
  ],
  ['826161a161626163', ['a', new Map([['b', 'c']])]],
]

test('the RFC’s own examples, both ways', () => {
  for (const [bytes, value] of EXAMPLES) {
    assert.is(toHex(encode(value)), bytes)
    assert.equal(must(decode(hex(bytes))), value, bytes)
  }
})

test('map keys stand in bytewise order of their encodings: shorter integers, negative after positive, then text', () => {
  const map = new Map<number | string, Cbor>([
    ['b', 1],
    ['aa', 2],
    [-1, 3],
    [10, 4],
    [100, 5],
  ])
  //        a5  10:4  100:5   -1:3  "b":1   "aa":2
  assert.is(toHex(encode(map)), 'a5 0a04 186405 2003 616201 62616102'.replace(/ /g, ''))
})

test('every other way of writing a value is refused', () => {
  const bad: [string, string][] = [
    ['1801', 'an integer in more bytes than it needs'],
    ['1900ff', 'the same in three bytes'],
    ['1b00000000ffffffff', 'the same in nine bytes'],
    ['3800', 'a negative one'],
    ['5801ff', 'a length in more bytes than it needs'],
    ['980100', 'an array’s length'],
    ['b80100 00', 'a map’s length'],
    ['5f4101ff', 'indefinite bytes'],
    ['7f6161ff', 'indefinite text'],
    ['9f00ff', 'an indefinite array'],
    ['bf0000ff', 'an indefinite map'],
    ['a2 0200 0100', 'keys out of order'],
    ['a2 2000 0100', 'a negative key before a positive one'],
    ['a2 0100 0100', 'a key twice'],
    ['a2 616100 616100', 'a text key twice'],
    ['a1 4101 00', 'a byte string for a key'],
    ['a1 f5 00', 'true for a key'],
    ['a1 1bffffffffffffffff 00', 'a key beyond safe integers'],
    ['62ff00', 'text that is not UTF-8'],
    ['63eda080', 'a surrogate in text'],
    ['f90000', 'a float zero'],
    ['f93c00', 'a float one'],
    ['fb3ff8000000000000', 'a float'],
    ['f97e00', 'NaN'],
    ['f97c00', 'infinity'],
    ['f7', 'undefined'],
    ['e0', 'a simple value'],
    ['f8ff', 'another simple value'],
    ['c000', 'a tag'],
    ['c249010000000000000000', 'a big number'],
    ['d28400', 'COSE’s tag: its room takes it off first'],
    ['0000', 'a second item'],
    ['', 'nothing'],
    ['1c', 'a reserved length'],
    ['ff', 'a break'],
    ['83 01 02', 'an array cut short'],
    ['44 0102', 'bytes cut short'],
  ]
  for (const [bytes, what] of bad) assert.is.not(codeOf(hex(bytes)), 'accepted', what)
})

test('lengths that no memory holds are refused at once', () => {
  for (const major of ['9a', 'ba', '5a', '7a']) assert.is.not(codeOf(hex(`${major}7fffffff`)), 'accepted')
  for (const major of ['9b', 'bb', '5b', '7b']) assert.is.not(codeOf(hex(`${major}ffffffffffffffff`)), 'accepted')
})

test('nesting is refused beyond sixteen before anything recurses, length beyond the limit before anything is read', () => {
  const nested = (depth: number) => Uint8Array.from([...new Array<number>(depth).fill(0x81), 0x00])
  assert.is(codeOf(nested(16)), 'accepted')
  assert.is(codeOf(nested(17)), 'cbor.too-deep')
  assert.is(codeOf(nested(60_000)), 'cbor.too-deep')
  assert.is(codeOf(Uint8Array.from([...new Array<number>(60_000).fill(0xc1), 0x00])), 'cbor.too-deep')
  assert.is(codeOf(new Uint8Array(64 * 1024 + 1)), 'cbor.too-long')
  const limited = decode(hex('83010203'), 3)
  assert.is(limited.ok ? 'accepted' : limited.fault.code, 'cbor.too-long')
})

test('what has no canonical form is our own bug and throws', () => {
  const bad: unknown[] = [
    1.5,
    -0,
    Number.NaN,
    2 ** 53,
    2n ** 64n,
    -(2n ** 64n) - 1n,
    undefined,
    {},
    new Date(0),
    '\ud800',
    () => 0,
  ]
  for (const value of bad) {
    assert.throws(() => encode(value as Cbor), /no canonical CBOR/, String(value))
    assert.throws(() => encode([value as Cbor]), /no canonical CBOR/)
  }
  assert.throws(() => encode(new Map([['\udc00', 1]])), /no canonical CBOR/)
  assert.throws(() => encode(new Map<never, Cbor>([[1.5 as never, 1]])), /no canonical CBOR/)
})

test('any value comes back from its bytes, and in whatever order a map was filled its bytes are the same', () => {
  assertProperty(
    fc.property(anyCbor, value => {
      const bytes = encode(value)
      const back = must(decode(bytes))
      assert.ok(equalBytes(encode(back), bytes))
      if (value instanceof Map) assert.ok(equalBytes(encode(new Map([...value].reverse())), bytes))
      else assert.equal(back, value)
    }),
    500,
  )
})

test('of damaged bytes, and of any bytes, whatever is accepted is exactly what would be written', () => {
  let accepted = 0
  const judge = (bytes: Uint8Array) => {
    const found = decode(bytes)
    if (!found.ok) return
    accepted++
    assert.ok(equalBytes(encode(found.value), bytes))
  }
  assertProperty(fc.property(fc.uint8Array({ maxLength: 40 }), judge), 3000)
  assertCovering(
    fc.property(anyCbor, fc.nat(), fc.integer({ min: 0, max: 255 }), (value, where, byte) => {
      const bytes = encode(value).slice()
      bytes[where % bytes.length] = byte
      judge(bytes)
    }),
    3000,
  )
  assert.ok(accepted > 100, `${accepted} accepted`)
})

test('what is decoded is a copy: the buffer it came from may be used again', () => {
  const buffer = hex('43010203')
  const value = must(decode(buffer)) as Uint8Array
  buffer.fill(0)
  assert.equal(value, Uint8Array.of(1, 2, 3))
})

test.run()
