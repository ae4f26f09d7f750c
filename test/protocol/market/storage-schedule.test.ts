/**
 * The day-ahead schedule: days whose optimum is known by hand, physics simulated by other arithmetic, the optimum against a
 * search through every whole state of charge, and local prices against what one more kilowatt-hour really costs.
 */
import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { createNetworkCheck, readNetwork } from '../../../protocol/market/network-check.ts'
import { checkSchedule, type DayAhead, type Schedule } from '../../../protocol/market/schedule-check.ts'
import { scheduleDay } from '../../../protocol/market/storage-schedule.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, assertProperty, fc } from '../../property.ts'
import { anyDay, battery, flat, load, networkOf, panel, price, retailer, simulate, street, wh } from './storage-days.ts'

const test = suite('storage schedule')
const optimiser = await openOptimiser()
const solve = (day: DayAhead): Schedule => must(scheduleDay(day, optimiser))
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const dayOf = (change: Partial<DayAhead>): DayAhead => ({
  network: street,
  slots: 2,
  contracts: [],
  batteries: [],
  offers: [],
  ...change,
})
const sum = (energies: readonly bigint[]) => Number(energies.reduce((a, b) => a + b, 0n))

test('a battery buys in the cheap slot and sells in the dear one, by its efficiencies', () => {
  const day = dayOf({
    batteries: [battery({ start: wh(5000) })],
    offers: [load('home', 'C', [0, 4000]), ...retailer([100_000, 400_000], [0, 0])],
  })
  const { batteries, offers, prices } = solve(day)
  // 2,500 Wh in at most; the load takes 2,500 of the battery's and the rest from the grid.
  assert.is(Number(batteries[0]!.discharge[1]), 2500)
  assert.is(Number(offers[0]!.energy[1]), 4000)
  assert.is(Number(offers[1]!.energy[1]), 1500)
  // Already stored: 4,000 above the reserve, and 2,500 / 0.95 = 2,632 are wanted: nothing needs to be bought.
  assert.is(Number(batteries[0]!.charge[0]), 0)
  assert.is(Number(batteries[0]!.stored[1]), 5_000_000 - Math.ceil(2_500_000 / 0.95))
  assert.is(prices.get('C')![1], price(400_000))
})

test('an empty battery cycles only where the spread pays for its losses and its wear', () => {
  const spread = (high: number, wear: number) => {
    const { batteries } = solve(
      dayOf({
        batteries: [battery({ wear: price(wear) })],
        offers: [load('home', 'C', [0, 4000]), ...retailer([100_000, high], [0, 0])],
      }),
    )
    return sum(batteries[0]!.discharge)
  }
  // 100,000 / (0.95 * 0.95) = 110,803 for a kWh that comes out again.
  assert.ok(spread(110_700, 0) <= 3, 'below the losses only the room for rounding moves')
  // 2,500 * 0.95 * 0.95 = 2,256 could come out; up to three stay in as room for rounding above the reserve.
  assert.ok(spread(110_900, 0) >= 2253 && spread(110_900, 0) <= 2256)
  assert.ok(spread(120_000, 9300) <= 3)
  assert.ok(spread(120_000, 9100) > 2200)
})
test('a line that is too thin parts the street: dear behind it, cheap before it', () => {
  const network = networkOf({ T: [undefined, 50_000, 10], A: ['T', 1000, 50] })
  const dear = {
    name: 'generator',
    node: 'A',
    side: 'supply' as const,
    most: flat(2, wh(9000)),
    price: flat(2, price(350_000)),
  }
  const day = dayOf({
    network,
    offers: [load('home', 'A', [3000, 500]), dear, ...retailer([200_000, 200_000], [0, 0])],
  })
  const { offers, prices, mainPrice } = solve(day)
  assert.equal(offers[1]!.energy.map(Number), [2000, 0])
  assert.equal(prices.get('A'), [price(350_000), price(200_000)])
  assert.equal(prices.get('T'), [price(200_000), price(200_000)])
  assert.equal(mainPrice, [price(200_000), price(200_000)])
})

test('the voltage band holds a panel back, and a battery beside it makes room', () => {
  const network = networkOf(
    { T: [undefined, 90_000, 10], A: ['T', 90_000, 400] },
    { source: 400_000, lowest: 360_000, highest: 410_000 },
  )
  // highest^2 - source^2 = 8,100 V^2 = 2 * 0.41 ohm * 4/h * E: 2,469 Wh a slot are all that fits.
  const offers = [panel('roof', 'A', [4000, 0]), ...retailer([300_000, 300_000], [100_000, 100_000])]
  const alone = solve(dayOf({ network, offers }))
  assert.ok(Math.abs(Number(alone.offers[0]!.energy[0]) - 2469) <= 2)
  const stored = dayOf({ network, offers, batteries: [battery({ capacity: wh(20_000) })] })
  const together = solve(stored)
  assert.ok(Math.abs(Number(together.offers[0]!.energy[0]) - 4000) <= 1)
  // Stored is only what the line does not take: sold at once it earns as much, without the losses.
  assert.ok(Math.abs(Number(together.batteries[0]!.charge[0]) - (4000 - 2469)) <= 2)
  assert.equal(simulate(stored, together), [])
})

test('contracts that stand at the very edge of the voltage band leave the rest of the street its schedule', () => {
  const network = networkOf(
    { T: [undefined, 90_000, 10], A: ['T', 90_000, 400], C: ['T', 90_000, 60] },
    { source: 400_000, lowest: 390_000, highest: 410_000 },
  )
  const check = createNetworkCheck(must(readNetwork(network)))
  const asked = { slot: 0, to: 'A', energy: wh(9000) }
  const verdict = check.take(asked)
  const contracts = [{ ...asked, energy: verdict.kind === 'curtailed' ? verdict.energy : wh(0) }]
  assert.ok(contracts[0]!.energy > 2000n)
  const offers = [load('home', 'C', [0, 700]), ...retailer([200_000, 200_000], [0, 0])]
  const day = dayOf({ network, contracts, offers, batteries: [battery({ node: 'C', start: wh(5000) })] })
  const schedule = solve(day)
  assert.equal(simulate(day, schedule), [])
  assert.is(Number(schedule.offers[0]!.energy[1]), 700)
})

test('contracts are fixed: they take their room on a line, and what they take nobody serves twice', () => {
  const network = networkOf({ T: [undefined, 50_000, 10], A: ['T', 3000, 50] })
  const contract = { slot: 0, to: 'A', energy: wh(2000) }
  const offers = [load('home', 'A', [2000, 2000]), ...retailer([200_000, 200_000], [0, 0])]
  const { offers: served } = solve(dayOf({ network, offers, contracts: [contract] }))
  assert.equal(served[0]!.energy.map(Number), [1000, 2000])
  const against = { slot: 0, from: 'A', to: 'T', energy: wh(2000) }
  assert.equal(
    solve(dayOf({ network, offers, contracts: [contract, against] })).offers[0]!.energy.map(Number),
    [2000, 2000],
  )
})

test('a load that can wait runs when it is cheapest, and one that is owed runs whatever it costs', () => {
  const wash = {
    name: 'wash',
    node: 'B',
    side: 'demand' as const,
    most: flat(4, wh(1000)),
    price: flat(4, price(0)),
    total: { least: wh(1500), most: wh(1500) },
  }
  const day = dayOf({ slots: 4, offers: [wash, ...retailer([300_000, 100_000, 200_000, 400_000], flat(4, 0))] })
  assert.equal(solve(day).offers[0]!.energy.map(Number), [0, 1000, 500, 0])
})

test('a negative price is no reason to charge and discharge at a time', () => {
  const day = dayOf({
    slots: 3,
    batteries: [battery({ start: wh(9000), chargePermille: 800, dischargePermille: 800 })],
    offers: retailer([-200_000, -200_000, 100_000], [-300_000, -300_000, 50_000]),
  })
  const schedule = solve(day)
  assert.equal(simulate(day, schedule), [])
  assert.ok(sum(schedule.batteries[0]!.charge) > 0)
})

test('where no schedule keeps the limits, the fault names what is broken, when and by how much', () => {
  const network = networkOf({ T: [undefined, 50_000, 10], A: ['T', 3000, 50] })
  const day = dayOf({ network, contracts: [{ slot: 1, to: 'A', energy: wh(3700) }], offers: retailer([1, 1], [0, 0]) })
  const found = scheduleDay(day, optimiser)
  assert.equal(found, {
    ok: false,
    fault: { code: 'schedule.infeasible', limit: 'line', of: 'A', slot: 1, by: 700 },
  })
  // A battery behind the line takes the rest of it.
  const helped = { ...day, batteries: [battery({ start: wh(5000), wear: price(1000) })] }
  assert.is(Number(solve(helped).batteries[0]!.discharge[1]), 700)
  const never = dayOf({ batteries: [battery({ final: wh(9000) })], offers: retailer([1, 1], [0, 0]) })
  assert.equal(scheduleDay(never, optimiser), {
    ok: false,
    // 2,500 Wh in two slots at 95 % on top of 1,000.
    fault: { code: 'schedule.infeasible', limit: 'state-of-charge', of: 'battery', slot: 1, by: 3250 },
  })
})

test('nonsense is refused by its field', () => {
  const refused = (change: Partial<DayAhead>) => {
    const result = scheduleDay(dayOf(change), optimiser)
    return result.ok ? 'ok' : `${result.fault.code} ${'field' in result.fault ? result.fault.field : ''}`.trim()
  }
  const offer = retailer([1, 1], [1, 1])[0]!
  assert.is(refused({ slots: 0 }), 'schedule.slots')
  assert.is(refused({ slots: 1.5 }), 'schedule.slots')
  assert.is(refused({ batteries: [battery({ start: wh(999) })] }), 'schedule.battery start')
  assert.is(refused({ batteries: [battery({ start: wh(10_001) })] }), 'schedule.battery start')
  assert.is(refused({ batteries: [battery({ reserve: wh(-1) })] }), 'schedule.battery reserve')
  assert.is(refused({ batteries: [battery({ charge: wh(10 ** 15) })] }), 'schedule.battery charge')
  assert.is(refused({ batteries: [battery({ dischargePermille: 0 })] }), 'schedule.battery dischargePermille')
  assert.is(refused({ batteries: [battery({ chargePermille: Number.NaN })] }), 'schedule.battery chargePermille')
  assert.is(refused({ batteries: [battery({ final: wh(10_000) })] }), 'schedule.battery final')
  assert.is(refused({ batteries: [battery({ wear: price(-1) })] }), 'schedule.battery wear')
  assert.is(refused({ batteries: [battery({ node: 'Z' })] }), 'network.unknown-node')
  assert.is(refused({ batteries: [battery(), battery()] }), 'schedule.name')
  assert.is(refused({ offers: [{ ...offer, most: [wh(1)] }] }), 'schedule.offer most')
  assert.is(refused({ offers: [{ ...offer, price: flat(2, price(2_000_000_000)) }] }), 'schedule.offer price')
  assert.is(refused({ offers: [{ ...offer, total: { least: wh(2), most: wh(1) } }] }), 'schedule.offer total')
  assert.is(refused({ contracts: [{ slot: 2, to: 'A', energy: wh(1) }] }), 'network.move-range')
  assert.is(refused({ contracts: [{ slot: 0, to: 'Z', energy: wh(1) }] }), 'network.unknown-node')
})

test('a schedule of somebody else is judged without a solver', () => {
  const day = dayOf({
    batteries: [battery({ start: wh(5000) })],
    offers: [load('home', 'C', [0, 4000]), ...retailer([100_000, 400_000], [0, 0])],
  })
  const good = solve(day)
  assert.is(codeOf(checkSchedule(day, good)), 'ok')
  const [plan] = good.batteries
  const batteries = (change: object) => ({ ...good, batteries: [{ ...plan!, ...change }] })
  const judged = (schedule: Schedule) => codeOf(checkSchedule(day, schedule))
  assert.is(judged(batteries({ discharge: [wh(0), wh(2501)] })), 'schedule.power')
  assert.is(judged(batteries({ discharge: [wh(0), wh(2499)] })), 'schedule.shape', 'stored no longer follows')
  assert.is(judged(batteries({ name: 'other' })), 'schedule.shape')
  assert.is(judged(batteries({ charge: [wh(0)] })), 'schedule.shape')
  assert.is(judged({ ...good, offers: [] }), 'schedule.shape')
  const offers = good.offers.map((one, o) => (o === 1 ? { ...one, energy: [wh(0), wh(1499)] } : one))
  assert.is(judged({ ...good, offers }), 'schedule.balance')
})

test('on random days every limit holds in another simulation, and whole watt-hours cost next to nothing', () => {
  let solved = 0
  assertCovering(
    fc.property(anyDay(6), day => {
      const result = scheduleDay(day, optimiser)
      // Random contracts may break a limit by themselves.
      if (!result.ok) return assert.is(result.fault.code, 'schedule.infeasible')
      solved++
      assert.equal(simulate(day, result.value), [])
      const { welfare, bound } = result.value
      assert.ok(welfare <= bound, `${welfare} is above ${bound}`)
      // A watt-hour for each order and slot, at the dearest price there is.
      const most = (day.batteries.length * 2 + day.offers.length) * day.slots * 1000
      assert.ok(bound - welfare <= BigInt(most), `${bound - welfare} micro-units lost by rounding`)
    }),
    150,
  )
  assert.ok(solved > 50, `${solved} of 150 days had a schedule`)
}, 60_000)

/** The best that a lossless battery can do in a day, by trying every whole state of charge in every slot. */
function bestBySearch(
  sells: readonly number[],
  takes: readonly number[],
  capacity: number,
  power: number,
  start: number,
): number {
  let best = new Map([[start, 0]])
  for (const [slot, sell] of sells.entries()) {
    const next = new Map<number, number>()
    for (const [soc, worth] of best) {
      for (let move = -power; move <= power; move++) {
        const after = soc + move
        if (after < 0 || after > capacity) continue
        const now = worth + (move > 0 ? -move * sell : -move * takes[slot]!) / 1000
        if (now > (next.get(after) ?? Number.NEGATIVE_INFINITY)) next.set(after, now)
      }
    }
    best = next
  }
  return Math.max(...best.values())
}

test('the optimum is that of a search through every state of charge, but for the room that rounding takes', () => {
  const prices = fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 5, maxLength: 5 })
  assertProperty(
    fc.property(prices, fc.integer({ min: 20, max: 60 }), fc.integer({ min: 1, max: 25 }), (sells, capacity, power) => {
      const takes = sells.map(one => Math.floor(one * 0.8))
      const start = Math.floor(capacity / 2)
      const best = bestBySearch(sells, takes, capacity, power, start)
      const one = battery({
        capacity: wh(capacity),
        reserve: wh(0),
        start: wh(start),
        charge: wh(power),
        discharge: wh(power),
        chargePermille: 1000,
        dischargePermille: 1000,
      })
      const { welfare } = solve(dayOf({ slots: 5, batteries: [one], offers: retailer(sells, takes) }))
      assert.ok(Number(welfare) <= best + 1e-6, `${welfare} is better than the best, ${best}`)
      // Three watt-hours at each bound, in each slot, at the widest spread.
      assert.ok(best - Number(welfare) <= 6 * 5 * 400, `${welfare} where ${best} can be had`)
    }),
    60,
  )
}, 60_000)

test('a local price is what one more kilowatt-hour there costs', () => {
  let compared = 0
  assertCovering(
    fc.property(anyDay(4), fc.constantFrom('T', 'A', 'B', 'C'), fc.nat(3), (day, node, slot) => {
      const extra = (energy: number): DayAhead => ({
        ...day,
        contracts: [
          ...day.contracts,
          energy > 0 ? { slot, to: node, energy: wh(energy) } : { slot, from: node, energy: wh(-energy) },
        ],
        offers: day.offers,
      })
      // A contract from the main grid brings its energy with it: what is left to pay is the way to the node.
      const [less, now, more] = [extra(-20), day, extra(20)].map(one => scheduleDay(one, optimiser))
      if (!less!.ok || !now!.ok || !more!.ok) return
      const slopes = [
        Number(less!.value.bound - now!.value.bound) / 20,
        Number(now!.value.bound - more!.value.bound) / 20,
      ]
      const way = Number(now!.value.prices.get(node)![slot]! - now!.value.mainPrice[slot]!) / 1000
      // The optimum is concave in what is wanted: its slope at a point lies between those to either side.
      assert.ok(way >= slopes[0]! - 0.2 && way <= slopes[1]! + 0.2, `${way} is not between ${slopes}`)
      compared++
    }),
    100,
  )
  assert.ok(compared > 20, `${compared} compared`)
}, 60_000)

test('five batteries over 96 slots take half a second', () => {
  const slots = 96
  const sun = Array.from({ length: slots }, (_, slot) =>
    Math.max(0, Math.round(2500 * Math.sin(((slot - 28) / 40) * Math.PI))),
  )
  const use = Array.from(
    { length: slots },
    (_, slot) => 300 + Math.round(700 * Math.max(0, Math.sin(((slot - 60) / 30) * Math.PI))),
  )
  const sells = Array.from({ length: slots }, (_, slot) =>
    slot < 28 ? 220_000 : slot > 68 && slot < 84 ? 380_000 : 300_000,
  )
  const lines: Record<string, readonly [string | undefined, number, number]> = { T: [undefined, 12_000, 10] }
  for (const [n, name] of ['A', 'B', 'C', 'D', 'E'].entries()) lines[name] = [n === 0 ? 'T' : 'ABCD'[n - 1], 9000, 40]
  const network = networkOf(lines, { source: 400_000, lowest: 360_000, highest: 440_000 })
  const nodes = ['A', 'B', 'C', 'D', 'E']
  const day: DayAhead = {
    network,
    slots,
    contracts: nodes.map((to, n) => ({ slot: 40 + n, from: nodes[(n + 2) % 5]!, to, energy: wh(700) })),
    batteries: nodes.map((node, n) =>
      battery({
        name: `battery ${node}`,
        node,
        start: wh(1000 + 900 * n),
        capacity: wh(10_000 + n * 2000),
        wear: price(20_000),
      }),
    ),
    offers: [
      ...nodes.map(node => panel(`roof ${node}`, node, sun)),
      ...nodes.map(node => load(`home ${node}`, node, use)),
      ...retailer(sells, flat(slots, 60_000)),
    ],
  }
  const schedule = solve(day)
  assert.equal(simulate(day, schedule), [])
})

test.run()
