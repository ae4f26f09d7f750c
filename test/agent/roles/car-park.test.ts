/** A car park's auction between full posts: sealed and signed messages over a bus that may lose them, in simulated time. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { type CarParkPart, createCarPark } from '../../../agent/roles/car-park.ts'
import { createParkCar, needOf, type ParkCar } from '../../../agent/roles/park-car.ts'
import type { Part } from '../../../agent/roles/part.ts'
import { createPost, type Post } from '../../../agent/trading/post.ts'
import type { Signer } from '../../../drivers/ports.ts'
import { type Curve, charging, giving, optimumOf } from '../../../hw/scenario/park-optimum.ts'
import { createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../../protocol/crypto/hash.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import { microsPerKwh, milliwatts, type Price, wattHours } from '../../../protocol/quantity.ts'
import { ok } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import type { Party } from '../../../protocol/trade/contract.ts'
import type { Body, BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'

const price = (coins: number): Price => microsPerKwh(BigInt(Math.round(coins * 1_000_000)))
const wh = (energy: number) => wattHours(BigInt(energy))
const SLOT_MS = 900_000
const LEAD_MS = 60_000
const START = instant(1_800_000_000_000)
const WINDOW = { start: START, end: instant(START + SLOT_MS) }
const GRID = { slotMs: SLOT_MS, leadMs: LEAD_MS, node: 'garage', refuse: [] as readonly string[] }
const BATTERY = { capacity: wh(50_000), reserve: wh(5_000), chargePermille: 1000, dischargePermille: 1000 }

interface CarTerms {
  readonly stored: number
  readonly power: number
  readonly willingness?: number
  readonly cost?: number
  readonly wear?: number
  readonly leaveWith?: number
}

const SIX: Readonly<Record<string, CarTerms>> = {
  ada: { stored: 30_000, power: 22_000, willingness: 0.9 },
  bob: { stored: 10_000, power: 11_000, willingness: 0.6 },
  cyd: { stored: 20_000, power: 22_000, willingness: 1.4 },
  dot: { stored: 40_000, power: 11_000, cost: 0.1, wear: 0.06 },
  eli: { stored: 45_000, power: 22_000, cost: 0.16, wear: 0.02 },
  fay: { stored: 5_600, power: 11_000, cost: 0.05, wear: 0.01 },
}
const OUTSIDE = { connection: milliwatts(8_000_000), price: price(0.3), rise: price(0.01) }

interface Room {
  readonly park: CarParkPart
  readonly cars: ReadonlyMap<string, ParkCar>
  /** What each has handed to its post, acknowledgements aside. */
  readonly said: ReadonlyMap<string, Body[]>
  readonly granted: { readonly seller: string; readonly buyer: string; readonly award: BodyOf<'award'> }[]
  readonly log: string[]
  readonly postOf: (name: string) => Post
  readonly addressOf: (name: string) => Uint8Array
  advance(ms: number): Promise<void>
}

const settingsOf = ({ power, willingness, cost, wear = 0, leaveWith = 0 }: CarTerms) => ({
  ...{ station: 'garage', power: milliwatts(power * 1000), wear: price(wear), leaveWith: wh(leaveWith) },
  ...(willingness === undefined ? {} : { willingness: price(willingness) }),
  ...(cost === undefined ? {} : { cost: price(cost) }),
})

function openRoom(terms: Readonly<Record<string, CarTerms>>, { drop = 0, outside = OUTSIDE, mute = '' } = {}): Room {
  const time = createSimTime(START - LEAD_MS - 2_000, () => new Promise(resolve => setImmediate(resolve)))
  const random = seededRandom(3)
  const broker = createSimBroker(time.timers, random, { drop, duplicate: drop, delayMs: [5, 60] })
  const entropy = { bytes: (n: number) => Uint8Array.from({ length: n }, () => Math.floor(random() * 256)) }
  const names = ['garage', ...Object.keys(terms), 'stranger']
  // What the stub signs anybody verifies: signatures have tests of their own.
  const signerOf = (name: string): Signer => ({
    ...{ alg: 'EdDSA', publicKey: ed25519.getPublicKey(sha256(utf8(name))), trust: 'software' },
    sign: async () => ok(new Uint8Array(64)),
  })
  const keys = new Map(names.map(name => [name, signerOf(name).publicKey]))
  const said = new Map<string, Body[]>(names.map(name => [name, []]))
  const granted: Room['granted'] = []
  const log: string[] = []
  const posts = new Map<string, Post>()
  for (const name of names) {
    const post = createPost({
      ...{ bus: createSimBus([broker]), clock: time.clock, timers: time.timers, entropy, epoch: 1, log: () => {} },
      ...{ signer: signerOf(name), sealingKey: sha256(utf8(`sealing ${name}`)), verifier: { verify: () => true } },
      peers: names
        .filter(other => other !== name)
        .map(other => ({
          ...{ name: other, publicKey: keys.get(other)!, address: addressOf(keys.get(other)!) },
          sealingKey: sealingKey(sha256(utf8(`sealing ${other}`))).publicKey,
        })),
    })
    posts.set(name, {
      ...post,
      send(to, body, how) {
        said.get(name)!.push(body)
        return post.send(to, body, how)
      },
    })
  }
  const sharedOf = (name: string) => ({
    ...{ grid: GRID, signer: signerOf(name), post: posts.get(name)!, clock: time.clock, timers: time.timers, entropy },
    peers: new Map([...keys].filter(([other]) => other !== name && other !== 'stranger')),
    log: (_: string, __: string, text: string, fault?: { readonly code: string }) =>
      void log.push(`${name}: ${text} ${fault?.code ?? ''}`),
    granted: (buyer: string, award: BodyOf<'award'>) => void granted.push({ seller: name, buyer, award }),
  })
  const begin = <T extends Part>(name: string, part: T): T => {
    posts.get(name)!.onMessage((peer, message) => part.onMessage?.(peer, message))
    part.start()
    return part
  }
  const health = (what: string, fault: { readonly code: string } | undefined) =>
    void (fault && log.push(`${what} ${fault.code}`))
  const promised = () => wh(0)
  const park = begin('garage', createCarPark({ ...sharedOf('garage'), settings: outside, promised, health }))
  const cars = new Map<string, ParkCar>()
  for (const [name, one] of Object.entries(terms)) {
    const car = createParkCar({
      ...{ ...sharedOf(name), settings: settingsOf(one), battery: BATTERY },
      ...{ stored: () => wh(one.stored), agreed: (_: Party) => wh(0), ownMeter: () => `meter-${name}`, awarded() {} },
    })
    // A mute one enters, and hears nothing from then on.
    begin(name, name === mute ? { ...car, onMessage: () => {} } : car)
    cars.set(name, car)
  }
  return {
    ...{ park, cars, said, granted, log },
    postOf: name => posts.get(name)!,
    addressOf: name => addressOf(keys.get(name)!),
    advance: ms => time.advance(ms),
  }
}

const curveOf = ({ willingness, cost = 0, wear = 0 }: CarTerms, most: number): Curve =>
  willingness === undefined ? giving(cost, wear, most) : charging(willingness, most)

/** What each may move in the slot, by hand from its battery and its charger: kWh. */
const MOST: Readonly<Record<string, number>> = { ada: 5.5, bob: 2.75, cyd: 5.5, dot: 2.75, eli: 5.5, fay: 0.6 }
const outsideCurve = curveOf({ stored: 0, power: 0, cost: 0.3, wear: 0.01 }, 2)

function worthOf(room: Room, terms: Readonly<Record<string, CarTerms>>): number {
  const moved = new Map<string, number>()
  const move = (name: string, energy: bigint) => moved.set(name, (moved.get(name) ?? 0) + Number(energy) / 1000)
  for (const { seller, buyer, award } of room.granted) {
    move(seller, award.energy)
    move(buyer, award.energy)
  }
  return [...moved].reduce((sum, [name, kwh]) => {
    const curve = name === 'garage' ? outsideCurve : curveOf(terms[name]!, MOST[name]!)
    assert.ok(kwh <= curve.most + 1e-9, `${name} moves ${kwh} kWh of ${curve.most}`)
    return sum + curve.worth(kwh)
  }, 0)
}

const BEST = optimumOf([...Object.entries(SIX).map(([name, car]) => curveOf(car, MOST[name]!)), outsideCurve])

const test = suite('car park over the wire')

test('six cars and the station agree within 0.1 % of the optimum, and each pair is awarded once', async () => {
  const room = openRoom(SIX)
  await room.advance(40_000)
  const [result] = room.park.results()
  assert.ok(result !== undefined, room.log.join('\n'))
  assert.equal(result!.out, [])
  const worth = worthOf(room, SIX)
  assert.ok(worth >= 0.999 * BEST.worth && worth <= 1.001 * BEST.worth, `${worth} of ${BEST.worth}`)
  assert.ok(Math.abs(Number(result!.price) / 1e6 - BEST.price) < 0.01 * BEST.price)
  const moved = (side: string) =>
    result!.cars.filter(one => one.side === side).reduce((sum, { energy }) => sum + energy, 0n)
  assert.is(moved('charge'), moved('discharge'))
  assert.is(
    room.granted.reduce((sum, { award }) => sum + award.energy, 0n),
    moved('charge'),
  )
  for (const { award } of room.granted) {
    assert.equal([award.as, award.start, award.end, award.price], ['buyer', WINDOW.start, WINDOW.end, result!.price])
  }
  assert.is(new Set(room.granted.map(({ award }) => toHex(award.id))).size, room.granted.length)
})

test('a car has said what its charger can do, one price a round, and what it buys: never what energy is worth to it', async () => {
  const room = openRoom(SIX)
  await room.advance(40_000)
  const { rounds } = room.park.results()[0]!
  for (const [name, { willingness, cost }] of Object.entries(SIX)) {
    const bodies = room.said.get(name)!.filter(({ kind }) => kind !== 'ack')
    const kinds = bodies.map(({ kind }) => kind)
    const awards = kinds.filter(kind => kind === 'award').length
    assert.equal(kinds, ['park-enter', ...Array(rounds).fill('park-answer'), ...Array(awards).fill('award')], name)
    assert.is(awards > 0, willingness !== undefined)
    for (const body of bodies) {
      const fields = Object.keys(body).sort().join(' ')
      if (body.kind === 'park-enter') assert.is(fields, 'end id kind least most side start')
      if (body.kind === 'park-answer') assert.is(fields, 'id kind price round')
      // The first kWh's is the only figure of its owner's that could stand there, and it is never asked about.
      if (body.kind === 'park-answer') assert.ok(body.price !== price((willingness ?? cost)!), name)
    }
  }
})

test('with a fifth of all messages lost and a fifth doubled, it is agreed all the same', async () => {
  const room = openRoom(SIX, { drop: 0.2 })
  await room.advance(LEAD_MS)
  assert.is(room.park.results().length, 1, room.log.join('\n'))
  const worth = worthOf(room, SIX)
  assert.ok(worth >= 0.999 * BEST.worth, `${worth} of ${BEST.worth}`)
})

test('who enters and then says nothing is out, and the others trade', async () => {
  const room = openRoom(SIX, { mute: 'cyd' })
  await room.advance(LEAD_MS)
  const [result] = room.park.results()
  assert.equal(
    result!.out.map(({ code, account }) => [code, account]),
    [['car-park.silent', toHex(room.addressOf('cyd'))]],
  )
  const others = Object.entries(SIX).filter(([name]) => name !== 'cyd')
  const best = optimumOf([...others.map(([name, car]) => curveOf(car, MOST[name]!)), outsideCurve])
  const worth = worthOf(room, SIX)
  assert.ok(worth >= 0.999 * best.worth && worth <= 1.001 * best.worth, `${worth} of ${best.worth}`)
})

test('from outside comes no more than the connection carries, and nothing without one that is left', async () => {
  const dear = { ada: { ...SIX['ada']!, willingness: 9 }, cyd: { ...SIX['cyd']!, willingness: 9 } }
  const room = openRoom(dear)
  await room.advance(40_000)
  const from = room.park.results()[0]!.cars.find(({ side }) => side === 'discharge')
  // 8 kW for a quarter of an hour.
  assert.ok(from!.energy <= 2_000n && from!.energy > 1_990n, String(from!.energy))
})

test('where what all must have is not there, it goes to whom it is worth most', async () => {
  const must = { stored: 10_000, power: 22_000, leaveWith: 15_000 }
  const room = openRoom({ ada: { ...must, willingness: 0.4 }, bob: { ...must, willingness: 9 } })
  await room.advance(40_000)
  assert.ok(room.log.some(line => line.includes('car-park.shortage')))
  const energyOf = (name: string) =>
    room.park.results()[0]!.cars.find(({ account }) => account === toHex(room.addressOf(name)))!.energy
  assert.ok(energyOf('bob') > 1_900n && energyOf('ada') < 100n, `${energyOf('bob')} and ${energyOf('ada')}`)
})

test('a match that is dearer than worth, of more than was wanted, or with a stranger is not signed; a fair one is', async () => {
  const room = openRoom({ ada: SIX['ada']! }, { outside: { ...OUTSIDE, connection: milliwatts(1_000) } })
  await room.advance(5_000)
  const entered = room.said.get('ada')!.find(body => body.kind === 'park-enter') as BodyOf<'park-enter'>
  let deal = 0
  const match = async (terms: Partial<BodyOf<'park-match'>>) => {
    const before = room.said.get('ada')!.filter(({ kind }) => kind === 'award').length
    const base = { kind: 'park-match', id: entered.id, session: sha256(utf8('s')), partner: room.addressOf('garage') }
    const body = { ...base, deal: new Uint8Array(16).fill(++deal), energy: wh(1_000), price: price(0.6), ...terms }
    void room.postOf('garage').send('ada', body as BodyOf<'park-match'>, { reliable: true })
    await room.advance(1_000)
    return room.said.get('ada')!.filter(({ kind }) => kind === 'award').length - before
  }
  // 0.9 ln 2 = 0.6238 for the first kWh.
  assert.is(await match({ price: price(0.63) }), 0)
  assert.is(await match({ energy: wh(5_501), price: price(0.01) }), 0)
  assert.is(await match({ partner: room.addressOf('stranger') }), 0)
  assert.is(await match({ id: new Uint8Array(16) }), 0)
  assert.is(await match({}), 1)
  assert.is(await match({ price: price(0.5) }), 0, 'another price')
  // Two together are worth 0.9 ln 3 = 0.989.
  assert.is(await match({}), 0, 'two at 0.60')
  assert.is(await match({ energy: wh(50) }), 1)
  assert.is(room.cars.get('ada')!.stats().refused, 5)
})

test('an award that is not what the seller was told of is declined', async () => {
  const room = openRoom(SIX)
  room.postOf('stranger')
  await room.advance(40_000)
  const { award, seller } = room.granted.find(one => one.seller !== 'garage')!
  const before = room.granted.length
  const other = { ...award, energy: wattHours(award.energy + 1n) }
  void room.postOf('stranger').send(seller, other, { reliable: true })
  await room.advance(1_000)
  assert.is(room.granted.length, before)
  assert.ok(room.said.get(seller)!.some(body => body.kind === 'decline' && body.reason === 'park.other-terms'))
})

test('who comes late, for another slot, with nonsense or uninvited is told why, and leaves nothing behind', async () => {
  const room = openRoom({ ada: SIX['ada']! })
  await room.advance(4_000)
  const enter = async (from: string, terms: Partial<BodyOf<'park-enter'>> = {}) => {
    const base = { kind: 'park-enter', id: sha256(utf8(from)).slice(0, 16), ...WINDOW, side: 'charge' } as const
    const told = room.said.get('garage')!.length
    const body = { ...base, least: wh(0), most: wh(1_000), ...terms }
    void room.postOf(from).send('garage', body, { reliable: true })
    await room.advance(1_000)
    const answer = room.said
      .get('garage')!
      .slice(told)
      .find(({ kind }) => kind === 'decline')
    return answer?.kind === 'decline' ? answer.reason : 'heard'
  }
  assert.is(await enter('stranger'), 'park.not-offered')
  assert.is(await enter('ada', { start: instant(START + SLOT_MS), end: instant(START + 2 * SLOT_MS) }), 'park.slot')
  assert.is(await enter('ada', { least: wh(2_000) }), 'park.entrant')
  assert.is(await enter('ada', { side: 'discharge', least: wh(1) }), 'park.entrant')
  await room.advance(6_000)
  assert.is(await enter('ada'), 'park.late')
  await room.advance(20_000)
  assert.is(room.park.results()[0]!.cars.length, 2, 'ada and the station')
})

test('what a car needs and can spare: its charger, its room, its reserve and what is agreed already', () => {
  const car = settingsOf({ stored: 0, power: 11_000, willingness: 1, leaveWith: 30_000 })
  const giver = settingsOf({ stored: 0, power: 11_000, cost: 0.1 })
  const need = (settings: typeof car, stored: number, agreed = 0, battery = BATTERY) => {
    const { least, most } = needOf(settings, battery, wh(stored), wh(agreed), WINDOW)
    return [Number(least), Number(most)]
  }
  assert.equal(need(car, 29_000), [1_000, 2_750])
  assert.equal(need(car, 10_000), [2_750, 2_750])
  assert.equal(need(car, 49_000), [0, 1_000])
  assert.equal(need(car, 29_000, 900), [100, 2_750])
  assert.equal(need(car, 50_000), [0, 0])
  assert.equal(need(giver, 6_000), [0, 1_000])
  assert.equal(need(giver, 6_000, 700), [0, 300])
  assert.equal(need(giver, 4_000), [0, 0], 'below its reserve')
  const lossy = { ...BATTERY, chargePermille: 900, dischargePermille: 800 }
  assert.equal(need(giver, 6_000, 0, lossy), [0, 800], '200 Wh are lost on the way out')
  assert.equal(need(car, 29_100, 0, lossy), [1_000, 2_750], '1,000 Wh make 900')
})

test.run()
