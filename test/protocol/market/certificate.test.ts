/** A clearing with its dual price: the true one is taken, every other is refused by what is false about it. */
import {
  type Certificate,
  type CertificateCheck,
  certify,
  decodeCertificate,
  encodeCertificate,
  verifyCertificate,
} from '../../../protocol/market/certificate.ts'
import { clear, packTrades, type Rule } from '../../../protocol/market/clear.ts'
import type { Trades } from '../../../protocol/market/matching.ts'
import type { BookOrder } from '../../../protocol/market/ranking.ts'
import { microsPerKwh } from '../../../protocol/quantity.ts'
import { faultLine, must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { anyBook, anyRule, BEACON, bookOrder, clearingPrices, PAY_AS_BID, PAY_AS_CLEAR } from './books.ts'

const test = suite('certificates of optimality')

type Row = readonly [bid: number, offer: number, quantity: number, price: number]
const rowsOf = ({ bid, offer, quantity, price }: Trades): Row[] =>
  Array.from(quantity, (each, i) => [bid[i]!, offer[i]!, each, price[i]!])
const tradesOfRows = (rows: readonly Row[]): Trades => ({
  bid: Uint32Array.from(rows, row => row[0]),
  offer: Uint32Array.from(rows, row => row[1]),
  quantity: Float64Array.from(rows, row => row[2]),
  price: Float64Array.from(rows, row => row[3]),
})
const packed = (orders: readonly BookOrder[], rows: readonly Row[], dual: number): Certificate => ({
  dual: microsPerKwh(BigInt(dual)),
  trades: packTrades(orders, tradesOfRows(rows)),
})
const verdict = (
  orders: readonly BookOrder[],
  rule: Rule,
  certificate: Certificate,
  without: readonly CertificateCheck[] = [],
) => {
  const result = verifyCertificate(orders, rule, BEACON, certificate, without)
  return result.ok ? 'taken' : faultLine(result.fault)
}

test('every clearing has a certificate that whoever has the book can check', () => {
  const property = fc.property(anyBook(), anyRule, (orders, rule) => {
    const clearing = must(clear(orders, rule, BEACON))
    const bytes = encodeCertificate(certify(orders, clearing))
    const read = must(decodeCertificate(bytes, 4096))
    const backwards = [...orders].reverse()
    const found = must(verifyCertificate(backwards, rule, BEACON, read))
    assert.equal(packTrades(backwards, found), packTrades(orders, clearing.trades))
  })
  assertProperty(property, 1000)
})

test('no trades but those of the rule are taken, whatever was changed about them', () => {
  const change = fc.record({
    row: fc.nat(),
    column: fc.nat(3),
    by: fc.integer({ min: -5, max: 5 }),
    how: fc.constantFrom('change', 'drop', 'double', 'swap'),
  })
  const property = fc.property(
    anyBook(),
    anyRule,
    fc.array(change, { minLength: 1, maxLength: 3 }),
    (orders, rule, all) => {
      const clearing = must(clear(orders, rule, BEACON))
      const { dual, trades } = certify(orders, clearing)
      const rows = rowsOf(clearing.trades).map(row => [...row] as [number, number, number, number])
      for (const { row, column, by, how } of all) {
        if (rows.length === 0) return
        const at = row % rows.length
        const next = (at + 1) % rows.length
        if (how === 'drop') rows.splice(at, 1)
        else if (how === 'double') rows.push([...rows[at]!])
        else if (how === 'swap') [rows[at], rows[next]] = [rows[next]!, rows[at]!]
        else rows[at]![column]! += by
      }
      if (rows.some(([bid, offer, quantity, price]) => !orders[bid] || !orders[offer] || quantity < 0 || price < 0))
        return
      const changed = packed(orders, rows, Number(dual))
      const same = Buffer.compare(changed.trades, trades) === 0
      assert.is(verdict(orders, rule, changed) === 'taken', same)
    },
  )
  assertProperty(property, 3000)
})

test('a dual price is taken where brute force finds a clearing price, and nowhere else', () => {
  const property = fc.property(anyBook(), anyRule, fc.integer({ min: 0, max: 31 }), (orders, rule, dual) => {
    const { trades } = certify(orders, must(clear(orders, rule, BEACON)))
    const answer = verdict(orders, rule, { dual: microsPerKwh(BigInt(dual)), trades })
    assert.is(answer === 'taken', clearingPrices(orders, 31).includes(dual))
  })
  assertProperty(property, 1000)
})

const [b, twin, s] = [bookOrder('bid', 5, 30, 'b'), bookOrder('bid', 5, 30, 'twin'), bookOrder('offer', 5, 10, 's')]
const dear = bookOrder('offer', 5, 30, 'dear')
const dull = bookOrder('bid', 5, 20, 'dull')
/** Which of two equal bids the beacon serves first. */
const twins = [b, twin, s]
const served = must(clear(twins, PAY_AS_BID, BEACON)).trades.bid[0]!

const falsehoods: readonly {
  readonly what: string
  readonly orders: readonly BookOrder[]
  readonly rule?: Rule
  readonly rows: readonly Row[]
  readonly dual: number
  readonly fault: CertificateCheck
  /** Checks that would refuse it too. */
  readonly others?: readonly CertificateCheck[]
}[] = [
  {
    what: 'an order is sold more than it is for',
    orders: [b, dear],
    rows: [[0, 1, 10, 30]],
    dual: 30,
    fault: 'overfilled',
    others: ['service'],
  },
  { what: 'a gain is left untaken', orders: [b, s], rows: [], dual: 20, fault: 'not-optimal', others: ['unfinished'] },
  {
    what: 'a dual price that proves nothing',
    orders: [b, s],
    rows: [[0, 1, 5, 30]],
    dual: 31,
    fault: 'not-optimal',
  },
  {
    what: 'a dearer offer is taken first',
    orders: [b, s, bookOrder('offer', 5, 12, 's2')],
    rows: [[0, 2, 5, 30]],
    dual: 12,
    fault: 'not-optimal',
    others: ['unfinished', 'service'],
  },
  { what: 'orders that meet at no gain are left over', orders: [b, dear], rows: [], dual: 30, fault: 'unfinished' },
  {
    what: 'the drawn order is passed over for its equal',
    orders: twins,
    rows: [[1 - served, 2, 5, 30]],
    dual: 30,
    fault: 'service',
  },
  {
    what: 'one of two equals gets less than its share',
    orders: twins,
    rule: { ...PAY_AS_BID, ties: 'pro-rata' },
    rows: [
      [served, 2, 4, 30],
      [1 - served, 2, 1, 30],
    ],
    dual: 30,
    fault: 'service',
  },
  {
    what: 'the better bid is paired with the dearer offer',
    orders: [b, dull, s, bookOrder('offer', 5, 12, 's2')],
    rows: [
      [0, 3, 5, 30],
      [1, 2, 5, 20],
    ],
    dual: 15,
    fault: 'service',
  },
  { what: 'a seller gets less than the rule says', orders: [b, s], rows: [[0, 1, 5, 29]], dual: 20, fault: 'price' },
  {
    what: 'the one price is another within its bounds',
    orders: [b, s],
    rule: PAY_AS_CLEAR,
    rows: [[0, 1, 5, 21]],
    dual: 20,
    fault: 'price',
  },
]

for (const { what, orders, rule = PAY_AS_BID, rows, dual, fault, others = [] } of falsehoods) {
  test(`${what}: refused as ${fault}, and taken were it not for that check`, () => {
    const certificate = packed(orders, rows, dual)
    assert.is.not(verdict(orders, rule, certificate), 'taken')
    assert.match(verdict(orders, rule, certificate, others), new RegExp(`^certificate\\.${fault} `))
    assert.is(verdict(orders, rule, certificate, [...others, fault]), 'taken')
  })
}

test('trades of orders that are not in the book, on the wrong side, of nothing or cut off are refused', () => {
  const stranger = bookOrder('bid', 5, 30, 'stranger')
  const row: Row = [0, 1, 5, 30]
  assert.match(verdict([b, s], PAY_AS_BID, packed([stranger, s], [row], 20)), /^certificate\.order /)
  assert.match(verdict([b, s], PAY_AS_BID, packed([s, b], [row], 20)), /^certificate\.side /)
  assert.match(verdict([b, s], PAY_AS_BID, packed([b, s], [[0, 1, 0, 30]], 20)), /^certificate\.quantity /)
  assert.match(verdict([b, s], PAY_AS_BID, packed([b, s], [[0, 1, 2 ** 41, 30]], 20)), /^certificate\.quantity /)
  const { dual, trades } = packed([b, s], [row], 20)
  assert.match(verdict([b, s], PAY_AS_BID, { dual, trades: trades.subarray(1) }), /^certificate\.bytes /)
  // Two ids that begin alike are two orders.
  const alike = { ...stranger, id: b.id.slice() }
  alike.id[15]! ^= 1
  assert.match(verdict([b, s], PAY_AS_BID, packed([alike, s], [row], 20)), /^certificate\.order /)
  assert.is(
    verdict([alike, b, s], PAY_AS_BID, certify([alike, b, s], must(clear([alike, b, s], PAY_AS_BID, BEACON)))),
    'taken',
  )
})

test('a rule without a dual price has no certificate', () => {
  const mcafee: Rule = { rule: 'pay-as-clear', option: 'mcafee', ties: 'first-come' }
  const certificate = packed([b, s], [[0, 1, 5, 30]], 20)
  assert.match(verdict([b, s], mcafee, certificate), /^certificate\.rule /)
  assert.match(verdict([b, s], { ...PAY_AS_BID, k: 0.5 } as Rule, certificate), /^certificate\.rule /)
})

test('no bytes make the reader throw', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      const read = decodeCertificate(bytes, 4096)
      if (read.ok) assert.ok(read.value.dual >= 0n)
    }),
    500,
  )
  assert.not.ok(decodeCertificate(new Uint8Array(5000), 4096).ok)
})

test.run()
