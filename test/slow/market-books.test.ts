/** 100,000 random order books: no mismatch in welfare or price rule, and each has a certificate that is taken. */
import { openOptimiser } from '../../drivers/optimiser/highs.ts'
import { certify, verifyCertificate } from '../../protocol/market/certificate.ts'
import { clear } from '../../protocol/market/clear.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'
import { assertProperty, fc } from '../property.ts'
import { anyBook, anyRule, BEACON, clearingPrices, welfareNumber, welfareProgram } from '../protocol/market/books.ts'

const test = suite('market clearing, at length')
const optimiser = await openOptimiser()
const BOOKS = 100_000

test('100,000 random books gain what the linear program gains, at prices that brute force finds', () => {
  let [books, traded] = [0, 0]
  const property = fc.property(anyBook(), anyRule, (orders, rule) => {
    const clearing = must(clear(orders, rule, BEACON))
    assert.is(welfareNumber(orders, clearing), Math.round(must(optimiser.solve(welfareProgram(orders))).objective))
    must(verifyCertificate(orders, rule, BEACON, certify(orders, clearing)))
    books++
    if (clearing.trades.quantity.length > 0) traded++
    const { uniform } = clearing
    if (uniform === undefined) return
    const prices = clearingPrices(orders, 31)
    assert.equal([uniform.lower, uniform.upper].map(Number), [prices[0], prices.at(-1)])
    assert.ok(prices.includes(Number(uniform.price)))
  })
  assertProperty(property, BOOKS)
  assert.is(books, BOOKS)
  assert.ok(traded > BOOKS / 2, `${traded} books traded at all`)
}, 1_800_000)

test.run()
