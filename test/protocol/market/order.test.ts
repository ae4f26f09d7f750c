import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { openBook } from '../../../protocol/market/book.ts'
import {
  assembleSignedOrder,
  decodeOrder,
  encodeOrder,
  MAX_ORDER_PRICE,
  MAX_ORDER_WH,
  type Order,
  type OrderTerms,
  orderToSign,
  verifyOrder,
} from '../../../protocol/market/order.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { faultLine, must, type Result } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('market orders')

const SLOT = instant(1_800_000_000_000)
const signer = createSigner(new Uint8Array(32).fill(1))
const verifier = createVerifier()
const bid: OrderTerms = {
  side: 'bid',
  pseudonym: signer.publicKey,
  slot: SLOT,
  quantity: wattHours(1500n),
  limit: microsPerKwh(210_000n),
  node: 'F1-N3',
  validFrom: instant(SLOT - 600_000),
  expiry: instant(SLOT - 60_000),
  sequence: 0,
  preferences: { premium: { solar: microsPerKwh(20_000n), wind: microsPerKwh(10_000n) }, strict: true },
}
const { preferences: _, ...plain } = bid
const offer: OrderTerms = { ...plain, side: 'offer', source: 'solar' }
const signed = async (terms: OrderTerms, by = signer, chainId = 'street-1'): Promise<Uint8Array> => {
  const payload = encodeOrder(terms)
  const toSign = orderToSign(payload, by.publicKey, chainId)
  return assembleSignedOrder(payload, by.publicKey, must(await by.sign(toSign)))
}
const shown = (result: Result<unknown>) => (result.ok ? 'taken' : faultLine(result.fault))
const why = (terms: object) => shown(decodeOrder(encodeOrder({ ...bid, ...terms })))
const at = (seconds: number) => instant(SLOT - seconds * 1000)
const terms = { slot: SLOT, nodes: new Set(['F1-N3', 'F1-N4']) }

test('an order reads back as it was signed, with an id made of what was signed', async () => {
  for (const order of [bid, offer, { ...offer, certificate: new Uint8Array(700).fill(5) }]) {
    const bytes = await signed(order)
    const { id, ...read } = must(verifyOrder(bytes, 'street-1', verifier))
    assert.equal(read, order)
    assert.is(id.length, 16)
    assert.ok(bytes.length <= 350 + (order.certificate?.length ?? 0), `${bytes.length} bytes`)
  }
  const other = must(decodeOrder(encodeOrder({ ...bid, sequence: 1 })))
  assert.is.not(toHex(other.id), toHex(must(decodeOrder(encodeOrder(bid))).id))
})

test('quantities and prices that are none are refused with what was compared', () => {
  assert.is(why({ quantity: 0n }), 'order.quantity (quantity=0 least=1 most=10000000)')
  assert.is(why({ quantity: -5n }), 'order.quantity (quantity=-5 least=1 most=10000000)')
  assert.is(why({ quantity: MAX_ORDER_WH + 1n }), 'order.quantity (quantity=10000001 least=1 most=10000000)')
  assert.is(why({ quantity: 2n ** 64n - 1n }), 'order.quantity (quantity=18446744073709551615 least=1 most=10000000)')
  assert.is(why({ limit: -1n }), 'order.price (limit=-1 least=0 most=1000000000)')
  assert.is(why({ limit: MAX_ORDER_PRICE + 1n }), 'order.price (limit=1000000001 least=0 most=1000000000)')
  assert.is(why({ quantity: MAX_ORDER_WH, limit: MAX_ORDER_PRICE }), 'taken')
  assert.is(why({ quantity: 1n, limit: 0n }), 'taken')
})

test('an order that is never valid, or whose source and side disagree, is refused', () => {
  assert.is(why({ expiry: bid.validFrom }).split(' ')[0], 'order.window')
  assert.is(why({ source: 'solar' }), 'order.source (side=bid reason=a bid has no source)')
  assert.is(
    why({ preferences: { premium: {}, strict: true } }),
    'order.source (side=bid reason=no source at all would do)',
  )
  const { source: _source, ...sourceless } = offer
  assert.is(shown(decodeOrder(encodeOrder(sourceless))), 'order.source (side=offer reason=an offer names its source)')
  const choosy = { ...offer, preferences: bid.preferences! }
  assert.is(shown(decodeOrder(encodeOrder(choosy))), 'order.source (side=offer reason=an offer has no preferences)')
})

test('an order counts on no other market, under no other key, and not with a byte changed', async () => {
  const bytes = await signed(bid)
  assert.is(shown(verifyOrder(bytes, 'street-1', verifier)), 'taken')
  assert.match(shown(verifyOrder(bytes, 'street-2', verifier)), 'cose.signature')
  const thief = createSigner(new Uint8Array(32).fill(2))
  assert.match(shown(verifyOrder(await signed(bid, thief), 'street-1', verifier)), 'cose.signature')
  const property = fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (where, change) => {
    const bad = bytes.slice()
    bad[where]! ^= change
    // The kid only names the key: it is signed too.
    assert.not.ok(verifyOrder(bad, 'street-1', verifier).ok)
  })
  assertProperty(property, 300)
})

test('no bytes make the reader throw, and too many are not read', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
      assert.not.ok(verifyOrder(bytes, 'street-1', verifier).ok)
      assert.not.ok(decodeOrder(bytes).ok)
    }),
    500,
  )
  assert.not.ok(verifyOrder(new Uint8Array(1_000_000), 'street-1', verifier).ok)
})

const order = (changes: object = {}, seed = 1): Order =>
  must(
    decodeOrder(encodeOrder({ ...bid, pseudonym: createSigner(new Uint8Array(32).fill(seed)).publicKey, ...changes })),
  )

test('a book takes an order of its slot and nodes, while it is valid', () => {
  const book = openBook(terms, 10)
  assert.is(shown(book.add(order(), at(300))), 'taken')
  assert.is(shown(book.add(order({ slot: instant(SLOT + 900_000) }, 2), at(300))).split(' ')[0], 'order.slot')
  assert.is(shown(book.add(order({ node: 'F9' }, 2), at(300))), 'order.node (node=F9)')
  assert.is(shown(book.add(order({}, 2), at(601))).split(' ')[0], 'order.not-yet-valid')
  assert.is(shown(book.add(order({}, 2), at(60))).split(' ')[0], 'order.expired')
  assert.is(shown(book.add(order({}, 2), at(600))), 'taken')
  assert.is(book.orders().length, 2)
})

test('the same order from a second broker is one order; two orders of one pseudonym and side are none, in any order', () => {
  const [a, b, other] = [order(), order({ limit: microsPerKwh(1n) }), order({}, 2)]
  for (const arrival of [
    [a, b, other],
    [b, other, a],
    [other, a, a, b, a],
  ]) {
    const book = openBook(terms, 10)
    const answers = arrival.map(one => shown(book.add(one, at(300))))
    assert.ok(answers.some(answer => answer.startsWith('order.double')))
    assert.equal(
      book.orders().map(({ id }) => toHex(id)),
      [toHex(other.id)],
    )
  }
  const book = openBook(terms, 10)
  const { preferences: _preferences, ...rest } = a
  const selling = must(
    decodeOrder(encodeOrder({ ...rest, side: 'offer', source: 'wind' } as OrderTerms & { id?: never })),
  )
  for (const one of [a, a, selling, other]) assert.is(shown(book.add(one, at(300))), 'taken')
  assert.is(book.orders().length, 3)
})

test('a book holds so many pseudonyms and no more', () => {
  const book = openBook(terms, 2)
  assert.is(shown(book.add(order({}, 1), at(300))), 'taken')
  assert.is(shown(book.add(order({}, 2), at(300))), 'taken')
  assert.is(shown(book.add(order({}, 3), at(300))), 'order.book-full (most=2)')
  assert.is(shown(book.add(order({}, 2), at(300))), 'taken')
})

test.run()
