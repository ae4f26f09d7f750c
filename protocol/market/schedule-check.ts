/**
 * What a day-ahead schedule is made from and what it says; and the exact check of one against the other, which needs no solver
 * and believes none: any board can make it.
 */
import { type Energy, type Money, milliwattHours, type Price, type WattHours } from '../quantity.ts'
import { done, fail, ok, type Result } from '../result.ts'
import {
  type Breach,
  createNetworkCheck,
  MAX_SLOT_WH,
  type Move,
  type Network,
  type NetworkFault,
  readNetwork,
} from './network-check.ts'

/** A week of quarters of an hour. */
const MAX_SLOTS = 672
/** As for every price: a thousand coins for a kWh. */
const MAX_PRICE = 1_000_000_000n
const PERMILLE = 1000

/** Energies are at its terminals, in a slot; what it stores is in its own state of charge. */
export interface Battery {
  readonly name: string
  /** Absent: at the main grid, above all lines. */
  readonly node?: string
  readonly capacity: WattHours
  /** Never below this; the start is not below it either. */
  readonly reserve: WattHours
  readonly start: WattHours
  /** At the end of the last slot, at least; by default the reserve. */
  readonly final?: WattHours
  readonly charge: WattHours
  readonly discharge: WattHours
  /** How much of what goes in is stored, and how much of what is taken from the store comes out. */
  readonly chargePermille: number
  readonly dischargePermille: number
  /** What its owner asks for a kWh given, for wear. */
  readonly wear: Price
}

/** A voluntary order over all slots: of a generator, a load that can wait, a retailer, the main grid. */
export interface ScheduleOffer {
  readonly name: string
  readonly node?: string
  readonly side: 'supply' | 'demand'
  /** By slot; a supply asks at least its price, a demand pays at most it. */
  readonly most: readonly WattHours[]
  readonly price: readonly Price[]
  /** Over the whole day. `least` is owed whatever it costs. */
  readonly total?: { readonly least: WattHours; readonly most: WattHours }
}

export interface DayAhead {
  readonly network: Network
  readonly slots: number
  /** Deals made already, between any two: nothing here moves them. */
  readonly contracts: readonly Move[]
  readonly batteries: readonly Battery[]
  readonly offers: readonly ScheduleOffer[]
}

export interface BatteryPlan {
  readonly name: string
  readonly charge: readonly WattHours[]
  readonly discharge: readonly WattHours[]
  /** State of charge after each slot. */
  readonly stored: readonly Energy[]
}

export interface Schedule {
  readonly batteries: readonly BatteryPlan[]
  /** As the orders are. */
  readonly offers: readonly { readonly name: string; readonly energy: readonly WattHours[] }[]
  /** What one more kWh taken at a node in a slot would cost all together; the main grid's under its own name. May be below 0. */
  readonly prices: ReadonlyMap<string, readonly Price[]>
  readonly mainPrice: readonly Price[]
  /** Worth of the demand served less cost of the supply and wear of the batteries, rounded down. */
  readonly welfare: Money
  /** The same of the optimum in fractions of a watt-hour, rounded up: nothing whole is better. */
  readonly bound: Money
}

export type DayFault =
  | NetworkFault
  | { readonly code: 'schedule.slots'; readonly slots: number; readonly most: number }
  | { readonly code: 'schedule.name'; readonly name: string }
  | { readonly code: 'schedule.battery'; readonly name: string; readonly field: string }
  | { readonly code: 'schedule.offer'; readonly name: string; readonly field: string }

export type CheckFault =
  | DayFault
  | Breach
  | { readonly code: 'schedule.shape'; readonly name: string }
  | { readonly code: 'schedule.balance'; readonly slot: number; readonly by: bigint }
  | {
      readonly code: 'schedule.power'
      readonly name: string
      readonly slot: number
      readonly energy: bigint
      readonly most: bigint
    }
  | {
      readonly code: 'schedule.state-of-charge'
      readonly name: string
      readonly slot: number
      /** In mWh. */
      readonly stored: bigint
      readonly lowest: bigint
      readonly highest: bigint
    }
  | {
      readonly code: 'schedule.total'
      readonly name: string
      readonly energy: bigint
      readonly least: bigint
      readonly most: bigint
    }

const inRange = (value: bigint, least: bigint, most: bigint): boolean => value >= least && value <= most
const isEnergy = (value: bigint): boolean => inRange(value, 0n, BigInt(MAX_SLOT_WH))
const isRate = (permille: number): boolean => Number.isInteger(permille) && permille >= 1 && permille <= PERMILLE

/** Whether what a schedule is to be made from is in its bounds. Whether it can be met is the solver's to say. */
export function checkDay({ network, slots, contracts, batteries, offers }: DayAhead): Result<void, DayFault> {
  const grid = readNetwork(network)
  if (!grid.ok) return grid
  if (!Number.isInteger(slots) || slots < 1 || slots > MAX_SLOTS)
    return fail({ code: 'schedule.slots', slots, most: MAX_SLOTS })
  const names = new Set<string>()
  for (const { name, node } of [...batteries, ...offers]) {
    if (names.has(name)) return fail({ code: 'schedule.name', name })
    names.add(name)
    if (node !== undefined && !grid.value.index.has(node)) return fail({ code: 'network.unknown-node', node })
  }
  for (const battery of batteries) {
    const field = wrongOfBattery(battery)
    if (field !== undefined) return fail({ code: 'schedule.battery', name: battery.name, field })
  }
  for (const offer of offers) {
    const field = wrongOfOffer(offer, slots)
    if (field !== undefined) return fail({ code: 'schedule.offer', name: offer.name, field })
  }
  const check = createNetworkCheck(grid.value)
  for (const move of contracts) {
    if (move.slot >= slots) return fail({ code: 'network.move-range', slot: move.slot, energy: move.energy })
    const placed = check.place(move)
    if (!placed.ok) return placed
  }
  return done
}

function wrongOfBattery(battery: Battery): string | undefined {
  const {
    capacity,
    reserve,
    start,
    final = reserve,
    charge,
    discharge,
    chargePermille,
    dischargePermille,
    wear,
  } = battery
  for (const [field, value] of Object.entries({ capacity, charge, discharge })) if (!isEnergy(value)) return field
  if (!inRange(reserve, 0n, capacity)) return 'reserve'
  if (!inRange(start, reserve, capacity)) return 'start'
  // Rounding to whole watt-hours wants its room below the top.
  if (final !== reserve && !inRange(final, reserve, capacity - (2n * insetOf(battery)) / 1000n - 1n)) return 'final'
  if (!isRate(chargePermille)) return 'chargePermille'
  if (!isRate(dischargePermille)) return 'dischargePermille'
  return inRange(wear, 0n, MAX_PRICE) ? undefined : 'wear'
}

function wrongOfOffer({ most, price, total }: ScheduleOffer, slots: number): string | undefined {
  if (most.length !== slots || !most.every(isEnergy)) return 'most'
  // The main grid may ask for money to take energy.
  if (price.length !== slots || !price.every(one => inRange(one, -MAX_PRICE, MAX_PRICE))) return 'price'
  if (total !== undefined && !(total.least >= 0n && total.least <= total.most)) return 'total'
  return undefined
}

/**
 * How far, in mWh, whole watt-hours may take the state of charge from where fractions had it: each running sum is off by at
 * most one watt-hour, and what is drawn is rounded up to a milliwatt-hour in each slot.
 */
export const insetOf = ({ chargePermille, dischargePermille }: Battery): bigint =>
  isRate(chargePermille) && isRate(dischargePermille)
    ? BigInt(chargePermille) + drawn(1n, dischargePermille) + BigInt(MAX_SLOTS)
    : 0n

/** What goes into the store, in mWh; exact. */
const stored = (charge: bigint, permille: number): bigint => charge * BigInt(permille)
/** What is taken from the store, in mWh, rounded up: never more comes out than was in. */
const drawn = (discharge: bigint, permille: number): bigint =>
  (discharge * 1_000_000n + BigInt(permille) - 1n) / BigInt(permille)

/** A battery's state of charge after each slot, exactly. */
export function socOf(
  battery: Battery,
  charge: readonly WattHours[],
  discharge: readonly WattHours[],
): readonly Energy[] {
  let now = battery.start * 1000n
  return charge.map((energy, slot) => {
    now += stored(energy, battery.chargePermille) - drawn(discharge[slot]!, battery.dischargePermille)
    return milliwattHours(now)
  })
}

/** Whether a schedule keeps every limit of its day: power, state of charge, totals, balance, lines and voltages. */
export function checkSchedule(day: DayAhead, schedule: Schedule): Result<void, CheckFault> {
  const sound = checkDay(day)
  if (!sound.ok) return sound
  const grid = readNetwork(day.network)
  if (!grid.ok) return grid
  const network = createNetworkCheck(grid.value)
  for (const move of day.contracts) network.place(move)
  const sums = Array.from({ length: day.slots }, () => 0n)
  /** Books what is given at a node and refuses more than may be. */
  const book = (
    { name, node }: { readonly name: string; readonly node?: string },
    sign: 1n | -1n,
    energies: readonly WattHours[] | undefined,
    mostIn: (slot: number) => bigint,
  ): Result<void, CheckFault> => {
    if (energies?.length !== day.slots) return fail({ code: 'schedule.shape', name })
    for (const [slot, energy] of energies.entries()) {
      if (!inRange(energy, 0n, mostIn(slot))) {
        return fail({ code: 'schedule.power', name, slot, energy, most: mostIn(slot) })
      }
      sums[slot]! += sign * energy
      const end = node === undefined ? {} : sign > 0n ? { from: node } : { to: node }
      const placed = network.place({ slot, energy, ...end })
      if (!placed.ok) return placed
    }
    return done
  }
  for (const [b, battery] of day.batteries.entries()) {
    const plan = schedule.batteries[b]
    if (plan?.name !== battery.name) return fail({ code: 'schedule.shape', name: battery.name })
    const taken = book(battery, -1n, plan.charge, slot => (plan.discharge[slot] === 0n ? battery.charge : 0n))
    if (!taken.ok) return taken
    const given = book(battery, 1n, plan.discharge, () => battery.discharge)
    if (!given.ok) return given
    const soc = checkStored(battery, plan)
    if (!soc.ok) return soc
  }
  for (const [o, offer] of day.offers.entries()) {
    const { name, total } = offer
    const plan = schedule.offers[o]
    if (plan?.name !== name) return fail({ code: 'schedule.shape', name })
    const booked = book(offer, offer.side === 'supply' ? 1n : -1n, plan.energy, slot => offer.most[slot]!)
    if (!booked.ok) return booked
    const energy = plan.energy.reduce((sum, one) => sum + one, 0n)
    if (total !== undefined && !inRange(energy, total.least, total.most)) {
      return fail({ code: 'schedule.total', name, energy, ...total })
    }
  }
  const unbalanced = sums.findIndex(sum => sum !== 0n)
  if (unbalanced >= 0) return fail({ code: 'schedule.balance', slot: unbalanced, by: sums[unbalanced]! })
  const [worst] = network.breaches()
  return worst === undefined ? ok(undefined) : fail(worst)
}

function checkStored(battery: Battery, plan: BatteryPlan): Result<void, CheckFault> {
  const { name, capacity, reserve, final = reserve } = battery
  const soc = socOf(battery, plan.charge, plan.discharge)
  for (const [slot, now] of soc.entries()) {
    const lowest = (slot === soc.length - 1 ? final : reserve) * 1000n
    const highest = capacity * 1000n
    if (!inRange(now, lowest, highest))
      return fail({ code: 'schedule.state-of-charge', name, slot, stored: now, lowest, highest })
    if (plan.stored[slot] !== now) return fail({ code: 'schedule.shape', name })
  }
  return done
}
