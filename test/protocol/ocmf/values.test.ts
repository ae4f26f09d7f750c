import { readDecimal, readRegisterName, readTime, subtract } from '../../../protocol/ocmf/values.ts'
import { isoTime } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('ocmf values')

test('a decimal keeps every digit and how many there were', () => {
  assert.equal(readDecimal('0.2596'), { value: 2596n, scaler: -4 })
  assert.equal(readDecimal('      49.440'), { value: 49440n, scaler: -3 })
  assert.equal(readDecimal('00000000.000'), { value: 0n, scaler: -3 })
  assert.equal(readDecimal('-7'), { value: -7n, scaler: 0 })
  assert.equal(readDecimal('1.5E+2'), { value: 15n, scaler: 1 })
  for (const text of ['', ' ', '.', '1,5', '1.', '.5', '1 5', '0x1', 'NaN', '1e999', '\u00a01', '1'.repeat(31), '--1'])
    assert.is(readDecimal(text), undefined, JSON.stringify(text))
})

test('the difference of two decimals is exact at the finer of the two', () => {
  assert.equal(subtract({ value: 2597n, scaler: -4 }, { value: 2596n, scaler: -4 }), { value: 1n, scaler: -4 })
  assert.equal(subtract({ value: 1n, scaler: 2 }, { value: 5n, scaler: -1 }), { value: 995n, scaler: -1 })
  // 0.3 - 0.1 is 0.2, which no float says.
  assert.equal(subtract({ value: 3n, scaler: -1 }, { value: 1n, scaler: -1 }), { value: 2n, scaler: -1 })
  assertProperty(
    fc.property(
      fc.bigInt(-(10n ** 12n), 10n ** 12n),
      fc.nat(9),
      fc.bigInt(-(10n ** 12n), 10n ** 12n),
      fc.nat(9),
      (a, i, b, j) => {
        const { value, scaler } = subtract({ value: a, scaler: -i }, { value: b, scaler: -j })
        assert.is(value * 10n ** BigInt(9 + scaler), a * 10n ** BigInt(9 - i) - b * 10n ** BigInt(9 - j))
      },
    ),
  )
})

test('a time is a moment, a zone and a quality', () => {
  const time = readTime('2018-07-24T13:22:04,123+0200 S')!
  assert.is(isoTime(time.at), '2018-07-24T11:22:04.123Z')
  assert.equal([time.offsetMinutes, time.quality], [120, 'synchronised'])
  assert.is(isoTime(readTime('2024-01-01T00:10:00,000-0930 I')!.at), '2024-01-01T09:40:00.000Z')
  assert.is(isoTime(readTime('1970-01-01T01:01:49,000+0100 U')!.at), '1970-01-01T00:01:49.000Z')
  assert.equal(
    ['U', 'I', 'S', 'R'].map(letter => readTime(`2024-02-29T00:00:00,000+0000 ${letter}`)!.quality),
    ['unknown', 'informative', 'synchronised', 'relative'],
  )
})

test('a time that is none is refused', () => {
  for (const text of [
    '2023-02-29T12:00:00,000+0100 S',
    '2024-13-01T12:00:00,000+0100 S',
    '2024-02-29T24:00:00,000+0100 S',
    '2024-02-29T12:60:00,000+0100 S',
    '2024-02-29T12:00:60,000+0100 S',
    '2024-02-29T12:00:00.000+0100 S',
    '2024-02-29T12:00:00,00+0100 S',
    '2024-02-29T12:00:00,000+0100',
    '2024-02-29T12:00:00,000+0100 X',
    '2024-02-29T12:00:00,000+1401 S',
    '2024-02-29T12:00:00,000+0160 S',
    '2024-02-29T12:00:00,000Z S',
    '2024-02-29 12:00:00,000+0100 S',
    ' 2024-02-29T12:00:00,000+0100 S',
  ])
    assert.is(readTime(text), undefined, text)
})

test('makers write one register in many ways', () => {
  const seen = (obis: string) => {
    const name = readRegisterName(obis)
    return name === undefined ? 'none' : `${name.direction ?? '-'} ${name.runsOn ? 'runs on' : 'starts anew'}`
  }
  assert.equal(
    ['1-0:1.8.0', '1-b:1.8.0', '1-b:1.8.e', '1-0:1.8.1', '01-00:01.08.00.FF', '1-0:1.8.0*255', '1-0:176.8.0'].map(seen),
    Array(7).fill('import runs on'),
  )
  assert.equal(
    ['1-0:2.8.0', '1-b:2.8.e', '1-0:2.8.0.FF', '01-00:C1.08.00*FF'].map(seen),
    Array(4).fill('export runs on'),
  )
  // A register of the transaction, by group F or by C: it starts anew with each.
  assert.equal(['1-0:1.8.0*198', '01-00:B2.08.00*FF', '1-0:179.8.0'].map(seen), Array(3).fill('import starts anew'))
  // Makers' own codes and what is no energy: a direction is not guessed.
  assert.equal(['01-00:98.08.00.FF', '1-0:98.8.0.FF', '1-b:1.9.0', '01-00:00.08.06.FF', '1-0:1.7.0'].map(seen), [
    '- starts anew',
    '- starts anew',
    '- starts anew',
    '- starts anew',
    '- starts anew',
  ])
  assert.equal(['', '1.8.0', '1-0:1.8', '1-0:1.8.0*', 'x-0:1.8.0', '1-0:1.8.0 '].map(seen), Array(6).fill('none'))
})

test.run()
