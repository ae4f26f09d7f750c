/**
 * Cars that charge and cars that discharge at one station, by the iterative double auction of Kang et al. ("Enabling
 * localized peer-to-peer electricity trading among plug-in hybrid electric vehicles using consortium blockchains", IEEE
 * TII 13(6), 2017): maximise the charging cars' utility less the discharging cars' cost, without anybody's utility or cost.
 *
 * Each round the auctioneer allots energy, and each car answers with one price: what one more kWh is worth to it there, or
 * costs it. In the paper's words a charging car bids b = c * U'(c), and the auctioneer, maximising sum of b ln c - s d^2 / 2,
 * allots c = b / lambda; the price here is b / c. By that rule alone utilities steeper than a logarithm swing for ever, so it
 * holds beyond what a car has answered so far; between two answers of a car the auctioneer takes its prices for a line.
 *
 * For a concave utility the prices bound what any other allotment could gain (`gap`), so the auctioneer knows from what it
 * hears when to stop. Floats live in the rounds only; what is allotted in the end is whole and checked.
 */
import {
  costFloor,
  type Energy,
  type Money,
  micros,
  microsPerKwh,
  milliwattHours,
  type Price,
  type WattHours,
  wattHours,
} from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

/** What a car says once. */
export interface Entrant {
  /** A pseudonym. */
  readonly id: string
  readonly side: 'charge' | 'discharge'
  /** A charging car leaves with no less; 0 for one that discharges. */
  readonly least: WattHours
  /** Room in the battery, or what its owner spares, and no more than the charger does in the slot. */
  readonly most: WattHours
}

/** What the auctioneer tells one car each round. */
export interface Call {
  readonly round: number
  readonly energy: Energy
}

/** What a car answers: of its utility or cost nothing but the slope at this one energy. */
export interface Answer {
  readonly round: number
  readonly price: Price
}

interface Seat extends Entrant {
  /** Wh, as a float. */
  readonly energy: number
  /** What it has answered, by rising energy. */
  readonly curve: readonly Point[]
}

interface Point {
  readonly energy: number
  readonly price: number
}

export interface CarPark {
  readonly lossPermille: number
  readonly round: number
  readonly seats: readonly Seat[]
  /** Per kWh taken from the station, as a float; absent before the first answers. */
  readonly price?: number
  /** Cars that are out, and why. */
  readonly out: readonly { readonly id: string; readonly code: OutCode }[]
}

export type OutCode = 'car-park.silent' | 'car-park.wrong-round' | 'car-park.price' | 'car-park.not-concave'

export type CarParkFault =
  | { readonly code: 'car-park.entrant'; readonly id: string; readonly field: 'id' | 'least' | 'most' }
  | { readonly code: 'car-park.too-many'; readonly cars: number; readonly most: number }
  | { readonly code: 'car-park.loss'; readonly lossPermille: number }
  | { readonly code: 'car-park.shortage'; readonly wanted: bigint; readonly spared: bigint }
  | { readonly code: 'car-park.no-agreement'; readonly rounds: number }

/** A large multi-storey car park. */
const MAX_CARS = 2000
/** 1 MWh: more than a lorry's battery. */
const MAX_ENERGY = 1_000_000n
/** A thousand coins for a kWh. */
const MAX_PRICE = 1_000_000_000
/** What does not settle by then has somebody in it who does not want it to. */
const MAX_ROUNDS = 500
/** No allotment changes by more than this share in the last round, as in the paper. */
const CHANGE = 0.01
/** Nor could another allotment gain more than this share of what this one is known to be worth. */
const GAP = 0.0005
/** Or than 100 micro-units a car, as whole prices have to be let stray: in micro-units per kWh times Wh. */
const LEAST_GAP = 100_000
/** Wh; below it an allotment is 0 in the end, and above 0 a price still lets it grow. */
const SEED = 0.01
/** A hundredth in price is then a tenth in energy. */
const FURTHEST = 10
/** Micro-units per kWh for each Wh: far below a rounding, far above what two floats part. */
const TILT = 1e-5
/** Micro-units per kWh by which whole prices may stray from a falling curve. */
const ROUNDING = 1

export function openCarPark(entrants: readonly Entrant[], lossPermille: number): Result<CarPark, CarParkFault> {
  if (entrants.length > MAX_CARS) return fail({ code: 'car-park.too-many', cars: entrants.length, most: MAX_CARS })
  if (!Number.isInteger(lossPermille) || lossPermille < 0 || lossPermille > 999) {
    return fail({ code: 'car-park.loss', lossPermille })
  }
  const ids = new Set<string>()
  for (const { id, side, least, most } of entrants) {
    const no = (field: 'id' | 'least' | 'most') => fail({ code: 'car-park.entrant', id, field } as const)
    if (ids.has(id)) return no('id')
    ids.add(id)
    if (most <= 0n || most > MAX_ENERGY) return no('most')
    if (least < 0n || least > most || (side === 'discharge' && least > 0n)) return no('least')
  }
  const seats = entrants.map(one => ({
    ...one,
    // Everybody begins in the middle of what it can do.
    energy: (Number(one.least) + Number(one.most)) / 2,
    curve: [],
  }))
  return enough({ lossPermille, round: 1, seats, out: [] })
}

/** What the charging cars must have can be had. */
function enough(park: CarPark): Result<CarPark, CarParkFault> {
  const wanted = park.seats.reduce((sum, { least }) => sum + least, 0n)
  const spared = park.seats.reduce((sum, { side, most }) => sum + (side === 'discharge' ? most : 0n), 0n)
  return wanted * 1000n > spared * BigInt(1000 - park.lossPermille)
    ? fail({ code: 'car-park.shortage', wanted, spared })
    : ok(park)
}

export const callsOf = ({ round, seats }: CarPark): ReadonlyMap<string, Call> =>
  new Map(seats.map(({ id, energy }) => [id, { round, energy: milliwattHours(BigInt(Math.round(energy * 1000))) }]))

/** A round's answers: the next round, or `agreed`. Who does not answer, or not as a falling utility would, is out. */
export function hearAnswers(
  park: CarPark,
  answers: ReadonlyMap<string, Answer>,
): Result<{ readonly park: CarPark; readonly agreed: boolean }, CarParkFault> {
  const out = [...park.out]
  const seats: Seat[] = []
  for (const seat of park.seats) {
    const answer = answers.get(seat.id)
    const code = wrongOf(park, seat, answer)
    if (code !== undefined) out.push({ id: seat.id, code })
    else seats.push({ ...seat, curve: withPoint(seat, Number(answer!.price)) })
  }
  const left = enough({ ...park, seats, out })
  if (!left.ok) return left
  const yields = 1 - park.lossPermille / 1000
  const next = (seat: Seat, price: number): number =>
    clamp(follow(seat, seat.side === 'charge' ? price : price * yields), Number(seat.least), Number(seat.most))
  const price = balance(seats, next, yields)
  const moved = seats.map(seat => ({ ...seat, energy: next(seat, price) }))
  // Before the first answers, and after a car has gone, what was allotted does not balance.
  const balanced = park.price !== undefined && seats.length === park.seats.length
  const still = seats.every((seat, i) => Math.abs(moved[i]!.energy - seat.energy) <= CHANGE * seat.energy + 1)
  const enoughFor = Math.max(GAP * worthOf(seats), LEAST_GAP * seats.length)
  const agreed = balanced && still && gapOf(seats, price, yields) <= enoughFor
  // What was agreed is what the cars were last asked about.
  if (agreed) return ok({ park: { ...park, seats, price, out }, agreed })
  if (park.round >= MAX_ROUNDS) return fail({ code: 'car-park.no-agreement', rounds: park.round })
  return ok({ park: { ...park, seats: moved, price, out, round: park.round + 1 }, agreed })
}

function wrongOf(park: CarPark, { side, energy, curve }: Seat, answer: Answer | undefined): OutCode | undefined {
  if (answer === undefined) return 'car-park.silent'
  if (answer.round !== park.round) return 'car-park.wrong-round'
  if (answer.price < 0n || answer.price > MAX_PRICE) return 'car-park.price'
  // More energy is never worth more a kWh, nor costs less.
  const bent = curve.some(point => {
    const rise = (Number(answer.price) - point.price) * (side === 'charge' ? 1 : -1)
    return rise * Math.sign(energy - point.energy) > ROUNDING
  })
  return bent ? 'car-park.not-concave' : undefined
}

/** The curve with an answer; of two at one energy the later one. */
function withPoint({ energy, curve }: Seat, price: number): Point[] {
  const before = curve.filter(point => point.energy < energy)
  const after = curve.filter(point => point.energy > energy)
  return [...before, { energy, price }, ...after]
}

/** What a car would take or give at a price, as far as its answers tell. */
function follow({ side, curve }: Seat, price: number): number {
  const falls = side === 'charge' ? 1 : -1
  /** Prices that rise, or fall, strictly: where a car's do not, the more energy stands for the better price by a hair. */
  const at = (point: Point) => Math.max(1, point.price) - falls * TILT * point.energy
  // By rising energy: passed are the points at which the car would still take, or give, more.
  const after = curve.findIndex(point => falls * (at(point) - price) < 0)
  if (after > 0) {
    const [a, b] = [curve[after - 1]!, curve[after]!]
    const part = (at(a) - price) / (at(a) - at(b))
    // Whole prices may cross their neighbours' by a rounding.
    return a.energy + clamp(part, 0, 1) * (b.energy - a.energy)
  }
  const [end, inner] = after === 0 ? [curve[0]!, curve[1]] : [curve.at(-1)!, curve.at(-2)]
  const pull = Math.max(at(end), TILT) / price
  return Math.max(end.energy, SEED) * pull ** (falls * reach(end, inner))
}

/** How much further than the paper's rule: a car whose price hardly moved with its energy will go further for it. */
function reach(end: Point, inner: Point | undefined): number {
  if (inner === undefined || inner.energy <= 0 || end.energy <= 0) return 1
  const prices = Math.log(Math.max(1, inner.price) / Math.max(1, end.price))
  const energies = Math.log(inner.energy / end.energy)
  return prices === 0 ? FURTHEST : clamp(Math.abs(energies / prices), 1, FURTHEST)
}

const clamp = (x: number, least: number, most: number): number => Math.min(most, Math.max(least, x))

/** Beyond all prices heard, so far that it is where one side has nothing more to say. */
const FAR = 1000
/** Of the exponent; more than part two floats. */
const HALVINGS = 60

/** The price at which the next allotments balance: what is taken falls with it and what is given rises. */
function balance<S extends Seat>(
  seats: readonly S[],
  next: (seat: S, price: number) => number,
  yields: number,
): number {
  const heard = seats.flatMap(({ curve }) => curve.map(point => Math.max(1, point.price)))
  let [low, high] = [MAX_PRICE, 1]
  for (const one of heard) [low, high] = [Math.min(low, one), Math.max(high, one)]
  ;[low, high] = [low / FAR, high * FAR]
  for (let i = 0; i < HALVINGS; i++) {
    const price = Math.sqrt(low * high)
    let excess = 0
    for (const seat of seats) excess += seat.side === 'charge' ? next(seat, price) : -yields * next(seat, price)
    if (excess > 0) low = price
    else high = price
  }
  return Math.sqrt(low * high)
}

/**
 * The most that another allotment could gain: with a falling curve, energy beyond an answer is worth its price at most, and
 * energy before it at least that.
 */
function gapOf(seats: readonly Seat[], price: number, yields: number): number {
  let gap = 0
  for (const { side, energy, least, most, curve } of seats) {
    const [falls, line] = side === 'charge' ? [1, price] : [-1, price * yields]
    for (const [i, point] of curve.entries()) {
      const better = falls * (point.price - line)
      if (point.energy >= energy && better > 0) {
        gap += better * ((curve[i + 1]?.energy ?? Number(most)) - point.energy)
      } else if (point.energy <= energy && better < 0) {
        gap -= better * (point.energy - (curve[i - 1]?.energy ?? Number(least)))
      }
    }
  }
  return gap
}

/** What an allotment is worth at least: with a falling curve, energy up to an answer is worth its price at least. */
function worthOf(seats: readonly Seat[]): number {
  let worth = 0
  for (const { side, energy, least, curve } of seats) {
    let reached = Number(least)
    for (const point of curve) {
      if (point.energy > energy || point.energy <= reached) continue
      worth += (side === 'charge' ? 1 : -1) * point.price * (point.energy - reached)
      reached = point.energy
    }
  }
  return worth
}

export interface Allotment {
  /** Per kWh taken from the station. */
  readonly price: Price
  readonly cars: readonly {
    readonly id: string
    readonly side: Entrant['side']
    readonly energy: WattHours
    /** Paid by a car that charges, received by one that discharges. */
    readonly money: Money
  }[]
  /** Given - taken. */
  readonly lost: WattHours
  /** Paid - received: for the rounding account. */
  readonly residue: Money
}

/**
 * What was agreed, in whole watt-hours and micro-units. Charging cars get the whole Wh of their allotment, but never less
 * than their least; as much is given as that takes with its losses, by largest remainder; what is paid is shared by what
 * was given, rounded down.
 */
export function allotmentOf({ seats, price, lossPermille }: CarPark): Allotment {
  const perKwh = microsPerKwh(BigInt(Math.floor(price ?? 0)))
  const permille = BigInt(1000 - lossPermille)
  const spared = seats.reduce((sum, { side, most }) => sum + (side === 'discharge' ? most : 0n), 0n)
  let room = (spared * permille) / 1000n - seats.reduce((sum, { least }) => sum + least, 0n)
  const taken = seats.map(({ side, energy, least }) => {
    if (side === 'discharge') return 0n
    // A first guess of everybody's middle may be more than there is; an agreed one is not.
    const more = BigInt(Math.floor(energy)) - least
    const granted = more < room ? more : room
    room -= granted
    return least + granted
  })
  const total = taken.reduce((sum, energy) => sum + energy, 0n)
  const given = shareOut(seats, (total * 1000n + permille - 1n) / permille)
  const sent = given.reduce((sum, energy) => sum + energy, 0n)
  const paid = taken.map(energy => costFloor(wattHours(energy), perKwh))
  const pot = paid.reduce((sum, money) => sum + money, 0n)
  const received = given.map(energy => (sent === 0n ? 0n : (pot * energy) / sent))
  const cars = seats.map(({ id, side }, i) => ({
    id,
    side,
    energy: wattHours(side === 'charge' ? taken[i]! : given[i]!),
    money: micros(side === 'charge' ? paid[i]! : received[i]!),
  }))
  const residue = micros(pot - received.reduce((sum, money) => sum + money, 0n))
  return { price: perKwh, cars, lost: wattHours(sent - total), residue }
}

/** Whole Wh of each discharging car that sum to `total`: what was allotted, rounded down, then one more each by largest remainder. */
function shareOut(seats: readonly Seat[], total: bigint): bigint[] {
  const given = seats.map(() => 0n)
  const order = seats
    .map((seat, i) => ({ ...seat, i }))
    .filter(({ side }) => side === 'discharge')
    .sort((a, b) => (b.energy % 1) - (a.energy % 1) || (a.id < b.id ? -1 : 1))
  let rest = total
  const give = (i: number, energy: bigint) => {
    const some = energy < rest ? energy : rest
    given[i]! += some
    rest -= some
  }
  for (const { i, energy } of order) give(i, BigInt(Math.floor(energy)))
  // Together they spare as much, so there is always one with room.
  while (rest > 0n) for (const { i, most } of order) if (given[i]! < most) give(i, 1n)
  return given
}

/** Who delivers how much to whom: in the order of the cars, so that there are fewer pairs than cars. */
export function pairsOf({ cars }: Pick<Allotment, 'cars'>): readonly {
  readonly buyer: string
  readonly seller: string
  readonly energy: WattHours
}[] {
  const rest = new Map(cars.map(({ id, energy }) => [id, energy as bigint]))
  const sellers = cars.filter(({ side }) => side === 'discharge')
  return cars.flatMap(({ id: buyer, side }) =>
    side === 'discharge'
      ? []
      : sellers.flatMap(({ id: seller }) => {
          const [wanted, given] = [rest.get(buyer)!, rest.get(seller)!]
          const energy = wattHours(wanted < given ? wanted : given)
          rest.set(buyer, wanted - energy)
          rest.set(seller, given - energy)
          return energy === 0n ? [] : [{ buyer, seller, energy }]
        }),
  )
}
