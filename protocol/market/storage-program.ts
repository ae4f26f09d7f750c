/**
 * A day of storage, load and generation as linear programs: variables and constraints of what storage-schedule.ts describes,
 * in plain numbers. The first finds the optimum in fractions of a watt-hour, the second the whole watt-hours beside it.
 */
import type { Constraint, LinearProgram, Variable } from './optimiser.ts'

/** Nearer to a whole number than this is that number: the solver's own tolerance is a tenth of it. */
const TOLERANCE = 1e-6

/** Nodes are numbered, feeders first; the main grid is the last. */
export interface Day {
  readonly slots: number
  readonly feeder: readonly number[]
  readonly capacity: readonly number[]
  /** voltage^2 that a flow of 1 Wh takes, in V^2; empty where there is no band. */
  readonly perWh: readonly number[]
  /** By node and slot: how far voltage^2 may be below and above the source's, rounding allowed for, in V^2. */
  readonly drop: readonly (readonly number[])[]
  readonly rise: readonly (readonly number[])[]
  /** By node and slot: what contracts give (above zero) and take. */
  readonly fixed: readonly (readonly number[])[]
  readonly batteries: readonly DayBattery[]
  readonly offers: readonly DayOffer[]
}

/** Energy in Wh, efficiencies as parts of 1, prices in micro-units per Wh. */
export interface DayBattery {
  readonly node: number
  readonly start: number
  /** Bounds of the state of charge after each slot, rounding allowed for. */
  readonly lowest: readonly number[]
  readonly highest: readonly number[]
  readonly charge: number
  readonly discharge: number
  /** The first slot in which it moves. */
  readonly from: number
  readonly chargeRate: number
  readonly dischargeRate: number
  readonly wear: number
}

/** A supply (sign 1) or a demand (sign -1). */
export interface DayOffer {
  readonly sign: 1 | -1
  readonly node: number
  readonly most: readonly number[]
  readonly price: readonly number[]
  readonly total: { readonly least: number; readonly most: number } | undefined
}

/** Energies by battery or offer and slot, not yet whole. */
export interface Energies {
  readonly charge: readonly (readonly number[])[]
  readonly discharge: readonly (readonly number[])[]
  readonly offers: readonly (readonly number[])[]
}

/** What a battery may do in a slot, once it is settled that it does not charge and discharge at a time. */
export type Direction = 'charge' | 'discharge'
export type Directions = readonly (readonly (Direction | undefined)[])[]

/** One limit that the relaxed program may break, and the variable that says by how much. */
export interface Slack {
  readonly variable: number
  readonly kind: 'line' | 'voltage' | 'state-of-charge' | 'total'
  /** Node, battery or offer. */
  readonly of: number
  readonly slot: number
}

export interface Built {
  readonly program: LinearProgram
  /** Takes the energies out of the program's values. */
  read(values: readonly number[]): Energies
  /** Place of the balance of a node in a slot among the constraints. */
  balance(node: number, slot: number): number
  readonly slacks: readonly Slack[]
}

type Term = readonly [variable: number, coefficient: number]

/** Limits that may be broken, at a price: none, all, or those of the state of charge alone. */
type Relaxed = 'none' | 'all' | 'state-of-charge'

/** The program of the optimum; relaxed, that of the least breach of limits. */
export function buildOptimum(day: Day, directions: Directions, relaxed: Relaxed): Built {
  const { variables, constraints, add, hold } = sheet()
  const slacks: Slack[] = []
  const worth = (price: number) => (relaxed === 'none' ? price : 0)
  /** A bounded quantity that may go beyond its bounds, at a price, where the program is relaxed. */
  const bounded = (lower: number, upper: number, kind: Slack['kind'], of: number, slot: number): Term[] => {
    const terms: Term[] = [[add(0, lower, upper), 1]]
    if (relaxed !== 'all' && relaxed !== kind) return terms
    for (const sign of [1, -1]) {
      const variable = add(-1, 0, Number.POSITIVE_INFINITY)
      slacks.push({ variable, kind, of, slot })
      terms.push([variable, sign])
    }
    return terms
  }
  const times = (terms: readonly Term[], factor: number): Term[] => terms.map(([at, by]) => [at, by * factor])
  const balances: Term[][][] = day.fixed.map(slots => slots.map(() => []))
  const each = <T>(make: (slot: number) => T): T[] => Array.from({ length: day.slots }, (_, slot) => make(slot))

  const batteries = day.batteries.map((battery, b) => {
    const { node, chargeRate, dischargeRate } = battery
    const may = (slot: number, what: Direction) => slot >= battery.from && (directions[b]![slot] ?? what) === what
    const charge = each(slot => add(0, 0, may(slot, 'charge') ? battery.charge : 0))
    const discharge = each(slot => add(-worth(battery.wear), 0, may(slot, 'discharge') ? battery.discharge : 0))
    let before: Term[] = []
    for (let slot = 0; slot < day.slots; slot++) {
      balances[node]![slot]!.push([discharge[slot]!, 1], [charge[slot]!, -1])
      const after = bounded(battery.lowest[slot]!, battery.highest[slot]!, 'state-of-charge', b, slot)
      const start = slot === 0 ? battery.start : 0
      const moved: Term[] = [
        [charge[slot]!, -chargeRate],
        [discharge[slot]!, 1 / dischargeRate],
      ]
      hold(start, start, [...after, ...times(before, -1), ...moved])
      before = after
    }
    return { charge, discharge }
  })
  const offers = day.offers.map(({ sign, node, most, price, total }, o) => {
    const energies = each(slot => add(-sign * worth(price[slot]!), 0, most[slot]!))
    for (const [slot, energy] of energies.entries()) balances[node]![slot]!.push([energy, sign])
    if (total !== undefined) {
      const sum = bounded(total.least, total.most, 'total', o, 0)
      hold(0, 0, [...energies.map((energy): Term => [energy, 1]), ...times(sum, -1)])
    }
    return energies
  })
  const main = day.capacity.length
  for (let slot = 0; slot < day.slots; slot++) {
    const drops: Term[][] = []
    for (const [n, capacity] of day.capacity.entries()) {
      const above = day.feeder[n]! < 0 ? main : day.feeder[n]!
      const flow = bounded(-capacity, capacity, 'line', n, slot)
      balances[n]![slot]!.push(...flow)
      balances[above]![slot]!.push(...times(flow, -1))
      if (day.perWh.length === 0) continue
      const drop = bounded(-day.rise[n]![slot]!, day.drop[n]![slot]!, 'voltage', n, slot)
      drops.push(drop)
      const terms = [...drop, ...times(flow, -day.perWh[n]!)]
      hold(0, 0, above === main ? terms : [...terms, ...times(drops[above]!, -1)])
    }
  }
  const rows = balances.map((slots, n) =>
    slots.map((terms, slot) => hold(-day.fixed[n]![slot]!, -day.fixed[n]![slot]!, terms)),
  )
  return {
    program: { sense: 'maximise', variables, constraints },
    read: values => ({
      charge: batteries.map(one => one.charge.map(at => values[at]!)),
      discharge: batteries.map(one => one.discharge.map(at => values[at]!)),
      offers: offers.map(one => one.map(at => values[at]!)),
    }),
    balance: (node, slot) => rows[node]![slot]!,
    slacks,
  }
}

/**
 * The program of the whole watt-hours beside an optimum. Every energy, every flow, and every sum of a battery's or a limited
 * offer's energies from the first slot on, stays between the whole numbers around what it was. All of it is one flow of goods
 * through a network (energies are arcs from a node's balance to their own running sum), so a vertex of the program is whole;
 * and as the optimum itself keeps to it, there is one.
 */
export function buildWhole(day: Day, { charge, discharge, offers }: Energies): Omit<Built, 'balance' | 'slacks'> {
  const { variables, constraints, add, hold } = sheet()
  const terms: Term[][][] = day.fixed.map(slots => slots.map(() => []))
  const nets = day.fixed.map(slots => [...slots])
  const near = (cost: number, value: number, most: number): number =>
    value < TOLERANCE
      ? add(cost, 0, 0)
      : add(cost, Math.max(0, Math.floor(value - TOLERANCE)), Math.min(most, Math.ceil(value + TOLERANCE)))
  const place = (
    node: number,
    sign: number,
    energies: readonly number[],
    cost: (slot: number) => number,
    most: (slot: number) => number,
  ) =>
    energies.map((energy, slot) => {
      const at = near(cost(slot), energy, most(slot))
      terms[node]![slot]!.push([at, sign])
      nets[node]![slot]! += sign * energy
      return at
    })
  /** Running sums; within the limits of the last one where there are some. */
  const running = (ats: readonly number[], energies: readonly number[], total?: DayOffer['total']): void => {
    let before: number | undefined
    let sum = 0
    for (const [slot, at] of ats.entries()) {
      sum += energies[slot]!
      const last = slot === ats.length - 1 ? total : undefined
      const lower = Math.max(last?.least ?? 0, Math.floor(sum - TOLERANCE))
      const after = add(0, lower, Math.min(last?.most ?? Number.POSITIVE_INFINITY, Math.ceil(sum + TOLERANCE)))
      hold(0, 0, [[after, 1], [at, -1], ...(before === undefined ? [] : [[before, -1] as const])])
      before = after
    }
  }
  const batteries = day.batteries.map((battery, b) => {
    const ins = place(
      battery.node,
      -1,
      charge[b]!,
      () => 0,
      () => battery.charge,
    )
    const outs = place(
      battery.node,
      1,
      discharge[b]!,
      () => -battery.wear,
      () => battery.discharge,
    )
    running(ins, charge[b]!)
    running(outs, discharge[b]!)
    return { ins, outs }
  })
  const placed = day.offers.map(({ sign, node, most, price, total }, o) => {
    const ats = place(
      node,
      sign,
      offers[o]!,
      slot => -sign * price[slot]!,
      slot => most[slot]!,
    )
    if (total !== undefined) running(ats, offers[o]!, total)
    return ats
  })
  const main = day.capacity.length
  for (let slot = 0; slot < day.slots; slot++) {
    // From the ends of the tree to the main grid: what a node lacks comes over its line.
    for (let n = main - 1; n >= 0; n--) {
      const above = day.feeder[n]! < 0 ? main : day.feeder[n]!
      const flow = -nets[n]![slot]!
      nets[above]![slot]! -= flow
      const capacity = day.capacity[n]!
      const at = add(
        0,
        Math.max(-capacity, Math.floor(flow - TOLERANCE)),
        Math.min(capacity, Math.ceil(flow + TOLERANCE)),
      )
      terms[n]![slot]!.push([at, 1])
      terms[above]![slot]!.push([at, -1])
    }
    for (let n = 0; n <= main; n++) hold(-day.fixed[n]![slot]!, -day.fixed[n]![slot]!, terms[n]![slot]!)
  }
  return {
    program: { sense: 'maximise', variables, constraints },
    read: values => ({
      charge: batteries.map(({ ins }) => ins.map(at => values[at]!)),
      discharge: batteries.map(({ outs }) => outs.map(at => values[at]!)),
      offers: placed.map(ats => ats.map(at => values[at]!)),
    }),
  }
}

function sheet() {
  const variables: Variable[] = []
  const constraints: Constraint[] = []
  return {
    variables,
    constraints,
    add: (cost: number, lower: number, upper: number): number => variables.push({ cost, lower, upper }) - 1,
    hold: (lower: number, upper: number, terms: readonly Term[]): number =>
      constraints.push({ lower, upper, terms }) - 1,
  }
}
