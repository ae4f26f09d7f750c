/** Whom a request for quotes is awarded to, and why to nobody else. */
import { toHex } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { type Auction, award, type Bid, type Preferences, penaltyOf } from '../../../protocol/market/reverse-auction.ts'
import { micros, wattHours } from '../../../protocol/quantity.ts'
import { fail, ok } from '../../../protocol/result.ts'
import { SOURCES } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { bidOf, id, named, open, price, reasonOf, seller, winnersOf, wish } from './auction-bids.ts'

const test = suite('reverse auction, the award')

test('each bid that may not win is told why', () => {
  const auction = open(
    [1, bidOf({ price: price(300_001n) })],
    [2, bidOf({ energy: wattHours(99n) })],
    [3, bidOf({ source: 'conventional' })],
    [4, bidOf()],
    [5, bidOf({ price: price(299_999n) })],
    [6, bidOf({ line: 'nowhere' })],
    [7, bidOf({ fee: price(19_999n) })],
    [8, bidOf({ price: price(210_000n) })],
  )
  const preferences = wish({
    strict: true,
    premium: { solar: price(0n) },
    refuse: new Set([named(4)]),
    stake: price(100n),
    promisesOf: bidder => (bidder === named(5) ? { kept: 0, broken: 90 } : undefined),
    lowestFee: line => (line === 'nowhere' ? fail({ code: 'feeder.unknown' }) : ok(price(20_000n))),
  })
  const outcome = award(auction, preferences)
  assert.equal(
    outcome.losers.map(({ bidder, reason }) => [bidder, reason]),
    [
      [named(1), 'auction.limit'],
      [named(2), 'auction.too-little'],
      [named(3), 'auction.source'],
      [named(4), 'auction.partner'],
      [named(5), 'auction.not-worth-it'],
      [named(6), 'auction.path'],
      [named(7), 'auction.fee-below-path'],
    ],
  )
  assert.equal(
    outcome.winners.map(({ bidder }) => bidder),
    [named(8)],
  )
  assert.is(reasonOf(auction, { ...preferences, partners: new Set([named(1)]) }, 8), 'auction.partner')
  // Control: without preferences the cheapest of them all wins.
  assert.is(award(auction, wish({ least: wattHours(1n) })).winners.length, 1)
})

test('a fee without its path wins where nobody looks at the path', () => {
  const auction = open([1, bidOf()], [2, bidOf({ price: price(150_000n), fee: price(0n), line: 'nowhere' })])
  const lowestFee: Preferences['lowestFee'] = line =>
    line === 'nowhere' ? fail({ code: 'feeder.unknown' }) : ok(price(20_000n))
  assert.equal(winnersOf(auction, wish({ lowestFee })), [[named(1), 1000n]])
  assert.equal(winnersOf(auction, wish()), [[named(2), 1000n]])
})

test('a source and a good name are worth what their owner says', () => {
  const auction = open(
    [1, bidOf({ price: price(200_000n), source: 'conventional' })],
    [2, bidOf({ price: price(220_000n), source: 'solar' })],
  )
  assert.equal(winnersOf(auction, wish()), [[named(1), 1000n]])
  assert.equal(winnersOf(auction, wish({ premium: { solar: price(20_001n) } })), [[named(2), 1000n]])
  assert.equal(winnersOf(auction, wish({ premium: { solar: price(19_999n) } })), [[named(1), 1000n]])
  const promisesOf = (bidder: string) => ({ kept: 90, broken: bidder === named(1) ? 10 : 0 })
  // 11 of 110 broken against 1 of 100: 0.1 and 0.01 of the stake.
  assert.equal(winnersOf(auction, wish({ promisesOf, stake: price(222_000n) })), [[named(1), 1000n]])
  assert.equal(winnersOf(auction, wish({ promisesOf, stake: price(223_000n) })), [[named(2), 1000n]])
})

test('a car weighs the way to a station against its price, and stays where no bid is worth the way', () => {
  const auction = open(
    [1, bidOf({ price: price(200_000n), line: 'far' })],
    [2, bidOf({ price: price(220_000n), line: 'near' })],
  )
  // 1 kWh: 20,000 micro-units cheaper, at a way of so much more.
  const tripTo = (more: bigint) => (line: string) => micros(line === 'far' ? 10_000n + more : 10_000n)
  assert.equal(winnersOf(auction, wish({ tripTo: tripTo(19_999n) })), [[named(1), 1000n]])
  assert.equal(winnersOf(auction, wish({ tripTo: tripTo(20_001n) })), [[named(2), 1000n]])
  const nowhere = wish({ tripTo: () => micros(100_001n) })
  assert.equal(winnersOf(auction, nowhere), [])
  assert.is(reasonOf(auction, nowhere, 1), 'auction.not-worth-it')
})

test('nobody wins nothing: once there is enough, the others are outbid', () => {
  const auction = open([1, bidOf()], [2, bidOf({ price: price(250_000n) })])
  const all = wish({ sellers: 'several', least: wattHours(0n) })
  assert.equal(winnersOf(auction, all), [[named(1), 1000n]])
  assert.is(reasonOf(auction, all, 2), 'auction.outbid')
  assert.equal(winnersOf(auction, { ...all, energy: wattHours(0n) }), [])
})

test('the penalty is the share of broken promises, rounded up, and a new name has one too', () => {
  assert.is(penaltyOf(undefined, price(100_000n)), 10_000n)
  assert.is(penaltyOf({ kept: 90, broken: 0 }, price(100_000n)), 1000n)
  assert.is(penaltyOf({ kept: 0, broken: 90 }, price(100_000n)), 91_000n)
  assert.is(penaltyOf({ kept: 1, broken: 0 }, price(1n)), 1n)
  assert.is(penaltyOf(undefined, price(0n)), 0n)
})

test('ties are drawn by hash, whatever the order of arrival', () => {
  const bids = [1, 2, 3, 4, 5].map(n => [n, bidOf()] as const)
  const first = [1, 2, 3, 4, 5]
    .map(n => [toHex(sha256(Uint8Array.from([...id, ...seller(n)]))), named(n)] as const)
    .sort()[0]![1]
  assert.equal(winnersOf(open(...bids), wish()), [[first, 1000n]])
  assert.equal(winnersOf(open(...bids.toReversed()), wish()), [[first, 1000n]])
})

const anyBids = fc.array(
  fc.record({
    energy: fc.bigInt(1n, 3000n),
    price: fc.bigInt(0n, 500n),
    source: fc.constantFrom(...SOURCES),
  }),
  { minLength: 0, maxLength: 8 },
)
const anyWish = fc.record({
  energy: fc.bigInt(1n, 4000n),
  limit: fc.bigInt(0n, 500n),
  solar: fc.bigInt(0n, 100n),
  stake: fc.bigInt(0n, 100n),
  strict: fc.boolean(),
})
const auctionOf = (bids: readonly { energy: bigint; price: bigint; source: Bid['source'] }[]): Auction =>
  open(
    ...bids.map(
      (bid, n) =>
        [
          n,
          bidOf({ energy: wattHours(bid.energy), price: price(bid.price), fee: price(0n), source: bid.source }),
        ] as const,
    ),
  )
const wishOf = (
  w: { energy: bigint; limit: bigint; solar: bigint; stake: bigint; strict: boolean },
  sellers: Preferences['sellers'],
): Preferences =>
  wish({
    energy: wattHours(w.energy),
    least: wattHours(1n),
    limit: price(w.limit),
    premium: { solar: price(w.solar) },
    stake: price(w.stake),
    strict: w.strict,
    sellers,
  })
const gainOf = (preferences: Preferences, { bid }: { bid: Bid }, energy: bigint): bigint =>
  (preferences.limit - bid.price + (preferences.premium[bid.source] ?? 0n) - penaltyOf(undefined, preferences.stake)) *
  energy

test('the limit is never exceeded, nobody gives more than offered, and everybody is told', () => {
  assertProperty(
    fc.property(anyBids, anyWish, fc.constantFrom('one', 'several'), (bids, w, sellers) => {
      const preferences = wishOf(w, sellers)
      const outcome = award(auctionOf(bids), preferences)
      let sum = 0n
      for (const { bid, energy } of outcome.winners) {
        assert.ok(bid.price <= preferences.limit)
        assert.ok(energy > 0n && energy <= bid.energy)
        assert.ok(!w.strict || bid.source === 'solar')
        sum += energy
      }
      assert.ok(sum <= w.energy)
      assert.is(outcome.winners.length + outcome.losers.length, bids.length)
    }),
    1000,
  )
})

test('no other choice is worth more: one seller against each, several against every split by brute force', () => {
  assertProperty(
    fc.property(anyBids, anyWish, (bids, w) => {
      const one = wishOf(w, 'one')
      const auction = auctionOf(bids)
      const allowed = [...auction.entries.values()]
        .map(({ bid }) => ({ bid: bid! }))
        .filter(({ bid }) => bid.price <= w.limit && (!w.strict || bid.source === 'solar'))
      const best = allowed.reduce((most, candidate) => {
        const gain = gainOf(one, candidate, candidate.bid.energy < w.energy ? candidate.bid.energy : w.energy)
        return gain > most ? gain : most
      }, 0n)
      const gained = (preferences: Preferences) =>
        award(auction, preferences).winners.reduce(
          (sum, winner) => sum + gainOf(preferences, winner, winner.energy),
          0n,
        )
      assert.is(gained(one), best)
      // Whatever a split takes, each order of filling up is one; the best of all orders is the best split.
      const several = wishOf(w, 'several')
      let most = 0n
      for (let mask = 0; mask < 1 << allowed.length; mask++) {
        for (let last = 0; last < allowed.length; last++) {
          let rest: bigint = w.energy
          let gain = 0n
          const take = (candidate: { bid: Bid }) => {
            const energy = candidate.bid.energy < rest ? candidate.bid.energy : rest
            rest -= energy
            gain += gainOf(several, candidate, energy)
          }
          for (const [n, candidate] of allowed.entries()) if (n !== last && (mask >> n) & 1) take(candidate)
          take(allowed[last]!)
          if (gain > most) most = gain
        }
      }
      assert.is(gained(several), most)
    }),
    300,
  )
})

test.run()
