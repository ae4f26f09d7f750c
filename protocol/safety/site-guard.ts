/**
 * The site guard: what limit each charger may be told now, so that no fuse is overloaded on any phase, not in between
 * either. A limit goes up only into what is free while every charger still counts with the highest limit that it may be
 * holding; whatever goes down goes down at once. What is not known is not free.
 */
import type { Fault } from '../result.ts'
import type { Mono } from '../time.ts'
import { type ChargerLimits, type ChargerTraits, type Hold, LEAST_MA, type Phase, phasesOf } from './charger-hold.ts'
import { ownCurrent, toldCurrent } from './own-current.ts'

export const PHASES: readonly Phase[] = [0, 1, 2]
export type PerPhase = readonly [l1: number, l2: number, l3: number]

/** One fuse of the site, or its connection to the grid, which has nothing above it. */
export interface Fuse {
  readonly name: string
  readonly under: string | undefined
  readonly ratingMa: PerPhase
  /** Whether a meter shows what flows through it. */
  readonly metered: boolean
  /** Set aside for loads behind it that no meter shows. */
  readonly othersMa: PerPhase
}

/** What a fuse's meter showed, without sign. */
export interface FuseReading {
  readonly taken: Mono
  readonly currentsMa: PerPhase
}

/**
 * What flows through a fuse beside the charging; undefined where that is not known. `highMa` is no less than it is: good
 * enough to raise a limit by, and absent until every charger was looked at after a reading. `lowMa` is what limits are lowered
 * by: no more than what the readings show for certain, so that a car that rises to its limit is not taken for a load of the
 * house, but where an overload began or rose what is likely, as long as nobody has to be stopped by that.
 */
export type Base = { readonly lowMa: PerPhase; readonly highMa: PerPhase | undefined } | undefined

export interface GuardedCharger {
  readonly traits: ChargerTraits
  readonly hold: Hold
  /** 0 for none. */
  readonly wishMa: number
}

export interface GuardReason extends Fault {
  readonly code: 'guard.reach' | 'guard.meter' | 'guard.fuse' | 'guard.waiting'
}

export interface Order {
  readonly ma: number
  /** Why it is less than was wished. */
  readonly permit: { readonly may: true } | { readonly may: false; readonly because: readonly GuardReason[] }
}

/** A fuse and those above it, up to the connection; ends where the tree is broken. */
export function fusesAbove(fuses: ReadonlyMap<string, Fuse>, name: string): readonly Fuse[] {
  const path: Fuse[] = []
  for (let fuse = fuses.get(name); fuse !== undefined && !path.includes(fuse); ) {
    path.push(fuse)
    fuse = fuse.under === undefined ? undefined : fuses.get(fuse.under)
  }
  return path
}

/**
 * What the readings of a fuse's meter say of all that is no charger below it. What generation gives back is never counted
 * on: a cloud takes it away between two readings. `readings` are of one meter, the oldest first.
 */
export function baseOf(
  fuse: Fuse,
  readings: readonly FuseReading[],
  below: readonly Pick<GuardedCharger, 'traits' | 'hold'>[],
  limits: ChargerLimits,
  mono: Mono,
): Base {
  const { othersMa } = fuse
  if (!fuse.metered) return { lowMa: othersMa, highMa: othersMa }
  const fresh = readings.filter(({ taken }) => mono - taken <= limits.meterMs && taken <= mono).reverse()
  if (fresh.length === 0) return undefined
  const ownIn = ({ taken }: FuseReading) =>
    PHASES.map(phase => below.map(({ traits, hold }) => ownCurrent(hold, traits, phase, taken, limits)))
  const looked = fresh.find(
    reading =>
      !ownIn(reading)
        .flat()
        .some(({ awaited }) => awaited),
  )
  const less = (reading: FuseReading, side: 'leastMa' | 'mostMa') =>
    ownIn(reading).map((own, phase) =>
      own.reduce((ma, one) => ma - one[side], reading.currentsMa[phase as Phase] + othersMa[phase as Phase]),
    )
  // The newest shows at least so much; one that was looked after is exact as far as the cars were steady.
  const shown = [fresh[0]!, looked ?? fresh[0]!].map(reading => less(reading, 'mostMa'))
  const lowMa = PHASES.map(phase => {
    const certainMa = Math.max(othersMa[phase], ...shown.map(ma => ma[phase]!))
    return Math.max(certainMa, likelyMa(fuse, fresh, below, phase, limits))
  })
  // What a newer one shows may be gone when it is looked after; until then nothing goes up by the older alone.
  const high = looked && [looked, fresh[0]!].map(reading => less(reading, 'leastMa'))
  const highMa = high && lowMa.map((ma, phase) => Math.max(ma, ...high.map(one => one[phase]!)))
  return { lowMa: lowMa as unknown as PerPhase, highMa: highMa as unknown as PerPhase | undefined }
}

/**
 * What flows beside the charging by the reading at which an overload began or rose, for as long as it lasts: limits that were
 * lowered before cannot have made it, so that what chargers had been told counts, though the reading may be older than
 * that. It is likely, not certain: nobody is told less than 6 A by it. `fresh`: the newest first.
 */
function likelyMa(
  { ratingMa, othersMa }: Fuse,
  fresh: readonly FuseReading[],
  below: readonly Pick<GuardedCharger, 'traits' | 'hold'>[],
  phase: Phase,
  limits: ChargerLimits,
): number {
  const shows = ({ currentsMa }: FuseReading) => currentsMa[phase] - limits.toleranceMa
  const fits = fresh.findIndex(reading => shows(reading) <= ratingMa[phase])
  const over = fresh.slice(0, fits < 0 ? fresh.length : fits)
  const rose = over.findIndex((reading, n) => n + 1 < fresh.length && shows(reading) > fresh[n + 1]!.currentsMa[phase])
  if (rose < 0) return 0
  const { taken: read, currentsMa } = fresh[rose]!
  const when = { read, told: fresh[rose + 1]!.taken }
  const toldMa = below.map(({ traits, hold }) => toldCurrent(hold, traits, phase, when, limits))
  const on = below.filter(({ traits, hold }) => (hold.commandedMa ?? 0) > 0 && phasesOf(traits, hold).includes(phase))
  const shownMa = toldMa.reduce((ma, own) => ma - own, currentsMa[phase] + othersMa[phase])
  return Math.min(shownMa, ratingMa[phase] - on.length * LEAST_MA)
}

/** What is free on each phase of each fuse. */
export type Room = ReadonlyMap<string, readonly number[]>

/**
 * What is left for those that can be told: chargers out of reach keep what they may hold. Where the base is not known, what
 * flows beside the charging is taken for nothing: only failsafe currents are shared there.
 */
export function roomOf(
  fuses: ReadonlyMap<string, Fuse>,
  bases: ReadonlyMap<string, Base>,
  chargers: readonly GuardedCharger[],
): Room {
  const room = new Map(
    [...fuses.values()].map(fuse => [fuse.name, freeOf(fuse, bases.get(fuse.name)?.lowMa ?? fuse.othersMa)]),
  )
  for (const { traits, hold } of chargers) {
    if (hold.reach !== 'heard') take(room, fuses, traits, hold, hold.ceilingMa)
  }
  return room
}

function freeOf({ ratingMa }: Fuse, ma: PerPhase): number[] {
  return PHASES.map(phase => ratingMa[phase] - ma[phase])
}

function take(
  room: ReadonlyMap<string, number[]>,
  fuses: ReadonlyMap<string, Fuse>,
  traits: ChargerTraits,
  hold: Hold,
  ma: number,
): void {
  for (const fuse of fusesAbove(fuses, traits.fuse)) {
    const free = room.get(fuse.name)!
    for (const phase of phasesOf(traits, hold)) free[phase]! -= ma
  }
}

/** What is left once a charger holds itself to `ma`. */
export function lessRoom(
  room: Room,
  fuses: ReadonlyMap<string, Fuse>,
  traits: ChargerTraits,
  hold: Hold,
  ma: number,
): Room {
  const left = new Map([...room].map(([name, free]) => [name, [...free]]))
  take(left, fuses, traits, hold, ma)
  return left
}

/** The least that is free for a charger on its way, and where. */
export function tightest(
  room: Room,
  fuses: ReadonlyMap<string, Fuse>,
  traits: ChargerTraits,
  hold: Hold,
): { readonly freeMa: number; readonly fuse: string; readonly phase: Phase } {
  let least = { freeMa: Number.NEGATIVE_INFINITY, fuse: traits.fuse, phase: traits.conductors[0] as Phase }
  let first = true
  for (const { name } of fusesAbove(fuses, traits.fuse)) {
    for (const phase of phasesOf(traits, hold)) {
      const freeMa = room.get(name)![phase]!
      if (first || freeMa < least.freeMa) least = { freeMa, fuse: name, phase }
      first = false
    }
  }
  return least
}

/** A limit that a charger can be told, no higher: 0, or from 6 A to its most, in its own steps. */
export function toldLimit({ mostMa, stepMa }: ChargerTraits, ma: number): number {
  const whole = Math.floor(Math.min(ma, mostMa) / stepMa) * stepMa
  return whole >= LEAST_MA ? whole : 0
}

/**
 * What each charger is to be told now. `chargers` come in the order in which they are served where their wishes are more
 * than there is.
 */
export function guard(
  fuses: ReadonlyMap<string, Fuse>,
  bases: ReadonlyMap<string, Base>,
  chargers: readonly GuardedCharger[],
): ReadonlyMap<string, Order> {
  const because = new Map<string, GuardReason[]>(chargers.map(({ traits }) => [traits.name, []]))
  const blame = ({ traits }: GuardedCharger, reason: GuardReason) => because.get(traits.name)!.push(reason)

  // Where each should come to rest: what is wished, as far as it fits when all rest there.
  const rest = roomOf(fuses, bases, chargers) as Map<string, number[]>
  const aims = new Map<GuardedCharger, number>()
  for (const charger of chargers) {
    const { traits, hold, wishMa } = charger
    if (hold.reach !== 'heard') {
      aims.set(charger, 0)
      blame(charger, { code: 'guard.reach', reach: hold.reach, countedMa: hold.ceilingMa })
      continue
    }
    let aim = toldLimit(traits, wishMa)
    const blind = fusesAbove(fuses, traits.fuse).find(({ name }) => bases.get(name) === undefined)
    if (blind !== undefined && aim > 0) {
      aim = toldLimit(traits, Math.min(aim, traits.failsafeMa, hold.commandedMa ?? 0))
      blame(charger, { code: 'guard.meter', fuse: blind.name, toMa: aim })
    }
    const { freeMa, fuse, phase } = tightest(rest, fuses, traits, hold)
    if (aim > freeMa) {
      blame(charger, { code: 'guard.fuse', fuse, phase: phase + 1, freeMa, wishedMa: aim })
      aim = toldLimit(traits, freeMa)
    }
    take(rest, fuses, traits, hold, aim)
    aims.set(charger, aim)
  }

  // The way there: everything that may still be in force counts.
  const now = new Map(
    [...fuses.values()].map(fuse => [fuse.name, freeOf(fuse, bases.get(fuse.name)?.highMa ?? fuse.ratingMa)]),
  )
  for (const { traits, hold } of chargers) take(now, fuses, traits, hold, hold.ceilingMa)
  const orders = new Map<string, Order>()
  for (const charger of chargers) {
    const { traits, hold, wishMa } = charger
    const aim = aims.get(charger)!
    const before = hold.commandedMa ?? 0
    let ma = aim
    if (aim > before) {
      const { freeMa, fuse, phase } = tightest(now, fuses, traits, hold)
      const certain = fusesAbove(fuses, traits.fuse).every(({ name }) => bases.get(name)?.highMa !== undefined)
      // By answers alone nothing goes up: a look at it since shows whether it was restarted.
      const seen =
        hold.commandedMa === undefined ||
        (hold.takenAt !== undefined && hold.look !== undefined && hold.look.begun >= hold.answeredAt)
      const reachable = seen && certain && freeMa >= 0 ? toldLimit(traits, hold.ceilingMa + freeMa) : 0
      if (reachable < aim) {
        blame(charger, { code: 'guard.waiting', fuse, phase: phase + 1, freeMa, aimMa: aim, certain, seen })
        ma = Math.max(before, reachable)
      }
      take(now, fuses, traits, hold, Math.max(0, ma - hold.ceilingMa))
    }
    const reasons = because.get(traits.name)!
    const permit =
      ma >= toldLimit(traits, wishMa) ? ({ may: true } as const) : { may: false as const, because: reasons }
    orders.set(traits.name, { ma, permit })
  }
  return orders
}
