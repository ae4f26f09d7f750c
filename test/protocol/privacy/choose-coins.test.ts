/** Which coins are put in for a sum: enough of them whenever there are enough, and none that could have stayed. */
import { chooseCoins, DENOMINATIONS, MAX_COINS } from '../../../protocol/privacy/coins.ts'
import { micros } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('choice of coins')

const FEE = micros(100n)
const sizes = DENOMINATIONS.slice(0, 3)

test('a cent and a one for half a one: the one alone, since the cent could have stayed', () => {
  const held = [10_000n, 1_000_000n].map(n => ({ denomination: micros(n) }))
  assert.equal(chooseCoins(held, micros(500_000n), FEE), [held[1]])
  assert.is(chooseCoins(held, micros(2_000_000n), FEE), undefined)
})

test('what is chosen is held, reaches after its fees, and no coin of it could have stayed', () => {
  const coins = fc.array(fc.constantFrom(...sizes), { maxLength: 12 })
  assertProperty(
    fc.property(coins, fc.bigInt(1n, 5_000_000n), (denominations, needed) => {
      const held = denominations.map(denomination => ({ denomination }))
      const worth = (all: typeof held) => all.reduce((sum, { denomination }) => sum + denomination - FEE, 0n)
      const chosen = chooseCoins(held, micros(needed), FEE)
      assert.is(chosen !== undefined, worth(held) >= needed)
      if (chosen === undefined) return
      assert.is(new Set(chosen).size, chosen.length)
      assert.ok(chosen.length <= MAX_COINS && chosen.every(coin => held.includes(coin)))
      assert.ok(worth([...chosen]) >= needed)
      for (const coin of chosen) assert.ok(worth(chosen.filter(other => other !== coin)) < needed)
    }),
    500,
  )
})

test('a sum that would take 27 small coins is paid with the large one: sixteen go in at once', () => {
  const small = [1_000_000n, 100_000n, 10_000n].flatMap(size => Array.from({ length: 9 }, () => size))
  const held = [10_000_000n, ...small].map(n => ({ denomination: micros(n) }))
  assert.equal(chooseCoins(held, micros(9_987_300n), FEE), [held[0]])
})

test('of one size the first are taken, whether they fit or are more than is missing', () => {
  const held = [1_000_000n, 1_000_000n, 10_000n, 10_000n].map(n => ({ denomination: micros(n) }))
  assert.equal(
    chooseCoins(held, micros(500n), FEE)?.map(coin => held.indexOf(coin)),
    [2],
  )
  assert.equal(
    chooseCoins(held, micros(30_000n), FEE)?.map(coin => held.indexOf(coin)),
    [0],
  )
  assert.equal(
    chooseCoins(held, micros(1_000_000n), FEE)?.map(coin => held.indexOf(coin)),
    [0, 2],
  )
})

test('whenever the sixteen largest coins are enough some are chosen, and never more than sixteen', () => {
  const coins = fc.array(fc.constantFrom(...sizes), { minLength: 12, maxLength: 40 })
  assertProperty(
    fc.property(coins, fc.bigInt(1n, 20_000_000n), (denominations, needed) => {
      const held = denominations.map(denomination => ({ denomination }))
      const largest = denominations.map(n => n - FEE).sort((a, b) => Number(b - a))
      const most = largest.slice(0, MAX_COINS).reduce((sum, n) => sum + n, 0n)
      const chosen = chooseCoins(held, micros(needed), FEE)
      assert.is(chosen !== undefined, most >= needed)
      if (chosen === undefined) return
      assert.ok(new Set(chosen).size === chosen.length && chosen.length <= MAX_COINS)
      const worth = chosen.reduce((sum, { denomination }) => sum + denomination - FEE, 0n)
      assert.ok(worth >= needed)
    }),
    500,
  )
})

test.run()
