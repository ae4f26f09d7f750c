/** What a cheat may try on the ledger, a row each: what it sends, and by what name it is refused. After each try nothing has changed. */
import type { RefusalCode } from '../../../protocol/ledger/fault.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant, later } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  ada,
  ben,
  cem,
  dora,
  Feeder,
  gridCommit,
  gridGenesis,
  gridReceipt,
  type Home,
  type Placed,
  RECEIPT_BY,
  regulator,
  SETTLE_BY,
  windowOf,
} from './grid.ts'
import { GridLedgers, gridReserve, offerOf } from './grid-ledgers.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  genesis,
  nameOf,
  type Party,
  partyOf,
  RICH,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  terms,
} from './parties.ts'
import { refused, refusedBytes } from './refusals.ts'
import { type Chain, distributor, energyKey, netKey } from './two-ledgers.ts'

const test = suite('cheating')

interface Scene {
  readonly street: Feeder
  /** Ada to Ben and Ada to Cem in one window that is over, Ada's receipt for the first handed in. */
  readonly one: Placed
  readonly two: Placed
}

function scene(): Scene {
  const street = new Feeder()
  const one = street.place(ada, ben)
  const two = street.place(ada, cem)
  street.place(dora, ben, windowOf(4))
  street.until(windowOf(0).end)
  street.hand('seller', one, 900n)
  return { street, one, two }
}

const honest = (placed: Placed, change: object = {}) =>
  gridReceipt('seller', ada, placed, { to: 7_900_000n, ...change })
const inNameOf = (placed: Placed, receipt: TxContent & { kind: 'receipt' }): TxContent => ({
  kind: 'receipt',
  body: { ...receipt.body, deal: contractHash(placed.contract) },
})

type Row = readonly [says: string, by: Home, what: (scene: Scene) => TxContent, refusal: RefusalCode]

const ROWS: readonly Row[] = [
  ['a receipt is handed in twice', ada, ({ one }) => honest(one), 'ledger.receipt-taken'],
  [
    'the receipt of one contract is handed in for another',
    ada,
    ({ one, two }) => inNameOf(two, honest(one)),
    'ledger.reading-session',
  ],
  [
    'a receipt is signed by a meter that is not enrolled',
    ada,
    ({ two }) => honest(two, { by: partyOf('forged') }),
    'ledger.reading',
  ],
  [
    "a receipt is signed by the buyer's meter in the seller's place",
    ada,
    ({ two }) => honest(two, { by: cem.meter }),
    'ledger.reading',
  ],
  [
    "a neighbour's meter counts for the seller's",
    ada,
    ({ two }) => inNameOf(two, gridReceipt('seller', dora, two, { to: 8_000_000n })),
    'ledger.reading',
  ],
  ['the buyer speaks as the seller', cem, ({ two }) => honest(two), 'ledger.reading'],
  ['a stranger speaks for the seller', dora, ({ two }) => honest(two), 'ledger.not-a-party'],
  [
    'the readings are of another window',
    ada,
    ({ two }) => honest(two, { beginAt: windowOf(1).start, endAt: windowOf(1).end }),
    'ledger.reading-time',
  ],
  [
    'the reading at the end comes early, to count less',
    ada,
    ({ two }) => honest(two, { endAt: two.start + 60_000 }),
    'ledger.reading-time',
  ],
  ['the register runs backwards', ada, ({ two }) => honest(two, { to: 6_900_000n }), 'ledger.reading-register'],
  ['the same contract is committed twice', ben, ({ street }) => lastCommit(street), 'ledger.deal-taken'],
  ['what has flowed already is sold', cem, () => gridCommit(ada, cem), 'ledger.window-over'],
  [
    'a window that has begun is sold',
    cem,
    ({ street }) => gridCommit(dora, cem, { start: instant(street.time - 1), end: instant(street.time + 60_000) }),
    'ledger.window-begun',
  ],
  [
    'a meter is sold for a window across another',
    cem,
    () => gridCommit(dora, cem, { start: later(windowOf(4).start, 1), end: windowOf(4).end }),
    'ledger.sold',
  ],
  ['a meter sells and buys in one window', dora, () => gridCommit(cem, dora, windowOf(4)), 'ledger.window-terms'],
  [
    "another's meter is sold",
    cem,
    () => gridCommit({ ...dora, meterId: ada.meterId, node: ada.node }, cem, windowOf(3)),
    'ledger.meter-owner',
  ],
  [
    'a meter that nobody enrolled is sold',
    cem,
    () => gridCommit({ ...dora, meterId: 'none' }, cem, windowOf(3)),
    'ledger.meter-unknown',
  ],
  [
    'a meter is sold as if it hung elsewhere',
    cem,
    () => gridCommit({ ...dora, node: ada.node }, cem, windowOf(3)),
    'ledger.meter-line',
  ],
  ['the seller commits in place of the buyer', ada, () => gridCommit(ada, cem, windowOf(3)), 'ledger.not-the-buyer'],
  ['the price is changed after the seller signed', cem, () => repriced(), 'ledger.contract-signature'],
  [
    'a quantity is agreed on without meters',
    cem,
    () => gridCommit(ada, cem, { ...windowOf(3), receipts: 'sealed' }),
    'ledger.sealed-grid',
  ],
  [
    'more is bought than there is money for',
    cem,
    () => gridCommit(ada, cem, { ...windowOf(3), energy: wattHours(100_000n) }),
    'ledger.funds',
  ],
]

/** The commitment that the last block with one brought, again. */
const commits = new WeakMap<Feeder, TxContent>()
function lastCommit(street: Feeder): TxContent {
  const known = commits.get(street)
  if (known !== undefined) return known
  const commit = gridCommit(dora, ben, { ...windowOf(4), energy: wattHours(5n) })
  street.take(ben.owner, commit)
  commits.set(street, commit)
  return commit
}

function repriced(): TxContent {
  const dear = gridCommit(ada, cem, windowOf(3))
  const cheap = gridCommit(ada, cem, { ...windowOf(3), price: microsPerKwh(1n) })
  return { kind: 'commit', body: { ...cheap.body, sellerSign1: dear.body.sellerSign1 } }
}

for (const [says, by, what, refusal] of ROWS) {
  test(`${says}: ${refusal}`, () => {
    const at = scene()
    const content = what(at)
    refused(at.street, refusal, by.owner, content)
    at.street.books()
  })
}

test('a reading is counted in two windows: ledger.reading-counted', () => {
  const street = new Feeder()
  const first = street.place(ada, ben)
  const second = street.place(ada, ben, windowOf(1))
  street.until(windowOf(1).end)
  const middle = 8_000_000n
  street.take(ada.owner, gridReceipt('seller', ada, first, { from: 7_000_000n, to: middle }))
  const overlapping = gridReceipt('seller', ada, second, { from: middle - 1n, to: 9_000_000n })
  refused(street, 'ledger.reading-counted', ada.owner, overlapping)
  street.take(ada.owner, gridReceipt('seller', ada, second, { from: middle, to: 9_000_000n }))
})

test('the same watt-hours are sold to two buyers: each has its part, and the seller is paid once', () => {
  const street = new Feeder()
  const sold = [ben, cem, dora].map(to => street.place(ada, to))
  street.until(windowOf(0).end)
  for (const placed of sold) {
    street.hand('seller', placed, 1000n)
    street.hand('buyer', placed, 1000n)
  }
  street.until(RECEIPT_BY)
  const parts = sold.map(placed => street.dealOf(placed).outcome!.delivered)
  assert.equal([...parts].sort(), [333n, 333n, 334n])
})

for (const [who, home, other] of [
  ['buyer', ben, 'seller'],
  ['seller', ada, 'buyer'],
] as const) {
  test(`the ${who} withholds its receipt: the ${other}'s counts alone, and nothing is gained`, () => {
    const street = new Feeder()
    const placed = street.place(ada, ben)
    street.until(windowOf(0).end)
    street.hand(other, placed, 800n)
    street.until(SETTLE_BY)
    const { outcome } = street.dealOf(placed)
    assert.equal([outcome!.delivered, outcome!.disputed], [800n, true])
    const late = gridReceipt(who, home, placed, { to: 7_000_001n })
    refused(street, 'ledger.deal-closed', home.owner, late)
  })
}

/** What a seller is paid that contracts 1000 Wh, sends nothing, and says so or not. */
function paidForNothing(sellerProves: boolean, silent: boolean): bigint {
  const street = new Feeder(sellerProves ? { ...gridGenesis, sellerProves } : gridGenesis)
  const placed = street.place(ada, ben)
  street.until(windowOf(0).end)
  // What the buyer draws comes from others.
  street.hand('buyer', placed, 1000n)
  if (!silent) street.hand('seller', placed, 0n)
  street.until(SETTLE_BY)
  assert.is(street.dealOf(placed).state, silent && sellerProves ? 'refunded' : 'settled')
  return street.dealOf(placed).outcome!.paid
}

test('a seller that sends nothing and withholds its receipt is paid nothing where sellers prove; without that rule, all of it', () => {
  assert.equal([paidForNothing(true, false), paidForNothing(true, true)], [0n, 0n])
  assert.equal([paidForNothing(false, false), paidForNothing(false, true)], [0n, 250_001n])
})

test('where sellers prove, a buyer that withholds its receipt pays by the seller’s all the same', () => {
  const street = new Feeder({ ...gridGenesis, sellerProves: true })
  const placed = street.place(ada, ben)
  street.until(windowOf(0).end)
  street.hand('seller', placed, 800n)
  street.until(SETTLE_BY)
  assert.equal([street.dealOf(placed).state, street.dealOf(placed).outcome!.delivered], ['settled', 800n])
})

test('a second, smaller count after the first was settled on: ledger.receipt-late', () => {
  const { street, one, two } = scene()
  street.hand('buyer', one, 1000n)
  street.until(RECEIPT_BY)
  assert.is(street.dealOf(one).outcome!.delivered, 450n)
  refused(street, 'ledger.receipt-late', ada.owner, honest(two, { to: 7_000_001n }))
})

test('a revoked meter goes on: ledger.meter-revoked; a suspended one begins another contract: ledger.meter-suspended', () => {
  const { street, two } = scene()
  const body = { meterId: dora.meterId, from: windowOf(5).start }
  street.take(regulator, { kind: 'suspend', body })
  refused(street, 'ledger.meter-suspended', cem.owner, gridCommit(dora, cem, windowOf(5)))
  street.take(partyOf('operator'), { kind: 'revoke', body: { meterId: ada.meterId } })
  refused(street, 'ledger.meter-revoked', ada.owner, honest(two))
  refused(street, 'ledger.meter-revoked', cem.owner, gridCommit(ada, cem, windowOf(6)))
})

test('a contract at the price of a band that is over: ledger.price-band; a band dated back: ledger.band-late', () => {
  const street = new Feeder()
  const bandOf = (from: number, ceiling: bigint): TxContent => ({
    kind: 'band',
    body: { from: instant(from), floor: microsPerKwh(0n), ceiling: microsPerKwh(ceiling) },
  })
  street.take(regulator, bandOf(BEGIN + 5000, 300_000n))
  street.take(regulator, bandOf(BEGIN + 20_000, 200_000n))
  street.until(BEGIN + 10_000)
  street.place(ada, ben)
  street.until(BEGIN + 20_000)
  // 250,001 was allowed until now.
  refused(street, 'ledger.price-band', cem.owner, gridCommit(ada, cem))
  refused(street, 'ledger.band-late', regulator, bandOf(BEGIN + 10_000, 300_000n))
  refused(street, 'ledger.role-only', ada.owner, bandOf(BEGIN + 90_000, 300_000n))
})

test('a transaction is sent twice, or to another ledger: ledger.sequence, ledger.chain-id', () => {
  const bench = new Bench()
  const tx = signTx(buyer, 0n, commitOf(terms))
  assert.is(nameOf(bench.block([tx])[0]!), 'taken')
  refusedBytes(bench, 'ledger.sequence', tx)
  refusedBytes(new Bench({ ...genesis, chainId: 'another-1' }), 'ledger.chain-id', tx)
})

test('a direct line is sold twice, and its receipt replayed in its next deal: ledger.sold, ledger.reading-session', () => {
  const bench = new Bench()
  const first = commitOf(terms)
  bench.send(buyer, first)
  refused(bench, 'ledger.sold', buyer, commitOf({ ...terms, nonce: new Uint8Array(16).fill(9) }))
  const next = commitOf({ ...terms, start: terms.end, end: later(terms.end, 60_000) })
  bench.send(buyer, next)
  bench.block([], 300_000)
  const { body } = receiptOf(sideOf('seller', first.body.contract), 1000n)
  const replayed = { ...body, deal: contractHash(next.body.contract) }
  refused(bench, 'ledger.reading-session', seller, { kind: 'receipt', body: replayed })
})

/** Refused on one of two ledgers, whose books hold after it. */
function refusedOn(chain: Chain, expected: RefusalCode, by: Party, content: TxContent): void {
  const before = chain.account(by).balance
  const outcome = chain.send(by, content)
  assert.is(nameOf(outcome), expected, outcome.log)
  assert.is(chain.account(by).balance, before)
  chain.books()
}

test('power without a fee: no reservation, another contract’s, an old offer, a forged proof', () => {
  const ledgers = new GridLedgers()
  const { energy, net } = ledgers
  const commit = gridCommit(ada, cem)
  const { contract } = commit.body
  const proved = (reservation: { height: bigint; proof: Uint8Array }): TxContent => ({
    kind: 'commit',
    body: { ...commit.body, reservation },
  })
  refusedOn(energy, 'ledger.no-reservation', cem.owner, commit)
  const other = gridCommit(ada, cem).body.contract
  net.take(ada.owner, gridReserve(other))
  const foreign = ledgers.relay(net, netKey(other))
  refusedOn(energy, 'ledger.proof', cem.owner, proved(foreign))
  const offer = { contract: contractHash(contract), price: microsPerKwh(1n), until: instant(net.time) }
  refusedOn(net, 'ledger.fee-offer', ada.owner, gridReserve(contract, offerOf(offer)))
  const own = offerOf({ ...offer, until: windowOf(9).end }, ada.owner)
  refusedOn(net, 'ledger.fee-offer-signature', ada.owner, gridReserve(contract, own))
  net.take(ada.owner, gridReserve(contract))
  const good = ledgers.relay(net, netKey(contract))
  const bent = good.proof.slice()
  bent[bent.length - 1]! ^= 1
  refusedOn(energy, 'ledger.proof', cem.owner, proved({ ...good, proof: bent }))
  refusedOn(energy, 'ledger.header-unknown', cem.owner, proved({ ...good, height: 10_000n }))
  energy.take(cem.owner, proved(good))
})

test('a fee for nothing: a deal that is open, a deal that never was, a fee claimed twice', () => {
  const ledgers = new GridLedgers()
  const { energy, net } = ledgers
  const commit = gridCommit(ada, cem)
  const { contract } = commit.body
  const deal = contractHash(contract)
  const claim = (proven: { height: bigint; proof: Uint8Array }): TxContent => ({
    kind: 'claim',
    body: { deal, ...proven },
  })
  net.take(ada.owner, gridReserve(contract))
  refusedOn(net, 'ledger.proof', distributor, claim(ledgers.relay(energy, energyKey(contract))))
  const reservation = ledgers.relay(net, netKey(contract))
  energy.take(cem.owner, { ...commit, body: { ...commit.body, reservation } })
  refusedOn(net, 'ledger.proof', distributor, claim(ledgers.relay(energy, energyKey(contract))))
  ledgers.until(windowOf(0).end)
  const placed = { contract, ...windowOf(0) }
  energy.take(ada.owner, gridReceipt('seller', ada, placed, { to: 7_500_000n }))
  energy.take(cem.owner, gridReceipt('buyer', cem, placed, { to: 7_500_000n }))
  ledgers.until(RECEIPT_BY)
  const settled = ledgers.relay(energy, energyKey(contract))
  refusedOn(net, 'ledger.proof', ada.owner, { kind: 'release', body: { deal, ...settled } })
  net.take(distributor, claim(settled))
  refusedOn(net, 'ledger.reservation-closed', distributor, claim(settled))
  assert.is(net.account(ada.owner).balance, RICH - 100n - 20_000n, '500 Wh over four lines at 0.01')
})

test('points are asked for twice, for a deal that was not shown, and minted once for one that two meters showed', () => {
  const street = new Feeder()
  const issuer = partyOf('operator')
  street.take(issuer, { kind: 'role', body: { role: 'issuer', holder: stranger.address, held: true } })
  const one = street.place(ada, ben)
  const alone = street.place(dora, cem)
  street.until(windowOf(0).end)
  street.hand('seller', one, 900n)
  street.hand('buyer', one, 700n)
  street.hand('seller', alone, 900n)
  const issue = ({ contract }: Placed): TxContent => ({ kind: 'issue', body: { deal: contractHash(contract) } })
  refused(street, 'ledger.points-deal', stranger, issue(one))
  street.until(SETTLE_BY)
  street.take(stranger, issue(one))
  refused(street, 'ledger.points-taken', stranger, issue(one))
  refused(street, 'ledger.points-deal', stranger, issue(alone))
})

test.run()
