/** Whether what the distribution ledger keeps of a reservation is held against its contract and the deal's end, field by field. */
import type { DealRecord } from '../../../protocol/ledger/deal-record.ts'
import type { Reservation } from '../../../protocol/ledger/network-tables.ts'
import { costCeil, costFloor, micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { later } from '../../../protocol/time.ts'
import { reservationFault } from '../../../protocol/trade/settlement.ts'
import { assert, suite } from '../../harness.ts'
import { fc } from '../../property.ts'
import { GRID_TERMS, SETTLE_BY } from './grid-deal.ts'

const test = suite('reservation of a deal, judged')

const { chainId, start, end, energy, seller, buyer } = GRID_TERMS
const price = microsPerKwh(50_000n)
const HELD: Reservation = {
  ...{
    state: 'held',
    chainId,
    path: ['elm', 'oak'],
    up: 1,
    start,
    end,
    energy,
    price,
    escrow: costCeil(energy, price),
  },
  ...{ payer: seller, distributor: new Uint8Array(20).fill(7), expires: later(SETTLE_BY, 600_000) },
}
function closed(state: 'claimed' | 'released', delivered: bigint): Reservation {
  const paid = costFloor(wattHours(delivered), price)
  const outcome = { delivered: wattHours(delivered), paid, refunded: micros(HELD.escrow - paid), at: SETTLE_BY }
  return { ...HELD, state, outcome }
}
const settledAt = (delivered: bigint) => ({ outcome: { delivered: wattHours(delivered) } }) as unknown as DealRecord
const said = (reservation: Reservation, record?: DealRecord) => {
  const fault = reservationFault(GRID_TERMS, reservation, record)
  return fault === undefined ? 'sound' : `${fault.code} ${'field' in fault ? fault['field'] : ''}`.trim()
}

test('what was held, claimed for what the other ledger says was delivered, or given back is sound', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: energy }), delivered => {
      assert.is(said(closed('claimed', delivered), settledAt(delivered)), 'sound')
      assert.is(said(closed('claimed', delivered)), 'sound')
    }),
  )
  assert.is(said(HELD), 'sound')
  assert.is(said({ ...HELD, payer: buyer }), 'sound')
  assert.is(said(closed('released', 0n)), 'sound')
  // The way of nobody's line costs nothing.
  assert.is(said({ ...HELD, path: [], price: microsPerKwh(0n), escrow: micros(0n) }), 'sound')
})

test("each term that is not the contract's, and each sum that does not follow, is named", () => {
  const claimed = closed('claimed', 100n)
  const outcome = claimed.outcome!
  for (const [wrong, field] of [
    [{ ...HELD, chainId: 'another' }, 'records.differs chainId'],
    [{ ...HELD, start: later(start, 1) }, 'records.differs start'],
    [{ ...HELD, end: later(end, -1) }, 'records.differs end'],
    [{ ...HELD, energy: wattHours(energy - 1n) }, 'records.differs energy'],
    [{ ...HELD, escrow: micros(HELD.escrow + 1n) }, 'records.differs escrow'],
    [{ ...HELD, price: microsPerKwh(price + 100n) }, 'records.differs escrow'],
    [{ ...HELD, expires: later(SETTLE_BY, -1) }, 'records.differs expires'],
    [{ ...HELD, payer: new Uint8Array(20) }, 'records.other-party'],
    [{ ...HELD, outcome }, 'records.differs outcome'],
    [{ ...HELD, state: 'claimed' as const }, 'records.differs outcome'],
    [closed('released', 1n), 'records.differs delivered'],
    [{ ...claimed, outcome: { ...outcome, paid: micros(outcome.paid + 1n) } }, 'records.differs paid'],
    [{ ...claimed, outcome: { ...outcome, refunded: micros(outcome.refunded - 1n) } }, 'records.differs refunded'],
  ] as const) {
    assert.is(said(wrong), field)
  }
  assert.is(said(claimed, settledAt(99n)), 'records.differs delivered')
})

test.run()
