import { createCounterWatch } from '../../../drivers/meters/counters.ts'
import type { Fault } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('counters')

const SECOND = 1_000
const HOUR = 3_600_000

const energy = (value: bigint, scaler = 0): MeterValue => ({ obis: OBIS.energyImport, value, scaler, unit: 'Wh' })

function makeWatch(maxPowerW?: number) {
  const faults: Fault[] = []
  const watch = createCounterWatch(
    'test meter',
    (_level, _room, _text, fault) => fault && faults.push(fault),
    maxPowerW,
  )
  const sees = (value: bigint, at: number, scaler = 0) =>
    watch.keepRising([energy(value, scaler)], mono(at)).length === 1
  return { watch, faults, sees }
}

test('a counter that rises as wires carry is believed', () => {
  const { sees, faults } = makeWatch()
  assert.ok(sees(1_551_374n, 0))
  assert.ok(sees(1_551_374n, SECOND))
  assert.ok(sees(1_551_390n, 2 * SECOND))
  // An hour without a reading at 75 kW.
  assert.ok(sees(1_626_390n, 2 * SECOND + HOUR))
  assert.equal(faults, [])
})

test('one flipped bit is absent, and the counter goes on as if it had not been', () => {
  const { sees, faults } = makeWatch()
  assert.ok(sees(1_551_374n, 0))
  // Bit 20.
  assert.not.ok(sees(1_551_374n | (1n << 20n) | (1n << 24n), SECOND))
  assert.ok(sees(1_551_375n, 2 * SECOND))
  assert.equal(
    faults.map(({ code, believed, received }) => [code, believed, received]),
    [['meter.counter-leap', 1_551_374_000_000n, (1_551_374n | (1n << 20n) | (1n << 24n)) * 1_000_000n]],
  )
})

test('a leap that goes on from where it leapt to was true', () => {
  const { sees } = makeWatch()
  assert.ok(sees(1_000n, 0))
  assert.not.ok(sees(9_000_000n, SECOND))
  assert.ok(sees(9_000_001n, 2 * SECOND))
  assert.ok(sees(9_000_002n, 3 * SECOND))
  assert.not.ok(sees(9_000_001n, 4 * SECOND))
})

test('two leaps to different places confirm nothing', () => {
  const { sees } = makeWatch()
  assert.ok(sees(1_000n, 0))
  assert.not.ok(sees(9_000_000n, SECOND))
  assert.not.ok(sees(5_000_000n, 2 * SECOND))
  assert.not.ok(sees(9_000_000n, 3 * SECOND))
  assert.ok(sees(1_010n, 4 * SECOND))
})

test('the watch is what stops it: with a limit that no wire has, the flipped bit would be a reading', () => {
  const { sees } = makeWatch(1e12)
  assert.ok(sees(1_000n, 0))
  assert.ok(sees(1_000n | (1n << 24n), SECOND))
})

test('a counter of coarse steps, and one that is written down once a minute, do not leap', () => {
  const coarse = makeWatch()
  // Whole kilowatt-hours.
  assert.ok(coarse.sees(41n, 0, 3))
  assert.ok(coarse.sees(43n, SECOND, 3))
  const minutely = makeWatch()
  assert.ok(minutely.sees(100_000n, 0))
  // A minute of 75 kW comes at once, in the second after the first reading.
  assert.ok(minutely.sees(101_250n, SECOND))
})

test('a counter that goes back stays out until it has passed what was believed', () => {
  const { sees, faults } = makeWatch()
  assert.ok(sees(1_000n, 0))
  assert.not.ok(sees(999n, SECOND))
  assert.not.ok(sees(0n, 2 * SECOND))
  assert.ok(sees(1_000n, 3 * SECOND))
  assert.equal([...new Set(faults.map(({ code }) => code))], ['meter.counter-back'])
})

test('a meter that starts with its counter at zero and then finds it gives no zero; one that stands there is believed', () => {
  const starting = makeWatch()
  for (const at of [0, SECOND, 9 * SECOND]) assert.not.ok(starting.sees(0n, at))
  assert.ok(starting.sees(12_345_678n, 9.5 * SECOND))
  assert.not.ok(starting.sees(0n, 11 * SECOND))
  assert.equal(
    starting.faults.map(({ code }) => code),
    ['meter.counter-zero', 'meter.counter-back'],
  )
  const fresh = makeWatch()
  assert.not.ok(fresh.sees(0n, 0))
  assert.not.ok(fresh.sees(0n, 9 * SECOND))
  assert.ok(fresh.sees(0n, 10 * SECOND))
  assert.ok(fresh.sees(1n, 11 * SECOND))
})

test('a counter below zero is no counter, be it the first that is seen', () => {
  const { sees, faults } = makeWatch()
  assert.not.ok(sees(-5n, 0))
  assert.ok(sees(5n, SECOND))
  assert.not.ok(sees(-1n, 2 * SECOND))
  assert.equal([...new Set(faults.map(({ code }) => code))], ['meter.counter-negative'])
})

test('values that are no energy pass as they are', () => {
  const { watch } = makeWatch()
  const power = (value: bigint): MeterValue => ({ obis: OBIS.power, value, scaler: 0, unit: 'W' })
  assert.is(watch.keepRising([power(9n)], mono(0)).length, 1)
  assert.is(watch.keepRising([power(-9_000_000n)], mono(1)).length, 1)
})

test('no load within the limit is ever doubted, and no single leap beyond it is ever believed', () => {
  const load = fc.array(fc.record({ seconds: fc.integer({ min: 1, max: 900 }), watts: fc.nat(75_000) }), {
    maxLength: 30,
  })
  assertProperty(
    fc.property(load, fc.bigInt({ min: 100_000n, max: 1n << 40n }), fc.nat(29), (run, leap, when) => {
      const { sees } = makeWatch()
      let at = 0
      // In millionths of a watt-hour, shown as whole ones.
      let exact = 5_000_000_000n
      assert.ok(sees(exact / 1_000_000n, at))
      for (const [i, { seconds, watts }] of run.entries()) {
        at += seconds * SECOND
        exact += (BigInt(watts) * BigInt(seconds) * 1_000_000n) / 3_600n
        if (i === when) assert.not.ok(sees(exact / 1_000_000n + leap, at))
        assert.ok(sees(exact / 1_000_000n, at), `${i}`)
      }
    }),
  )
})

test.run()
