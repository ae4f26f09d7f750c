/** As test/protocol/ledger/crash.test.ts, in every combination. */
import { assert, suite } from '../harness.ts'
import { playAll, STEPS, type Stops } from '../protocol/ledger/crash-plays.ts'

const test = suite('a contract over the grid whose parties crash, every combination')

function* everyStop(): Iterable<Stops> {
  for (let buyer = 0; buyer <= STEPS.buyer.length; buyer++) {
    for (let seller = 0; seller <= STEPS.seller.length; seller++) {
      for (let distributor = 0; distributor <= STEPS.distributor.length; distributor++)
        yield { buyer, seller, distributor }
    }
  }
}

test('each party stops after each of its steps, in all 210 combinations: both ledgers or neither', () => {
  const ends = playAll(everyStop())
  assert.is(
    [...ends.values()].reduce((a, b) => a + b, 0),
    210,
  )
}, 240_000)

test.run()
