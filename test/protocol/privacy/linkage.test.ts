/** Orders of homes with realistic loads, slot after slot, and adversaries that try to tell whose they are. */

import { type Manner, ordersOfHomes } from '../../../hw/sim/home-orders.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { LOTS } from '../../../protocol/privacy/anonymity.ts'
import { LINKERS, measureLinkage } from '../../../protocol/privacy/linkage.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('linkage of orders')

const ordersOf = (manner: Partial<Manner>) => ordersOfHomes({ homes: 120, feeders: 2, slots: 24, seed: 7, ...manner })

const draw = () => seededRandom(11)
const worst = (manner: Partial<Manner>) =>
  Object.values(LINKERS).reduce((most, linker) => {
    const { advantage } = measureLinkage(ordersOf(manner), linker, draw())
    return Math.max(most, advantage)
  }, -1)

test('orders under one name are all linked, by everybody', () => {
  for (const [name, linker] of Object.entries(LINKERS)) {
    const { orders, linked } = measureLinkage(ordersOf({ named: true }), linker, draw())
    assert.ok(orders > 1000)
    assert.is(linked, orders, name)
  }
})

test('one-time keys alone do not hide a home: its limit says which one it is', () => {
  assert.ok(worst({}) > 0.5, String(worst({})))
})

test('coarse orders that come by the beat of a clock are linked by it', () => {
  assert.ok(worst({ punctual: true, lots: LOTS }) > 0.5, String(worst({ punctual: true, lots: LOTS })))
})

test('under one-time keys, in lots, and at a moment that is drawn, nobody links more than one order in twenty beyond chance', () => {
  for (const [name, linker] of Object.entries(LINKERS)) {
    const { orders, advantage } = measureLinkage(ordersOf({ lots: LOTS }), linker, draw())
    assert.ok(orders > 1000)
    assert.ok(Math.abs(advantage) <= 0.05, `${name}: ${advantage}`)
  }
})

test('chance is a guess among the orders of the same feeder: who guesses so gains nothing', () => {
  const guess = draw()
  const linker = (from: readonly { feeder: string }[], to: readonly { feeder: string }[]) =>
    from.map(({ feeder }) => {
      const same = [...to.entries()].filter(([, other]) => other.feeder === feeder)
      return same[Math.floor(guess() * same.length)]?.[0]
    })
  const { advantage } = measureLinkage(ordersOf({ lots: LOTS }), linker, draw())
  assert.ok(Math.abs(advantage) < 0.01, String(advantage))
})

test.run()
