/**
 * Both phases of the storage market over random days, with any deals between any two inside: no limit is ever broken, every
 * watt-hour has a source and a sink, and money adds up to 0.
 */
import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { balance, settleBalance } from '../../../protocol/market/hour-ahead.ts'
import { createNetworkCheck, type Move, readNetwork } from '../../../protocol/market/network-check.ts'
import type { DayAhead, Schedule } from '../../../protocol/market/schedule-check.ts'
import { settleSchedule } from '../../../protocol/market/schedule-settlement.ts'
import { scheduleDay } from '../../../protocol/market/storage-schedule.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { anyDay, battery, load, networkOf, panel, price, retailer, simulate, wh } from './storage-days.ts'

const test = suite('two phases')
const optimiser = await openOptimiser()
const SLOTS = 6
const NODES = ['T', 'A', 'B', 'C'] as const

/** The schedule's own moves: from a node into the pool at the main grid, or out of it. */
function movesOf(day: DayAhead, schedule: Schedule): Move[] {
  const moves: Move[] = []
  const move = (node: string | undefined, slot: number, energy: bigint) => {
    if (energy === 0n || node === undefined) return
    moves.push(
      energy > 0n ? { slot, from: node, energy: wh(Number(energy)) } : { slot, to: node, energy: wh(-Number(energy)) },
    )
  }
  for (const [b, { node }] of day.batteries.entries()) {
    const { charge, discharge } = schedule.batteries[b]!
    for (const [slot, energy] of charge.entries()) move(node, slot, discharge[slot]! - energy)
  }
  for (const [o, { node, side }] of day.offers.entries()) {
    for (const [slot, energy] of schedule.offers[o]!.energy.entries())
      move(node, slot, side === 'supply' ? energy : -energy)
  }
  return moves
}

const error = fc.record({
  slot: fc.integer({ min: 0, max: SLOTS - 1 }),
  node: fc.constantFrom(...NODES),
  energy: fc.integer({ min: -800, max: 800 }),
})
const order = fc.record({
  node: fc.constantFrom(...NODES),
  side: fc.constantFrom('sell' as const, 'buy' as const),
  energy: fc.integer({ min: 1, max: 900 }),
  limit: fc.integer({ min: 0, max: 500_000 }),
})

test('on random days with deals between any two, no limit is broken in either phase, and all money adds up to 0', () => {
  let [days, contracts, curtailed, balancedSlots] = [0, 0, 0, 0]
  const asked = fc.array(
    fc.record({
      slot: fc.integer({ min: 0, max: SLOTS - 1 }),
      from: fc.option(fc.constantFrom(...NODES), { nil: undefined }),
      to: fc.option(fc.constantFrom(...NODES), { nil: undefined }),
      energy: fc.integer({ min: 1, max: 3000 }),
    }),
    { maxLength: 12 },
  )
  assertCovering(
    fc.property(
      anyDay(SLOTS),
      asked,
      fc.array(error, { maxLength: 12 }),
      fc.array(order, { maxLength: 8 }),
      (drawn, deals, errors, orders) => {
        const grid = must(readNetwork(drawn.network))
        // Deals between prosumers and with utilities, as they come; the operator takes what there is room for.
        const network = createNetworkCheck(grid)
        const agreed: Move[] = []
        for (const { from, to, energy, slot } of deals) {
          const move = { slot, energy: wh(energy), ...(from && { from }), ...(to && { to }) }
          const verdict = network.take(move)
          if (verdict.kind === 'accepted') agreed.push(move)
          if (verdict.kind === 'curtailed') agreed.push({ ...move, energy: verdict.energy })
          if (verdict.kind !== 'accepted') curtailed++
        }
        contracts += agreed.length
        const day = { ...drawn, contracts: agreed }

        // Phase 1.
        const schedule = must(scheduleDay(day, optimiser))
        assert.equal(simulate(day, schedule), [])
        const { paid, network: rent } = settleSchedule(day, schedule)
        assert.is([...paid.values()].reduce((sum, one) => sum + one, 0n) + rent, 0n)
        for (const [o, { name, side, price: limits }] of day.offers.entries()) {
          const atLimit = schedule.offers[o]!.energy.reduce((sum, energy, slot) => sum + energy * limits[slot]!, 0n)
          const worth = paid.get(name)! * 1000n
          assert.ok(side === 'supply' ? worth > atLimit - 1000n : -worth < atLimit + 1000n, `${name} beyond its limit`)
        }
        // What is left to the network is the difference of prices over each line, times what the schedule sends over it.
        let difference = 0n
        const moves = movesOf(day, schedule)
        for (const { slot, from, to, energy } of moves) {
          const at = schedule.prices.get((from ?? to)!)![slot]! - schedule.mainPrice[slot]!
          difference += (to === undefined ? -at : at) * energy
        }
        const off = Number(rent) - Number(difference) / 1000
        // A watt-hour of each order and slot beside the optimum, at the dearest price, and a micro-unit each.
        assert.ok(Math.abs(off) <= (day.batteries.length * 2 + day.offers.length) * (SLOTS * 1000 + 1), `${off}`)

        // Phase 2, slot by slot: what the forecast missed, as far as the wires let it happen, and who makes up for it.
        for (const move of moves) assert.ok(network.place(move).ok)
        assert.equal(network.breaches(), [])
        for (let slot = 0; slot < SLOTS; slot++) {
          const deviations = errors
            .filter(one => one.slot === slot)
            .map(({ node, energy }, n) => {
              const wanted = { slot, energy: wh(Math.abs(energy)), ...(energy > 0 ? { from: node } : { to: node }) }
              const verdict = network.take(wanted)
              const room =
                verdict.kind === 'accepted' ? wanted.energy : verdict.kind === 'curtailed' ? verdict.energy : 0n
              return { party: `${node}${n}`, energy: energy > 0 ? room : -room }
            })
          const hour = {
            ...{ slot, deviations, beacon: new Uint8Array(32).fill(slot) },
            orders: orders.map(({ node, side, energy, limit }, n) => ({
              id: `o${n}`,
              node,
              side,
              energy: wh(energy),
              limit: price(limit),
            })),
            imbalance: { deficit: price(450_000), surplus: price(40_000) },
          }
          const balanced = must(balance(hour, network))
          const took = balanced.taken.reduce((sum, { energy }) => sum + energy, 0n) * (balanced.net < 0n ? 1n : -1n)
          assert.is(balanced.net + took, balanced.mainGrid, "what is not made up for is the main grid's")
          const settled = settleBalance(hour, balanced)
          const parts = [...settled.parties.values(), ...settled.orders.values(), settled.mainGrid, settled.rounding]
          assert.is(
            parts.reduce((sum, one) => sum + one, 0n),
            0n,
          )
          for (const { party, energy } of deviations) {
            const own = settled.parties.get(party)!
            assert.ok(energy < 0n ? own <= 0n : own >= 0n, 'who was short pays, who was long is paid')
            assert.ok(
              energy > 0n || own >= (energy * 450_000n) / 1000n - 1n,
              'never more than the imbalance price of its own watt-hours',
            )
          }
          if (balanced.taken.length > 0) balancedSlots++
        }
        assert.equal(network.breaches(), [])
        days++
      },
    ),
    80,
  )
  assert.ok(
    contracts > 50 && curtailed > 20 && balancedSlots > 20,
    `${days} days, ${contracts} deals, ${curtailed} curtailed, ${balancedSlots} balanced`,
  )
}, 60_000)

test("without the operator's check the same deals break the wires", () => {
  const network = networkOf({ T: [undefined, 50_000, 10], A: ['T', 2000, 50] })
  const deals: Move[] = [
    { slot: 0, to: 'A', energy: wh(1500) },
    { slot: 0, from: 'T', to: 'A', energy: wh(1500) },
  ]
  const checked = createNetworkCheck(must(readNetwork(network)))
  assert.equal(
    deals.map(deal => checked.take(deal).kind),
    ['accepted', 'curtailed'],
  )
  const unchecked = createNetworkCheck(must(readNetwork(network)))
  for (const deal of deals) unchecked.place(deal)
  assert.equal(
    unchecked.breaches().map(one => [one.code, one.by]),
    [['network.line', 1000n]],
  )
})

test("a full line's worth is the network's: what is dear behind it and cheap before it", () => {
  const network = networkOf({ T: [undefined, 50_000, 10], A: ['T', 1000, 50] })
  const generator = { ...panel('generator', 'A', [3000]), price: [price(350_000)] }
  const day: DayAhead = {
    ...{ network, slots: 1, contracts: [], batteries: [battery({ node: 'T' })] },
    offers: [load('home', 'A', [3000]), generator, ...retailer([200_000], [0])],
  }
  const { paid, network: rent } = settleSchedule(day, must(scheduleDay(day, optimiser)))
  assert.equal([paid.get('home'), paid.get('generator')], [-1_050_000n, 700_000n])
  // 1,000 Wh at a difference of 150,000 a kWh; the battery's few watt-hours pass no full line.
  assert.is(rent, 150_000n)
})

test.run()
