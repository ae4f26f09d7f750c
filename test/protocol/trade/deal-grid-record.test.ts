/** What a settled deal over the grid keeps for the bill. */
import { toHex } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { micros, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import { isOver } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { begun, Side, said } from './grid-deal.ts'

const test = suite('record of a deal over the grid')

/** SHA-256 of a settled seller's record in the form that had no delivered energy. */
const OLD_RECORD = '4cbfee65fb5c88cd311570a14a29635e219533f96fe8d38b18584c78cdb633ef'

test('where nothing was paid, and for a buyer, there is no fee to ask for', () => {
  const nothing = { kind: 'settled', paid: micros(0n), delivered: wattHours(0n), disputed: false, height: 30n } as const
  const seller = new Side('seller').until('receipted')
  assert.equal(seller.give({ kind: 'settlement', outcome: nothing }).map(said), [])
  assert.ok(isOver(seller.deal))
  assert.ok(isOver(new Side('buyer').until('settled').deal))
})

test('a settled deal keeps what the ledger says was delivered; one that was written before it did is read as it is', () => {
  const side = new Side('buyer').until('receipted')
  const outcome = { kind: 'settled', paid: micros(80_000n), disputed: false, height: 30n } as const
  side.give({ kind: 'settlement', outcome: { ...outcome, delivered: wattHours(400n) } })
  assert.is(must(decodeDeal(encodeDeal(side.deal))).settlement?.delivered, 400n)
  const old = {
    ...begun('seller', false),
    ...{ state: 'settled' as const, settlement: outcome },
  }
  assert.is(toHex(sha256(encodeDeal(old))), OLD_RECORD, 'as the codec without the field wrote it')
  assert.equal(must(decodeDeal(encodeDeal(old))).settlement, outcome)
})

test.run()
