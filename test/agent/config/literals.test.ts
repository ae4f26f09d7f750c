/** The words of a configuration that are no text: decimals, addresses, contacts, and the word that was meant. */
import { exactDecimal, parseContact, parseDuration, parseHostPort, parsePrice } from '../../../agent/config/literals.ts'
import { editDistance, nearest } from '../../../agent/config/nearest.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('config literals')

test('decimals are exact or refused', () => {
  assert.is(parsePrice('0.1'), 100_000n as never)
  assert.is(parsePrice('0.000001'), 1n as never)
  assert.is(parsePrice('0.1234567'), undefined)
  assert.is(exactDecimal('9007199254740993', 1n), undefined, 'sixteen digits are more than any quantity needs')
  assert.is(parseDuration('0.5h'), 1_800_000)
  assert.is(parseDuration('1.5ms'), undefined)
  assert.is(parseDuration('5'), undefined)
  assertProperty(
    fc.property(fc.nat(1_000_000), fc.nat(999_999), (whole, micro) => {
      assert.is(
        parsePrice(`${whole}.${String(micro).padStart(6, '0')}`),
        (BigInt(whole) * 1_000_000n + BigInt(micro)) as never,
      )
    }),
  )
})

test('addresses and contacts', () => {
  assert.equal(parseHostPort('[::1]:8480'), { host: '::1', port: 8480 })
  assert.is(parseHostPort('127.0.0.1:0'), undefined)
  assert.is(parseHostPort('127.0.0.1:65536'), undefined)
  assert.equal(parseContact('board.12'), { bank: 'board', channel: 12 })
  assert.is(parseContact('board.0'), undefined)
})

test('the nearest word is near', () => {
  assert.is(editDistance('buad', 'baud'), 1)
  assert.is(editDistance('', 'abc'), 3)
  assert.is(nearest('wittneses', ['witnesses', 'primary']), 'witnesses')
  assert.is(nearest('zebra', ['witnesses', 'primary']), undefined)
})

test.run()
