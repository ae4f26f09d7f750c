import { millihertz, millivolts } from '../../../protocol/quantity.ts'
import { lineReading } from '../../../protocol/safety/line-reading.ts'
import { outsideWindow } from '../../../protocol/safety/permit.ts'
import { mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { LIMITS, NOW, reading } from './facts.ts'

const test = suite('safety/line-reading')

test('a line reading names what the meter did not give and never takes it for zero', () => {
  const volt = { obis: '1-0:32.7.0', value: 2301n, scaler: -1, unit: 'V' } as const
  const amp = { obis: '1-0:31.7.0', value: -4250n, scaler: -3, unit: 'A' } as const
  const full = lineReading([volt, amp], mono(5), 1)
  assert.equal([full.voltages, full.currents, full.frequency, full.missing], [[230_100], [4250], undefined, []])
  assert.equal(lineReading([volt, amp], mono(5), 3).missing, ['1-0:52.7.0', '1-0:72.7.0', '1-0:51.7.0', '1-0:71.7.0'])
  // the right name in the wrong unit is no voltage
  assert.equal(lineReading([{ ...volt, unit: 'A' }, amp], mono(5), 1).missing, ['1-0:32.7.0'])
  // beyond any wire
  assert.equal(lineReading([{ ...volt, scaler: 9, value: 10n ** 9n }, amp], mono(5), 1).missing, ['1-0:32.7.0'])
})

test('the window has inclusive edges on voltage and frequency, and an absent frequency lies outside', () => {
  const at = (mv: number, mhz: number | undefined) =>
    outsideWindow(
      {
        ...reading(NOW, 230),
        voltages: [millivolts(mv)],
        frequency: mhz === undefined ? undefined : millihertz(mhz),
      },
      LIMITS,
    )
  assert.equal(
    [at(195_500, 47_500), at(253_000, 51_500), at(195_499, 50_000), at(253_001, 50_000)],
    [false, false, true, true],
  )
  assert.equal([at(230_000, 47_499), at(230_000, 51_501), at(230_000, undefined)], [true, true, true])
})

test.run()
