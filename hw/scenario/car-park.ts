/**
 * Cars at a charging station: two joined by a cable, five in the auction of the building that they stand in, and one that
 * looks for a station under a key of that charge alone.
 */
import { fromHex, toHex } from '../../protocol/bytes.ts'
import { METERS } from '../../protocol/ledger/tables.ts'
import { checkReveal } from '../../protocol/privacy/charging.ts'
import { decodeAs } from '../../protocol/record.ts'
import { topicOf } from '../../protocol/trade/message.ts'
import { carAt, charge, ringOf, type Session, stationBySearch, stationKey } from '../sim/charging-sessions.ts'
import { constantProfile } from '../sim/profile.ts'
import { seededRandom } from '../sim/random.ts'
import type { District, DistrictSite } from './district.ts'
import { judgeDistrict } from './judge-district.ts'
import { dealsOf, namesOf, recordsOf } from './ledger-view.ts'
import { charging, giving, optimumOf } from './park-optimum.ts'
import { createPlant, type Plant } from './plant.ts'
import { type DistrictRun, openDistrict } from './run-district.ts'
import type { Scenario } from './scenario.ts'

/** Short slots, as the batteries are large: what is tried does not depend on their length. */
const PARK_SLOT_MS = 180_000
const SLOTS = 3
const WINDOWS = { lead: '100s', receipt_window: '20s', dispute_window: '20s' }
const ENROLLED = { trust: 'software', accuracy: 'B' } as const
const W = (watts: number) => constantProfile(watts * 1000)

// --- Who parks

export const STATION = 'garage'
/** What the building's connection carries from outside for the cars; coins for its first kWh of a slot, and how much more for each further one. */
const OUTSIDE = { connectionW: 6_000, price: 0.3, rise: 0.1 }

interface ParkedCar {
  readonly storedWh: number
  readonly reserveWh: number
  readonly powerW: number
  readonly willingness?: number
  readonly cost?: number
  readonly wear?: number
}

const CAPACITY_WH = 50_000

const CARS: Readonly<Record<string, ParkedCar>> = {
  ada: { storedWh: 30_000, reserveWh: 0, powerW: 22_000, willingness: 0.45 },
  bob: { storedWh: 10_000, reserveWh: 0, powerW: 11_000, willingness: 0.36 },
  cyd: { storedWh: 20_000, reserveWh: 0, powerW: 22_000, willingness: 0.55 },
  dot: { storedWh: 40_000, reserveWh: 5_000, powerW: 11_000, cost: 0.1, wear: 0.5 },
  /** Has little to spare: its reserve ends its sales. */
  eli: { storedWh: 6_000, reserveWh: 5_200, powerW: 22_000, cost: 0.16, wear: 0.1 },
}

const parked = (name: string): DistrictSite => {
  const { storedWh, reserveWh, powerW, willingness, cost, wear } = CARS[name]!
  return {
    name,
    role: 'car',
    node: STATION,
    enrolled: ENROLLED,
    source: 'battery',
    profile: { load: W(0), generation: W(0) },
    grid: WINDOWS,
    sections: {
      battery: { capacity: `${CAPACITY_WH}Wh`, stored: `${storedWh}Wh`, reserve: `${reserveWh}Wh` },
      park_car: {
        ...{ station: STATION, power: `${powerW}W` },
        ...(willingness === undefined
          ? { cost: String(cost), wear: String(wear) }
          : { willingness: String(willingness) }),
      },
    },
  }
}

// --- Two cars and a cable

const [GIVER, TAKER] = ['van', 'mini']
/** The wires' batteries begin at six tenths. */
const GIVER_BATTERY = { capacityWh: 10_000, powerW: 5_000 }
const GIVER_RESERVE_WH = 5_850
const CABLE_W = 2_500

const TRADE = { slot: '60s', receipt_window: '20s', dispute_window: '20s', energy: '42Wh', loss: '3%' }

const cableCars = (reserveWh: number): readonly DistrictSite[] => [
  {
    name: GIVER!,
    role: 'car',
    node: STATION,
    enrolled: ENROLLED,
    source: 'battery',
    battery: GIVER_BATTERY,
    profile: { load: W(0), generation: W(0) },
    sections: {
      battery: { capacity: '10kWh', stored: '6kWh', reserve: `${reserveWh}Wh` },
      trade: { ...TRADE, sell: { reserve: '0.14', opening: '0.24', capacity: '5kW' } },
    },
  },
  {
    name: TAKER!,
    role: 'car',
    node: STATION,
    enrolled: ENROLLED,
    source: 'battery',
    battery: { capacityWh: 20_000, powerW: 5_000 },
    circuit: { name: 'charging point', demandW: CABLE_W },
    profile: { load: W(0), generation: W(0) },
    sections: {
      battery: { capacity: '20kWh', stored: '12kWh', reserve: '4kWh' },
      trade: { ...TRADE, buy: { limit: '0.28', opening: '0.08' } },
    },
  },
]

export interface ParkTerms {
  readonly cars: readonly string[]
  readonly slots: number
  /** Of the car that gives over the cable: what it keeps. */
  readonly reserveWh: number
}

const ALL: ParkTerms = { cars: Object.keys(CARS), slots: SLOTS, reserveWh: GIVER_RESERVE_WH }

const carParkDistrict = ({ cars, reserveWh }: ParkTerms): District => ({
  slotMs: PARK_SLOT_MS,
  feeders: [],
  lines: [
    {
      id: 'K1',
      seller: GIVER!,
      buyer: TAKER!,
      limitMa: 20_000,
      lossPermille: 4,
      sellerMeterId: '51000201',
      buyerMeterId: '51000202',
    },
  ],
  sites: [
    {
      name: STATION,
      role: 'charger',
      node: STATION,
      enrolled: ENROLLED,
      source: 'conventional',
      profile: { load: W(0), generation: W(0) },
      grid: WINDOWS,
      sections: {
        car_park: {
          connection: `${OUTSIDE.connectionW}W`,
          price: String(OUTSIDE.price),
          rise: String(OUTSIDE.rise),
        },
      },
    },
    ...cars.map(parked),
    ...cableCars(reserveWh),
  ],
})

// --- A run of it

/** Where cars that look for a station and the stations of a region are heard by everybody. */
const SEEKING = 'tieline/1/charging/north'
/** In each slot. */
const CHARGES = 60
const STATIONS = 3

export interface ParkRun {
  readonly run: DistrictRun
  /** The least that was in the giver's battery, by the wires: Wh. */
  readonly giverLeastWh: number
  /** Every charge that began under a pseudonym, and where it went, as only its car knows. */
  readonly charges: readonly Session[]
  /** Whatever the broker carried to anybody. */
  readonly carried: readonly Uint8Array[]
}

export async function runCarPark(
  terms: ParkTerms,
  settings: Parameters<typeof openDistrict>[1],
  onProgress: (text: string) => void = () => {},
): Promise<ParkRun> {
  const district = carParkDistrict(terms)
  const plants = new Map<string, Plant>(
    district.sites.flatMap(site => (site.grid === undefined ? [] : [[site.name, createPlant(site.profile!)] as const])),
  )
  const follows = district.sites.map(site => {
    const plant = plants.get(site.name)
    return plant === undefined ? site : { ...site, profile: plant.profile }
  })
  const run = await openDistrict(
    { ...district, sites: follows },
    { pace: { gridEveryMs: 5_000, followMs: 4_000, holdMs: 1_500 }, blockMs: 2_000, ...settings },
  )
  for (const [name, plant] of plants) plant.follow(run.agent(name).grid!)
  const carried: Uint8Array[] = []
  const [broker] = run.ports.simBrokers
  const topics = [...namesOf(run).keys()].map(address => topicOf(fromHex(address)!))
  for (const topic of [...topics, SEEKING]) broker!.attach(topic, bytes => void carried.push(bytes))
  let least = Number.POSITIVE_INFINITY
  const look = run.ports.timers.every(1_000, () => {
    run.running.wires.advance()
    least = Math.min(least, Number(run.running.wires.charge(GIVER!)!) / 1000)
  })
  const draw = seededRandom(settings.seed)
  const stations = ringOf(STATIONS)
  const charges: Session[] = []
  for (let slot = 0; slot < terms.slots; slot++) {
    for (let i = 0; i < CHARGES; i++) {
      const one = charge(carAt(draw), stations, draw)
      for (const bytes of one.published) broker!.publish(SEEKING, bytes)
      charges.push(one)
    }
    await run.advance(PARK_SLOT_MS)
    onProgress(`slot ${slot + 1} of ${terms.slots}: ${dealsOf(run).length} deals on the ledger`)
  }
  await run.windDown()
  look()
  return { run, giverLeastWh: least, charges, carried }
}

// --- What it shows

const kwh = (wh: bigint | number): number => Number(wh) / 1000

/** Auction by auction: how far from the best that could be had with what the cars told of what they can do. */
function auctionsOf({ run }: ParkRun) {
  const names = namesOf(run)
  return run
    .agent(STATION)
    .parts.carPark!.results()
    .map(({ start, rounds, price, cars, out }) => {
      const seats = cars.map(({ account, energy, most }) => {
        const name = names.get(account)!
        const { willingness, cost, wear } = CARS[name] ?? { cost: OUTSIDE.price, wear: OUTSIDE.rise }
        const curve = willingness === undefined ? giving(cost!, wear!, kwh(most)) : charging(willingness, kwh(most))
        return { name, curve, energy: kwh(energy) }
      })
      const best = optimumOf(seats.map(({ curve }) => curve)).worth
      const worth = seats.reduce((sum, { curve, energy }) => sum + curve.worth(energy), 0)
      return { start, rounds, price: Number(price), gap: (best - worth) / best, cars: seats.length, out: out.length }
    })
}

/** Each giver's charge at the end by its wires, its reserve, and what of it was sold. */
function reservesOf({ run, giverLeastWh }: ParkRun, terms: ParkTerms) {
  const inAuction = terms.cars
    .filter(name => CARS[name]!.cost !== undefined)
    .map(name => {
      const moments = [...run.counted.get(name)!.values()]
      const moved = moments.map(({ imported, exported }) => Number(imported - exported) / 1000)
      return [name, { reserve_wh: CARS[name]!.reserveWh, least_wh: CARS[name]!.storedWh + Math.min(...moved) }] as const
    })
  return Object.fromEntries([...inAuction, [GIVER!, { reserve_wh: terms.reserveWh, least_wh: giverLeastWh }]])
}

/** The registry of the energy ledger, with what each owner's configuration sets as the limits of the asset, and what is wrong there. */
function assetsOf({ run }: ParkRun) {
  const names = namesOf(run)
  const roles = new Map(run.district.sites.map(({ name, role }) => [name, role]))
  const limitsOf = (name: string) => {
    const { battery, parkCar, carPark } = run.running.configs.get(name)!.config
    return {
      ...(battery && { capacity_wh: Number(battery.capacity), reserve_wh: Number(battery.reserve) }),
      ...(parkCar && { power_w: Number(parkCar.power) / 1000 }),
      ...(carPark && { connection_w: Number(carPark.connection) / 1000 }),
    }
  }
  const decode = (value: Uint8Array) => decodeAs(METERS.codec, value, 'meter', 1024)
  return [...recordsOf(run.ledgers.energy, METERS.prefix, decode)].map(([id, meter]) => {
    const owner = names.get(toHex(meter.owner))!
    return {
      ...{ meter: id, owner, class: roles.get(owner), key: toHex(meter.publicKey).slice(0, 16) },
      ...{ place: meter.line, source: meter.source, trust: meter.trust, accuracy: meter.accuracy },
      limits: limitsOf(owner),
      faults: run
        .agent(owner)
        .health.items()
        .map(({ fault }) => fault.code),
    }
  })
}

/**
 * Whether anybody names a car's station before it plugs in, by all that brokers carried and ledgers keep: by trying each station
 * with each salt that the charge's own messages hold, and by the one salt, wherever it stands.
 */
function seekStations({ run, charges, carried }: ParkRun) {
  const { energy } = run.ledgers
  const { height, oldest } = energy.status()
  const kept: Uint8Array[] = [...(energy.entries(height) ?? [])].flat()
  for (let at = oldest; at <= height; at++) kept.push(...(energy.block(at)?.txs ?? []))
  // Latin-1: one character a byte, so that the platform's own search runs over bytes.
  const all = Buffer.concat([...carried, ...kept]).toString('latin1')
  let [found, known, guessed] = [0, 0, 0]
  for (const session of charges) {
    const at = session.bids.findIndex((_, n) => checkReveal(session.choice, session.reveal, stationKey(n).publicKey).ok)
    if (at >= 0) found++
    const salt = Buffer.from(session.reveal.salt).toString('latin1')
    if (stationBySearch(session) !== undefined || all.includes(salt)) known++
    // The hash is all that could say more than the bids, which are the same to everybody.
    if (session.choice.hash[0]! % STATIONS === at) guessed++
  }
  const heard = charges.every(({ choice }) => all.includes(Buffer.from(choice.hash).toString('latin1')))
  return {
    found: heard && found === charges.length,
    known: known > 0,
    share: guessed / charges.length,
    bytes: all.length,
  }
}

export const carPark: Scenario = {
  name: 'car-park',
  what: 'cars at a station: over a cable with a reserve, in a double auction, and by bids under a pseudonym',
  async run({ seed, realSigner, onProgress, logOf }) {
    const parked = await runCarPark(ALL, { seed, realSigner, ...(logOf === undefined ? {} : { logOf }) }, onProgress)
    const { facts, broken } = factsOf(parked, ALL)
    return judgeDistrict(parked.run, 'car-park', facts, broken)
  },
}

export function factsOf(parked: ParkRun, terms: ParkTerms) {
  const { run } = parked
  const settled = dealsOf(run).filter(({ deal }) => deal.state === 'settled')
  const wh = (model: string) =>
    settled.filter(one => one.model === model).reduce((sum, { deal }) => sum + Number(deal.outcome!.delivered), 0)
  const auctions = auctionsOf(parked)
  const reserves = reservesOf(parked, terms)
  const moments = [...run.counted.get(STATION)!.values()].map(({ exported }) => Number(exported) / 1000)
  const most = Math.max(...moments.slice(1).map((at, i) => at - moments[i]!), 0)
  const station = seekStations(parked)
  const facts = {
    car_to_car_wh: wh('A'),
    reserve_kept: Object.values(reserves).every(({ reserve_wh, least_wh }) => least_wh >= reserve_wh),
    reserves,
    auction_gap: Math.max(...auctions.map(({ gap }) => gap)),
    auction_rounds: auctions.map(({ rounds }) => rounds),
    auction_prices_micro: auctions.map(({ price }) => price),
    auction_wh: wh('B'),
    connection_kept: most <= (OUTSIDE.connectionW * PARK_SLOT_MS) / 3_600_000,
    from_outside_most_wh: Math.round(most),
    station_found: station.found,
    station_known_before_plug_in: station.known,
    station_guessed_share: station.share,
    bytes_searched: station.bytes,
    assets: assetsOf(parked),
  }
  const broken = [
    ...(facts.car_to_car_wh === 0 ? ['nothing went from car to car'] : []),
    ...(facts.reserve_kept ? [] : ['a battery was drawn below its reserve']),
    ...(auctions.length < terms.slots ? [`${auctions.length} auctions in ${terms.slots} slots`] : []),
    ...(facts.auction_gap <= 0.001 ? [] : ['an auction missed the optimum by more than 0.1 %']),
    ...(facts.auction_wh === 0 ? ['nothing that the auction found was delivered'] : []),
    ...(facts.connection_kept ? [] : ['the building took more than its connection carries']),
    ...(facts.station_found && !facts.station_known_before_plug_in ? [] : ['a station was known, or not found']),
  ]
  return { facts, broken }
}
