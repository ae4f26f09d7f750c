/** What each observer of a trade learns from the bytes that it has, against the table of protocol/privacy/observers.ts. */
import { watchTrade } from '../../../hw/scenario/observer-views.ts'
import { asStated, FACTS, learnedFrom, OBSERVERS, type Observer, STATED } from '../../../protocol/privacy/observers.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('observers of a trade')
const watched = await watchTrade()
const learned = Object.fromEntries(
  OBSERVERS.map(observer => [observer, learnedFrom(watched.views[observer], watched.secrets[observer])]),
) as Record<Observer, ReturnType<typeof learnedFrom>>

for (const observer of OBSERVERS) {
  test(`${observer}: learns what is stated, and nothing else`, () => {
    assert.equal(learned[observer], STATED[observer])
  })
}

test('nobody learns what a household would pay at most', () => {
  for (const observer of OBSERVERS) assert.is(learned[observer].limit, false, observer)
})

test('an order under its maker’s name and to the Wh tells its neighbours all of it: the search does find what is there', () => {
  const found = learnedFrom(watched.named, watched.secrets.neighbour)
  assert.equal(
    FACTS.filter(fact => found[fact]),
    ['identity', 'limit', 'quantity', 'time'],
  )
})

test('an observer that learns one fact more, or one less, is not as stated', () => {
  assert.equal(new Set(Object.values(asStated(learned))), new Set([true]))
  const more = { ...learned, broker: { ...learned.broker, price: true } }
  const less = { ...learned, validator: { ...learned.validator, price: false } }
  assert.is(asStated(more).broker, false)
  assert.is(asStated(less).validator, false)
  assert.is(asStated(more).validator, true)
})

test('a number that is found in any bytes is not looked for', () => {
  assert.throws(() => learnedFrom([], { ...watched.secrets.broker, price: [200] }), /too small/)
})

test.run()
