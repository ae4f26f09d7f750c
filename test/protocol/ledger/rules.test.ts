/** Every refusal of the ledger by name, each against the same transaction that is otherwise taken. */
import { concat, hex } from '../../../protocol/bytes.ts'
import { decode, encode } from '../../../protocol/cbor.ts'
import { parseSign1 } from '../../../protocol/crypto/cose.ts'
import { REFUSAL_CODES, type RefusalCode } from '../../../protocol/ledger/fault.ts'
import { READING_SLACK_MS } from '../../../protocol/ledger/rules/receipt.ts'
import { parseTx, type TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  Bench,
  buyer,
  buyerMeter,
  commitOf,
  contextOf,
  FEE,
  nameOf,
  operator,
  type Party,
  partyOf,
  RICH,
  readingOf,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  type TxTerms,
  terms,
} from './parties.ts'

const test = suite('ledger rules')
const seen = new Set<RefusalCode>()

/** The transaction is refused with exactly this name, and nothing but block height and time changes. */
function refused(bench: Bench, expected: RefusalCode, sender: Party, content: TxContent, change: TxTerms = {}): void {
  const tx = signTx(sender, change.sequence ?? bench.sequence(sender), content, change)
  refusedBytes(bench, expected, tx)
}

function refusedBytes(bench: Bench, expected: RefusalCode, tx: Uint8Array): void {
  const before = stateOf(bench)
  const outcome = bench.block([tx])[0]!
  assert.is(nameOf(outcome), expected, outcome.log)
  assert.is(outcome.data.length, 0)
  assert.equal(stateOf(bench), before, `${expected} left a trace`)
  seen.add(expected)
}

const stateOf = (bench: Bench): Map<string, string> =>
  new Map(
    [...bench.app.entries(bench.app.height)!]
      .map(([key, value]): [string, string] => [Buffer.from(key).toString(), Buffer.from(value).toString('hex')])
      .filter(([key]) => key !== 'chain')
      .sort(),
  )

const pay = (to: Party, amount: bigint): TxContent => ({
  kind: 'transfer',
  body: { to: to.address, amount: micros(amount) },
})

test('a transfer moves money, pays its fee and counts its sequence', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, pay(buyer, 1_000n))), 'taken')
  assert.is(bench.account(seller).balance, RICH - 1_000n - FEE)
  assert.is(bench.account(buyer).balance, RICH + 1_000n)
  assert.is(bench.account(operator).balance, RICH + FEE)
  assert.is(bench.account(seller).sequence, 1n)
})

test('a transfer to oneself costs the fee only', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, pay(seller, 1_000n))), 'taken')
  assert.is(bench.account(seller).balance, RICH - FEE)
})

test('the frame of a transaction is held to its rules', () => {
  const bench = new Bench()
  const good = pay(buyer, 1n)
  refused(bench, 'ledger.chain-id', seller, good, { chainId: 'tieline-test-2' })
  refused(bench, 'ledger.sequence', seller, good, { sequence: 1n })
  refused(bench, 'ledger.fee', seller, good, { fee: FEE - 1n })
  refused(bench, 'ledger.expired', seller, good, { expiry: bench.app.height })
  refused(bench, 'ledger.no-account', partyOf('unknown'), good, { sequence: 0n })
  refused(bench, 'ledger.no-account', seller, pay(partyOf('unknown'), 1n))
  refused(bench, 'ledger.signature', seller, good, { signedBy: buyer })
  refused(bench, 'ledger.funds', seller, pay(buyer, RICH - FEE + 1n))
  refused(bench, 'ledger.funds', seller, good, { fee: RICH + 1n })
  refused(bench, 'ledger.amount', seller, pay(buyer, 0n))
  assert.is(nameOf(bench.send(seller, pay(buyer, RICH - FEE))), 'taken', 'to the last micro-unit')
})

test('a transaction is worth something once, and only until its expiry', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n), { expiry: 2n })
  assert.is(nameOf(bench.block([tx])[0]!), 'taken')
  refusedBytes(bench, 'ledger.sequence', tx)
  refusedBytes(bench, 'ledger.expired', tx)
})

test('twice in one block is once', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n))
  assert.equal(bench.block([tx, tx]).map(nameOf), ['taken', 'ledger.sequence'])
  assert.is(bench.account(buyer).balance, RICH + 5n)
})

test('any flipped bit of a transaction is refused', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n))
  const mutants = Array.from({ length: tx.length * 8 }, (_, bit) => {
    const mutant = tx.slice()
    mutant[bit >> 3]! ^= 1 << (bit & 7)
    return mutant
  })
  for (const outcome of bench.block(mutants)) assert.not.equal(outcome.code, 0)
  assert.is(bench.account(buyer).balance, RICH)
})

test('only canonical bytes of known shape are taken', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n))
  refusedBytes(bench, 'ledger.malformed', tx.subarray(0, tx.length - 1))
  refusedBytes(bench, 'ledger.malformed', concat(tx, Uint8Array.of(0)))
  refusedBytes(bench, 'ledger.malformed', new Uint8Array(0))
  refusedBytes(bench, 'ledger.malformed', new Uint8Array(20_000))
  // The same four parts, the array's head written in two bytes: d2 98 04 instead of d2 84.
  refusedBytes(bench, 'ledger.malformed', concat(hex('d2 98 04'), tx.subarray(2)))
})

test('a frame with an unknown field, kind or body is no transaction', () => {
  const { payload } = must(parseSign1(signTx(seller, 0n, pay(buyer, 5n))))
  const frame = must(decode(payload)) as Map<number, never>
  const withPayload = (change: (map: Map<number, unknown>) => void) => {
    const map = new Map<number, unknown>(frame)
    change(map)
    const head = must(parseSign1(signTx(seller, 0n, pay(buyer, 5n))))
    return concat(hex('d2'), encode([head.protectedBytes, new Map(), encode(map as never), head.signature]))
  }
  assert.ok(parseTx(withPayload(() => {})).ok)
  for (const change of [
    (map: Map<number, unknown>) => map.set(8, 1),
    (map: Map<number, unknown>) => map.set(1, 'mint'),
    (map: Map<number, unknown>) => map.set(1, 'commit'),
    (map: Map<number, unknown>) => map.delete(7),
    (map: Map<number, unknown>) => map.set(5, -1),
    (map: Map<number, unknown>) => map.set(5, 2n ** 63n),
  ]) {
    assert.not.ok(parseTx(withPayload(change)).ok)
  }
})

test('only the operator enrols a meter, once, for an account, with an admissible key', () => {
  const bench = new Bench()
  const enrol = (meterId: string, owner: Party, publicKey = partyOf(meterId).publicKey): TxContent => ({
    kind: 'enrol',
    body: { meterId, owner: owner.address, line: 'L2', publicKey },
  })
  refused(bench, 'ledger.operator-only', seller, enrol('N-1', seller))
  refused(bench, 'ledger.meter-taken', operator, enrol('S-1', seller))
  refused(bench, 'ledger.no-account', operator, enrol('N-1', partyOf('unknown')))
  // The neutral element: every signature of the right shape would verify.
  refused(bench, 'ledger.key', operator, enrol('N-1', seller, hex(`01${'00'.repeat(31)}`)))
  refused(bench, 'ledger.key', operator, enrol('N-1', seller, new Uint8Array(33)))
  assert.is(nameOf(bench.send(operator, enrol('N-1', seller))), 'taken')
  refused(bench, 'ledger.meter-taken', operator, enrol('N-1', seller))
})

test('only the operator gives and takes a role, to an account, and only what changes something', () => {
  const bench = new Bench()
  const role = (holder: Party, held: boolean): TxContent => ({
    kind: 'role',
    body: { role: 'regulator', holder: holder.address, held },
  })
  refused(bench, 'ledger.operator-only', seller, role(seller, true))
  refused(bench, 'ledger.no-account', operator, role(partyOf('unknown'), true))
  refused(bench, 'ledger.role-unchanged', operator, role(seller, false))
  assert.is(nameOf(bench.send(operator, role(seller, true))), 'taken')
  refused(bench, 'ledger.role-unchanged', operator, role(seller, true))
  assert.is(nameOf(bench.send(operator, role(seller, false))), 'taken')
  refused(bench, 'ledger.role-unchanged', operator, role(seller, false))
})

test('a commitment locks what the contract costs, rounded up', () => {
  const bench = new Bench()
  const commit = commitOf(terms)
  assert.is(nameOf(bench.send(buyer, commit)), 'taken')
  const deal = bench.deal(commit.body.contract)!
  // 2000 Wh x 250,001 per kWh
  assert.is(deal.escrow, 500_002n)
  assert.is(deal.state, 'locked')
  assert.is(bench.account(buyer).balance, RICH - 500_002n - FEE)
  refused(bench, 'ledger.deal-taken', buyer, commit)
})

test('a commitment is refused unless everything about it holds', () => {
  const bench = new Bench()
  refused(bench, 'ledger.contract', buyer, {
    kind: 'commit',
    body: { ...commitOf(terms).body, contract: Uint8Array.of(0xa0) },
  })
  refused(bench, 'ledger.contract-chain-id', buyer, commitOf({ ...terms, chainId: 'elsewhere' }))
  refused(bench, 'ledger.not-the-buyer', seller, commitOf(terms))
  refused(bench, 'ledger.not-the-buyer', stranger, commitOf(terms))
  refused(bench, 'ledger.meter-unknown', buyer, commitOf({ ...terms, sellerMeter: 'S-2' }))
  refused(bench, 'ledger.meter-owner', buyer, commitOf({ ...terms, sellerMeter: 'B-1', buyerMeter: 'S-1' }))
  refused(bench, 'ledger.meter-line', buyer, commitOf({ ...terms, line: 'L2' }))
  refused(bench, 'ledger.contract-signature', buyer, commitOf(terms, { seller: stranger }))
  refused(bench, 'ledger.contract-signature', buyer, commitOf(terms, { buyer: stranger }))
  refused(bench, 'ledger.contract-signature', buyer, {
    kind: 'commit',
    body: { ...commitOf(terms).body, contract: commitOf({ ...terms, energy: wattHours(1n) }).body.contract },
  })
  refused(bench, 'ledger.no-account', buyer, commitOf({ ...terms, seller: partyOf('unknown').address }))
  refused(bench, 'ledger.funds', buyer, commitOf({ ...terms, energy: wattHours(40_000n) }))
  assert.is(nameOf(bench.send(buyer, commitOf(terms))), 'taken')
})

test('the contract that is over cannot be committed, the one that has just begun can', () => {
  const late = new Bench()
  late.block([], 119_000)
  refused(late, 'ledger.window-over', buyer, commitOf(terms))
  const begun = new Bench()
  begun.block([], 70_000)
  assert.is(nameOf(begun.send(buyer, commitOf(terms))), 'taken')
})

test('no line and no meter is sold twice for one moment', () => {
  const bench = new Bench()
  const enrol = (meterId: string, owner: Party, line: string): TxContent => ({
    kind: 'enrol',
    body: { meterId, owner: owner.address, line, publicKey: partyOf(meterId).publicKey },
  })
  assert.is(nameOf(bench.send(operator, enrol('B-2', stranger, 'L1'))), 'taken')
  assert.is(nameOf(bench.send(buyer, commitOf(terms))), 'taken')
  const nonce = new Uint8Array(16).fill(8)
  const moved = (start: number, end: number) => ({ ...terms, nonce, start: instant(start), end: instant(end) })
  const { start, end } = terms
  for (const [from, to] of [
    [start, end],
    [start - 10_000, start + 1],
    [end - 1, end + 10_000],
    [start + 1, end - 1],
    [start - 1, end + 1],
  ] as const) {
    refused(bench, 'ledger.sold', buyer, commitOf(moved(from, to)))
  }
  // Another buyer on the same line, its own meter: the seller's meter and the line are taken.
  const other = { ...terms, nonce, buyer: stranger.address, buyerMeter: 'B-2' }
  refused(bench, 'ledger.sold', stranger, commitOf(other, { buyer: stranger }))
  assert.is(nameOf(bench.send(buyer, commitOf(moved(end, end + 10_000)))), 'taken', 'the window after it')
  assert.is(nameOf(bench.send(buyer, commitOf(moved(start - 10_000, start)))), 'taken', 'the window before it')
})

test('what was sold and settled is not sold again', () => {
  const bench = new Bench()
  const commit = commitOf(terms)
  bench.send(buyer, commit)
  const { contract } = commit.body
  bench.block([], 80_000)
  bench.send(seller, receiptOf(sideOf('seller', contract), 1n, { end: { at: BEGIN + 80_000 } }))
  bench.send(buyer, receiptOf(sideOf('buyer', contract), 1n, { end: { at: BEGIN + 80_000 } }))
  assert.is(bench.deal(contract)!.state, 'settled')
  refused(bench, 'ledger.sold', buyer, commitOf({ ...terms, nonce: new Uint8Array(16).fill(9) }))
  const after = { ...terms, nonce: new Uint8Array(16).fill(9), start: terms.end, end: instant(terms.end + 60_000) }
  assert.is(nameOf(bench.send(buyer, commitOf(after))), 'taken')
})

/** A ledger with one locked deal, at a given second. */
function locked(second = 125): { bench: Bench; contract: Uint8Array } {
  const bench = new Bench()
  const commit = commitOf(terms)
  bench.send(buyer, commit)
  bench.block([], second * 1000 - 1000)
  return { bench, contract: commit.body.contract }
}

test('a receipt is one per side, and the same again has no effect', () => {
  const { bench, contract } = locked()
  const receipt = receiptOf(sideOf('seller', contract), 1_500_000n)
  assert.is(nameOf(bench.send(seller, receipt)), 'taken')
  assert.is(bench.deal(contract)!.sellerReceipt!.energy, 1500n)
  refused(bench, 'ledger.receipt-taken', seller, receipt)
  refused(bench, 'ledger.receipt-taken', seller, receiptOf(sideOf('seller', contract), 9_000_000n))
  assert.is(nameOf(bench.send(buyer, receiptOf(sideOf('buyer', contract), 1_400_000n))), 'taken')
  refused(bench, 'ledger.receipt-taken', buyer, receiptOf(sideOf('buyer', contract), 1n))
})

test('a receipt belongs to a party of a locked deal, in time', () => {
  const { bench, contract } = locked()
  const receipt = receiptOf(sideOf('seller', contract), 1n)
  refused(bench, 'ledger.not-a-party', stranger, receipt)
  refused(bench, 'ledger.no-deal', seller, { kind: 'receipt', body: { ...receipt.body, deal: new Uint8Array(32) } })
  // In the very block whose time ends the dispute window it is too late, whatever the end of the block does then.
  bench.block([], terms.end + 180_000 - 1 - bench.time)
  const tx = signTx(seller, bench.sequence(seller), receipt)
  const outcome = bench.block([tx], 1)[0]!
  assert.is(nameOf(outcome), 'ledger.receipt-late')
  seen.add('ledger.receipt-late')
  assert.is(bench.deal(contract)!.state, 'refunded')
  refused(bench, 'ledger.deal-closed', seller, receipt)
})

test('a receipt stands on two readings of the own meter for this deal, or not at all', () => {
  const { bench, contract } = locked()
  const side = sideOf('seller', contract)
  const other = commitOf({ ...terms, energy: wattHours(1n) }).body.contract
  const good = receiptOf(side, 1_000_000n)
  const cases: readonly [RefusalCode, TxContent][] = [
    ['ledger.reading', receiptOf({ ...side, by: buyerMeter }, 1n)],
    ['ledger.reading', { ...good, body: { ...good.body, contexts: [contextOf(side, 2)] } }],
    ['ledger.reading', { ...good, body: { ...good.body, end: good.body.contexts[0]! } }],
    ['ledger.reading-meter', receiptOf({ ...side, meterId: 'S-2' }, 1n)],
    ['ledger.reading-session', receiptOf({ ...side, contract: other }, 1n)],
    ['ledger.reading-session', receiptOf({ ...side, line: 'L2' }, 1n)],
    ['ledger.reading-session', receiptOf({ ...side, direction: 'import' }, 1n)],
    ['ledger.reading-reason', receiptOf(side, 1n, { begin: { reason: 'periodic' } })],
    ['ledger.reading-reason', receiptOf(side, 1n, { end: { reason: 'begin' } })],
    ['ledger.reading-sequence', receiptOf(side, 1n, { end: { sequence: 5 } })],
    ['ledger.reading-sequence', receiptOf(side, 1n, { begin: { sequence: 61 } })],
    ['ledger.reading-time', receiptOf(side, 1n, { begin: { at: terms.start - READING_SLACK_MS - 1 } })],
    ['ledger.reading-time', receiptOf(side, 1n, { end: { at: terms.end + READING_SLACK_MS + 1 } })],
    ['ledger.reading-time', receiptOf(side, 1n, { end: { at: BEGIN + 60_999 } })],
    ['ledger.reading-register', receiptOf(side, -1n)],
    ['ledger.reading-register', receiptOf(side, 1n, { begin: { mWh: -7_000_000n } })],
    [
      'ledger.reading-register',
      receiptOf(side, 1n, { end: { registers: [{ obis: '1-0:2.8.0', value: 9_000_000n, scaler: 0, unit: 'W' }] } }),
    ],
    [
      'ledger.reading-register',
      receiptOf(side, 1n, { end: { registers: [{ obis: '1-0:1.8.0', value: 9_000_000n, scaler: -3, unit: 'Wh' }] } }),
    ],
  ]
  for (const [expected, content] of cases) {
    const body = { ...content.body, deal: good.body.deal } as typeof good.body
    refused(bench, expected, seller, { kind: 'receipt', body })
  }
  // The buyer's own meter and key do not make a seller's receipt.
  refused(bench, 'ledger.reading', seller, receiptOf(sideOf('buyer', contract), 1n))
  assert.is(nameOf(bench.send(seller, good)), 'taken')
})

test('a reading from the future of block time is refused', () => {
  const { bench, contract } = locked(80)
  refused(bench, 'ledger.reading-time', seller, receiptOf(sideOf('seller', contract), 1n))
})

test('begin and end may come from two boots, each with its context', () => {
  const { bench, contract } = locked()
  const side = sideOf('seller', contract)
  const [first, second] = [contextOf(side, 1), contextOf(side, 2)]
  const begin = readingOf(side, first, { reason: 'begin', mWh: 1_000n, at: BEGIN + 61_000 })
  const end = readingOf(side, second, { reason: 'end', mWh: 2_999n, at: BEGIN + 100_000, sequence: 60 })
  const body = { deal: receiptOf(side, 1n).body.deal, begin, end, contexts: [second, first] }
  refused(bench, 'ledger.reading', seller, { kind: 'receipt', body })
  const receipt: TxContent = { kind: 'receipt', body: { ...body, contexts: [first, second] } }
  assert.is(nameOf(bench.send(seller, receipt)), 'taken')
  // 1,999 mWh are one whole watt-hour.
  assert.is(bench.deal(contract)!.sellerReceipt!.energy, 1n)
})

test('every refusal of accounts, meters and deals was seen here', () => {
  assert.equal(
    (Object.keys(REFUSAL_CODES) as RefusalCode[]).filter(name => REFUSAL_CODES[name] < 60 && !seen.has(name)),
    [],
  )
  assert.is(new Set(Object.values(REFUSAL_CODES)).size, Object.keys(REFUSAL_CODES).length, 'numbers are unique')
})

test.run()
