import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { later, mono } from '../../../protocol/time.ts'
import {
  type Aim,
  answer,
  type Bargain,
  type Move,
  openBargain,
  type Proposal,
} from '../../../protocol/trade/bargain.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('trade bargain')

const aim = (side: Aim['side'], opening: bigint, limit: bigint, change: Partial<Aim> = {}): Aim => ({
  side,
  opening: microsPerKwh(opening),
  limit: microsPerKwh(limit),
  most: wattHours(1000n),
  least: wattHours(100n),
  rounds: 4,
  from: mono(0),
  deadline: mono(10_000),
  firmness: 1,
  ...change,
})

/** Both sides bargain until one accepts or declines, each message taking `delayMs`. */
function haggle(buyerAim: Aim, sellerAim: Aim, delayMs = 50) {
  const sides: Record<'buyer' | 'seller', Bargain> = {
    buyer: { aim: buyerAim, made: 0 },
    seller: { aim: sellerAim, made: 0 },
  }
  const offers: { side: Aim['side']; proposal: Proposal }[] = []
  let now = mono(0)
  let turn: 'buyer' | 'seller' = 'buyer'
  let { bargain, move }: { bargain: Bargain; move: Move } = openBargain(buyerAim, now)
  while (move.kind === 'offer') {
    sides[turn] = bargain
    offers.push({ side: turn, proposal: move.proposal })
    if (offers.length > 100) throw new Error('does not end')
    turn = turn === 'buyer' ? 'seller' : 'buyer'
    now = later(now, delayMs)
    ;({ bargain, move } = answer(sides[turn], move.proposal, now))
  }
  return { offers, end: move, by: turn }
}

test('a buyer from 100 to 200 and a seller from 220 to 150 meet between their limits', () => {
  const { offers, end, by } = haggle(aim('buyer', 100n, 200n), aim('seller', 220n, 150n), 0)
  assert.equal(
    offers.map(({ side, proposal }) => `${side} ${proposal.price}`),
    ['buyer 100', 'seller 220', 'buyer 133', 'seller 197', 'buyer 166', 'seller 174'],
  )
  // The buyer's own next offer would be its limit, 200: 174 is better.
  assert.equal(end, { kind: 'accept', proposal: { energy: 1000n, price: 174n, final: false } })
  assert.is(by, 'buyer')
})

test('a final offer is taken or left', () => {
  const seller = { aim: aim('seller', 220n, 150n), made: 0 }
  const take = (price: bigint, energy = 500n) =>
    answer(seller, { energy: wattHours(energy), price: microsPerKwh(price), final: true }, mono(1)).move
  assert.is(take(150n).kind, 'accept')
  assert.equal(take(149n), { kind: 'decline', reason: 'bargain.beyond-limit' })
  assert.equal(take(150n, 99n), { kind: 'decline', reason: 'bargain.too-little' })
  assert.equal(take(150n, 1500n), {
    kind: 'offer',
    proposal: { energy: 1000n, price: 150n, final: true },
  })
})

test('a seller offers what it has, and a buyer refuses more than it asked for', () => {
  const { move } = answer(
    { aim: aim('seller', 220n, 150n, { most: wattHours(300n) }), made: 0 },
    { energy: wattHours(1000n), price: microsPerKwh(500n), final: false },
    mono(1),
  )
  assert.is(move.kind === 'offer' && move.proposal.energy, 300n, 'a dear request for more than it has is no contract')
  const buyer = openBargain(aim('buyer', 100n, 200n), mono(0)).bargain
  const more = answer(buyer, { energy: wattHours(1001n), price: microsPerKwh(1n), final: false }, mono(1))
  assert.equal(more.move, { kind: 'decline', reason: 'bargain.too-much' })
})

test('after the deadline nothing is offered or accepted', () => {
  const late = { energy: wattHours(500n), price: microsPerKwh(500n), final: true }
  const reason = { kind: 'decline', reason: 'bargain.too-late' } as const
  assert.equal(answer({ aim: aim('seller', 220n, 150n), made: 0 }, late, mono(10_000)).move, reason)
  assert.equal(openBargain(aim('buyer', 100n, 200n), mono(10_000)).move, reason)
})

test('a side whose opening is beyond its own limit makes no offer', () => {
  assert.equal(openBargain(aim('buyer', 201n, 200n), mono(0)).move, { kind: 'decline', reason: 'bargain.no-room' })
})

const price = fc.bigInt({ min: 0n, max: 1_000_000_000n })
const side = (name: Aim['side']) =>
  fc
    .record({
      a: price,
      b: price,
      most: fc.bigInt({ min: 1n, max: 10_000n }),
      rounds: fc.integer({ min: 1, max: 8 }),
      deadline: fc.integer({ min: 1, max: 5000 }),
      firmness: fc.constantFrom(1, 2, 3),
    })
    .map(({ a, b, most, rounds, deadline, firmness }) => {
      const [low, high] = a < b ? [a, b] : [b, a]
      return aim(name, name === 'buyer' ? low : high, name === 'buyer' ? high : low, {
        most: wattHours(most),
        least: wattHours(1n),
        rounds,
        deadline: mono(deadline),
        firmness: firmness as 1 | 2 | 3,
      })
    })

test('it ends, and nobody ever offers or accepts beyond its limit, or more energy than it has', () => {
  assertProperty(
    fc.property(side('buyer'), side('seller'), fc.nat(200), (buyer, seller, delay) => {
      const { offers, end, by } = haggle(buyer, seller, delay)
      assert.ok(offers.length <= 2 * Math.min(buyer.rounds, seller.rounds) + 1)
      const fits = (who: Aim, proposal: Proposal) => {
        assert.ok(who.side === 'buyer' ? proposal.price <= who.limit : proposal.price >= who.limit)
        assert.ok(proposal.energy >= who.least && proposal.energy <= who.most)
      }
      for (const offer of offers) fits(offer.side === 'buyer' ? buyer : seller, offer.proposal)
      if (end.kind === 'accept') {
        fits(buyer, end.proposal)
        fits(seller, end.proposal)
        assert.is.not(offers.at(-1)!.side, by)
      }
    }),
    2000,
  )
})

test('limits that overlap always end in a contract when no deadline passes, and others never do', () => {
  const patient = (who: Aim): Aim => ({ ...who, deadline: mono(1_000_000) })
  assertProperty(
    fc.property(side('buyer').map(patient), side('seller').map(patient), (buyer, seller) => {
      const { end } = haggle(buyer, seller, 10)
      assert.is(end.kind, seller.limit <= buyer.limit ? 'accept' : 'decline')
    }),
    2000,
  )
})

test.run()
