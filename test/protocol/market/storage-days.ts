/** Days of storage, load and generation for the tests: by hand, and random ones from a seed. */

import type { Move, Network } from '../../../protocol/market/network-check.ts'
import type { Battery, DayAhead, Schedule, ScheduleOffer } from '../../../protocol/market/schedule-check.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { fc } from '../../property.ts'

const SLOT_MS = 900_000
export const wh = (n: number) => wattHours(BigInt(n))
export const price = (n: number) => microsPerKwh(BigInt(n))
export const flat = <T>(slots: number, value: T): T[] => Array.from({ length: slots }, () => value)

/** Lines as `name: [feeder, capacity, resistance]`. */
export const networkOf = (
  lines: Readonly<Record<string, readonly [feeder: string | undefined, capacity: number, resistance: number]>>,
  voltage?: Network['voltage'],
): Network => ({
  slotMs: SLOT_MS,
  lines: new Map(
    Object.entries(lines).map(([name, [feeder, capacity, resistance]]) => [
      name,
      { capacity: wh(capacity), resistance, ...(feeder === undefined ? {} : { feeder }) },
    ]),
  ),
  ...(voltage === undefined ? {} : { voltage }),
})

/** A street behind a transformer: T - A - B and T - C. */
export const street = networkOf({
  T: [undefined, 50_000, 10],
  A: ['T', 10_000, 50],
  B: ['A', 5000, 80],
  C: ['T', 10_000, 60],
})

export const battery = (change: Partial<Battery> = {}): Battery => ({
  name: 'battery',
  node: 'A',
  capacity: wh(10_000),
  reserve: wh(1000),
  start: wh(1000),
  charge: wh(2500),
  discharge: wh(2500),
  chargePermille: 950,
  dischargePermille: 950,
  wear: price(0),
  ...change,
})

/** The main grid as a retailer: sells at one price by slot, takes back at another. */
export const retailer = (sells: readonly number[], takes: readonly number[], most = 50_000): ScheduleOffer[] => [
  { name: 'retailer sells', side: 'supply', most: sells.map(() => wh(most)), price: sells.map(price) },
  { name: 'retailer takes', side: 'demand', most: takes.map(() => wh(most)), price: takes.map(price) },
]

/** A load that is served whatever it costs below a price nobody asks, or a panel that gives for nothing. */
export const load = (name: string, node: string, energy: readonly number[]): ScheduleOffer => ({
  name,
  node,
  side: 'demand',
  most: energy.map(wh),
  price: energy.map(() => price(900_000)),
})
export const panel = (name: string, node: string, energy: readonly number[]): ScheduleOffer => ({
  name,
  node,
  side: 'supply',
  most: energy.map(wh),
  price: energy.map(() => price(0)),
})

/**
 * What a schedule does to wires and stores, by its own arithmetic: sums over whole subtrees in fractions, a voltage from the
 * quadratic itself. Returns what is beyond a limit.
 */
export function simulate(day: DayAhead, schedule: Schedule): string[] {
  const wrong: string[] = []
  const lines = [...day.network.lines]
  const behind = (node: string | undefined, line: string): boolean =>
    node !== undefined && (node === line || behind(day.network.lines.get(node)!.feeder, line))
  for (let slot = 0; slot < day.slots; slot++) {
    const given: [string | undefined, number][] = []
    for (const [b, { node }] of day.batteries.entries()) {
      const plan = schedule.batteries[b]!
      given.push([node, Number(plan.discharge[slot]! - plan.charge[slot]!)])
    }
    for (const [o, { node, side }] of day.offers.entries()) {
      given.push([node, Number(schedule.offers[o]!.energy[slot]!) * (side === 'supply' ? 1 : -1)])
    }
    const total = given.reduce((sum, [, energy]) => sum + energy, 0)
    if (total !== 0) wrong.push(`slot ${slot}: ${total} Wh from nowhere`)
    for (const move of day.contracts.filter(one => one.slot === slot)) {
      given.push([move.from, Number(move.energy)], [move.to, -Number(move.energy)])
    }
    const watts = new Map(
      lines.map(([line]) => [
        line,
        (-3_600_000 / day.network.slotMs) *
          given.filter(([node]) => behind(node, line)).reduce((sum, [, energy]) => sum + energy, 0),
      ]),
    )
    for (const [line, { capacity, feeder }] of lines) {
      const most = (Number(capacity) * 3_600_000) / day.network.slotMs
      if (Math.abs(watts.get(line)!) > most) wrong.push(`slot ${slot}: ${watts.get(line)} W on ${line}, not ${most}`)
      if (day.network.voltage === undefined) continue
      const { source, lowest, highest } = day.network.voltage
      let square = (source / 1000) ** 2
      for (let at: string | undefined = line; at !== undefined; at = day.network.lines.get(at)!.feeder) {
        square -= 2 * (day.network.lines.get(at)!.resistance / 1000) * watts.get(at)!
      }
      const volts = Math.sqrt(square)
      if (volts < lowest / 1000 - 1e-6 || volts > highest / 1000 + 1e-6) {
        wrong.push(`slot ${slot}: ${volts} V at ${line} (${feeder ?? 'main grid'})`)
      }
    }
  }
  for (const [b, one] of day.batteries.entries()) {
    let soc = Number(one.start)
    for (let slot = 0; slot < day.slots; slot++) {
      const { charge, discharge } = schedule.batteries[b]!
      const [ins, outs] = [Number(charge[slot]), Number(discharge[slot])]
      if (ins < 0 || ins > Number(one.charge) || outs < 0 || outs > Number(one.discharge) || ins * outs !== 0) {
        wrong.push(`slot ${slot}: ${one.name} takes ${ins} and gives ${outs}`)
      }
      soc += (ins * one.chargePermille) / 1000 - outs / (one.dischargePermille / 1000)
      // The book rounds what is drawn up by less than a milliwatt-hour a slot.
      if (Math.abs(soc - Number(schedule.batteries[b]!.stored[slot]!) / 1000) > 0.001 * (slot + 1) + 1e-6) {
        wrong.push(`slot ${slot}: ${one.name} has ${soc} Wh, not ${schedule.batteries[b]!.stored[slot]} mWh`)
      }
      if (soc < Number(one.reserve) || soc > Number(one.capacity)) wrong.push(`slot ${slot}: ${one.name} at ${soc} Wh`)
    }
    if (soc < Number(one.final ?? one.reserve)) wrong.push(`${one.name} ends at ${soc} Wh`)
  }
  return wrong
}

/** Random small days on the street: batteries anywhere from empty to full, tight lines, a band, contracts, loads and panels. */
export function anyDay(slots: number): fc.Arbitrary<DayAhead> {
  const node = fc.constantFrom('T', 'A', 'B', 'C')
  const energies = (most: number) => fc.array(fc.integer({ min: 0, max: most }), { minLength: slots, maxLength: slots })
  const prices = energies(500_000)
  const aBattery = fc
    .record({
      node,
      room: fc.integer({ min: 0, max: 8000 }),
      reserve: fc.integer({ min: 0, max: 2000 }),
      level: fc.double({ min: 0, max: 1, noNaN: true }),
      charge: fc.integer({ min: 0, max: 3000 }),
      discharge: fc.integer({ min: 0, max: 3000 }),
      chargePermille: fc.integer({ min: 700, max: 1000 }),
      dischargePermille: fc.integer({ min: 700, max: 1000 }),
      wear: fc.integer({ min: 0, max: 50_000 }),
    })
    .map(({ room, reserve, level, charge, discharge, wear, ...one }) =>
      battery({
        ...one,
        capacity: wh(reserve + room),
        reserve: wh(reserve),
        start: wh(reserve + Math.round(level * room)),
        charge: wh(charge),
        discharge: wh(discharge),
        wear: price(wear),
      }),
    )
  const anOffer = fc
    .record({ node, side: fc.constantFrom('supply' as const, 'demand' as const), most: energies(4000), price: prices })
    .chain(one =>
      fc.option(fc.integer({ min: 0, max: one.most.reduce((sum, energy) => sum + energy, 0) }), { nil: undefined }).map(
        (most): Omit<ScheduleOffer, 'name'> => ({
          node: one.node,
          side: one.side,
          most: one.most.map(wh),
          price: one.price.map(price),
          ...(most === undefined ? {} : { total: { least: wh(0), most: wh(most) } }),
        }),
      ),
    )
  const contract: fc.Arbitrary<Move> = fc
    .record({
      slot: fc.integer({ min: 0, max: slots - 1 }),
      from: fc.option(node, { nil: undefined }),
      to: fc.option(node, { nil: undefined }),
      energy: fc.integer({ min: 0, max: 900 }).map(wh),
    })
    .map(({ from, to, ...one }) => ({ ...one, ...(from && { from }), ...(to && { to }) }))
  return fc
    .record({
      capacity: fc.array(fc.integer({ min: 0, max: 6000 }), { minLength: 4, maxLength: 4 }),
      band: fc.option(fc.integer({ min: 5, max: 40 }), { nil: undefined }),
      batteries: fc.array(aBattery, { maxLength: 3 }),
      offers: fc.array(anOffer, { maxLength: 4 }),
      contracts: fc.array(contract, { maxLength: 6 }),
      sells: prices,
    })
    .map(({ capacity, band, batteries, offers, contracts, sells }) => ({
      network: networkOf(
        {
          T: [undefined, 4 * capacity[0]!, 10],
          A: ['T', capacity[1]!, 50],
          B: ['A', capacity[2]!, 80],
          C: ['T', capacity[3]!, 60],
        },
        band === undefined
          ? undefined
          : { source: 400_000, lowest: 400_000 - band * 1000, highest: 400_000 + band * 1000 },
      ),
      slots,
      contracts,
      batteries: batteries.map((one, b) => ({ ...one, name: `battery ${b}` })),
      offers: [
        ...offers.map((one, o) => ({ ...one, name: `offer ${o}` })),
        ...retailer(
          sells,
          sells.map(one => Math.floor(one / 3)),
        ),
      ],
    }))
}
