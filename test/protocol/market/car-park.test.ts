import {
  type Allotment,
  type Answer,
  allotmentOf,
  type Call,
  type CarPark,
  callsOf,
  type Entrant,
  hearAnswers,
  openCarPark,
  pairsOf,
} from '../../../protocol/market/car-park.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

/** A car with what nobody else knows: micro-units for so many Wh, and the slope per kWh. */
interface Car extends Entrant {
  readonly worth: (wh: number) => number
  readonly slope: (wh: number) => number
}

const entrant = (id: string, side: Entrant['side'], least: number, most: number): Entrant => ({
  id,
  side,
  least: wattHours(BigInt(least)),
  most: wattHours(BigInt(most)),
})

/** Kang's utility: w ln(kWh + 1). */
const logarithmic = (id: string, w: number, least: number, most: number): Car => ({
  ...entrant(id, 'charge', least, most),
  worth: wh => w * Math.log(wh / 1000 + 1),
  slope: wh => w / (wh / 1000 + 1),
})
/** Falls to nothing at `full` Wh: far steeper than a logarithm. */
const saturating = (id: string, top: number, full: number, least: number, most: number): Car => ({
  ...entrant(id, 'charge', least, most),
  worth: wh => (top / 1000) * (Math.min(wh, full) - Math.min(wh, full) ** 2 / (2 * full)),
  slope: wh => Math.max(0, top * (1 - wh / full)),
})
/** Kang's cost: l1 d^2 + l2 d. */
const giving = (id: string, l1: number, l2: number, most: number): Car => ({
  ...entrant(id, 'discharge', 0, most),
  worth: wh => -(l1 * (wh / 1000) ** 2 + (l2 * wh) / 1000),
  slope: wh => (2 * l1 * wh) / 1000 + l2,
})

const answerOf = ({ slope }: Car, { round, energy }: Call): Answer => ({
  round,
  price: microsPerKwh(BigInt(Math.round(slope(Number(energy) / 1000)))),
})

interface Wire {
  readonly calls: Call[]
  readonly answers: Answer[]
}

function runPark(cars: readonly Car[], lossPermille: number): { park: CarPark; allotment: Allotment; wire: Wire } {
  const wire: Wire = { calls: [], answers: [] }
  const entrants = cars.map(({ id, side, least, most }) => ({ id, side, least, most }))
  let park = must(openCarPark(entrants, lossPermille))
  for (;;) {
    const answers = new Map<string, Answer>()
    for (const [id, call] of callsOf(park)) {
      const answer = answerOf(cars.find(car => car.id === id)!, call)
      wire.calls.push(call)
      wire.answers.push(answer)
      answers.set(id, answer)
    }
    const heard = must(hearAnswers(park, answers))
    park = heard.park
    if (heard.agreed) return { park, allotment: allotmentOf(park), wire }
  }
}

/** The optimum by its conditions (KKT): at one price everybody takes or gives where the slope meets it; two bisections. */
function optimumOf(cars: readonly Car[], lossPermille: number): number {
  const yields = 1 - lossPermille / 1000
  const at = ({ side, least, most, slope }: Car, price: number): number => {
    let [low, high] = [Number(least), Number(most)]
    const wants = (wh: number) => (side === 'charge' ? slope(wh) > price : slope(wh) < price * yields)
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2
      if (wants(middle)) low = middle
      else high = middle
    }
    return low
  }
  let [low, high] = [0, 1e10]
  for (let i = 0; i < 100; i++) {
    const price = (low + high) / 2
    let excess = 0
    for (const car of cars) excess += car.side === 'charge' ? at(car, price) : -yields * at(car, price)
    if (excess > 0) low = price
    else high = price
  }
  // Where a cost is a straight line, supply jumps at its slope: of the jump as much as balances.
  const energies = cars.map(car => [at(car, low), at(car, high)] as const)
  const sum = (side: Entrant['side'], end: 0 | 1) =>
    cars.reduce((total, car, i) => total + (car.side === side ? energies[i]![end] : 0), 0)
  const jump = sum('discharge', 1) - sum('discharge', 0)
  const part = jump === 0 ? 1 : (sum('charge', 1) / yields - sum('discharge', 0)) / jump
  return cars.reduce((total, car, i) => {
    const [from, to] = energies[i]!
    return total + car.worth(car.side === 'charge' ? to : from + part * (to - from))
  }, 0)
}

const welfareOf = (cars: readonly Car[], { cars: allotted }: Allotment): number =>
  allotted.reduce((sum, { id, energy }) => sum + cars.find(car => car.id === id)!.worth(Number(energy)), 0)

const test = suite('car park')

test('two cars, by hand: utility 900,000 ln(c + 1) and cost 300,000 d meet at 2 kWh', () => {
  const cars = [logarithmic('a', 900_000, 0, 20_000), giving('b', 0, 300_000, 20_000)]
  const { allotment } = runPark(cars, 0)
  const [a, b] = allotment.cars
  assert.ok(Math.abs(Number(a!.energy) - 2000) <= 20, `${a!.energy} Wh`)
  assert.is(a!.energy, b!.energy)
  assert.ok(Math.abs(Number(allotment.price) - 300_000) <= 3000)
})

const anyCars = fc
  .record({
    logs: fc.array(fc.tuple(fc.integer({ min: 50_000, max: 5_000_000 }), fc.integer({ min: 1000, max: 60_000 })), {
      maxLength: 4,
    }),
    steep: fc.array(
      fc.tuple(
        fc.integer({ min: 100_000, max: 900_000 }),
        fc.integer({ min: 2000, max: 40_000 }),
        fc.integer({ min: 0, max: 3 }),
      ),
      { minLength: 1, maxLength: 4 },
    ),
    givers: fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 20_000 }),
        fc.integer({ min: 20_000, max: 300_000 }),
        fc.integer({ min: 5000, max: 60_000 }),
      ),
      { minLength: 1, maxLength: 5 },
    ),
    lossPermille: fc.integer({ min: 0, max: 150 }),
  })
  .map(({ logs, steep, givers, lossPermille }) => ({
    lossPermille,
    cars: [
      ...logs.map(([w, most], n) => logarithmic(`log${n}`, w, 0, most)),
      ...steep.map(([top, full, least], n) => saturating(`steep${n}`, top, full, 300 * least, full)),
      ...givers.map(([l1, l2, most], n) => giving(`giver${n}`, l1, l2, most)),
    ],
  }))

test('what is agreed is within 0.1 % of the optimum, found another way, and adds up to the last Wh and micro-unit', () => {
  const rounds: number[] = []
  assertProperty(
    fc.property(anyCars, ({ cars, lossPermille }) => {
      const { park, allotment } = runPark(cars, lossPermille)
      rounds.push(park.round)
      const sum = (side: Entrant['side'], what: 'energy' | 'money') =>
        allotment.cars.reduce((total, car) => total + (car.side === side ? car[what] : 0n), 0n)
      assert.is(sum('discharge', 'energy'), sum('charge', 'energy') + allotment.lost)
      assert.is(sum('charge', 'money'), sum('discharge', 'money') + allotment.residue)
      assert.ok(allotment.residue >= 0n && allotment.residue < BigInt(cars.length))
      assert.ok(allotment.lost * 1000n < sum('discharge', 'energy') * BigInt(lossPermille) + 1000n)
      for (const [i, { energy, money }] of allotment.cars.entries()) {
        assert.ok(energy >= cars[i]!.least && energy <= cars[i]!.most && money >= 0n)
      }
      const best = optimumOf(cars, lossPermille)
      const gap = best - welfareOf(cars, allotment)
      // Whole Wh: less than one a car, at up to 0.9 coins a kWh, is below 900 micro-units each.
      assert.ok(gap <= 0.001 * Math.abs(best) + 900 * cars.length, `${gap} of ${best}`)
    }),
    200,
  )
  rounds.sort((a, b) => a - b)
  assert.ok(rounds[rounds.length >> 1]! < 40)
})

test('over the wire go a round with an energy, and a round with a price, and nothing else', () => {
  const cars = [
    logarithmic('a', 900_000, 0, 20_000),
    saturating('b', 500_000, 9000, 600, 9000),
    giving('c', 5000, 100_000, 30_000),
  ]
  const { wire } = runPark(cars, 50)
  assert.ok(wire.calls.length > 3)
  for (const call of wire.calls) assert.equal(Object.keys(call).sort(), ['energy', 'round'])
  for (const answer of wire.answers) assert.equal(Object.keys(answer).sort(), ['price', 'round'])
})

test('steep utilities settle because of the lines between answers: by the last answer alone they swing for ever', () => {
  const cars = [saturating('a', 500_000, 9000, 0, 9000), giving('b', 0, 50_000, 30_000)]
  assert.ok(runPark(cars, 0).park.round < 30)
  let park = must(openCarPark(cars, 0))
  for (let round = 0; round < 200; round++) {
    const answers = new Map([...callsOf(park)].map(([id, call]) => [id, answerOf(cars.find(c => c.id === id)!, call)]))
    const heard = must(hearAnswers(park, answers))
    assert.not(heard.agreed)
    park = { ...heard.park, seats: heard.park.seats.map(seat => ({ ...seat, curve: [] })) }
  }
})

const open = (cars: readonly Car[]) => must(openCarPark(cars, 0))
const trio = [
  logarithmic('a', 900_000, 0, 20_000),
  logarithmic('b', 500_000, 0, 20_000),
  giving('c', 10_000, 100_000, 30_000),
]
const answersOf = (park: CarPark, change: (id: string, answer: Answer) => Answer | undefined = (_, one) => one) => {
  const answers = new Map<string, Answer>()
  for (const [id, call] of callsOf(park)) {
    const answer = change(id, answerOf(trio.find(car => car.id === id)!, call))
    if (answer !== undefined) answers.set(id, answer)
  }
  return answers
}

test('a car that is silent, late, beyond all prices or no falling utility is out by name, and the others go on', () => {
  const begun = must(hearAnswers(open(trio), answersOf(open(trio)))).park
  const outAfter = (change: (id: string, answer: Answer) => Answer | undefined) => {
    const { park } = must(hearAnswers(begun, answersOf(begun, change)))
    assert.equal(park.seats.map(({ id }) => id).sort(), park.out.length === 0 ? ['a', 'b', 'c'] : ['b', 'c'])
    return park.out.map(({ id, code }) => `${id} ${code}`)
  }
  const a =
    (price: (now: bigint) => bigint, rounds = 0) =>
    (id: string, { round, price: now }: Answer) =>
      id === 'a' ? { round: round + rounds, price: microsPerKwh(price(now)) } : { round, price: now }
  assert.equal(
    outAfter((id, answer) => (id === 'a' ? undefined : answer)),
    ['a car-park.silent'],
  )
  assert.equal(outAfter(a(now => now, -1)), ['a car-park.wrong-round'])
  assert.equal(outAfter(a(() => -1n)), ['a car-park.price'])
  assert.equal(outAfter(a(() => 10n ** 12n)), ['a car-park.price'])
  const [before, after] = [open(trio).seats[0]!.energy, begun.seats[0]!.energy]
  assert.ok(after < before)
  // It was allotted less, and says that a kWh is worth less now.
  assert.equal(outAfter(a(now => now / 4n)), ['a car-park.not-concave'])
  assert.equal(outAfter(a(now => now)), [])
})

test('a car that leaves is served nothing, in whichever round, and the others settle anew', () => {
  for (let leaves = 1; ; leaves++) {
    let [park, agreed] = [open(trio), false]
    while (!agreed) {
      const answers = answersOf(park, (id, one) => (id === 'a' && park.round >= leaves ? undefined : one))
      const heard = must(hearAnswers(park, answers))
      ;({ park, agreed } = heard)
    }
    const { cars } = allotmentOf(park)
    if (park.out.length === 0) break
    assert.equal(
      cars.map(({ id }) => id),
      ['b', 'c'],
    )
    assert.is(cars[0]!.energy, cars[1]!.energy)
    // 500,000 / (x + 1) = 100,000 + 20,000 x at x = 2.385
    assert.ok(Math.abs(Number(cars[0]!.energy) - 2385) < 24, `${cars[0]!.energy} after ${leaves}`)
  }
})

test('where a kWh is hardly worth more than it costs, the little that is gained is still within 0.1 %', () => {
  const cars = [saturating('a', 300_000, 1_000_000, 0, 60_000), giving('b', 0, 299_000, 60_000)]
  const { allotment, park } = runPark(cars, 0)
  const best = optimumOf(cars, 0)
  assert.ok(Math.abs(best - 1_666.7) < 1)
  assert.ok(
    best - welfareOf(cars, allotment) <= 200,
    `${welfareOf(cars, allotment)} of ${best} in ${park.round} rounds`,
  )
})

test('more is given than each floor holds by one Wh a car, largest remainder first, and never beyond its most', () => {
  const seat = (id: string, side: Entrant['side'], energy: number, most: number) =>
    ({ ...entrant(id, side, 0, most), energy, curve: [] }) as const
  const seats = [
    seat('a', 'charge', 10, 10),
    seat('b', 'discharge', 3.4, 3),
    seat('c', 'discharge', 3.9, 9),
    seat('d', 'discharge', 2.7, 9),
  ]
  const { cars, price, residue, lost } = allotmentOf({ lossPermille: 100, round: 1, seats, price: 299_999.7, out: [] })
  // 10 Wh take 11.1, rounded up 12: 3 + 3 + 2, and then c, d, c, d.
  assert.equal(
    cars.map(({ energy }) => energy),
    [10n, 3n, 5n, 4n],
  )
  assert.equal([price, lost, residue], [299_999n, 2n, 2999n - 749n - 1249n - 999n])
})

test('pairs carry all that is allotted, each car’s own part, in fewer contracts than cars', () => {
  const car = (id: string, side: Entrant['side'], energy: number) =>
    ({ id, side, energy: wattHours(BigInt(energy)), money: micros(0n) }) as const
  const cars = [
    car('a', 'charge', 10),
    car('x', 'discharge', 4),
    car('b', 'charge', 5),
    car('y', 'discharge', 11),
    car('c', 'charge', 0),
  ]
  assert.equal(pairsOf({ cars }), [
    { buyer: 'a', seller: 'x', energy: 4n },
    { buyer: 'a', seller: 'y', energy: 6n },
    { buyer: 'b', seller: 'y', energy: 5n },
  ])
  assert.equal(pairsOf({ cars: [] }), [])
})

test('who wants what nobody has, and nonsense, is refused with a reason', () => {
  const refused = (entrants: readonly Entrant[], loss = 0) => {
    const opened = openCarPark(entrants, loss)
    return opened.ok ? 'open' : opened.fault.code
  }
  const c = entrant('c', 'discharge', 0, 1000)
  assert.is(refused([entrant('a', 'charge', 1000, 1000), c]), 'open')
  assert.is(refused([entrant('a', 'charge', 1000, 1000), c], 1), 'car-park.shortage')
  assert.is(refused([entrant('a', 'charge', 1001, 2000), c]), 'car-park.shortage')
  assert.is(refused([entrant('a', 'charge', 0, 0)]), 'car-park.entrant')
  assert.is(refused([entrant('a', 'charge', 5, 4)]), 'car-park.entrant')
  assert.is(refused([entrant('a', 'charge', -1, 4)]), 'car-park.entrant')
  assert.is(refused([entrant('a', 'discharge', 1, 4)]), 'car-park.entrant')
  assert.is(refused([entrant('a', 'charge', 0, 2_000_000)]), 'car-park.entrant')
  assert.is(refused([c, c]), 'car-park.entrant')
  assert.is(refused([c], Number.NaN), 'car-park.loss')
  assert.is(refused([c], 1000), 'car-park.loss')
  assert.is(refused(Array.from({ length: 2001 }, (_, n) => entrant(`e${n}`, 'charge', 0, 1))), 'car-park.too-many')
})

test('with nobody to give, or nobody to take, nothing is allotted and the rounds end', () => {
  for (const cars of [[trio[0]!], [trio[2]!]]) {
    const { allotment } = runPark(cars, 0)
    assert.equal(
      allotment.cars.map(({ energy, money }) => [energy, money]),
      [[0n, 0n]],
    )
  }
})

test.run()
