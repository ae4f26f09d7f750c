/**
 * Phase 1 of the storage market, the day ahead: which battery charges and gives when, which load runs and which generator, as
 * a linear program through the Optimiser port (two-phase model: Wang et al., "Energy crowdsourcing and peer-to-peer energy
 * trading in blockchain-enabled smart grids", 2019).
 *
 * Everything in it is a voluntary order of an agent; the main grid is a supply and a demand above all lines as any other.
 * Contracts that were made already are fixed injections. The duals of the nodes' balances are the local prices.
 *
 * Whole watt-hours: a second program takes each energy, flow and running sum to a whole number beside its optimum
 * (storage-program.ts, `buildWhole`), so balance, power, lines and totals hold as they did. State of charge and voltage are
 * no whole numbers: the first program leaves the room that rounding can take at their bounds (some two watt-hours of a
 * battery). What comes out is checked exactly, and is not given out where that fails.
 */
import { type Money, micros, microsPerKwh, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import { type Grid, readNetwork } from './network-check.ts'
import type { Optimiser, OptimiserFault, Optimum } from './optimiser.ts'
import {
  type Battery,
  type CheckFault,
  checkDay,
  checkSchedule,
  type DayAhead,
  insetOf,
  type Schedule,
  socOf,
} from './schedule-check.ts'
import {
  type Built,
  buildOptimum,
  buildWhole,
  type Day,
  type DayBattery,
  type Direction,
  type Directions,
  type Energies,
  type Slack,
} from './storage-program.ts'

/** After so many looks at single slots, all are settled at once. */
const MAX_LOOKS = 5
/** Below this in watt-hours nothing flows: ten times the solver's tolerance. */
const NOTHING = 1e-6

export type ScheduleFault =
  | CheckFault
  | OptimiserFault
  /** No schedule keeps all limits; the one that breaks them least breaks this one most: by so many Wh, or V^2. */
  | {
      readonly code: 'schedule.infeasible'
      readonly limit: string
      readonly of: string
      readonly slot: number
      readonly by: number
    }
  /** Fractions of a watt-hour would do, or charging and discharging at a time; whole ones and one at a time do not. */
  | { readonly code: 'schedule.no-room' }

export function scheduleDay(day: DayAhead, optimiser: Optimiser): Result<Schedule, ScheduleFault> {
  const sound = checkDay(day)
  if (!sound.ok) return sound
  const grid = readNetwork(day.network)
  if (!grid.ok) return grid
  const exact = inNumbers(day, grid.value, undefined)
  const ways = freely(exact)
  const ideal = solveOptimum(exact, ways, optimiser)
  if (!ideal.ok) {
    return ideal.fault.code === 'optimiser.infeasible'
      ? fail(leastBreach(day, grid.value, exact, ways, optimiser))
      : ideal
  }
  const still = day.batteries.map(battery => (tooSmall(battery) ? day.slots : 0))
  let numbers = inNumbers(day, grid.value, still)
  let directions = freely(numbers)
  let optimum = solveOptimum(numbers, directions, optimiser)
  while (!optimum.ok && optimum.fault.code === 'optimiser.infeasible') {
    // A battery that begins at a bound moves away from it to make room for rounding; until it has where to, it stands still.
    const corner = cornered(numbers, directions, optimiser).filter(({ of, slot }) => slot >= still[of]!)
    if (corner.length === 0) return fail(leastBreach(day, grid.value, numbers, directions, optimiser))
    for (const { of, slot } of corner) still[of] = Math.max(still[of]!, slot + 1)
    numbers = inNumbers(day, grid.value, still)
    directions = freely(numbers)
    optimum = solveOptimum(numbers, directions, optimiser)
  }
  if (!optimum.ok) return optimum
  const { built, solved } = optimum.value
  const whole = buildWhole(numbers, built.read(solved.values))
  const rounded = optimiser.solve(whole.program)
  if (!rounded.ok) return rounded
  const schedule = scheduleOf(day, grid.value, whole.read(rounded.value.values), ideal.value)
  const kept = checkSchedule(day, schedule)
  return kept.ok ? ok(schedule) : kept
}

/** Whether rounding alone could take it from one bound to the other. */
const tooSmall = (battery: Battery): boolean => (battery.capacity - battery.reserve) * 1000n < 2n * insetOf(battery)

/** Where the bounds of a battery's state of charge are in the way. */
function cornered(numbers: Day, directions: Directions, optimiser: Optimiser): readonly Slack[] {
  const built = buildOptimum(numbers, directions, 'state-of-charge')
  const solved = optimiser.solve(built.program)
  if (!solved.ok) return []
  const { values } = solved.value
  return built.slacks.filter(({ variable }) => values[variable]! > NOTHING)
}

/** With room for rounding, each battery still until the slot named, or without any. */
function inNumbers(day: DayAhead, grid: Grid, still: readonly number[] | undefined): Day {
  const { slots } = day
  const main = grid.names.length
  const nodeOf = (node: string | undefined): number => (node === undefined ? main : grid.index.get(node)!)
  const fixed = Array.from({ length: main + 1 }, () => Array.from({ length: slots }, () => 0))
  for (const { slot, from, to, energy } of day.contracts) {
    fixed[nodeOf(from)]![slot]! += Number(energy)
    fixed[nodeOf(to)]![slot]! -= Number(energy)
  }
  const perWh = grid.band === undefined ? [] : grid.resistance.map(one => (one * grid.perWattHour) / 1000)
  // Rounding moves each flow by a watt-hour at most.
  const margins: number[] = []
  for (const [n, one] of perWh.entries())
    margins.push((still === undefined ? 0 : one) + (grid.feeder[n]! < 0 ? 0 : margins[grid.feeder[n]!]!))
  /** What contracts alone do is within the band: where they leave no room for rounding, nothing may be added to it. */
  const alone = dropsOf(grid, perWh, fixed)
  const limit = (most: number, sign: number) =>
    margins.map((margin, n) =>
      alone[n]!.map(drop => Math.max(most / 1000 - margin, Math.min(most / 1000, sign * drop))),
    )
  return {
    slots,
    feeder: grid.feeder,
    capacity: grid.capacity,
    perWh,
    drop: limit(grid.band?.drop ?? 0, 1),
    rise: limit(grid.band?.rise ?? 0, -1),
    fixed,
    batteries: day.batteries.map((battery, b) => batteryInNumbers(battery, nodeOf(battery.node), slots, still?.[b])),
    offers: day.offers.map(({ node, side, most, price, total }) => ({
      sign: side === 'supply' ? 1 : -1,
      node: nodeOf(node),
      most: most.map(Number),
      price: price.map(one => Number(one) / 1000),
      total: total && { least: Number(total.least), most: Number(total.most) },
    })),
  }
}

/** By node and slot, in V^2. */
function dropsOf(grid: Grid, perWh: readonly number[], fixed: readonly (readonly number[])[]): number[][] {
  const flows = grid.names.map((_, n) => fixed[n]!.map(given => -given))
  for (let n = flows.length - 1; n >= 0; n--) {
    const above = flows[grid.feeder[n]!]
    if (above !== undefined) for (const [slot, flow] of flows[n]!.entries()) above[slot]! += flow
  }
  const drops: number[][] = []
  for (const [n, one] of perWh.entries()) {
    const above = drops[grid.feeder[n]!]
    drops.push(flows[n]!.map((flow, slot) => (above?.[slot] ?? 0) + one * flow))
  }
  return drops
}

function batteryInNumbers(battery: Battery, node: number, slots: number, still: number | undefined): DayBattery {
  const start = Number(battery.start)
  const from = still ?? 0
  const inset = still === undefined || still >= slots ? 0 : Number(insetOf(battery)) / 1000
  const [charge, discharge] = [Number(battery.charge), Number(battery.discharge)]
  const chargeRate = battery.chargePermille / 1000
  const dischargeRate = battery.dischargePermille / 1000
  const low = Number(battery.reserve) + inset
  const high = Number(battery.capacity) - inset
  const final = battery.final === undefined ? 0 : Number(battery.final) + inset
  const moved = Array.from({ length: slots }, (_, slot) => Math.max(0, slot + 1 - from))
  // From where it begins it comes inside as fast as it can.
  const lowest = moved.map(so => Math.min(low, start + so * charge * chargeRate))
  const highest = moved.map(so => Math.max(high, start - (so * discharge) / dischargeRate))
  lowest.push(Math.max(lowest.pop()!, final))
  return {
    node,
    start,
    lowest,
    highest,
    charge,
    discharge,
    from,
    chargeRate,
    dischargeRate,
    wear: Number(battery.wear) / 1000,
  }
}

const freely = (day: Day): (Direction | undefined)[][] => day.batteries.map(() => [])

interface Solution {
  readonly built: Built
  readonly solved: Optimum
  /** The optimum before anything was settled: nothing is better. */
  readonly bound: number
}

/** Solves until no battery charges and discharges at a time, which a program without whole variables cannot be told. */
function solveOptimum(
  day: Day,
  directions: (Direction | undefined)[][],
  optimiser: Optimiser,
): Result<Solution, OptimiserFault> {
  let bound: number | undefined
  for (let look = 0; ; look++) {
    const built = buildOptimum(day, directions, 'none')
    const solved = optimiser.solve(built.program)
    if (!solved.ok) return solved
    const both = bothWays(day, built.read(solved.value.values))
    bound ??= solved.value.objective
    if (both.length === 0) return ok({ built, solved: solved.value, bound })
    for (const { battery, slot, way } of both) directions[battery]![slot] = way
    if (look < MAX_LOOKS) continue
    const { charge, discharge } = built.read(solved.value.values)
    for (const [b, slots] of charge.entries()) {
      for (const [slot, energy] of slots.entries())
        directions[b]![slot] ??= energy >= discharge[b]![slot]! ? 'charge' : 'discharge'
    }
  }
}

function bothWays({ batteries }: Day, { charge, discharge }: Energies) {
  return batteries.flatMap(({ chargeRate, dischargeRate }, battery) =>
    charge[battery]!.flatMap((energy, slot) => {
      const out = discharge[battery]![slot]!
      if (energy < NOTHING || out < NOTHING) return []
      const way: Direction = energy * chargeRate >= out / dischargeRate ? 'charge' : 'discharge'
      return [{ battery, slot, way }]
    }),
  )
}

function leastBreach(
  day: DayAhead,
  grid: Grid,
  numbers: Day,
  directions: Directions,
  optimiser: Optimiser,
): ScheduleFault {
  const built = buildOptimum(numbers, directions, 'all')
  const solved = optimiser.solve(built.program)
  if (!solved.ok) return solved.fault
  const { values } = solved.value
  // There is one at least: a program without limits is not infeasible.
  const worst = built.slacks.reduce((most, one) => (values[one.variable]! > values[most.variable]! ? one : most))
  if (values[worst.variable]! < NOTHING) return { code: 'schedule.no-room' }
  const name = {
    line: grid.names,
    voltage: grid.names,
    'state-of-charge': day.batteries.map(one => one.name),
    total: day.offers.map(one => one.name),
  }[worst.kind][worst.of]!
  return {
    code: 'schedule.infeasible',
    limit: worst.kind,
    of: name,
    slot: worst.slot,
    by: Math.ceil(values[worst.variable]! - NOTHING),
  }
}

/** Nearest whole numbers of a program whose vertices are whole. */
const toWattHours = (energies: readonly number[]): WattHours[] =>
  energies.map(energy => wattHours(BigInt(Math.round(energy))))

function scheduleOf(day: DayAhead, grid: Grid, whole: Energies, { built, solved, bound }: Solution): Schedule {
  const batteries = day.batteries.map((battery, b) => {
    const [charge, discharge] = [toWattHours(whole.charge[b]!), toWattHours(whole.discharge[b]!)]
    return { name: battery.name, charge, discharge, stored: socOf(battery, charge, discharge) }
  })
  const offers = day.offers.map(({ name }, o) => ({ name, energy: toWattHours(whole.offers[o]!) }))
  // One more kWh taken at a node is one less given there; to the nearest micro-unit.
  const pricesOf = (node: number): Price[] =>
    Array.from({ length: day.slots }, (_, slot) =>
      microsPerKwh(BigInt(Math.round(-1000 * solved.duals[built.balance(node, slot)]!))),
    )
  return {
    batteries,
    offers,
    prices: new Map(grid.names.map((name, n) => [name, pricesOf(n)])),
    mainPrice: pricesOf(grid.names.length),
    welfare: welfareOf(day, { batteries, offers }),
    bound: micros(BigInt(Math.ceil(bound - NOTHING))),
  }
}

function welfareOf(day: DayAhead, { batteries, offers }: Pick<Schedule, 'batteries' | 'offers'>): Money {
  let thousandths = 0n
  for (const [b, { wear }] of day.batteries.entries()) {
    for (const energy of batteries[b]!.discharge) thousandths -= wear * energy
  }
  for (const [o, { side, price }] of day.offers.entries()) {
    for (const [slot, energy] of offers[o]!.energy.entries()) {
      thousandths += (side === 'demand' ? 1n : -1n) * price[slot]! * energy
    }
  }
  const down = thousandths / 1000n
  return micros(thousandths < 0n && down * 1000n !== thousandths ? down - 1n : down)
}
