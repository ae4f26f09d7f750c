/** What a settled deal over the grid keeps for the bill. */
import { toHex } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { micros, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { step } from '../../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import { isOver } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { begun, reading, Side, said, stub } from './grid-deal.ts'

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

test('the receipt of the other side is kept in every state, once; a record without one reads as before', () => {
  const signed = ({ envelope, context }: ReturnType<typeof reading>) => ({ envelope, context })
  const receipt = { begin: signed(reading(1n)), end: signed(reading(2n)) }
  for (const state of ['stopped', 'receipted', 'settled'] as const) {
    const side = new Side('buyer').until(state)
    const heard = { kind: 'peer-receipt', receipt } as const
    const now = { wall: instant(0), mono: mono(0) }
    assert.equal(step(side.deal, heard, now, stub).outputs, [{ kind: 'record' }], state)
    side.give(heard)
    assert.equal(must(decodeDeal(encodeDeal(side.deal))).peerReceipt, receipt)
    assert.equal(
      side.give({ kind: 'peer-receipt', receipt: structuredClone(receipt) }),
      [],
      'sent again, it is no news',
    )
    const more = encodeDeal(side.deal).length - encodeDeal(new Side('buyer').until(state).deal).length
    assert.ok(more < 1100, `${more} bytes a deal`)
  }
})

test('a deal whose every part is as long as it may be is read back', () => {
  const long = { envelope: new Uint8Array(800), context: new Uint8Array(800) }
  const metered = { ...long, register: reading(1n).register }
  const deal = {
    ...new Side('buyer').until('settled').deal,
    ...{ begin: metered, end: metered, peerReceipt: { begin: long, end: long } },
    ...{ ownHalf: new Uint8Array(700), peerHalf: new Uint8Array(700) },
    cause: { code: 'c'.repeat(100), detail: 'd'.repeat(300) },
  }
  assert.equal(must(decodeDeal(encodeDeal(deal))).peerReceipt, deal.peerReceipt)
})

test.run()
