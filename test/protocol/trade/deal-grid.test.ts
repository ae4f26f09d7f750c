import { micros, microsPerKwh } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant, later, mono } from '../../../protocol/time.ts'
import { encodeContract, type Party } from '../../../protocol/trade/contract.ts'
import { openDeal } from '../../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import { type Deal, type Input, isDispatched, isOver, STATES, wishOf } from '../../../protocol/trade/deal-state.ts'
import { dealTable } from '../../../protocol/trade/deal-table.ts'
import { assert, suite } from '../../harness.ts'
import { EPOCH, KEYS, TERMS } from './deal-street.ts'
import { GRID_BYTES, GRID_TERMS, HASH, INPUTS, PROOF, RESERVATION, SETTLE_BY, Side, said, stub } from './grid-deal.ts'

const test = suite('trade deal over the grid')

const PARTIES = ['seller', 'buyer'] as const
const words = (outputs: readonly Parameters<typeof said>[0][]) => outputs.map(said)
const at = (role: Party, state: Deal['state'], phase?: Deal['phase']) => new Side(role).until(state, phase)

test('every state has a rule for every input, over the grid as on a line', () => {
  const table = dealTable('grid')
  assert.equal(
    table.map(row => row.state),
    [...STATES],
  )
  const columns = Object.keys(table[0]!.cells)
  assert.equal(columns, Object.keys(dealTable('line')[0]!.cells))
  const lines = columns.map(column => {
    const cells = table.map(row => {
      const name = (row.cells as Record<string, string>)[column]
      assert.ok(name, `${row.state} x ${column}`)
      return `${name === 'ignore' ? '.' : name === 'refuse' ? '-' : name}`.padEnd(24)
    })
    return `${column.padEnd(20)}${cells.join('')}`
  })
  if (process.env['TIELINE_PRINT'])
    console.log(['', `${''.padEnd(20)}${STATES.map(state => state.padEnd(24)).join('')}`, ...lines].join('\n'))
})

/** One side's way, each input with what the deal asks for and where it stands then. */
function story(role: Party, reserve?: false): string[] {
  const side = new Side(role, reserve)
  const path: [string, Input, number?][] =
    role === 'seller'
      ? [
          ['own half', INPUTS.ownHalf(role)],
          ['countersign', INPUTS.countersign(role)],
          ...(reserve === false ? [] : ([['reserve handed in', INPUTS.reserveIn]] as [string, Input][])),
          ['committed', INPUTS.committed],
        ]
      : [
          ['own half', INPUTS.ownHalf(role)],
          ['countersign', INPUTS.countersign(role)],
          ...(reserve === false
            ? []
            : ([
                ['reserved', INPUTS.reserved],
                ['reservation', INPUTS.reservation],
              ] as [string, Input][])),
          ['commit handed in', INPUTS.commitIn],
        ]
  path.push(
    ['lock', INPUTS.lock],
    ['start', INPUTS.start, GRID_TERMS.start],
    ['begin reading', INPUTS.begin],
    ['end', INPUTS.end, GRID_TERMS.end],
    ['end reading', INPUTS.endReading],
    ['receipt handed in', INPUTS.receiptIn],
    ['settlement', INPUTS.settlement],
  )
  return path.map(([name, input, when]) => {
    const outputs = words(side.give(input, when))
    return `${name}: ${outputs.join(', ') || 'nothing'} -> ${side.deal.state}`
  })
}

const FROM_THE_LOCK = [
  'lock: timer start -> armed',
  'start: sign begin -> armed',
  'begin reading: dispatch on, timer end -> started',
  'end: sign end, dispatch off, timer receipt-by, timer settle-by -> stopped',
  'end reading: submit receipt -> stopped',
  'receipt handed in: health deal.receipt-refused cleared, prove settlement -> receipted',
  'settlement: nothing -> settled',
]

test('the seller reserves, says so, hears of the payment and sees it locked, reads its meter twice and hands in a receipt', () => {
  assert.equal(story('seller'), [
    'own half: say accept -> proposed',
    'countersign: timer start-by, timer reserve-by, submit reserve -> signed',
    'reserve handed in: say reserved, prove lock, timer commit-by -> reserved',
    'committed: prove lock -> escrowed',
    ...FROM_THE_LOCK.slice(0, -1),
    'settlement: prove fee -> settled',
  ])
})

test('the buyer hears of the reservation, has it proven, and commits only then', () => {
  assert.equal(story('buyer'), [
    'own half: say accept -> proposed',
    'countersign: timer start-by, timer reserve-by -> signed',
    'reserved: prove reservation -> signed',
    'reservation: submit commit -> reserved',
    'commit handed in: say committed, prove lock -> escrowed',
    ...FROM_THE_LOCK,
  ])
})

test('where no distribution ledger is configured nothing is reserved', () => {
  assert.equal(story('seller', false).slice(1, 4), [
    'countersign: timer start-by -> signed',
    'committed: prove lock -> escrowed',
    'lock: timer start -> armed',
  ])
  assert.equal(story('buyer', false).slice(1, 4), [
    'countersign: timer start-by, submit commit -> signed',
    'commit handed in: say committed, prove lock -> escrowed',
    'lock: timer start -> armed',
  ])
})

test('the commitment carries the proof of the reservation, and the deal keeps the height of its header', () => {
  const side = at('buyer', 'signed')
  side.give(INPUTS.reserved)
  const submit = side.give(INPUTS.reservation)
  assert.equal(submit, [{ kind: 'submit', tx: 'commit', reservation: PROOF }])
  assert.is(side.deal.reservedHeight, PROOF.height)
  assert.ok(side.deal.escrow)
})

test('a seller that has settled leaves the fee to the distributor, and asks what it came to, after a restart too', () => {
  const side = at('seller', 'reserved')
  assert.ok(side.deal.fee)
  side.until('settled')
  assert.ok(side.deal.fee)
  assert.not.ok(isOver(side.deal))
  assert.equal(words(side.restart()), ['prove fee'])
  const charged = { price: microsPerKwh(30_000n), paid: micros(6_000n) }
  side.give({ kind: 'fee-free', charged })
  assert.ok(isOver(side.deal))
  assert.equal(must(decodeDeal(encodeDeal(side.deal))).feePaid, charged)
})

test("a seller's word that overtakes its half is kept until both have signed", () => {
  const side = new Side('buyer')
  side.give(INPUTS.ownHalf('buyer'))
  assert.equal(words(side.give(INPUTS.reserved)), [])
  assert.equal(words(side.give(INPUTS.countersign('buyer'))), [
    'timer start-by',
    'timer reserve-by',
    'prove reservation',
  ])
})

const bad: readonly [string, Partial<Record<keyof typeof RESERVATION, unknown>>, string][] = [
  ['closed', { state: 'released' }, 'deal.not-reserved'],
  ['for a deal of another chain', { chainId: 'elsewhere' }, 'deal.reservation-chain'],
  ['that begins late', { start: GRID_TERMS.start + 1 }, 'deal.reservation-small'],
  ['that ends early', { end: GRID_TERMS.end - 1 }, 'deal.reservation-small'],
  ['for too little', { energy: 499n }, 'deal.reservation-small'],
  ['that expires before the margin', { expires: RESERVATION.expires - 1 }, 'deal.reservation-short'],
]
for (const [which, change, code] of bad) {
  test(`a reservation ${which} is no ground to commit: aborted before anything is locked`, () => {
    const side = at('buyer', 'signed')
    side.give(INPUTS.reserved)
    const outputs = side.give({ ...INPUTS.reservation, record: { ...RESERVATION, ...change } } as Input)
    assert.equal(words(outputs), ['say stop'])
    assert.is(side.deal.state, 'aborted')
    assert.is(side.deal.cause?.code, code)
    assert.ok(isOver(side.deal), 'nothing of the buyer is on any ledger')
  })
}

test('a proof for another contract, and one that nobody asked for, are refused and change nothing', () => {
  const side = at('buyer', 'signed')
  assert.equal(words(side.give(INPUTS.reservation)), ['refused deal.unexpected'], 'the seller has said nothing')
  side.give(INPUTS.reserved)
  const foreign = side.give({ ...INPUTS.reservation, hash: new Uint8Array(32) })
  assert.equal(words(foreign), ['refused deal.other-reservation'])
  assert.is(side.deal.state, 'signed')
  assert.equal(words(at('seller', 'signed').give(INPUTS.reservation)), ['refused deal.unexpected'], 'nor the seller')
})

test('a proof that does not hold, or a distribution ledger that is not believed, aborts with that fault', () => {
  const side = at('buyer', 'signed')
  side.give(INPUTS.reserved)
  side.give({ kind: 'reservation-refused', fault: { code: 'ics23.root' } })
  assert.is(side.deal.state, 'aborted')
  assert.is(side.deal.cause?.code, 'ics23.root')
  assert.ok(isOver(side.deal))
})

const harmless: readonly Input[] = [
  { kind: 'heartbeat-lost', ageMs: 60_000 },
  { kind: 'meter-stale', ageMs: 60_000 },
  { kind: 'broker-down' },
  { kind: 'facts', facts: { contact: 'unknown', own: 'unknown', line: 'unknown' } },
]
for (const input of harmless) {
  test(`${input.kind} stops no deal over the grid, in any state`, () => {
    for (const role of PARTIES) {
      for (const state of ['proposed', 'signed', 'reserved', 'escrowed', 'armed', 'started', 'stopped'] as const) {
        const side = at(role, state)
        const before = side.deal
        assert.equal(words(side.give(input)), [], `${role} ${state}`)
        assert.is(side.deal.state, state)
        assert.is(side.deal.cause, before.cause)
      }
    }
  })
}

const halts: readonly [string, Input, string, readonly string[]][] = [
  ['a person', { kind: 'stop' }, 'deal.stop-operator', ['say stop']],
  ['a fault at this end', { kind: 'fault', fault: { code: 'fuse.blown' } }, 'fuse.blown', ['say stop']],
  [
    "the peer's stop",
    { kind: 'message', body: { kind: 'stop', hash: HASH, reason: 'operator' } },
    'deal.peer-stop-operator',
    [],
  ],
  ['a light client in doubt', { kind: 'lock-refused', fault: { code: 'light.halted' } }, 'light.halted', ['say stop']],
  ['the energy delivered', { kind: 'metered', side: 'own', energy: GRID_TERMS.energy }, 'deal.stop-energy', []],
]
for (const [what, input, code, word] of halts) {
  test(`${what} ends the dispatch once, and readings and receipt are made all the same`, () => {
    for (const role of PARTIES) {
      const side = at(role, 'started')
      assert.ok(isDispatched(side.deal))
      assert.equal(words(side.give(input)), ['dispatch off', ...word])
      assert.not.ok(isDispatched(side.deal))
      assert.is(side.deal.state, 'started')
      assert.is(side.deal.cause?.code, code)
      assert.equal(words(side.give(input)), [])
      assert.equal(words(side.give(INPUTS.end, GRID_TERMS.end)), ['sign end', 'timer receipt-by', 'timer settle-by'])
      assert.equal(words(side.give(INPUTS.endReading)), ['submit receipt'])
      assert.is(side.deal.cause?.code, code)
    }
  })
}

test("a peer's stop after the payment is locked does not talk anybody out of its receipt; nothing is switched", () => {
  for (const state of ['escrowed', 'armed'] as const) {
    for (const role of PARTIES) {
      for (const body of [
        { kind: 'stop', hash: HASH, reason: 'fault' },
        { kind: 'decline', id: GRID_TERMS.nonce, reason: 'no' },
      ] as const) {
        const side = at(role, state)
        assert.equal(words(side.give({ kind: 'message', body })), [])
        side.until('armed', 'reading')
        assert.equal(words(side.give(INPUTS.begin)), ['timer end'])
        side.until('settled')
      }
    }
  }
})

test('a seller that declines while the payment is handed in does not talk the buyer out of its receipt', () => {
  for (const [reserve, state] of [
    [undefined, 'reserved'],
    [false, 'signed'],
  ] as const) {
    const side = new Side('buyer', reserve).until(state)
    assert.ok(side.deal.escrow)
    const decline = { kind: 'decline', id: GRID_TERMS.nonce, reason: 'no' } as const
    assert.equal(words(side.give({ kind: 'message', body: decline })), [])
    assert.is(side.deal.cause?.code, 'deal.declined')
    side.until('stopped', 'reading')
    assert.equal(words(side.give(INPUTS.endReading)), ['submit receipt'])
    const early = new Side('buyer', reserve).until('proposed')
    early.give({ kind: 'message', body: decline })
    assert.is(early.deal.state, 'aborted', 'before that it ends the deal')
  }
})

test('a lock proof that does not hold is asked for again, until the deal can no longer begin', () => {
  const side = at('buyer', 'escrowed')
  assert.equal(words(side.give({ kind: 'lock-refused', fault: { code: 'ics23.root' } })), ['say stop', 'prove lock'])
  assert.is(side.deal.state, 'escrowed')
  side.give({ kind: 'timer', name: 'start-by' })
  assert.is(side.deal.state, 'expired')
})

test('a meter that is silent at the boundary is asked again', () => {
  for (const role of PARTIES) {
    const side = at(role, 'armed', 'reading')
    const silent = { fault: { code: 'meter.silent' } } as const
    assert.equal(words(side.give({ kind: 'no-reading', which: 'begin', ...silent })), ['timer retry'])
    assert.equal(words(side.give({ kind: 'timer', name: 'retry' })), ['sign begin'])
    side.until('stopped', 'reading')
    assert.equal(words(side.give({ kind: 'no-reading', which: 'end', ...silent })), ['timer retry'])
    assert.equal(words(side.give({ kind: 'timer', name: 'retry' })), ['sign end'])
  }
})

test('the timers of the window name its own boundaries, and settlement is late only after the receipt window', () => {
  const side = at('seller', 'escrowed')
  const timer = (name: string, outputs: ReturnType<Side['give']>) =>
    EPOCH + (outputs.find(output => output.kind === 'timer' && output.name === name) as { at: number }).at
  assert.is(timer('start', side.give(INPUTS.lock)), GRID_TERMS.start)
  side.give(INPUTS.start, GRID_TERMS.start)
  assert.is(timer('end', side.give(INPUTS.begin)), GRID_TERMS.end)
  const ended = side.give(INPUTS.end, GRID_TERMS.end)
  assert.ok(timer('receipt-by', ended) > GRID_TERMS.end + GRID_TERMS.receiptWindowMs)
  assert.ok(timer('settle-by', ended) > SETTLE_BY)
  side.give(INPUTS.endReading)
  side.give(INPUTS.receiptIn)
  assert.equal(words(side.give({ kind: 'timer', name: 'receipt-by' })), ['prove settlement', 'submit receipt'])
  assert.is(side.deal.state, 'disputed')
})

test('a lock proven after the start still begins, and after `startBy` it does not', () => {
  const late = at('buyer', 'escrowed')
  assert.equal(words(late.give(INPUTS.lock, GRID_TERMS.start + 29_999)), ['sign begin'])
  const over = at('buyer', 'escrowed')
  over.give(INPUTS.lock, GRID_TERMS.start + 30_000)
  assert.is(over.deal.state, 'expired')
  assert.is(over.deal.cause?.code, 'deal.not-started')
  assert.ok(over.deal.escrow, 'and its escrow is followed')
})

test('a ledger that closes the deal before its window is over ends the dispatch', () => {
  const side = at('buyer', 'started')
  const outcome = { kind: 'refunded', paid: micros(0n), disputed: false, height: 30n } as const
  assert.equal(words(side.give({ kind: 'settlement', outcome })), ['dispatch off'])
  assert.ok(isOver(side.deal))
})

test('a settlement above what our own meter counted is raised', () => {
  const side = at('buyer', 'receipted')
  const outcome = { kind: 'settled', paid: micros(80_001n), disputed: false, height: 30n } as const
  assert.equal(words(side.give({ kind: 'settlement', outcome })), [
    'health deal.settlement-differs deal.settlement-differs',
  ])
})

test('no contact is ever wished for a contract over the grid', () => {
  for (const role of PARTIES) {
    for (const state of ['signed', 'reserved', 'escrowed', 'armed', 'started', 'stopped', 'receipted'] as const) {
      assert.equal(wishOf(at(role, state).deal), { line: 'open', own: 'closed' })
    }
  }
})

test('a deal of a line has the bytes in the journal that it had before there were deals over the grid', () => {
  const now = { wall: instant(EPOCH), mono: mono(0) }
  const draft = { role: 'buyer', bytes: encodeContract(TERMS), sellerKey: KEYS.seller, buyerKey: KEYS.buyer } as const
  const { deal } = must(openDeal({ ...draft, reserve: { relayMarginMs: 5 } }, now, stub))
  const bytes = encodeDeal(deal)
  // A map of the ten fields that every deal has, and no more: role, contract, two keys, state, phase, four flags.
  assert.is(bytes[0], 0xaa)
  assert.is(deal.reserve, undefined, 'a line reserves nothing')
  assert.is(must(decodeDeal(bytes)).fee, false)
})

test('what is known of the reservation comes back from the journal', () => {
  const side = at('buyer', 'reserved')
  const back = must(decodeDeal(encodeDeal(side.deal)))
  assert.equal(back.reserve, side.deal.reserve)
  assert.is(back.reservedHeight, PROOF.height)
  assert.ok(must(decodeDeal(encodeDeal(at('seller', 'reserved').deal))).fee)
})

test('a reservation need outlive the deal at least where the draft names no margin', () => {
  const now = { wall: instant(EPOCH), mono: mono(0) }
  const draft = { role: 'buyer', bytes: GRID_BYTES, sellerKey: KEYS.seller, buyerKey: KEYS.buyer } as const
  const side = new Side('buyer')
  side.deal = must(openDeal(draft, now, stub)).deal
  side.until('signed').give(INPUTS.reserved)
  const early = { ...INPUTS.reservation, record: { ...RESERVATION, expires: later(SETTLE_BY, -1) } }
  side.give(early)
  assert.is(side.deal.cause?.code, 'deal.reservation-short')
})

test.run()
