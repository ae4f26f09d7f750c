import {
  creditEstimate,
  HAIRCUT,
  splitResidual,
  TRUST_CLASSES,
  trueUp,
} from '../../../protocol/market/estimated-meter.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { readHomes } from '../../bench/profiles.ts'
import { noSharedData } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, assertProperty, fc } from '../../property.ts'

const t = suite('sites without a smart meter')

const wh = (n: number) => wattHours(BigInt(n))
const anyWh = fc.integer({ min: 0, max: 1_000_000 })

t('the less an estimate is believed, the less of it counts in a trade, and each Wh is booked once', () => {
  const credited = TRUST_CLASSES.map(trust => Number(must(creditEstimate(trust, 'buyer', wh(1000))).credited))
  assert.equal(credited, [1000, 960, 400, 350])
  assertProperty(
    fc.property(fc.constantFrom(...TRUST_CLASSES), anyWh, (trust, energy) => {
      const parted = must(creditEstimate(trust, 'buyer', wh(energy)))
      assert.is(parted.credited + parted.supplier, wh(energy))
      assert.ok(parted.credited >= 0n && parted.supplier >= 0n)
    }),
  )
})

t('nobody sells what no meter of his counted', () => {
  const code = (trust: (typeof TRUST_CLASSES)[number], energy: number) => {
    const answer = creditEstimate(trust, 'seller', wh(energy))
    return answer.ok || answer.fault.code
  }
  assert.equal(
    TRUST_CLASSES.map(trust => code(trust, 100)),
    [true, true, 'estimate.cannot-sell', 'estimate.cannot-sell'],
  )
  assert.is(code('pulse', -1), 'estimate.negative')
})

/** What a site pays in micro-units for what it used, when so much of it counted in a contract at a price below the tariff. */
const paid = (used: bigint, credited: bigint, contracted: bigint, price: bigint, tariff: bigint): bigint => {
  const traded = credited < contracted ? credited : contracted
  return traded * price + (used - traded) * tariff
}

t('pulses never pay more than a meter, as wrong as their class may be; without the haircut they would', () => {
  let gained = 0
  assertCovering(
    fc.property(anyWh, fc.integer({ min: -40, max: 40 }), anyWh, fc.nat(300), (truth, error, contracted, price) => {
      const estimate = Math.floor((truth * (1000 + error)) / 1000)
      const { credited } = must(creditEstimate('pulse', 'buyer', wh(estimate)))
      const [used, most] = [BigInt(truth), BigInt(contracted)]
      const cost = (energy: bigint) => paid(used, energy, most, BigInt(price), 300n)
      assert.ok(cost(credited) >= cost(used), 'a buyer')
      // A seller is paid the price instead of the feed-in for what is credited.
      assert.ok(credited <= used, 'a seller')
      if (cost(BigInt(estimate)) < cost(used)) gained++
    }),
  )
  assert.ok(gained > 0)
})

t('a residual is parted whole, by what was expected, and never where the meters count more than the head', () => {
  assert.equal(must(splitResidual(wh(1000), [wh(300), wh(-100)], [wh(1), wh(1), wh(1)])), [267n, 267n, 266n])
  const more = splitResidual(wh(10), [wh(11)], [wh(1)])
  assert.equal(more.ok || more.fault, { code: 'estimate.residual', head: 10n, metered: 11n })
  assert.equal(must(splitResidual(wh(10), [], [wh(0)])), [0n], 'what nobody was expected to use is nobody’s')
  const negative = splitResidual(wh(10), [], [wh(-1)])
  assert.is(negative.ok || negative.fault.code, 'estimate.negative')
  assertProperty(
    fc.property(anyWh, fc.array(anyWh, { minLength: 1, maxLength: 9 }), (rest, expected) => {
      const parts = must(splitResidual(wh(rest), [], expected.map(wh)))
      const all = expected.reduce((sum, one) => sum + one, 0)
      const sum = parts.reduce((total, one) => total + one, 0n)
      assert.is(sum, all === 0 ? 0n : wh(rest))
      for (const [i, part] of parts.entries()) {
        if (all > 0) assert.ok(Math.abs(Number(part) - (rest * expected[i]!) / all) < 1)
      }
    }),
  )
})

t('the year’s reading undoes trades of what was never used before anything is repaid at the dearer price', () => {
  const settled = { credited: wh(350), supplier: wh(650) }
  assert.equal(must(trueUp(settled, wh(1200))), { ...settled, more: wh(200), undone: wh(0), repaid: wh(0) })
  assert.equal(must(trueUp(settled, wh(900))), {
    credited: wh(250),
    supplier: wh(650),
    more: wh(0),
    undone: wh(100),
    repaid: wh(0),
  })
  const little = must(trueUp(settled, wh(400)))
  assert.equal([little.credited, little.supplier, little.undone, little.repaid], [0n, 400n, 350n, 250n])
  const negative = trueUp(settled, wh(-1))
  assert.is(negative.ok || negative.fault.code, 'estimate.negative')
  assertProperty(
    fc.property(anyWh, anyWh, anyWh, (credited, supplier, used) => {
      const { more, ...after } = must(trueUp({ credited: wh(credited), supplier: wh(supplier) }, wh(used)))
      assert.is(after.credited + after.supplier + more, wh(used), 'in the end all that was used is paid once')
    }),
  )
})

// --- How far homes stay below an estimate when energy is cheap

const MONTH_HOURS = 730
/** Nine to four, where seven homes of eight have surplus. */
const isSunny = (hour: number) => (hour + 23) % 24 >= 9 && (hour + 23) % 24 < 16

/** By home and month: the share of the estimate over its sunny hours that the home did not use, permille. */
function shortfalls(estimate: (home: number, hour: number) => number, loads: readonly (readonly number[])[]): number[] {
  return loads.flatMap((load, home) =>
    Array.from({ length: 12 }, (_, month) => {
      let [expected, used] = [0, 0]
      for (let hour = month * MONTH_HOURS; hour < (month + 1) * MONTH_HOURS; hour++) {
        if (!isSunny(hour)) continue
        expected += estimate(home, hour)
        used += load[hour]!
      }
      return 1000 * (1 - used / expected)
    }),
  )
}

t.skipIf(
  noSharedData,
  'in no month of eight homes would a profile or a residual have credited more than was used in the sun',
  () => {
    const loads = readHomes().map(({ load }) => load.map(energy => Number(energy) / 1000))
    const sum = (all: readonly number[]) => all.reduce((total, one) => total + one, 0)
    const annual = loads.map(sum)

    // A profile as it is made: the mean of the other homes by month, kind of day and hour, scaled to the home's year.
    const kindOf = (hour: number) => {
      const day = Math.floor((hour + 23) / 24)
      return `${Math.floor(day / 30.5)} ${day % 7 >= 5} ${(hour + 23) % 24}`
    }
    const shapes = loads.map((_, home) => {
      const others = loads.filter((_, i) => i !== home)
      const theirs = sum(annual) - annual[home]!
      const means = new Map<string, { sum: number; count: number }>()
      for (let hour = 0; hour < loads[0]!.length; hour++) {
        const mean = means.get(kindOf(hour)) ?? { sum: 0, count: 0 }
        mean.sum += sum(others.map(load => load[hour]!)) / theirs
        mean.count++
        means.set(kindOf(hour), mean)
      }
      return means
    })
    const profile = shortfalls((home, hour) => {
      const mean = shapes[home]!.get(kindOf(hour))!
      return (annual[home]! * mean.sum) / mean.count
    }, loads)

    // A feeder of four homes without meters, parted by what each uses in a year.
    const residual = shortfalls((home, hour) => {
      const group = [0, 1, 2, 3].map(i => (home + i) % loads.length)
      return (sum(group.map(i => loads[i]![hour]!)) * annual[home]!) / sum(group.map(i => annual[i]!))
    }, loads)
    if (process.env['TIELINE_PRINT']) {
      process.stdout.write(`profile ${Math.max(...profile)} residual ${Math.max(...residual)}\n`)
    }
    assert.ok(Math.max(...profile) < HAIRCUT.profile)
    assert.ok(Math.max(...residual) < HAIRCUT.residual)
    // And they are no larger than they have to be, to the next fifty.
    assert.ok(Math.max(...profile) > HAIRCUT.profile - 50)
    assert.ok(Math.max(...residual) > HAIRCUT.residual - 50)
  },
)

t.run()
