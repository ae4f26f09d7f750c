/** How deals over the grid end without a settlement, and how they go on after a restart. */

import type { Party } from '../../../protocol/trade/contract.ts'
import { type Deal, type Input, isOver, RESERVE_MS } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { EPOCH } from './deal-street.ts'
import { HASH, INPUTS, PROOF, Side, said } from './grid-deal.ts'

const test = suite('trade deal over the grid, its ends')

const words = (outputs: readonly Parameters<typeof said>[0][]) => outputs.map(said)
const at = (role: Party, state: Deal['state'], phase?: Deal['phase']) => new Side(role).until(state, phase)

const waits: readonly [string, Party, Deal['state'], 'reserve-by' | 'commit-by' | 'start-by', number][] = [
  ['a distribution ledger that never takes the reservation', 'seller', 'signed', 'reserve-by', RESERVE_MS],
  ['a seller that never reserves', 'buyer', 'signed', 'reserve-by', RESERVE_MS],
  ['a buyer that never commits', 'seller', 'reserved', 'commit-by', 40_000],
  ['a ledger that never answers the commitment', 'buyer', 'reserved', 'start-by', 40_000],
  ['a payment that never is locked', 'seller', 'escrowed', 'start-by', 40_000],
  ['a payment that never is locked', 'buyer', 'escrowed', 'start-by', 40_000],
  ['a meter that never signs the begin reading', 'seller', 'armed', 'start-by', 40_000],
  ['a meter that never signs the begin reading', 'buyer', 'armed', 'start-by', 40_000],
]
for (const [what, role, state, name, latest] of waits) {
  test(`${what} ends the ${role}'s deal, named and in time`, () => {
    const side = new Side(role)
    const timers = new Map<string, number>()
    for (let turns = 0; side.deal.state !== state; turns++) {
      assert.ok(turns < 10)
      for (const output of side.give(turnOf(side.deal))) if (output.kind === 'timer') timers.set(output.name, output.at)
    }
    assert.ok(timers.get(name)! <= latest, `${name} at ${timers.get(name)}`)
    const outputs = side.give({ kind: 'timer', name }, EPOCH + timers.get(name)!)
    assert.is(side.deal.state, 'expired')
    assert.is(side.deal.cause?.code, `deal.${name}`)
    const { escrow, fee } = side.deal
    assert.equal(words(outputs), [
      'say stop',
      ...(escrow || fee ? ['prove settlement'] : []),
      ...(fee ? ['prove fee'] : []),
    ])
    // And what it may have locked is followed until it is free.
    if (escrow || fee) assert.not.ok(isOver(side.deal))
    side.give(INPUTS.absent)
    side.give(INPUTS.feeFree)
    assert.ok(isOver(side.deal))
  })
}
function turnOf(deal: Deal): Input {
  const selling = deal.role === 'seller'
  if (deal.state === 'proposed')
    return deal.ownHalf === undefined ? INPUTS.ownHalf(deal.role) : INPUTS.countersign(deal.role)
  if (deal.state === 'signed') return selling ? INPUTS.reserveIn : deal.peerReady ? INPUTS.reservation : INPUTS.reserved
  if (deal.state === 'reserved') return selling ? INPUTS.committed : INPUTS.commitIn
  return INPUTS.lock
}

test('a reservation that is not handed in, or refused, aborts, and the buyer is told', () => {
  const side = at('seller', 'signed')
  const outputs = side.give({ kind: 'not-handed-in', tx: 'reserve', fault: { code: 'ledger.capacity' } })
  assert.equal(words(outputs), ['say stop', 'prove settlement', 'prove fee'], 'a node may have taken it all the same')
  assert.is(side.deal.cause?.code, 'ledger.capacity')
})

test('a commitment refused after the reservation aborts both, and the seller brings the proof that frees its fee', () => {
  const buyer = at('buyer', 'reserved')
  assert.equal(words(buyer.give({ kind: 'not-handed-in', tx: 'commit', fault: { code: 'ledger.funds' } })), [
    'say stop',
    'prove settlement',
  ])
  buyer.give(INPUTS.absent)
  assert.ok(isOver(buyer.deal))
  const seller = at('seller', 'reserved')
  const stop = { kind: 'stop', hash: HASH, reason: 'fault', code: 'ledger.funds' } as const
  assert.equal(words(seller.give({ kind: 'message', body: stop })), ['prove settlement', 'prove fee'])
  assert.is(seller.deal.state, 'aborted')
  assert.equal(seller.deal.cause, { code: 'deal.peer-stop-fault', because: 'ledger.funds' })
  assert.equal(seller.give(INPUTS.absent), [{ kind: 'submit', tx: 'release', absence: PROOF }])
  assert.not.ok(isOver(seller.deal), 'handed in is not yet paid back')
  assert.equal(words(seller.give({ kind: 'not-handed-in', tx: 'release', fault: { code: 'rpc.down' } })), [
    'timer retry',
  ])
  assert.equal(words(seller.give({ kind: 'timer', name: 'retry' })), ['prove settlement'])
  assert.equal(words(seller.give(INPUTS.absent)), ['submit release'])
  seller.give({ kind: 'handed-in', tx: 'release', hash: new Uint8Array(32) })
  seller.give(INPUTS.feeFree)
  assert.ok(isOver(seller.deal))
})

test('a receipt that a node took and no block holds is handed in again when the receipt window is over', () => {
  const side = at('seller', 'receipted')
  assert.equal(words(side.give({ kind: 'timer', name: 'receipt-by' })), ['prove settlement', 'submit receipt'])
  assert.is(side.deal.state, 'disputed')
  // The ledger takes none twice.
  const taken = { kind: 'not-handed-in', tx: 'receipt', fault: { code: 'ledger.receipt-taken' } } as const
  assert.equal(words(side.give(taken)), [])
})

test('a receipt that was refused raises health, which the settlement clears', () => {
  const refused = { kind: 'not-handed-in', tx: 'receipt', fault: { code: 'rpc.down' } } as const
  for (const late of [false, true]) {
    const side = at('buyer', 'stopped', 'receipt')
    assert.ok(words(side.give(refused)).includes('health deal.receipt-refused rpc.down'))
    if (late) side.give({ kind: 'timer', name: 'settle-by' })
    assert.equal(words(side.give(INPUTS.settlement)), ['health deal.receipt-refused cleared'])
    assert.is(side.deal.state, 'settled')
  }
})

const restarts: readonly [Party, Deal['state'], Deal['phase'] | undefined, Deal['state'], readonly string[]][] = [
  ['seller', 'proposed', undefined, 'aborted', ['say decline']],
  ['buyer', 'proposed', undefined, 'aborted', ['say decline']],
  ['seller', 'signed', undefined, 'aborted', ['say stop', 'prove settlement', 'prove fee']],
  ['buyer', 'signed', undefined, 'aborted', ['say stop']],
  ['seller', 'reserved', undefined, 'escrowed', ['timer start-by', 'prove lock']],
  ['buyer', 'reserved', undefined, 'escrowed', ['timer start-by', 'prove lock']],
  ['seller', 'escrowed', undefined, 'escrowed', ['timer start-by', 'prove lock']],
  ['buyer', 'armed', 'waiting', 'escrowed', ['timer start-by', 'prove lock']],
  ['buyer', 'armed', 'reading', 'escrowed', ['timer start-by', 'prove lock']],
  ['seller', 'started', undefined, 'started', ['dispatch on', 'timer end']],
  ['buyer', 'stopped', 'reading', 'stopped', ['dispatch off', 'sign end', 'timer receipt-by', 'timer settle-by']],
  [
    'seller',
    'stopped',
    'receipt',
    'stopped',
    ['timer receipt-by', 'timer settle-by', 'submit receipt', 'prove settlement'],
  ],
  ['buyer', 'receipted', undefined, 'receipted', ['timer receipt-by', 'timer settle-by', 'prove settlement']],
  ['seller', 'settled', undefined, 'settled', ['prove fee']],
  ['buyer', 'settled', undefined, 'settled', []],
]
for (const [role, state, phase, after, outputs] of restarts) {
  test(`a ${role} that restarts while ${state}${phase === undefined ? '' : ` (${phase})`} goes on as ${after}`, () => {
    const side = at(role, state, phase)
    assert.equal(words(side.restart()), outputs)
    assert.is(side.deal.state, after)
  })
}

test('a seller that restarts after it gave up still frees its fee', () => {
  const side = at('seller', 'reserved')
  side.give({ kind: 'timer', name: 'commit-by' })
  assert.equal(words(side.restart()), ['prove settlement', 'prove fee'])
  assert.equal(words(side.give(INPUTS.absent)), ['submit release'])
})

test.run()
