import { REFUSAL_CODES, type RefusalCode } from '../../../protocol/ledger/fault.ts'
import { READING_SLACK_MS } from '../../../protocol/ledger/rules/receipt.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { wattHours } from '../../../protocol/quantity.ts'
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
  forgedAfter,
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
  terms,
} from './parties.ts'
import { alsoSeen, refused, unseen } from './refusals.ts'

const test = suite('ledger rules')
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
  alsoSeen('ledger.receipt-late')
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
    ...[0, 1, 2].map((n): [RefusalCode, TxContent] => [
      'ledger.reading',
      receiptOf({ ...side, by: forgedAfter(side.by, n) }, 1n),
    ]),
    ['ledger.reading', { ...good, body: { ...good.body, contexts: [contextOf(side, 2)] } }],
    ['ledger.reading', { ...good, body: { ...good.body, end: good.body.contexts[0]! } }],
    ['ledger.reading-meter', receiptOf({ ...side, meterId: 'S-2' }, 1n)],
    ['ledger.reading-session', receiptOf({ ...side, contract: other }, 1n)],
    ['ledger.reading-session', receiptOf({ ...side, line: 'L2' }, 1n)],
    ['ledger.reading-session', receiptOf({ ...side, direction: 'import' }, 1n)],
    ['ledger.reading-errors', receiptOf(side, 1n, { begin: { errors: ['energy'] } })],
    ['ledger.reading-errors', receiptOf(side, 1n, { end: { errors: ['time'] } })],
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

test('every refusal of a deal was seen here, and no two refusals share a number', () => {
  assert.equal([...unseen(20, 29), ...unseen(40, 59)], [])
  assert.is(new Set(Object.values(REFUSAL_CODES)).size, Object.keys(REFUSAL_CODES).length)
})

test.run()
