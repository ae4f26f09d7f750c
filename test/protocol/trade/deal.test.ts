import { costFloor, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { encodeContract, type Party } from '../../../protocol/trade/contract.ts'
import { openDeal, step } from '../../../protocol/trade/deal.ts'
import { type Input, isOver, STATES } from '../../../protocol/trade/deal-state.ts'
import { dealTable } from '../../../protocol/trade/deal-table.ts'
import { assert, suite } from '../../harness.ts'
import { createStreet, EPOCH, KEYS, type Street, signHalf, TERMS, verifier } from './deal-street.ts'

const test = suite('trade deal')

const both = (street: Street, state: string) => street.states().every(one => one === state)
const kinds = (street: Street, party: Party) => street.ends[party].outputs.map(output => output.kind)
const fresh = () => street(() => {})
const street = (prepare: (one: Street) => void) => {
  const one = createStreet()
  prepare(one)
  return one
}
/** A street in which power flows. */
const flowing = (): Street => street(one => one.runUntil(() => both(one, 'started')))

test('every state has a rule for every input', () => {
  const table = dealTable('line')
  assert.equal(
    table.map(row => row.state),
    [...STATES],
  )
  const columns = Object.keys(table[0]!.cells)
  assert.is(columns.length, 41)
  const lines = columns.map(column => {
    const cells = table.map(row => {
      const name = (row.cells as Record<string, string>)[column]
      assert.ok(name, `${row.state} x ${column}`)
      return `${name === 'ignore' ? '.' : name === 'refuse' ? '-' : name}`.padEnd(18)
    })
    assert.is(cells.length, STATES.length)
    return `${column.padEnd(18)}${cells.join('')}`
  })
  if (process.env['TIELINE_PRINT'])
    console.log(['', `${''.padEnd(18)}${STATES.map(state => state.padEnd(18)).join('')}`, ...lines].join('\n'))
})

test('a deal goes from the first half to settled money, and the contacts move in the one safe order', () => {
  const one = fresh()
  one.runUntil(() => both(one, 'settled'))
  assert.equal(one.moves, [
    'own open, buyer open, seller open',
    'own open, buyer closed, seller open',
    'own open, buyer closed, seller closed',
    'own open, buyer closed, seller open',
    'own open, buyer open, seller open',
    'own closed, buyer open, seller open',
  ])
  assert.equal(one.states(), ['settled', 'settled'])
  assert.equal(one.violations, [])
  assert.ok(one.ledger.paid > 0n)
  assert.is(one.ledger.disputed, false)
  assert.ok(isOver(one.ends.buyer.deal) && isOver(one.ends.seller.deal))
  const said = (party: Party) =>
    one.ends[party].outputs.flatMap(output => (output.kind === 'send' ? [output.body.kind] : []))
  assert.equal(said('seller'), ['accept', 'started', 'stop', 'stopped', 'receipt-copy'])
  assert.equal(said('buyer'), ['countersign', 'committed', 'ready', 'receipt-copy'])
  assert.not.ok([...kinds(one, 'buyer'), ...kinds(one, 'seller')].includes('refused'))
})

test('no power before the contract starts, none after it ends', () => {
  const one = fresh()
  one.run(9900)
  assert.equal(one.states(), ['armed', 'armed'])
  assert.is(one.ends.buyer.own, 'closed')
  one.runUntil(() => one.flowing())
  assert.ok(one.now().wall < TERMS.start + 2000)
  one.setPower(1_000_000n)
  one.runUntil(() => !one.flowing())
  assert.is(one.ends.seller.deal.cause?.code, 'deal.stop-window')
  assert.ok(one.now().wall <= TERMS.end && one.now().wall > TERMS.end - 3000)
})

test('it stops when the contracted energy is delivered', () => {
  const one = flowing()
  one.setPower(72_000_000n)
  one.runUntil(() => both(one, 'settled'))
  assert.ok(
    one.ends.seller.deal.cause?.code === 'deal.stop-energy' || one.ends.buyer.deal.cause?.code === 'deal.stop-energy',
  )
  assert.is(one.ledger.paid, 100_000n, '500 Wh at 0.2 a kWh, though a little more flowed')
  assert.ok(one.ends.seller.deal.ownWh! > 500n)
})

const faults: readonly Input[] = [
  { kind: 'heartbeat-lost', ageMs: 1100 },
  { kind: 'meter-stale', ageMs: 1600 },
  { kind: 'broker-down' },
  { kind: 'fault', fault: { code: 'light.halted' } },
  { kind: 'lock-refused', fault: { code: 'light.forged' } },
  { kind: 'lock', hash: new Uint8Array(0), record: { state: 'refunded', escrow: 0n as never }, height: 30n },
  { kind: 'settlement', outcome: { kind: 'refunded', paid: 0n as never, disputed: false, height: 30n } },
  { kind: 'facts', facts: { contact: 'open', own: 'open', line: 'dead' } },
]
for (const fault of faults) {
  for (const party of ['seller', 'buyer'] as const) {
    test(`${fault.kind} at the ${party} opens its contact in the same step and settles what was delivered`, () => {
      const one = flowing()
      one.run(20_000)
      const before = one.ends[party].outputs.length
      one.give(party, fault.kind === 'lock' ? { ...fault, hash: one.ends[party].deal.hash } : fault)
      assert.equal(one.ends[party].outputs[before], { kind: 'open', contact: 'line' })
      assert.is(one.ends[party].contact, 'open')
      one.run(2000)
      assert.is(one.ends.seller.contact, 'open')
      assert.is(one.ends.buyer.contact, 'open')
      one.runUntil(() => both(one, 'settled'))
      assert.equal(one.violations, [])
      assert.ok(one.ledger.paid > 0n && one.ledger.paid < 100_000n)
      assert.is(one.ends.buyer.own, 'closed')
    })
  }
}

test('the circuit whose own supply is closed while the line is joined opens at once', () => {
  const one = flowing()
  one.give('buyer', { kind: 'facts', facts: { contact: 'closed', own: 'closed', line: 'live' } })
  assert.is(one.ends.buyer.deal.cause?.code, 'deal.paralleled')
  assert.is(one.ends.buyer.contact, 'open')
})

test('with the broker gone both ends stop, and settle without another message', () => {
  const one = flowing()
  one.run(20_000)
  one.setBroker(false)
  assert.not.ok(one.flowing())
  one.runUntil(() => both(one, 'settled'))
  assert.equal(one.violations, [])
  assert.ok(one.ledger.paid > 0n)
})

test('a payment that is not locked, or too small, aborts before any contact moves', () => {
  for (const record of [
    { state: 'settled', escrow: 100_000n },
    { state: 'locked', escrow: 99_999n },
  ]) {
    const one = street(it => {
      it.ledger.hold = true
      it.run(1000)
    })
    one.give('seller', { kind: 'lock', hash: one.ends.seller.deal.hash, record: record as never, height: 12n })
    assert.is(one.ends.seller.deal.cause?.code, 'deal.not-locked')
    one.ledger.hold = false
    one.runUntil(() => one.states()[1] === 'refunded')
    assert.equal(one.states(), ['aborted', 'refunded'])
    assert.not.ok(kinds(one, 'seller').includes('close') || kinds(one, 'buyer').includes('close'))
  }
})

test('a proof for another deal is refused and changes nothing', () => {
  const one = street(it => {
    it.ledger.hold = true
    it.run(1000)
  })
  const record = { state: 'locked', escrow: 100_000n as never }
  one.give('seller', { kind: 'lock', hash: new Uint8Array(32), record, height: 12n })
  assert.is(one.ends.seller.deal.state, 'escrowed')
  const last = one.ends.seller.outputs.at(-1)
  assert.is(last?.kind === 'refused' && last.fault.code, 'deal.other-lock')
})

test('a commitment that the ledger refuses aborts both sides', () => {
  const one = fresh()
  one.ledger.refuse = true
  one.run(1000)
  assert.equal(one.states(), ['aborted', 'aborted'])
  assert.is(one.ends.buyer.deal.cause?.code, 'rpc.refused')
  assert.not.ok(isOver(one.ends.buyer.deal), 'the transaction may have reached a block all the same')
  one.give('buyer', { kind: 'settlement', outcome: { kind: 'absent' } })
  assert.ok(isOver(one.ends.buyer.deal))
})

test('a half that is no signature of the other party is refused, and the deal expires unsigned', () => {
  const bytes = encodeContract(TERMS)
  const now = { wall: instant(EPOCH), mono: mono(0) }
  const draft = { bytes, sellerKey: KEYS.seller, buyerKey: KEYS.buyer }
  const wrong = openDeal({ ...draft, role: 'buyer', peerHalf: signHalf(bytes, 'buyer') }, now, verifier)
  assert.is(wrong.ok ? 'ok' : wrong.fault.code, 'cose.signature')
  const swapped = openDeal({ role: 'buyer', bytes, sellerKey: KEYS.buyer, buyerKey: KEYS.seller }, now, verifier)
  assert.is(swapped.ok ? 'ok' : swapped.fault.code, 'contract.key')
  const over = openDeal({ ...draft, role: 'buyer' }, { ...now, wall: TERMS.end }, verifier)
  assert.is(over.ok ? 'ok' : over.fault.code, 'deal.window-over')
  let { deal } = must(openDeal({ ...draft, role: 'seller' }, now, verifier))
  deal = step(deal, { kind: 'half', sign1: signHalf(bytes, 'seller') }, now, verifier).deal
  const body = { kind: 'countersign', hash: deal.hash, half: signHalf(bytes, 'seller') } as const
  const refused = step(deal, { kind: 'message', body }, now, verifier)
  assert.equal(
    refused.outputs.map(output => output.kind),
    ['refused'],
  )
  assert.is(refused.deal.state, 'proposed')
  assert.is(step(deal, { kind: 'timer', name: 'sign' }, now, verifier).deal.state, 'expired')
})

test('a withheld receipt is settled by the other one after the dispute window', () => {
  const one = flowing()
  one.run(20_000)
  one.kill('buyer')
  one.give('seller', { kind: 'heartbeat-lost', ageMs: 1100 })
  one.runUntil(() => one.states()[0] === 'settled')
  assert.is(one.ends.seller.deal.settlement?.disputed, true)
  assert.ok(one.ledger.paid > 0n)
  assert.ok(one.ends.seller.outputs.every(output => output.kind !== 'health' || output.fault === undefined))
})

test('a meter that cannot be read at the end is tried until it can, and the contact is open meanwhile', () => {
  const one = flowing()
  one.run(20_000)
  one.ends.buyer.meter = false
  one.give('buyer', { kind: 'meter-stale', ageMs: 1600 })
  one.run(20_000)
  assert.is(one.ends.buyer.contact, 'open')
  assert.equal(one.states(), ['receipted', 'stopped'])
  one.ends.buyer.meter = true
  one.runUntil(() => both(one, 'settled'))
  assert.is(one.ledger.disputed, false)
})

test('a welded contact is raised, keeps the circuit off its own supply, and the receipt is still made', () => {
  const one = flowing()
  one.ends.buyer.welded = true
  one.give('buyer', { kind: 'stop' })
  one.runUntil(() => both(one, 'settled'))
  assert.equal(one.violations, [])
  assert.is(one.ends.buyer.own, 'open')
  assert.not.ok(isOver(one.ends.buyer.deal))
  const raised = one.ends.buyer.outputs.find(output => output.kind === 'health')
  assert.is(raised?.fault?.code, 'deal.contact-stuck')
  one.ends.buyer.welded = false
  one.ends.buyer.contact = 'open'
  one.run(200)
  assert.is(one.ends.buyer.own, 'closed')
  assert.ok(isOver(one.ends.buyer.deal))
})

test('a settlement that pays other than the readings say is raised with both figures', () => {
  const one = flowing()
  one.run(20_000)
  one.ledger.hold = true
  one.give('buyer', { kind: 'stop' })
  one.runUntil(() => both(one, 'receipted'), 60_000)
  const outcome = { kind: 'settled', paid: 99_000n as never, disputed: false, height: 30n } as const
  one.give('buyer', { kind: 'settlement', outcome })
  const raised = one.ends.buyer.outputs.at(-1)
  assert.is(raised?.kind === 'health' && raised.fault?.code, 'deal.settlement-differs')
})

test('a settlement by an end reading of the peer that never came here is no difference, until it is more than ours', () => {
  const raisedAt = (paid: bigint, ended: boolean): boolean => {
    const one = flowing()
    one.run(20_000)
    one.ledger.hold = true
    one.give('buyer', { kind: 'stop' })
    one.runUntil(() => both(one, 'receipted'), 60_000)
    const { deal } = one.ends.buyer
    const { ownWh } = deal
    assert.ok(ownWh !== undefined && ownWh > 0n)
    const most = costFloor(ownWh, deal.contract.price)
    // As if the broker had gone with the seller's copy of its receipt: what was heard last is its begin.
    const { peerEnded: _, ...unended } = deal
    one.ends.buyer.deal = { ...unended, peerWh: wattHours(0n), ...(ended ? { peerEnded: true } : {}) }
    const outcome = { kind: 'settled', paid: (paid + most) as never, disputed: false, height: 30n } as const
    one.give('buyer', { kind: 'settlement', outcome })
    return one.ends.buyer.outputs.some(output => output.kind === 'health' && output.what === 'deal.settlement-differs')
  }
  assert.is(raisedAt(0n, false), false)
  assert.is(raisedAt(1n, false), true)
  // The peer's own end reading says that nothing came: that settles it.
  assert.is(raisedAt(0n, true), true)
})

test('what the peer said of a moment before its end, come late, does not undo its end reading', () => {
  const one = flowing()
  one.run(20_000)
  one.ledger.hold = true
  one.give('buyer', { kind: 'stop' })
  one.runUntil(() => both(one, 'receipted'), 60_000)
  const { peerWh } = one.ends.buyer.deal
  assert.ok(peerWh !== undefined && peerWh > 0n)
  one.give('buyer', { kind: 'metered', side: 'peer', energy: wattHours(0n) })
  assert.is(one.ends.buyer.deal.peerWh, peerWh)
})

test('meters that disagree beyond the agreed loss open the line', () => {
  for (const [own, peer, fine] of [
    [1000n, 930n, true],
    [1000n, 929n, false],
    [1000n, 1050n, true],
    [1000n, 1051n, false],
  ] as const) {
    const one = street(it => it.runUntil(() => both(it, 'started')))
    one.ends.seller.deal = { ...one.ends.seller.deal, contract: { ...TERMS, energy: wattHours(9000n) } }
    one.give('seller', { kind: 'metered', side: 'own', energy: wattHours(own) })
    one.give('seller', { kind: 'metered', side: 'peer', energy: wattHours(peer) })
    assert.is(one.ends.seller.deal.cause?.code, fine ? undefined : 'deal.loss', `${own} ${peer}`)
  }
})

for (const party of ['seller', 'buyer'] as const) {
  test(`a ${party} killed before any one of its outputs comes back from its journal, and no money stays locked`, () => {
    let crashes = 0
    for (let output = 0; ; output++, crashes++) {
      const one = createStreet({ party, output })
      one.run(145_000)
      const end = one.ends[party]
      if (end === undefined || end.alive) break
      one.revive(party)
      one.run(100_000)
      const where = `before output ${output}, ${one.states().join(', ')}, ${one.ledger.state}`
      assert.equal(one.violations, [], where)
      assert.is(one.ends.seller.contact, 'open', where)
      assert.is(one.ends.buyer?.contact ?? 'open', 'open', where)
      assert.is(one.ends.buyer?.own ?? 'closed', 'closed', where)
      assert.is.not(one.ledger.state, 'locked', where)
      assert.ok(isOver(one.ends.seller.deal), where)
      assert.ok(one.ends.buyer === undefined || isOver(one.ends.buyer.deal), where)
    }
    assert.ok(crashes >= 25, String(crashes))
  })
}

test('a wall clock that jumps ten years either way never prolongs the flow', () => {
  for (const jump of [-315_360_000_000, 315_360_000_000]) {
    const one = flowing()
    one.setPower(1_000_000n)
    one.run(10_000)
    one.shiftWall(jump)
    one.run(125_000)
    assert.not.ok(one.flowing(), String(jump))
  }
})

test('a message about another contract is refused', () => {
  const one = flowing()
  one.give('seller', { kind: 'message', body: { kind: 'stop', hash: new Uint8Array(32), reason: 'fault' } })
  assert.is(one.ends.seller.deal.state, 'started')
  const last = one.ends.seller.outputs.at(-1)
  assert.is(last?.kind === 'refused' && last.fault.code, 'deal.other-contract')
})

test.run()
