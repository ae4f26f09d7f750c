/** What a deal over the grid costs in messages, bytes and transactions, from the first `want` to the settled money. */
import { MESSAGE_CONTEXT, seal } from '../../../protocol/crypto/seal.ts'
import { microsPerKwh } from '../../../protocol/quantity.ts'
import { instant, later } from '../../../protocol/time.ts'
import { type Body, encodeMessage, topicOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, commitOf, type Party, seller, sign1, stranger } from '../ledger/parties.ts'
import { distributor } from '../ledger/two-ledgers.ts'
import { judgeEnd } from './grid-ends.ts'
import { GridStreet } from './grid-ledgers.ts'
import { ALL_OVER, GRID_CONTRACT } from './grid-plan.ts'

const test = suite('what a deal over the grid costs')

const MOST_MESSAGES = 12
const MOST_BYTES = 4096
const BIDDERS = 4

interface Letter {
  readonly from: Party
  readonly to: Party
  readonly body: Body
}

/** Signed and sealed, as it goes over the broker. */
function sealedBytes({ from, to, body }: Letter, sequence: number): number {
  const message = { from: from.address, to: to.address, epoch: 9, sequence, sent: instant(BEGIN), reliable: true, body }
  const signed = sign1(encodeMessage(message), MESSAGE_CONTEXT, from)
  return seal(new Uint8Array(32).fill(3), from.address, topicOf(to.address), new Uint8Array(24).fill(4), signed).length
}

/** The losing sellers write what the winner writes, and the same is written to them. */
const losers = Array.from({ length: BIDDERS - 1 }, () => stranger)
const sellers = [seller, ...losers]

function negotiation(way: 'matching' | 'bidding'): Letter[] {
  const { nonce: id, start, end, energy, price, line, sellerMeter, buyerMeter } = GRID_CONTRACT
  const to = GRID_CONTRACT.to!
  const hash = new Uint8Array(32).fill(1)
  const letters: Letter[] = []
  const ask = { id, start, end, energy, least: energy, way, to, sealBy: start, awardBy: start }
  for (const one of sellers) letters.push({ from: buyer, to: one, body: { kind: 'want', ...ask } })
  for (const from of sellers) {
    letters.push({ from, to: distributor, body: { kind: 'fee-wanted', id, line, to, start, end, energy } })
    letters.push({ from: distributor, to: from, body: { kind: 'fee-offer', id, price, until: end } })
  }
  if (way === 'bidding') {
    for (const from of sellers) letters.push({ from, to: buyer, body: { kind: 'sealed-bid', id, commitment: hash } })
    const commitments = sellers.map((_, i) => new Uint8Array(32).fill(i))
    for (const one of sellers) letters.push({ from: buyer, to: one, body: { kind: 'reveal', id, commitments } })
  }
  const bid = {
    id,
    energy,
    price,
    fee: microsPerKwh(30_000n),
    source: 'solar',
    line,
    meter: sellerMeter,
    salt: id,
  } as const
  for (const from of sellers) letters.push({ from, to: buyer, body: { kind: 'bid', ...bid } })
  const award = { id, as: 'buyer', start, end, energy, price, node: to, meter: buyerMeter } as const
  letters.push({ from: buyer, to: seller, body: { kind: 'award', ...award } })
  for (const one of losers) letters.push({ from: buyer, to: one, body: { kind: 'decline', id, reason: 'grid.outbid' } })
  return letters
}

function deal(): Letter[] {
  const street = new GridStreet()
  assert.is(judgeEnd(street, 'honest'), 'settled')
  return street.said.map(({ from, body }) =>
    from === 'seller' ? { from: seller, to: buyer, body } : { from: buyer, to: seller, body },
  )
}

const tally = (letters: readonly Letter[]) => ({
  messages: letters.length,
  bytes: letters.reduce((sum, letter, i) => sum + sealedBytes(letter, i + 1), 0),
})
const isPairs = ({ from, to }: Letter) => [from, to].every(one => one === seller || one === buyer)

for (const [way, pair] of [
  ['matching', 7],
  ['bidding', 9],
] as const) {
  test(`${way} with ${BIDDERS} sellers: the pair that wins exchanges ${pair} messages within 4 kB, want to settlement`, () => {
    const letters = [...negotiation(way), ...deal()]
    const own = tally(letters.filter(isPairs))
    // With its two words to the distributor, and what the losers exchange.
    const withFee = tally(
      letters.filter(
        letter =>
          isPairs(letter) ||
          ([letter.from, letter.to].includes(distributor) && [letter.from, letter.to].includes(seller)),
      ),
    )
    const all = tally(letters)
    if (process.env['TIELINE_PRINT']) console.log(`${way}:`, { own, withFee, all })
    assert.is(own.messages, pair)
    assert.is(withFee.messages, pair + 2)
    assert.ok(withFee.messages <= MOST_MESSAGES)
    assert.ok(own.bytes <= MOST_BYTES && withFee.bytes <= MOST_BYTES, `${own.bytes} ${withFee.bytes}`)
    // Each further bidder costs what a losing one does, whatever becomes of the deal.
    const each = way === 'matching' ? 5 : 7
    assert.is(all.messages, withFee.messages + each * losers.length)
  })
}

test('once the contract is agreed four messages are all: accept, countersign, reserved, committed', () => {
  assert.equal(
    deal().map(({ body }) => body.kind),
    ['accept', 'countersign', 'reserved', 'committed'],
  )
})

test('a window of eighty quarter hours costs the same messages and transactions as one of a minute', () => {
  const short = new GridStreet().run(ALL_OVER)
  const long = new GridStreet({ contract: { end: later(GRID_CONTRACT.start, 72_000_000) } })
  long.run(GRID_CONTRACT.start + 72_000_000 + 600_000)
  assert.is(long.ledgers().deal!.state, 'settled')
  assert.equal(
    long.said.map(({ body }) => body.kind),
    short.said.map(({ body }) => body.kind),
  )
  assert.equal(long.handedIn, short.handedIn)
})

test('the energy ledger takes two transactions of the buyer and one of the seller, beside a header that all deals share', () => {
  const street = new GridStreet().run(ALL_OVER)
  assert.equal(
    street.handedIn.filter(tx => tx.startsWith('energy')),
    ['energy follow', 'energy commit', 'energy receipt', 'energy receipt'],
  )
  assert.equal(
    street.handedIn.filter(tx => tx.startsWith('net')),
    ['net reserve', 'net follow', 'net claim'],
  )
})

test('two deals of one window take two transactions each, for a meter needs one receipt for all its deals of a window', () => {
  const street = new GridStreet({ lax: true })
  street.runUntil(() => street.state('seller') === 'armed' && street.state('buyer') === 'armed')
  const second = commitOf({ ...GRID_CONTRACT, nonce: new Uint8Array(16).fill(8) })
  assert.is(street.handIn(street.energy, buyer, second), undefined)
  street.run(ALL_OVER)
  for (const contract of [street.bytes, second.body.contract]) {
    assert.is(street.energy.deal(contract)!.state, 'settled')
    assert.is(street.energy.deal(contract)!.outcome!.disputed, false)
  }
  const own = street.handedIn.filter(tx => tx.startsWith('energy') && tx !== 'energy follow')
  assert.is(own.length, 2 * 2)
})

test.run()
