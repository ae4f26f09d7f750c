/** Requests for quotes between whole buyers and sellers: who gets the contract, at what price, and what is refused. */
import { toHex } from '../../../protocol/bytes.ts'
import { decodeContract, encodeContract } from '../../../protocol/trade/contract.ts'
import type { BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { openRoom, price, WINDOW, wh } from './quote-room.ts'

const buy = { limit: price(0.3), opening: price(0.1), least: wh(50) }
const sell = (coins: number) => ({ reserve: price(coins), opening: price(coins) })
const STREET = {
  ash: { buy },
  roof: { sell: sell(0.1), left: 400 },
  plant: { sell: sell(0.2), left: 5000, source: 'conventional' },
} as const

const test = suite('grid quotes')

for (const way of ['matching', 'bidding'] as const) {
  test(`${way}: the cheapest sells what it has, the next the rest, each at its price with the fee in it`, () => {
    const room = openRoom({ ...STREET, ash: { buy, way } })
    room.of('ash').asking.ask(WINDOW, wh(1000))
    room.deliver()
    const bought = room.of('ash').agreed.map(({ peer, contract }) => [peer, contract.energy, contract.price])
    assert.equal(bought, [
      ['roof', 400n, price(0.11)],
      ['plant', 600n, price(0.21)],
    ])
    const roof = room.of('roof').agreed[0]!
    assert.is(roof.fee, price(0.01))
    assert.equal(encodeContract(roof.contract), encodeContract(room.of('ash').agreed[0]!.contract))
    assert.equal(
      [roof.contract.line, roof.contract.to, roof.contract.sellerMeter, roof.contract.buyerMeter],
      ['node-roof', 'node-ash', 'meter-roof', 'meter-ash'],
    )
    assert.equal(room.of('ash').asking.open(), [])
  })
}

test('sealed: nobody shows a price before every bid is in', () => {
  const room = openRoom({ ...STREET, ash: { buy, way: 'bidding' } })
  room.of('ash').asking.ask(WINDOW, wh(1000))
  room.deliver()
  const kinds = room.letters.map(({ body }) => body.kind)
  assert.ok(kinds.lastIndexOf('sealed-bid') < kinds.indexOf('bid'), kinds.join(' '))
})

test('a request between two with the fee takes six messages up to the contract, eight when it is sealed', () => {
  for (const [way, most] of [
    ['matching', 6],
    ['bidding', 8],
  ] as const) {
    const room = openRoom({ ash: { buy, way }, roof: STREET.roof })
    room.of('ash').asking.ask(WINDOW, wh(100))
    room.deliver()
    assert.is(room.of('ash').agreed.length, 1)
    assert.is(room.letters.length, most, room.letters.map(({ body }) => body.kind).join(' '))
  }
})

test('nothing is bought above the limit, fee included, and the sellers hear why', () => {
  const room = openRoom({ ...STREET, ash: { buy: { ...buy, limit: price(0.109) } } })
  room.of('ash').asking.ask(WINDOW, wh(1000))
  room.deliver()
  assert.equal(room.of('ash').agreed, [])
  assert.equal(
    room.sent('decline').map(({ reason }) => reason),
    ['grid.no-offer-fits', 'grid.no-offer-fits'],
  )
})

test('a premium for the sun buys from the roof that is dearer by less than it', () => {
  const dear = { ...STREET, roof: { sell: sell(0.21), left: 400 } }
  const one = openRoom({ ...dear, ash: { buy } })
  one.of('ash').asking.ask(WINDOW, wh(300))
  one.deliver()
  assert.is(one.of('ash').agreed[0]!.peer, 'plant')
  const other = openRoom({ ...dear, ash: { buy, premium: { solar: price(0.02) } } })
  other.of('ash').asking.ask(WINDOW, wh(300))
  other.deliver()
  assert.is(other.of('ash').agreed[0]!.peer, 'roof')
})

test('strict: no source that is not named, at any price', () => {
  const room = openRoom({ ...STREET, ash: { buy, strict: true, premium: { solar: price(0) } } })
  room.of('ash').asking.ask(WINDOW, wh(1000))
  room.deliver()
  assert.equal(
    room.of('ash').agreed.map(({ peer, contract }) => [peer, contract.energy]),
    [['roof', 400n]],
  )
})

test('a peer that is refused is not asked, and is not answered', () => {
  const room = openRoom({ ash: { buy, refuse: ['roof'] }, roof: STREET.roof, plant: STREET.plant })
  room.of('ash').asking.ask(WINDOW, wh(100))
  room.deliver()
  assert.is(
    room.letters.some(({ to }) => to === 'roof'),
    false,
  )
  assert.is(room.of('ash').agreed[0]!.peer, 'plant')
})

test('what is sold to one is not sold to the other: the second award is declined, and its buyer takes the next best', () => {
  const room = openRoom({ ash: { buy }, fir: { buy }, roof: STREET.roof, plant: STREET.plant })
  room.of('ash').asking.ask(WINDOW, wh(400))
  room.of('fir').asking.ask(WINDOW, wh(400))
  room.deliver()
  const sold = [...room.traders].map(([name, { agreed }]) => [name, agreed.map(({ peer }) => peer).join()])
  assert.equal(sold, [
    ['ash', 'roof'],
    ['fir', 'plant'],
    ['roof', 'ash'],
    ['plant', 'fir'],
  ])
  assert.ok(room.sent('decline').some(({ reason }) => reason === 'grid.sold-out'))
  assert.equal(room.of('fir').broken, [], 'who sold out has broken no promise')
})

test('a distributor that never answers: the buyer hears why, and nothing is left behind', () => {
  const room = openRoom(STREET)
  room.distributor = () => undefined
  room.of('ash').asking.ask(WINDOW, wh(1000))
  room.deliver()
  assert.is(room.of('roof').offering.stats().open, 1)
  for (let second = 0; second < 10; second++) room.advance(1000)
  assert.equal(new Set(room.sent('decline').map(({ reason }) => reason)), new Set(['grid.no-fee']))
  for (const { agreed, offering, asking } of room.traders.values()) {
    assert.equal([agreed.length, offering.stats().open, asking.open().length], [0, 0, 0])
  }
  assert.is(room.of('roof').log.filter(line => line.includes('grid.no-fee')).length, 1)
})

test('a distributor that says no is passed on as such', () => {
  const room = openRoom({ ash: { buy }, roof: STREET.roof })
  room.distributor = (_, { id }) => ({ kind: 'decline', id, reason: 'distributor.capacity' })
  room.of('ash').asking.ask(WINDOW, wh(100))
  room.deliver()
  assert.equal(
    room.sent('decline').map(({ reason }) => reason),
    ['distributor.capacity', 'grid.fee-refused'],
  )
})

test('a seller that bids and does not sign is passed over for the next best, and remembered', () => {
  const room = openRoom(STREET)
  room.lose = ({ from, body }) => from === 'roof' && body.kind === 'accept'
  room.of('ash').asking.ask(WINDOW, wh(400))
  for (let second = 0; second < 8; second++) room.advance(1000)
  assert.equal(
    room.of('ash').agreed.map(({ peer }) => peer),
    ['plant'],
  )
  assert.equal(room.of('ash').broken, ['roof'])
})

test('a silent peer holds nobody up beyond the time for bids', () => {
  const room = openRoom(STREET)
  room.lose = ({ from }) => from === 'plant'
  room.of('ash').asking.ask(WINDOW, wh(100))
  room.deliver()
  assert.is(room.of('ash').agreed.length, 0)
  for (let second = 0; second < 12; second++) room.advance(1000)
  assert.is(room.of('ash').agreed[0]!.peer, 'roof')
})

test('two different bids of one seller are none', () => {
  const room = openRoom(STREET)
  room.lose = ({ to, body }) => to === 'ash' && body.kind === 'decline'
  room.of('ash').asking.ask(WINDOW, wh(100))
  const { id } = room.sent('want')[0]!
  const bid = {
    kind: 'bid' as const,
    id,
    energy: wh(100),
    fee: price(0),
    source: 'wind' as const,
    line: 'x',
    meter: 'm',
  }
  room.put('roof', 'ash', { ...bid, price: price(0.05), salt: new Uint8Array(16) })
  room.put('roof', 'ash', { ...bid, price: price(0.04), salt: new Uint8Array(16) })
  room.deliver()
  assert.equal(
    room.of('ash').agreed.map(({ peer }) => peer),
    ['plant'],
  )
})

const FORGED: readonly (readonly [
  what: string,
  change: (award: BodyOf<'award'>) => BodyOf<'award'>,
  reason: string,
])[] = [
  ['another price', award => ({ ...award, price: price(0.01) }), 'grid.award-price'],
  ['more than was bid', award => ({ ...award, energy: wh(401) }), 'grid.award-energy'],
  ['less than was asked for at the least', award => ({ ...award, energy: wh(1) }), 'grid.award-energy'],
  ['another node', award => ({ ...award, node: 'elsewhere' }), 'grid.award-window'],
  ['another window', award => ({ ...award, end: WINDOW.start }), 'grid.award-window'],
  ['the seller as buyer', award => ({ ...award, as: 'seller' }), 'grid.award-kind'],
  ['a request that nobody made', award => ({ ...award, id: new Uint8Array(16).fill(9) }), 'grid.no-such-offer'],
]
for (const [what, change, reason] of FORGED) {
  test(`an award with ${what} is declined: ${reason}`, () => {
    const room = openRoom({ ash: { buy }, roof: STREET.roof })
    let forged = false
    room.lose = ({ to, body }) => {
      if (body.kind !== 'award' || forged) return false
      forged = true
      room.put('ash', to, change(body))
      return true
    }
    room.of('ash').asking.ask(WINDOW, wh(100))
    room.deliver()
    assert.ok(forged)
    assert.equal(room.of('roof').agreed, [])
    assert.ok(room.sent('decline').some(one => one.reason === reason))
  })
}

test('an award that comes twice makes one contract', () => {
  const room = openRoom({ ash: { buy }, roof: STREET.roof })
  room.of('ash').asking.ask(WINDOW, wh(100))
  room.deliver()
  room.put('ash', 'roof', room.sent('award')[0]!)
  room.deliver()
  assert.is(room.of('roof').agreed.length, 1)
})

test('a contract that differs from the award in any term is not taken, and its term is named', () => {
  for (const change of [{ price: price(0.29) }, { energy: wh(399) }, { disputeWindowMs: 1000 }, { to: 'elsewhere' }]) {
    const room = openRoom({ ash: { buy }, roof: STREET.roof })
    room.lose = ({ from, body }) => {
      if (body.kind !== 'accept' || from !== 'roof') return false
      const read = decodeContract(body.contract)
      assert.ok(read.ok)
      if (!read.ok || Object.keys(change).every(term => read.value[term as 'price'] === change[term as never]))
        return false
      room.put('roof', 'ash', { ...body, contract: encodeContract({ ...read.value, ...change }) })
      return true
    }
    room.of('ash').asking.ask(WINDOW, wh(400))
    room.deliver()
    assert.equal(room.of('ash').agreed, [], JSON.stringify(Object.keys(change)))
    assert.ok(room.sent('decline').some(({ reason }) => reason === 'grid.other-terms'))
  }
})

test('who asks again and again and buys nothing brings the price down once a slot, as an honest buyer does', () => {
  const room = openRoom({
    ash: { buy: { ...buy, limit: price(0.01) } },
    roof: { sell: { ...sell(0.1), opening: price(0.3) }, left: 400 },
  })
  const asked: bigint[] = []
  for (let n = 0; n < 5; n++) {
    room.of('ash').asking.ask(WINDOW, wh(100))
    room.deliver()
    asked.push(room.of('roof').offering.asked())
    room.advance(6000)
  }
  // A quarter of the way from 0.10 to 0.30.
  assert.equal(asked, Array(5).fill(price(0.25)))
  assert.is(room.sent('bid').length, 5)
})

test('a flood of requests: a bounded number is open, the rest is refused by name, logged once and leaves nothing', () => {
  const room = openRoom({ ash: {}, roof: STREET.roof })
  room.distributor = () => undefined
  const want: BodyOf<'want'> = {
    ...{
      kind: 'want',
      id: new Uint8Array(16),
      ...WINDOW,
      energy: wh(100),
      least: wh(1),
      way: 'matching',
      to: 'node-ash',
    },
    sealBy: (WINDOW.start - 40_000) as never,
    awardBy: (WINDOW.start - 30_000) as never,
  }
  for (let n = 0; n < 1000; n++) {
    room.put('ash', 'roof', { ...want, id: Uint8Array.from({ length: 16 }, (_, at) => (n >> (8 * at)) & 255) })
    room.deliver()
  }
  const { open, refused } = room.of('roof').offering.stats()
  assert.is(open, 4)
  assert.equal(refused, { 'grid.too-many': 6, 'grid.too-often': 990 })
  assert.is(room.of('roof').log.length, 2)
  for (let second = 0; second < 40; second++) room.advance(1000)
  assert.is(room.of('roof').offering.stats().open, 0)
})

test('whoever is not a peer is not heard', () => {
  const room = openRoom({ ash: { buy }, roof: STREET.roof })
  room.of('ash').asking.ask(WINDOW, wh(100))
  const want = room.sent('want')[0]!
  room.lose = () => true
  room.deliver()
  room.lose = () => false
  room.put('stranger', 'roof', want)
  room.deliver()
  assert.is(room.of('roof').offering.stats().open, 0)
  assert.is(room.letters.filter(({ to }) => to === 'stranger').length, 0)
  assert.is(toHex(want.id).length, 32)
})

test.run()
