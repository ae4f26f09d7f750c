/** What a request for quotes hears: seals, reveals, open bids, and what is refused of them. */
import { equalBytes, hex, toHex } from '../../../protocol/bytes.ts'
import { encode } from '../../../protocol/cbor.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import {
  type Bid,
  checkReveal,
  commitmentOf,
  hearBid,
  hearSealed,
  MAX_BIDS,
  openAuction,
} from '../../../protocol/market/reverse-auction.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { SOURCES } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  bidOf,
  id,
  named,
  open,
  price,
  REVEAL_BY,
  reasonOf,
  SEAL_BY,
  sealed,
  seller,
  winnersOf,
  wish,
} from './auction-bids.ts'

const test = suite('reverse auction, from seal to reveal')

test('a commitment is the hash of nine fields in canonical CBOR, the bidder among them', () => {
  const bid = bidOf()
  const fields = new Map<number, number | string | Uint8Array>([
    [1, id],
    [2, 1000],
    [3, 200_000],
    [4, 20_000],
    [5, SOURCES.indexOf('solar')],
    [6, 'street-3'],
    [7, 'M-1'],
    [8, bid.salt],
    [9, seller(1)],
  ])
  assert.equal(commitmentOf(bid, seller(1)), sha256(encode(fields)))
})

test('each field of a bid, and its bidder, changes the commitment', () => {
  const changed: Partial<Bid>[] = [
    { id: new Uint8Array(16) },
    { energy: wattHours(1001n) },
    { price: price(200_001n) },
    { fee: price(20_001n) },
    { source: 'wind' },
    { line: 'street-4' },
    { meter: 'M-2' },
    { salt: new Uint8Array(16) },
  ]
  const all = [
    commitmentOf(bidOf(), seller(1)),
    commitmentOf(bidOf(), seller(2)),
    ...changed.map(fields => commitmentOf(bidOf(fields), seller(1))),
  ]
  assert.is(new Set(all.map(toHex)).size, all.length)
})

test('sealed bids are opened and the best wins', () => {
  const [dear, cheap] = [bidOf({ price: price(250_000n) }), bidOf({ price: price(210_000n) })]
  let auction = sealed([1, dear], [2, cheap])
  for (const [n, bid] of [
    [1, dear],
    [2, cheap],
  ] as const) {
    const heard = hearBid(auction, seller(n), bid, instant(SEAL_BY + 1))
    assert.is(heard.refused, undefined)
    auction = heard.auction
  }
  assert.equal(winnersOf(auction, wish()), [[named(2), 1000n]])
  assert.is(reasonOf(auction, wish(), 1), 'auction.outbid')
})

test('a reveal that differs from its commitment is refused, and would win without the check', () => {
  const promised = bidOf({ price: price(250_000n) })
  const other = bidOf({ price: price(240_000n) })
  const after = bidOf({ price: price(239_999n) })
  let auction = sealed([1, promised], [2, other])
  auction = hearBid(auction, seller(2), other, instant(SEAL_BY + 1)).auction
  const heard = hearBid(auction, seller(1), after, instant(SEAL_BY + 2))
  assert.is(heard.refused?.code, 'auction.commitment')
  assert.equal(winnersOf(heard.auction, wish()), [[named(2), 1000n]])
  assert.is(reasonOf(heard.auction, wish(), 1), 'auction.not-revealed')
  // Control: the same two bids where nothing was sealed.
  assert.equal(winnersOf(open([2, other], [1, after]), wish()), [[named(1), 1000n]])
})

test('a copied commitment opens for nobody but its maker, and would without the bidder in it', () => {
  const bid = bidOf()
  const commitment = commitmentOf(bid, seller(1))
  let auction = sealed([1, bid])
  auction = hearSealed(auction, seller(2), { id, commitment }, SEAL_BY).auction
  assert.is(hearBid(auction, seller(2), bid, instant(SEAL_BY + 1)).refused?.code, 'auction.commitment')
  assert.is(hearBid(auction, seller(1), bid, instant(SEAL_BY + 1)).refused, undefined)
  // Control: a hash over the bid alone is the same for both.
  const alone = (of: Bid) => sha256(encode(new Map([[3, of.price]])))
  assert.ok(equalBytes(alone(bid), alone({ ...bid })))
})

test('a bid after the close is refused, and would win without the close', () => {
  const late = bidOf({ price: price(1n), fee: price(0n) })
  const auction = open([1, bidOf()])
  const heard = hearBid(auction, seller(2), late, instant(SEAL_BY + 1))
  assert.equal(heard.refused, { code: 'auction.closed', by: SEAL_BY, at: SEAL_BY + 1 })
  assert.equal(winnersOf(heard.auction, wish()), [[named(1), 1000n]])
  const unclosed = hearBid({ ...auction, sealBy: REVEAL_BY }, seller(2), late, instant(SEAL_BY + 1))
  assert.equal(winnersOf(unclosed.auction, wish()), [[named(2), 1000n]])
  const seal = { id, commitment: commitmentOf(late, seller(2)) }
  assert.is(hearSealed(sealed(), seller(2), seal, instant(SEAL_BY + 1)).refused?.code, 'auction.closed')
})

test('a reveal too early or too late is refused by name', () => {
  const auction = sealed([1, bidOf()])
  assert.is(hearBid(auction, seller(1), bidOf(), SEAL_BY).refused?.code, 'auction.too-early')
  assert.is(hearBid(auction, seller(1), bidOf(), instant(REVEAL_BY + 1)).refused?.code, 'auction.late')
  assert.ok(checkReveal(auction, seller(1), bidOf(), REVEAL_BY).ok)
})

test('who says two things in one auction has said nothing', () => {
  const second = bidOf({ price: price(190_000n) })
  const auction = open([1, bidOf()], [2, bidOf({ price: price(280_000n) })])
  const heard = hearBid(auction, seller(1), second, SEAL_BY)
  assert.is(heard.refused?.code, 'auction.equivocation')
  assert.equal(winnersOf(heard.auction, wish()), [[named(2), 1000n]])
  assert.is(reasonOf(heard.auction, wish(), 1), 'auction.equivocation')
  // It stays void, and the same bid twice is one.
  assert.is(hearBid(heard.auction, seller(1), bidOf(), SEAL_BY).refused?.code, 'auction.equivocation')
  assert.is(hearBid(auction, seller(1), bidOf(), SEAL_BY).refused, undefined)
  const twice = hearSealed(sealed([1, bidOf()]), seller(1), { id, commitment: sha256(id) }, SEAL_BY)
  assert.is(twice.refused?.code, 'auction.equivocation')
  assert.is(hearBid(twice.auction, seller(1), bidOf(), REVEAL_BY).refused?.code, 'auction.equivocation')
  const again = { id, commitment: commitmentOf(bidOf(), seller(1)) }
  assert.is(hearSealed(sealed([1, bidOf()]), seller(1), again, SEAL_BY).refused, undefined)
})

test('bids of another auction, unsealed ones, fees above the price and floods are refused', () => {
  const auction = openAuction(id, 'bidding', SEAL_BY, REVEAL_BY)
  const foreign = bidOf({ id: hex('00112233445566778899aabbccddeeff') })
  assert.is(hearBid(auction, seller(1), foreign, REVEAL_BY).refused?.code, 'auction.other')
  assert.is(
    hearSealed(auction, seller(1), { id: foreign.id, commitment: sha256(id) }, SEAL_BY).refused?.code,
    'auction.other',
  )
  assert.is(hearSealed(open(), seller(1), { id, commitment: sha256(id) }, SEAL_BY).refused?.code, 'auction.way')
  assert.is(hearBid(auction, seller(1), bidOf(), REVEAL_BY).refused?.code, 'auction.not-sealed')
  assert.is(hearBid(open(), seller(1), bidOf({ fee: price(200_001n) }), SEAL_BY).refused?.code, 'auction.fee')
  const full = open(...Array.from({ length: MAX_BIDS }, (_, n) => [n, bidOf()] as const))
  assert.is(hearBid(full, seller(MAX_BIDS), bidOf(), SEAL_BY).refused?.code, 'auction.full')
  const sealedFull = sealed(...Array.from({ length: MAX_BIDS }, (_, n) => [n, bidOf()] as const))
  const one = { id, commitment: sha256(id) }
  assert.is(hearSealed(sealedFull, seller(MAX_BIDS), one, SEAL_BY).refused?.code, 'auction.full')
})

test.run()
