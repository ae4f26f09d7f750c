/** A car finds its station: what is signed holds, and who reads everything public learns neither the station nor the car. */
import {
  type Car,
  carAt,
  charge,
  piecesOf,
  ringOf,
  type Session,
  sameCar,
  stationBySearch,
  stationKey,
  stationKnownBeforePlugIn,
} from '../../../hw/sim/charging-sessions.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import {
  type ChargingMessage,
  checkReveal,
  choiceHash,
  chooseStation,
  NO_STATION,
  readCharging,
} from '../../../protocol/privacy/charging.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'
import { verifier } from '../ledger/parties.ts'

const test = suite('charging under a pseudonym')

const CHAIN = 'charging-1'
const stations = ringOf(6)
const ROUNDS = 300
/** Three standard deviations of a coin thrown so often. */
const SLACK = 3 * Math.sqrt(0.25 / (ROUNDS / 2))

const read = (bytes: Uint8Array, kind: ChargingMessage['kind'], chain = CHAIN) => {
  const message = readCharging(bytes, kind, chain, verifier)
  return message.ok ? message.value.kind : message.fault.code
}

test('every public message is its maker’s, for this ledger, and of its kind', () => {
  const { published } = charge(carAt(seededRandom(1)), stations, seededRandom(1))
  const kinds = ['request', ...stations.map(() => 'bid'), 'commitment'] as ChargingMessage['kind'][]
  assert.equal(
    published.map((bytes, i) => read(bytes, kinds[i]!)),
    kinds,
  )
  assert.is(read(published[0]!, 'request', 'elsewhere'), 'cose.signature')
  assert.is.not(read(published[1]!, 'request'), 'request')
  for (const [i, bytes] of published.entries()) {
    const last = bytes.length - 1
    assert.is.not(read(bytes.with(last, bytes[last]! ^ 1), kinds[i]!), kinds[i])
  }
})

test('the car takes the cheapest station, the way there included', () => {
  const bid = (price: bigint, east: number) => ({
    ...{ id: new Uint8Array(16), by: new Uint8Array(32), price: microsPerKwh(price), place: { east, north: 0 } },
  })
  const [near, far] = [bid(400_000n, 1000), bid(350_000n, 9000)]
  const own = { east: 0, north: 0 }
  // 20 kWh: 0.05 a kWh is 1.00 less, 8 km at 0.15 are 1.20 more.
  assert.is(chooseStation([far, near], own, { energy: wattHours(20_000n), perKm: 150_000n }), near)
  assert.is(chooseStation([far, near], own, { energy: wattHours(40_000n), perKm: 150_000n }), far)
  assert.is(chooseStation([], own, { energy: wattHours(1n), perKm: 1n }), undefined)
})

test('at plug-in the chosen station knows its car, and no other station or car passes', () => {
  const draw = seededRandom(3)
  const session = charge(carAt(draw), stations, draw)
  const { choice, reveal, bids } = session
  const chosen = bids.findIndex(({ by }) => equalBytes(addressOf(by), reveal.station))
  const verdict = (change: Partial<typeof reveal>, station: number) => {
    const checked = checkReveal(choice, { ...reveal, ...change }, stationKey(station).publicKey)
    return checked.ok ? 'its car' : checked.fault.code
  }
  const other = (chosen + 1) % stations.length
  assert.is(verdict({}, chosen), 'its car')
  assert.is(verdict({}, other), 'charging.not-chosen')
  assert.is(verdict({ station: addressOf(stationKey(other).publicKey) }, other), 'charging.not-chosen')
  assert.is(verdict({ salt: new Uint8Array(32) }, chosen), 'charging.not-chosen')
  assert.is(verdict({ id: new Uint8Array(16) }, chosen), 'charging.other-request')
})

test('without its salt the commitment gives the station away to whoever tries them all', () => {
  const draw = seededRandom(4)
  for (let i = 0; i < 50; i++) {
    const session = charge(carAt(draw), stations, draw, false)
    assert.ok(equalBytes(stationBySearch(session)!, session.reveal.station))
  }
})

test('with it the same search finds nothing, and the best guess is one of six', () => {
  const draw = seededRandom(5)
  assert.is(stationKnownBeforePlugIn(50, draw), false)
  // The prices are the same, so what is public orders the stations by nothing but the hash: some rule that looks at it.
  const rules: ((session: Session) => number)[] = [
    ({ choice }) => choice.hash[0]! % 6,
    ({ choice, request }) => (choice.hash.at(-1)! ^ request.id[0]!) % 6,
    ({ published }) => published.at(-1)!.at(-1)! % 6,
    ({ bids, choice }) =>
      nearestHash(
        bids.map(({ by }) => addressOf(by)),
        choice.hash,
      ),
  ]
  const sessions = Array.from({ length: ROUNDS }, () => charge(carAt(draw), stations, draw))
  for (const rule of rules) {
    const right = sessions.filter(session => {
      const guess = session.bids[rule(session)]!
      return equalBytes(addressOf(guess.by), session.reveal.station)
    })
    const share = right.length / ROUNDS
    assert.ok(Math.abs(share - 1 / 6) <= 3 * Math.sqrt(5 / 36 / ROUNDS), String(share))
  }
})

function nearestHash(addresses: readonly Uint8Array[], hash: Uint8Array): number {
  const off = addresses.map(address => address.reduce((sum, byte, i) => sum + Math.abs(byte - hash[i]!), 0))
  return off.indexOf(Math.min(...off))
}

test('a commitment to the chosen station looks as one to another, or to none', () => {
  const draw = seededRandom(6)
  const session = charge(carAt(draw), stations, draw)
  const { id, salt } = session.reveal
  const hashes = [session.reveal.station, addressOf(stationKey(0).publicKey), NO_STATION].map(station =>
    choiceHash({ id, station, salt }),
  )
  assert.equal(new Set(hashes.map(({ length }) => length)), new Set([32]))
})

/** How often the adversary is right whether two sessions are one car's; half of them are. */
function linkGame(carOf: (draw: () => number) => Car, draw: () => number): number {
  // What any two sessions of strangers have in common is no sign.
  const strangers = [charge(carAt(draw), stations, draw), charge(carAt(draw), stations, draw)]
  const first = piecesOf(strangers[0]!)
  const framing = new Set([...piecesOf(strangers[1]!)].filter(piece => first.has(piece)))
  let right = 0
  for (let i = 0; i < ROUNDS / 2; i++) {
    const car = carOf(draw)
    const same = draw() < 0.5
    const [one, two] = [charge(car, stations, draw), charge(same ? car : carOf(draw), stations, draw)]
    if (sameCar(one, two, framing) === same) right++
  }
  return right / (ROUNDS / 2)
}

test('two charges of one car are told from charges of two cars as a coin would', () => {
  const share = linkGame(carAt, seededRandom(8))
  assert.ok(Math.abs(share - 0.5) <= SLACK, String(share))
})

test('a car that keeps its key is known again every time', () => {
  let count = 0
  const careless = (draw: () => number) => ({ ...carAt(draw), seed: new Uint8Array(32).fill(count++ % 256) })
  // One byte of a key beside seven of framing is the same now and then.
  assert.ok(linkGame(careless, seededRandom(9)) >= 0.97)
})

test.run()
