import { profileEnergy, readLoadProfile } from '../../../protocol/market/load-profile.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const t = suite('standard load profiles')

const HEADER =
  'quarter,winter-workday,winter-saturday,winter-sunday,summer-workday,summer-saturday,summer-sunday,transition-workday,transition-saturday,transition-sunday'
const two = (n: number) => String(n).padStart(2, '0')
/** Each column has its own level: 100 to 900 tenths of a watt, and the quarter's number on top. */
const rows = Array.from({ length: 96 }, (_, i) => {
  const cells = Array.from({ length: 9 }, (_, column) => ((100 * (column + 1) + i) / 10).toFixed(1))
  return `${two(Math.floor(i / 4))}:${two((i % 4) * 15)},${cells.join(',')}`
})
const FILE = `${[HEADER, ...rows].join('\n')}\n`
const rules = { offsetAt: () => 0, isHoliday: () => false }
const at = (text: string) => instant(Date.parse(`${text}Z`))
/** Tenths of a watt of a customer of the table's own year. */
const tenthsAt = (text: string, more: Partial<typeof rules> = {}, dynamic = false): number =>
  Number(profileEnergy(must(readLoadProfile(FILE, dynamic)), wattHours(1_000_000n), at(text), { ...rules, ...more })) /
  25

t('seasons and days are those of the standard', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['2024-01-15T00:00', 100],
    ['2024-03-16T00:15', 201],
    ['2024-03-20T00:00', 100],
    ['2024-03-21T00:00', 700],
    ['2024-05-14T00:00', 700],
    ['2024-05-15T00:00', 400],
    ['2024-07-07T23:45', 695],
    ['2024-09-14T00:00', 500],
    ['2024-09-15T00:00', 900],
    ['2024-10-31T00:00', 700],
    ['2024-11-01T00:00', 100],
    ['2024-12-24T00:00', 200],
    ['2023-12-31T00:00', 300],
  ]
  for (const [time, tenths] of cases) assert.is(tenthsAt(time), tenths, time)
  assert.is(tenthsAt('2024-01-15T00:00', { isHoliday: () => true }), 300, 'a holiday is a Sunday')
  assert.is(tenthsAt('2024-01-05T23:00', { offsetAt: () => 3_600_000 }), 200, 'by local time it is Saturday')
})

t('households are dynamised by the polynomial of the standard, to four decimals, in every day of two years', () => {
  for (let day = 0; day < 731; day++) {
    const time = Date.UTC(2023, 0, 1 + day)
    const number = (time - Date.UTC(new Date(time).getUTCFullYear(), 0, 1)) / 86_400_000 + 1
    const float = -3.92e-10 * number ** 4 + 3.2e-7 * number ** 3 - 7.02e-5 * number ** 2 + 2.1e-3 * number + 1.24
    // Half up, where a float's error would decide a tie.
    const factor = Math.floor(float * 1e4 + 0.5 + 1e-6)
    const text = new Date(time).toISOString().slice(0, 16)
    assert.is(tenthsAt(text, {}, true), Math.round((tenthsAt(text) * factor) / 1e4), text)
  }
})

t('energy is in proportion to the year’s consumption, rounded down to a milliwatt-hour', () => {
  const profile = must(readLoadProfile(FILE, false))
  assertProperty(
    fc.property(fc.bigInt(0n, 100_000_000n), fc.integer({ min: 0, max: 95 }), (annual, quarter) => {
      const energy = profileEnergy(
        profile,
        wattHours(annual),
        instant(Date.UTC(2024, 0, 15) + quarter * 900_000),
        rules,
      )
      assert.is(energy, (BigInt(100 + quarter) * 25n * annual) / 1_000_000n)
    }),
  )
})

t('a file that is not whole is refused with the line', () => {
  const line = (text: string) => {
    const read = readLoadProfile(text, false)
    return read.ok || (read.fault['line'] ?? read.fault.code)
  }
  assert.is(line(FILE.replaceAll('\n', '\r\n')), true)
  assert.is(line(FILE.replace('winter-workday', 'winter')), 1)
  assert.is(line([HEADER, ...rows.slice(1)].join('\n')), 96)
  assert.is(line(FILE.replace('00:15,', '00:16,')), 3)
  for (const bad of ['-1.0', 'NaN', '1e3', '1.25', '', '1000.1', ' 1.0']) {
    assert.is(line(FILE.replace('00:30,10.2', `00:30,${bad}`)), 4, bad)
  }
  assert.is(line(FILE.replace('00:30,', '00:30,1.0,')), 4)
  assert.is(line('x'.repeat(100_001)), 'load-profile.long')
  assertProperty(fc.property(fc.string(), text => assert.not.ok(readLoadProfile(text, false).ok)))
})

t.run()
