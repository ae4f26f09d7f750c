/**
 * When flexible load runs: at the least cost within its owner's window of comfort. Two kinds: what can be parted among slots as
 * one likes (a car to be charged by seven), and what runs through once it has begun (a washing machine).
 *
 * A slot's energy comes in steps of rising price: the own surplus at what it would else bring, then the market's, then the
 * supplier's. The optimum is exact. Starts of runs are tried one by one; what can be parted is then a flow of least cost in
 * which only the last edge costs, so that each watt-hour takes the cheapest step that can be reached by moving others.
 */
import type { Price, WattHours } from '../quantity.ts'
import { wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

/** In rising order of price; a slot gives no more than its steps. */
export interface SupplyStep {
  readonly price: Price
  readonly energy: WattHours
}

export interface FlexibleLoad {
  readonly name: string
  /** May run from slot `from` up to but not in slot `to`. */
  readonly from: number
  readonly to: number
  readonly kind:
    | { readonly parted: WattHours; readonly mostPerSlot: WattHours }
    /** Energy of each slot from its start on. */
    | { readonly run: readonly WattHours[] }
}

export interface LoadPlan {
  /** Energy by load, in the order given, and slot. */
  readonly energies: readonly (readonly WattHours[])[]
  /** Sum of energy times price, in thousandths of a micro-unit. */
  readonly cost: bigint
}

export type ScheduleLoadFault =
  | { readonly code: 'schedule-load.window'; readonly load: string; readonly from: number; readonly to: number }
  | { readonly code: 'schedule-load.steps'; readonly slot: number }
  | { readonly code: 'schedule-load.energy'; readonly load: string }
  | { readonly code: 'schedule-load.starts'; readonly starts: number; readonly limit: number }
  /** No way to serve all; `load` is the first one short. */
  | { readonly code: 'schedule-load.short'; readonly load: string }

/** Five machines in windows of a few hours; each is tried against a day in well under a millisecond. */
const MOST_STARTS = 20_000
/** 1 GWh: sums of a day stay exact in doubles. */
const MOST_ENERGY = 1_000_000_000n

interface Step {
  readonly price: number
  readonly energy: number
}

export function scheduleLoads(
  loads: readonly FlexibleLoad[],
  supply: readonly (readonly SupplyStep[])[],
): Result<LoadPlan, ScheduleLoadFault> {
  const fault = faultOf(loads, supply)
  if (fault !== undefined) return fail(fault)
  const steps = supply.map(slot => slot.map(({ price, energy }) => ({ price: Number(price), energy: Number(energy) })))
  const runs = loads.flatMap((load, i) => ('run' in load.kind ? [{ ...load, i, run: load.kind.run.map(Number) }] : []))
  const starts = runs.reduce((product, { from, to, run }) => product * (to - from - run.length + 1), 1)
  if (starts > MOST_STARTS) return fail({ code: 'schedule-load.starts', starts, limit: MOST_STARTS })

  let best: { readonly cost: bigint; readonly energies: number[][] } | undefined
  let short = loads[0]?.name ?? ''
  const begun = runs.map(({ from }) => from)
  for (let tried = 0; tried < starts; tried++) {
    const energies = loads.map(() => supply.map(() => 0))
    for (const [n, { i, run }] of runs.entries()) {
      for (const [k, energy] of run.entries()) energies[i]![begun[n]! + k]! += energy
    }
    const missing = placeParted(loads, steps, energies)
    if (missing !== undefined) short = missing
    else {
      const cost = costOf(steps, energies)
      if (best === undefined || cost < best.cost) best = { cost, energies }
    }
    // The next starts, as an odometer counts.
    for (let n = 0; n < runs.length; n++) {
      const { from, to, run } = runs[n]!
      begun[n]!++
      if (begun[n]! + run.length <= to) break
      begun[n] = from
    }
  }
  if (best === undefined) return fail({ code: 'schedule-load.short', load: short })
  const { cost, energies } = best
  return ok({ cost, energies: energies.map(one => one.map(energy => wattHours(BigInt(energy)))) })
}

/** Fills in the loads that can be parted; the name of one that finds no room, or of a run that already has none. */
function placeParted(
  loads: readonly FlexibleLoad[],
  steps: readonly Step[][],
  energies: number[][],
): string | undefined {
  const used = steps.map((_, slot) => energies.reduce((sum, one) => sum + one[slot]!, 0))
  const room = (slot: number) => nextStep(steps[slot]!, used[slot]!)
  for (const [slot, energy] of used.entries()) {
    if (energy > steps[slot]!.reduce((sum, one) => sum + one.energy, 0)) {
      return loads.find((_, i) => energies[i]![slot]! > 0)!.name
    }
  }
  for (const [i, load] of loads.entries()) {
    if (!('parted' in load.kind)) continue
    for (let left = Number(load.kind.parted); left > 0; ) {
      const path = cheapest(i, loads, energies, room)
      if (path === undefined) return load.name
      let moved = Math.min(left, room(path.at(-1)!.slot)!.energy)
      for (const [n, { load: mover, slot }] of path.entries()) {
        moved = Math.min(moved, mostOf(loads[mover]!) - energies[mover]![slot]!)
        if (n > 0) moved = Math.min(moved, energies[mover]![path[n - 1]!.slot]!)
      }
      for (const [n, { load: mover, slot }] of path.entries()) {
        energies[mover]![slot]! += moved
        if (n > 0) energies[mover]![path[n - 1]!.slot]! -= moved
      }
      used[path.at(-1)!.slot]! += moved
      left -= moved
    }
  }
  return undefined
}

/** Each `load` takes from `slot`; what it takes there, the next one gives up and takes elsewhere. */
type Path = readonly { readonly load: number; readonly slot: number }[]

function cheapest(
  first: number,
  loads: readonly FlexibleLoad[],
  energies: readonly (readonly number[])[],
  room: (slot: number) => Step | undefined,
): Path | undefined {
  const paths = new Map<number, Path>()
  const queue: { readonly load: number; readonly path: Path }[] = [{ load: first, path: [] }]
  const seen = new Set([first])
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { load, path } = next
    const { from, to } = loads[load]!
    for (let slot = from; slot < to; slot++) {
      if (paths.has(slot) || energies[load]![slot]! >= mostOf(loads[load]!)) continue
      const here = [...path, { load, slot }]
      paths.set(slot, here)
      for (const [other, { kind }] of loads.entries()) {
        if (seen.has(other) || !('parted' in kind) || energies[other]![slot]! === 0) continue
        seen.add(other)
        queue.push({ load: other, path: here })
      }
    }
  }
  let best: { readonly price: number; readonly path: Path } | undefined
  for (const [slot, path] of [...paths].sort(([a], [b]) => a - b)) {
    const step = room(slot)
    if (step !== undefined && (best === undefined || step.price < best.price)) best = { price: step.price, path }
  }
  return best?.path
}

const mostOf = ({ kind }: FlexibleLoad): number => ('parted' in kind ? Number(kind.mostPerSlot) : 0)

/** The first step with something left, and how much. */
function nextStep(steps: readonly Step[], used: number): Step | undefined {
  let before = 0
  for (const { price, energy } of steps) {
    if (used < before + energy) return { price, energy: before + energy - used }
    before += energy
  }
  return undefined
}

function costOf(steps: readonly Step[][], energies: readonly (readonly number[])[]): bigint {
  let cost = 0n
  for (const [slot, prices] of steps.entries()) {
    let left = energies.reduce((sum, one) => sum + one[slot]!, 0)
    for (const { price, energy } of prices) {
      const part = Math.min(left, energy)
      cost += BigInt(part) * BigInt(price)
      left -= part
    }
  }
  return cost
}

function faultOf(
  loads: readonly FlexibleLoad[],
  supply: readonly (readonly SupplyStep[])[],
): ScheduleLoadFault | undefined {
  for (const [slot, steps] of supply.entries()) {
    const sound = steps.every(
      ({ price, energy }, i) =>
        energy >= 0n &&
        energy <= MOST_ENERGY &&
        (i === 0 || price >= steps[i - 1]!.price) &&
        Number.isSafeInteger(Number(price)),
    )
    if (!sound) return { code: 'schedule-load.steps', slot }
  }
  for (const { name, from, to, kind } of loads) {
    const length = 'run' in kind ? kind.run.length : 0
    const whole = Number.isInteger(from) && Number.isInteger(to)
    if (!whole || from < 0 || to > supply.length || to - from < Math.max(1, length)) {
      return { code: 'schedule-load.window', load: name, from, to }
    }
    const energies = 'run' in kind ? kind.run : [kind.parted, kind.mostPerSlot]
    if (energies.some(energy => energy < 0n || energy > MOST_ENERGY))
      return { code: 'schedule-load.energy', load: name }
  }
  return undefined
}
