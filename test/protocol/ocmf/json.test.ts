import { type Json, readJson } from '../../../protocol/ocmf/json.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('json of others')

const read = (text: string): Json => {
  const result = readJson(text)
  assert.ok(result.ok, text)
  return (result as { readonly value: Json }).value
}
const refusal = (text: string): string => {
  const result = readJson(text)
  return result.ok ? 'taken' : result.fault.code
}

/** What JSON.parse would have made of it, numbers as floats. */
function plain(json: Json): unknown {
  switch (json.kind) {
    case 'object':
      return Object.fromEntries([...json.members].map(([key, value]) => [key, plain(value)]))
    case 'list':
      return json.items.map(plain)
    case 'number':
      return Number(json.text)
    case 'text':
      return json.text
    case 'boolean':
      return json.value
    case 'null':
      return null
  }
}

test('a number stays as it was written', () => {
  for (const text of ['0.2596', '0.10', '-0', '1E+02', '100000000000000000000.000000000000000000001'])
    assert.equal(read(` ${text} `), { kind: 'number', text })
  for (const text of ['01', '.5', '5.', '+1', '1e', '0x1', 'NaN', 'Infinity', '-'])
    assert.is(refusal(text), 'json.syntax', text)
})

test('a name that stands twice is refused, also when it is written in two ways, at any depth', () => {
  assert.is(refusal('{"RV":1,"RV":2}'), 'json.duplicate-key')
  assert.is(refusal('{"RV":1,"\\u0052V":1}'), 'json.duplicate-key')
  assert.is(refusal('[{"a":{"x":1,"x":1}}]'), 'json.duplicate-key')
  assert.equal(plain(read('{"a":{"x":1},"b":{"x":2}}')), { a: { x: 1 }, b: { x: 2 } })
  assert.is((read('{"__proto__":1,"constructor":2}') as { members: ReadonlyMap<string, Json> }).members.size, 2)
})

test('nothing may follow the value, nor may it be left open', () => {
  for (const text of ['{} {}', '{}x', '1 2', '{', '[', '{"a"', '{"a":', '{"a":1', '{"a":1,}', '[1,]', '"a', '', ' '])
    assert.is(refusal(text), 'json.syntax', text)
})

test('half a surrogate pair is refused, escaped or bare; a whole one is a character', () => {
  assert.equal(read('"\\ud83d\\ude00"'), { kind: 'text', text: '\u{1f600}' })
  for (const text of ['"\\ud83d"', '"\\ude00\\ud83d"', '"\ud83d"', '{"\\udc00":1}'])
    assert.is(refusal(text), 'json.lone-surrogate', JSON.stringify(text))
})

test('control characters and unknown escapes are refused', () => {
  for (const text of ['"\n"', '"\u0000"', '"\\x41"', '"\\u12"', '"\\u 123"', "'a'", '"\\', '"\\constructor"'])
    assert.is(refusal(text), 'json.syntax', JSON.stringify(text))
  assert.equal(read('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u007c"'), { kind: 'text', text: '"\\/\b\f\n\r\t|' })
})

test('depth and length are bounded', () => {
  assert.is(refusal('['.repeat(16) + ']'.repeat(16)), 'taken')
  assert.is(refusal('['.repeat(17) + ']'.repeat(17)), 'json.too-deep')
  assert.is(refusal('['.repeat(200_000)), 'json.too-deep')
  assert.is(refusal(' '.repeat(262_145)), 'json.too-long')
  assert.is(refusal(`"${'a'.repeat(262_142)}"`), 'taken')
})

test('what JSON.stringify writes is read as JSON.parse reads it, with blanks or without', () => {
  assertProperty(
    fc.property(
      fc.jsonValue({ noUnicodeString: false, maxDepth: 8 }),
      fc.constantFrom(undefined, 1, '\t'),
      (value, blanks) => {
        const text = JSON.stringify(value, null, blanks)
        assert.equal(plain(read(text)), JSON.parse(text))
      },
    ),
    2000,
  )
})

test('any text at all is answered, and taken only where JSON.parse takes it too', () => {
  assertProperty(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0123456789.eE+-truefalsn \n') }), text => {
      const result = readJson(text)
      if (result.ok) JSON.parse(text)
    }),
    5000,
  )
})

test.run()
