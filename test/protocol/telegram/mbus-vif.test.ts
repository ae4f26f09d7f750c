import { hex, toHex } from '../../../protocol/bytes.ts'
import { readMbusRecords } from '../../../protocol/telegram/mbus-record.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('m-bus value information')

/** EN 13757-3 as it is printed: first code, how many, factor of the n-th in the unit that the standard names, that unit in ours. */
const PRINTED: Readonly<Record<string, readonly (readonly [number, number, (n: number) => number, string, number])[]>> =
  {
    '': [
      [0x00, 8, n => 10 ** (n - 3), 'Wh', 1],
      [0x08, 8, n => 10 ** n, 'J', 1],
      [0x10, 8, n => 10 ** (n - 6), 'm3', 1],
      [0x28, 8, n => 10 ** (n - 3), 'W', 1],
      [0x38, 8, n => 10 ** (n - 6), 'm3/h', 1],
      [0x40, 8, n => 10 ** (n - 7), 'm3/h', 60],
      [0x48, 8, n => 10 ** (n - 9), 'm3/h', 3600],
      [0x58, 4, n => 10 ** (n - 3), 'degC', 1],
      [0x5c, 4, n => 10 ** (n - 3), 'degC', 1],
      [0x64, 4, n => 10 ** (n - 3), 'degC', 1],
    ],
    fb: [
      [0x00, 2, n => 10 ** (n - 1), 'Wh', 1e6],
      [0x02, 2, n => 10 ** n, 'varh', 1e3],
      [0x08, 2, n => 10 ** (n - 1), 'J', 1e9],
      [0x10, 2, n => 10 ** (n + 2), 'm3', 1],
      [0x14, 4, n => 10 ** (n - 3), 'var', 1e3],
      [0x28, 2, n => 10 ** (n - 1), 'W', 1e6],
      [0x2c, 4, n => 10 ** (n - 3), 'Hz', 1],
      [0x34, 4, n => 10 ** (n - 3), 'VA', 1e3],
    ],
    fd: [
      [0x40, 16, n => 10 ** (n - 9), 'V', 1],
      [0x50, 16, n => 10 ** (n - 12), 'A', 1],
    ],
  }

test('every code of the three tables gives the factor and unit that the standard prints, and no other code gives any', () => {
  let told = 0
  for (const [table, rows] of Object.entries(PRINTED))
    for (let code = 0; code < 0x80; code++)
      for (const factor of [undefined, 0, 1, 2, 3, 4, 5, 6, 7, 13]) {
        // 7C is a text for a unit, FB and FD lead to the other tables.
        if (code === 0x7c && table === '') continue
        const more = factor === undefined ? [] : [0x70 + factor]
        const vib = [...hex(table), code | (more.length > 0 ? 0x80 : 0), ...more]
        if (table === '' && (vib[0] === 0xfb || vib[0] === 0xfd)) continue
        const text = toHex(Uint8Array.from(vib))
        const { measured, number } = readMbusRecords(hex(`04 ${text} 07000000`))!.records[0]!
        const row = rows.find(([first, count]) => code >= first && code < first + count)
        assert.is(measured?.unit, row?.[3], text)
        if (row === undefined || number === undefined) continue
        told++
        const [first, , power, , unit] = row
        const times = factor === undefined ? 1 : factor === 13 ? 1e3 : 10 ** (factor - 6)
        const wanted = 7 * power(code - first) * unit * times
        const got = Number(number.value) * 10 ** number.scaler
        // Digits beyond a billionth are cut off.
        assert.ok(Math.abs(got - wanted) <= 1e-12 * wanted + 1e-9, `${text}: ${got}, not ${wanted}`)
      }
  assert.is(told, (8 * 7 + 4 * 3 + 2 * 5 + 4 * 3 + 16 * 2) * 10)
})

test.run()
