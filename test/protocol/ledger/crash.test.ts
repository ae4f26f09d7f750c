/**
 * Every party of a contract over the grid stops for ever after any of its steps: both ledgers or neither. All combinations are
 * in test/slow/ledger-crash.test.ts.
 */
import { assert, suite } from '../../harness.ts'
import { play, playAll, STEPS, type Stops } from './crash-plays.ts'
import { GridLedgers } from './grid-ledgers.ts'

const test = suite('a contract over the grid whose parties crash')

/** One party stops, or all may that have come to the payment. */
function* mostStops(): Iterable<Stops> {
  const [buyers, sellers, distributors] = [STEPS.buyer.length, STEPS.seller.length, STEPS.distributor.length]
  for (let buyer = 0; buyer <= buyers; buyer++) {
    for (let seller = 0; seller <= sellers; seller++) {
      for (let distributor = 0; distributor <= distributors; distributor++) {
        const short = [buyer < buyers, seller < sellers, distributor < distributors].filter(Boolean)
        const paying = buyer >= buyers - 1 && seller >= sellers - 1
        if (short.length <= 1 || paying) yield { buyer, seller, distributor }
      }
    }
  }
}

test('one party stops after any of its steps, or several once the payment is locked: both ledgers or neither', () => {
  const ends = playAll(mostStops())
  assert.is(
    [...ends.values()].reduce((a, b) => a + b, 0),
    29,
  )
})

test('control: where the energy ledger asks for no proof, a half-commit is seen', () => {
  const ledgers = new GridLedgers({ reserveOn: false })
  const { half } = play(ledgers, { buyer: 6, seller: 2, distributor: 4 }, false)
  assert.ok(half)
  const whole = play(ledgers, { buyer: 6, seller: 5, distributor: 4 }, false)
  assert.equal(whole, { deal: 'settled', reservation: 'claimed', half: false })
})

test.run()
