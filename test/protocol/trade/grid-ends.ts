/** What must hold of every deal over the grid once all its windows are over, whatever happened on the way. */
import { costFloor } from '../../../protocol/quantity.ts'
import { isOver } from '../../../protocol/trade/deal-state.ts'
import { assert } from '../../harness.ts'
import type { GridStreet } from './grid-ledgers.ts'
import { ALL_OVER } from './grid-plan.ts'

/** How the deal ended on the ledgers, after everything that has to be true of it was found to be so. */
export function judgeEnd(street: GridStreet, where: string): 'settled' | 'refunded' | 'none' {
  street.run(ALL_OVER)
  const { deal, reservation } = street.ledgers()
  // Nothing is held on either ledger, and every coin is somewhere.
  for (const chain of [street.energy, street.net]) {
    const { money, deals } = chain.books()
    assert.is(money.escrowed, 0n, `${where}: escrow`)
    assert.is(money.reserved, 0n, `${where}: reserved`)
    assert.is(deals.locked, 0, where)
  }
  // Both ledgers, or neither: nobody is paid for energy whose way was not reserved, and no fee without a paid deal.
  if (deal !== undefined) assert.ok(reservation !== undefined, `${where}: committed without a reservation`)
  const paid = deal?.outcome?.paid ?? 0n
  const fee = reservation?.outcome?.paid ?? 0n
  if (fee > 0n) assert.ok(paid > 0n && reservation!.state === 'claimed', `${where}: a fee without a deal`)
  if (deal !== undefined) {
    const { outcome, energy, price, escrow, state } = deal
    assert.is(outcome!.paid + outcome!.refunded, escrow, where)
    assert.is(outcome!.paid, costFloor(outcome!.delivered, price), where)
    assert.ok(outcome!.delivered <= energy, where)
    if (state === 'refunded') assert.is(paid, 0n, where)
  }
  // Whoever is alive knows of it, and has nothing left to do.
  for (const role of ['seller', 'buyer'] as const) {
    const end = street.ends[role]
    if (end === undefined || !end.alive) continue
    const state = street.state(role)
    assert.ok(isOver(end.deal), `${where}: the ${role} is ${state} for ever`)
    assert.not.ok(street.dispatched(role), where)
    if (deal === undefined) assert.ok(state === 'aborted' || state === 'expired', `${where}: ${role} ${state}`)
    else assert.is(state, deal.state, `${where}: ${role}`)
    // What a settled deal keeps for the bill is what the ledgers say, on both sides.
    if (state === 'settled') {
      assert.is(end.deal.settlement!.delivered, deal!.outcome!.delivered, `${where}: ${role} delivered`)
      const kept = role === 'seller' && paid > 0n ? { price: reservation!.price, paid: fee } : undefined
      assert.equal(end.deal.feePaid, kept, `${where}: ${role} fee`)
    }
    if (state === 'aborted' || state === 'expired') assert.ok(end.deal.cause !== undefined, `${where}: no cause`)
    for (const output of end.outputs) {
      if (output.kind === 'health' && output.what === 'deal.settlement-differs') assert.unreachable(where)
    }
  }
  return deal === undefined ? 'none' : (deal.state as 'settled' | 'refunded')
}
