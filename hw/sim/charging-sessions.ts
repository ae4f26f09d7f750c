/** Cars that look for a charging station, and somebody who reads every public message and tries to learn where they go. */
import { createSigner } from '../../drivers/crypto/signer.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import {
  type ChargeRequest,
  type ChargingMessage,
  type Choice,
  chargeLots,
  chargingToSign,
  choiceHash,
  chooseStation,
  type Place,
  type Reveal,
  type StationBid,
} from '../../protocol/privacy/charging.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { instant } from '../../protocol/time.ts'

const CHAIN = 'charging-1'
const BEGIN = 1_800_000_000_000

export interface Session {
  /** What everybody can read before the car is plugged in, as bytes. */
  readonly published: readonly Uint8Array[]
  readonly request: ChargeRequest
  readonly bids: readonly StationBid[]
  readonly choice: Choice
  /** Known to the car, and at plug-in to its station. */
  readonly reveal: Reveal
}

export interface Car {
  readonly place: Place
  readonly need: bigint
  /** A key of its own for all its charges, where it is careless. */
  readonly seed?: Uint8Array
}

/** One charge of one car among stations that ask for the same price; `salted: false` is the careless way. */
export function charge(car: Car, stations: readonly Place[], draw: () => number, salted = true): Session {
  const random = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(256 * draw()))
  const published: Uint8Array[] = []
  const publish = (message: ChargingMessage, signer: ReturnType<typeof createSigner>) => {
    const unsigned = chargingToSign(message, CHAIN)
    published.push(unsigned.withSignature(signer.signNow(unsigned.toSign)))
  }
  const signer = createSigner(car.seed ?? random(32))
  const id = random(16)
  const request = {
    ...{ id, by: signer.publicKey, region: 'north', energy: chargeLots(wattHours(car.need)) },
    until: instant(BEGIN + 3_600_000),
  }
  publish({ kind: 'request', ...request }, signer)
  const bids = stations.map((place, i) => {
    const station = stationKey(i)
    const bid = { id, by: station.publicKey, price: microsPerKwh(400_000n), place }
    publish({ kind: 'bid', ...bid }, station)
    return bid
  })
  const chosen = chooseStation(bids, car.place, { energy: request.energy, perKm: 150_000n })!
  const reveal = { id, station: addressOf(chosen.by), salt: salted ? random(32) : new Uint8Array(32) }
  const choice = { id, by: signer.publicKey, hash: choiceHash(reveal) }
  publish({ kind: 'commitment', ...choice }, signer)
  return { published, request, bids, choice, reveal }
}

export const stationKey = (number: number) => createSigner(sha256(Uint8Array.of(0x73, number)))

/**
 * The station of a session by whatever is public: each bidder is tried with every salt that the public messages hold. Undefined
 * where none is the committed one.
 */
export function stationBySearch({ published, bids, choice, request }: Session): Uint8Array | undefined {
  const salts = [new Uint8Array(32), sha256(request.id), sha256(request.by), choice.hash]
  for (const message of published)
    for (let at = 0; at + 32 <= message.length; at++) salts.push(message.subarray(at, at + 32))
  for (const { by } of bids)
    for (const salt of salts)
      if (equalBytes(choiceHash({ id: request.id, station: addressOf(by), salt }), choice.hash)) return addressOf(by)
  return undefined
}

/** Whether two sessions hold any eight bytes in common that are no station's and no session's framing. */
export function sameCar(one: Session, two: Session, framing: ReadonlySet<string>): boolean {
  const pieces = piecesOf(one)
  return [...piecesOf(two)].some(piece => pieces.has(piece) && !framing.has(piece))
}

/** All runs of eight bytes of what the car itself published. */
export function piecesOf({ published }: Session): Set<string> {
  const pieces = new Set<string>()
  for (const message of [published[0]!, published.at(-1)!]) {
    const text = toHex(message)
    for (let at = 0; at + 16 <= text.length; at += 2) pieces.add(text.slice(at, at + 16))
  }
  return pieces
}

/** Whether anybody could tell a car's station before it was plugged in, in so many charges. */
export function stationKnownBeforePlugIn(sessions: number, draw: () => number): boolean {
  const stations = ringOf(6)
  return Array.from({ length: sessions }, () => charge(carAt(draw), stations, draw)).some(
    session => stationBySearch(session) !== undefined,
  )
}

/** Stations in a ring of 5 km: who stands in the middle tells nothing, and each is somebody's nearest. */
export const ringOf = (count: number): readonly Place[] =>
  Array.from({ length: count }, (_, i) => ({
    east: Math.round(5000 * Math.cos((2 * Math.PI * i) / count)),
    north: Math.round(5000 * Math.sin((2 * Math.PI * i) / count)),
  }))

export const carAt = (draw: () => number): Car => ({
  place: { east: Math.round(8000 * (draw() - 0.5)), north: Math.round(8000 * (draw() - 0.5)) },
  need: BigInt(Math.round(5_001 + 4_998 * draw())),
})
