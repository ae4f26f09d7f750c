/** Contracts over the grid: windows that are shared, one count for all contracts of a meter, and no watt-hour paid twice. */
import { toHex } from '../../../protocol/bytes.ts'
import { resumeApp } from '../../../protocol/ledger/app.ts'
import { GRID_METERS, METER_WINDOWS, windowId } from '../../../protocol/ledger/grid-tables.ts'
import { READING_SLACK_MS } from '../../../protocol/ledger/rules/receipt.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import {
  ada,
  ben,
  cem,
  dora,
  Feeder,
  gridCommit,
  gridReceipt,
  type Home,
  type Placed,
  RECEIPT_BY,
  SETTLE_BY,
  windowOf,
} from './grid.ts'
import { FEE, operator, partyOf, RICH } from './parties.ts'
import { refused } from './refusals.ts'

const test = suite('contracts over the grid')

const wh = (n: number) => wattHours(BigInt(n))
const { start, end } = windowOf(0)
const delivered = (street: Feeder, placed: Placed) => street.dealOf(placed).outcome?.delivered

test('a contract over the grid settles at receiptBy, and not before, by the least of both counts', () => {
  const street = new Feeder()
  const placed = street.place(ada, ben)
  street.until(end)
  street.hand('seller', placed, 900n)
  street.hand('buyer', placed, 700n)
  street.until(RECEIPT_BY - 1)
  assert.is(street.dealOf(placed).state, 'locked')
  street.until(RECEIPT_BY)
  const { state, outcome } = street.dealOf(placed)
  assert.is(state, 'settled')
  const { at, disputed, ...quantities } = outcome!
  assert.equal([at, disputed], [RECEIPT_BY, false])
  // 700 Wh at 250,001 a kWh, rounded down.
  assert.equal(quantities, { delivered: 700n, paid: 175_000n, refunded: 75_001n, sellerShare: 900n, buyerShare: 700n })
  assert.is(street.account(ada.owner).balance, RICH + 175_000n - FEE)
  assert.is(street.account(ben.owner).balance, RICH - 175_000n - 2n * FEE)
  assert.is(street.record(METER_WINDOWS, windowId(ada.meterId, start)), undefined, 'nothing is kept of a closed window')
})

test('two contracts share what the seller sent, whichever receipt comes first', () => {
  for (const order of [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [2, 0, 3, 1],
  ]) {
    const street = new Feeder()
    const one = street.place(ada, ben, { nonce: new Uint8Array(16).fill(1) })
    const two = street.place(ada, cem, { energy: wh(3000), nonce: new Uint8Array(16).fill(2) })
    street.until(end)
    const hands = [
      () => street.hand('seller', one, 2000n),
      () => street.hand('seller', two, 2000n),
      () => street.hand('buyer', one, 1000n),
      () => street.hand('buyer', two, 3000n),
    ]
    for (const i of order) hands[i]!()
    street.until(RECEIPT_BY)
    assert.equal([delivered(street, one), delivered(street, two)], [500n, 1500n])
  }
})

test('one receipt of a meter counts for all its contracts of the window', () => {
  const street = new Feeder()
  const one = street.place(ada, ben)
  const two = street.place(ada, cem)
  street.until(end)
  street.hand('seller', one, 1000n)
  street.hand('buyer', one, 1000n)
  street.hand('buyer', two, 1000n)
  street.until(RECEIPT_BY)
  assert.equal([delivered(street, one), delivered(street, two)], [500n, 500n])
  assert.not(street.dealOf(two).outcome!.disputed)
})

test('where two receipts of a meter differ the least counts, so that a second one never adds a watt-hour', () => {
  const street = new Feeder()
  const one = street.place(ada, ben)
  const two = street.place(ada, cem)
  street.until(end)
  street.hand('seller', one, 1200n)
  street.hand('seller', two, 800n)
  street.hand('buyer', one, 1000n)
  street.hand('buyer', two, 1000n)
  street.until(RECEIPT_BY)
  assert.equal([delivered(street, one), delivered(street, two)], [400n, 400n])
})

test('a meter without a receipt leaves the word to the other at settleBy; two without give the escrow back', () => {
  const street = new Feeder()
  const alone = street.place(ada, ben)
  const silent = street.place(cem, dora)
  street.until(end)
  street.hand('seller', alone, 600n)
  street.until(RECEIPT_BY)
  assert.ok(street.dealOf(alone).overdue)
  street.until(SETTLE_BY - 1)
  assert.is(street.dealOf(alone).state, 'locked')
  street.until(SETTLE_BY)
  const { outcome } = street.dealOf(alone)
  assert.equal([outcome!.delivered, outcome!.disputed, outcome!.sellerShare], [600n, true, 600n])
  assert.not('buyerShare' in outcome!)
  assert.is(street.dealOf(silent).state, 'refunded')
  assert.is(street.account(dora.owner).balance, RICH - FEE)
})

test('a meter that comes late still counts in the dispute window, one that has counted does not count again', () => {
  const street = new Feeder()
  const one = street.place(ada, ben)
  const two = street.place(ada, cem)
  street.until(end)
  street.hand('seller', one, 1000n)
  street.hand('buyer', one, 1000n)
  street.until(RECEIPT_BY)
  assert.is(delivered(street, one), 500n)
  assert.is(street.dealOf(two).state, 'locked')
  const again = gridReceipt('seller', ada, two, { to: 7_000_000n + 100_000n })
  refused(street, 'ledger.receipt-late', ada.owner, again)
  street.hand('buyer', two, 300n)
  street.until(SETTLE_BY)
  const { outcome } = street.dealOf(two)
  assert.equal([outcome!.delivered, outcome!.disputed, outcome!.sellerShare], [300n, false, 500n])
})

test('a receipt in the very block of receiptBy is late: it waits for settleBy', () => {
  const street = new Feeder()
  const placed = street.place(ada, ben)
  street.until(end)
  street.hand('seller', placed, 1000n)
  street.until(RECEIPT_BY - 1000)
  street.hand('buyer', placed, 1000n)
  assert.is(street.time, RECEIPT_BY)
  assert.is(street.dealOf(placed).state, 'locked')
  street.until(SETTLE_BY)
  assert.equal([delivered(street, placed), street.dealOf(placed).outcome!.disputed], [1000n, false])
})

test('windows of a meter are equal or apart, it sells or buys in one, and its contracts are settled together', () => {
  const street = new Feeder()
  street.place(ada, ben)
  const shifted = { start: instant(start + 1), end: instant(end + 1) }
  refused(street, 'ledger.sold', cem.owner, gridCommit(ada, cem, shifted))
  refused(street, 'ledger.sold', ben.owner, gridCommit(cem, ben, { start, end: instant(end - 1) }))
  refused(street, 'ledger.window-terms', ada.owner, gridCommit(cem, ada))
  refused(street, 'ledger.window-terms', cem.owner, gridCommit(ben, cem))
  refused(street, 'ledger.window-terms', cem.owner, gridCommit(ada, cem, { receiptWindowMs: 61_000 }))
  refused(street, 'ledger.window-terms', cem.owner, gridCommit(ada, cem, { disputeWindowMs: 121_000 }))
  street.place(ada, cem)
  street.place(ada, ben, windowOf(1))
  // Another direction in another window is another matter.
  street.place(ben, ada, windowOf(2))
})

test('a meter has sixteen contracts of one window, and not one more', () => {
  const street = new Feeder()
  for (let i = 0; i < 16; i++) street.place(ada, i % 2 === 0 ? ben : cem, { energy: wh(10 + i) })
  refused(street, 'ledger.window-full', dora.owner, gridCommit(ada, dora))
  street.until(end)
  const all = [...street.app.entries(street.app.height)!].filter(([key]) =>
    Buffer.from(key).toString().startsWith('deal/'),
  )
  assert.is(all.length, 16)
  street.until(SETTLE_BY)
  assert.is(street.books().deals.refunded, 16)
})

test('each meter hangs where the contract says, and a window is bought before it begins', () => {
  const street = new Feeder()
  refused(street, 'ledger.meter-line', ben.owner, gridCommit(ada, ben, { line: ben.node }))
  refused(street, 'ledger.meter-line', ben.owner, gridCommit(ada, ben, { to: ada.node }))
  refused(street, 'ledger.sealed-grid', ben.owner, gridCommit(ada, ben, { receipts: 'sealed' }))
  street.until(start - 1000)
  street.place(ada, ben)
  refused(street, 'ledger.window-begun', ben.owner, gridCommit(ada, ben))
})

test('a receipt covers the whole window and names the node of its own meter', () => {
  const street = new Feeder()
  const placed = street.place(ada, ben)
  street.until(end)
  const bad = (expected: Parameters<typeof refused>[1], change: object, side: 'seller' | 'buyer' = 'seller') => {
    const home = side === 'seller' ? ada : ben
    refused(street, expected, home.owner, gridReceipt(side, home, placed, { to: 8_000_000n, ...change }))
  }
  bad('ledger.reading-time', { beginAt: start - READING_SLACK_MS - 1 })
  bad('ledger.reading-time', { beginAt: start + READING_SLACK_MS + 1 })
  bad('ledger.reading-time', { endAt: end - READING_SLACK_MS - 1 })
  bad('ledger.reading-time', { endAt: end + READING_SLACK_MS + 2001 })
  bad('ledger.reading-session', { line: ben.node })
  bad('ledger.reading-session', { line: ada.node }, 'buyer')
  bad('ledger.reading-register', { from: 2n ** 62n, to: 2n ** 62n + 1n })
  street.hand('seller', placed, 10n, { beginAt: start + READING_SLACK_MS, endAt: end - READING_SLACK_MS })
})

test('a watt-hour at a boundary is counted in one window: registers may meet, and not overlap', () => {
  const street = new Feeder()
  const slow = { receiptWindowMs: 600_000 }
  const first = street.place(ada, ben, slow)
  const second = street.place(ada, ben, { ...windowOf(1), ...slow })
  const third = street.place(ada, ben, { ...windowOf(2), ...slow })
  street.until(windowOf(2).end)
  const hand = (placed: Placed, from: bigint, to: bigint) => gridReceipt('seller', ada, placed, { from, to })
  // The middle one first: its neighbours are bound by it on both sides.
  street.take(ada.owner, hand(second, 8_000_000n, 9_000_000n))
  refused(street, 'ledger.reading-counted', ada.owner, hand(first, 7_000_000n, 8_000_001n))
  refused(street, 'ledger.reading-counted', ada.owner, hand(third, 8_999_999n, 9_500_000n))
  street.take(ada.owner, hand(third, 9_000_000n, 9_400_000n))
  street.until(SETTLE_BY + 900_000)
  assert.is(street.record(GRID_METERS, ada.meterId)!.exported, 9_400_000n)
  assert.equal(street.record(GRID_METERS, ada.meterId)!.windows, [])
  const next = street.place(ada, ben, windowOf(12))
  street.until(windowOf(12).end)
  refused(street, 'ledger.reading-counted', ada.owner, hand(next, 9_399_999n, 9_500_000n))
  street.take(ada.owner, hand(next, 9_400_000n, 9_500_000n))
})

test('a closed window still bounds an older one that is open', () => {
  const street = new Feeder()
  const slow = street.place(ada, ben, { receiptWindowMs: 600_000 })
  const quick = street.place(ada, ben, windowOf(1))
  street.until(windowOf(1).end)
  street.take(ada.owner, gridReceipt('seller', ada, quick, { from: 8_000_000n, to: 9_000_000n }))
  street.take(ben.owner, gridReceipt('buyer', ben, quick, { from: 8_000_000n, to: 9_000_000n }))
  street.until(windowOf(1).end + 60_000)
  assert.is(street.dealOf(quick).state, 'settled')
  assert.equal(
    street.record(GRID_METERS, ada.meterId)!.windows.map(({ closed }) => closed),
    [false, true],
  )
  const receipt = (to: bigint) => gridReceipt('seller', ada, slow, { from: 7_000_000n, to })
  refused(street, 'ledger.reading-counted', ada.owner, receipt(8_000_001n))
  street.take(ada.owner, receipt(8_000_000n))
})

test('a meter that is enrolled anew may count from another register', () => {
  const street = new Feeder()
  const first = street.place(ada, ben)
  street.until(end)
  street.hand('seller', first, 500n)
  street.until(SETTLE_BY)
  street.take(operator, { kind: 'revoke', body: { meterId: ada.meterId } })
  const by = partyOf('the new meter of ada')
  const body = { meterId: ada.meterId, owner: ada.owner.address, line: ada.node, publicKey: by.publicKey }
  street.take(operator, { kind: 'enrol', body })
  const next = street.place(ada, ben, windowOf(6))
  street.until(windowOf(6).end)
  street.take(ada.owner, gridReceipt('seller', ada, next, { from: 0n, to: 1000n, by }))
})

test('a grid meter is not a line meter, and a line meter is not a grid meter', () => {
  const street = new Feeder()
  street.take(operator, {
    kind: 'enrol',
    body: { meterId: 'G-2', owner: ben.owner.address, line: ada.node, publicKey: partyOf('another').publicKey },
  })
  const direct = (change: object) => {
    const { body } = gridCommit(ada, { ...ben, meterId: 'G-2', node: ada.node }, change)
    return { kind: 'commit', body } as const
  }
  street.place(ada, ben)
  const { to: _, ...line } = { ...windowOf(1), to: undefined }
  refused(street, 'ledger.meter-use', ben.owner, direct({ ...line, to: undefined }))
  const other = new Feeder()
  other.take(operator, {
    kind: 'enrol',
    body: { meterId: 'G-2', owner: ben.owner.address, line: ada.node, publicKey: partyOf('another').publicKey },
  })
  other.take(ben.owner, direct({ to: undefined }))
  refused(other, 'ledger.meter-use', cem.owner, gridCommit(ada, cem, windowOf(1)))
})

test('two homes at one node trade over the grid', () => {
  const street = new Feeder()
  const neighbour: Home = { ...dora, meterId: 'G-next', node: ada.node, meter: partyOf('grid meter next door') }
  const { meterId, owner, node: line, meter } = neighbour
  street.take(operator, {
    kind: 'enrol',
    body: { meterId, owner: owner.address, line, publicKey: meter.publicKey },
  })
  const placed = street.place(ada, neighbour)
  street.until(end)
  street.hand('seller', placed, 10n)
  street.hand('buyer', placed, 10n)
  street.until(RECEIPT_BY)
  assert.is(delivered(street, placed), 10n)
})

test('a ledger that is saved and resumed in the middle of a window comes to the same end', () => {
  const street = new Feeder()
  const placed = street.place(ada, ben)
  street.until(end)
  street.hand('seller', placed, 900n)
  const { app } = street
  const other = must(resumeApp({ entries: app.entries(app.height)!, headerHashes: app.headerHashes(app.height)! }))
  for (const at of [RECEIPT_BY, SETTLE_BY]) {
    street.until(at)
    const { input, output } = street.executed.at(-1)!
    assert.equal(toHex(other.finalizeBlock(input).appHash), toHex(output.appHash))
    other.commit()
  }
  assert.is(street.dealOf(placed).state, 'settled')
})

test.run()
