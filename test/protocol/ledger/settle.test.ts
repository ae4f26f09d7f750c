/** How deals end, and that the books add up: the audit is also shown to find each kind of mistake. */
import { utf8 } from '../../../protocol/bytes.ts'
import { createAgenda } from '../../../protocol/ledger/agenda.ts'
import { type Audit, auditLedger, type Entries } from '../../../protocol/ledger/audit.ts'
import { type DealRecord, dealKey, dealRecord, decodeDealRecord } from '../../../protocol/ledger/deal-record.ts'
import { ACCOUNTS } from '../../../protocol/ledger/tables.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { decodeAs, encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, assertProperty, fc } from '../../property.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  FEE,
  genesis,
  nameOf,
  operator,
  type Party,
  RICH,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  terms,
} from './parties.ts'

const test = suite('settlement')
const TOTAL = RICH * BigInt(genesis.accounts.length)

const audit = (bench: Bench): Audit => auditLedger(bench.app.entries(bench.app.height)!)

function wholeBooks(bench: Bench): Audit {
  const books = audit(bench)
  assert.equal(books.problems, [])
  assert.is(books.money.residue, 0n)
  assert.is(books.money.minted, TOTAL)
  return books
}

/** A locked deal at 125 s, and both sides' receipts. */
function locked(): { bench: Bench; contract: Uint8Array; hand(side: 'seller' | 'buyer', wh: bigint): void } {
  const bench = new Bench()
  const commit = commitOf(terms)
  const { contract } = commit.body
  bench.send(buyer, commit)
  bench.block([], 124_000)
  return {
    bench,
    contract,
    hand: (side, wh) => {
      const sender = side === 'seller' ? seller : buyer
      assert.is(nameOf(bench.send(sender, receiptOf(sideOf(side, contract), wh * 1000n))), 'taken')
    },
  }
}

//  contracted 2000 Wh at 250,001 micro per kWh: escrow 500,002
for (const [sold, taken, delivered, paid] of [
  [2000n, 2000n, 2000n, 500_002n],
  [1500n, 1400n, 1400n, 350_001n],
  [1400n, 1500n, 1400n, 350_001n],
  [5000n, 5000n, 2000n, 500_002n],
  [0n, 5000n, 0n, 0n],
  [1n, 1n, 1n, 250n],
] as const) {
  test(`both receipts (${sold} and ${taken} Wh) settle at once by the least: ${delivered} Wh`, () => {
    const { bench, contract, hand } = locked()
    hand('seller', sold)
    assert.is(bench.deal(contract)!.state, 'locked')
    hand('buyer', taken)
    const { state, outcome } = bench.deal(contract)!
    assert.is(state, 'settled')
    assert.equal(outcome, {
      delivered: wattHours(delivered),
      paid: micros(paid),
      refunded: micros(500_002n - paid),
      disputed: false,
      at: instant(bench.time),
    })
    assert.is(bench.account(seller).balance, RICH + paid - FEE)
    assert.is(bench.account(buyer).balance, RICH - paid - 2n * FEE)
    const books = wholeBooks(bench)
    assert.equal(books.deals, { locked: 0, settled: 1, refunded: 0, disputed: 0 })
    assert.is(books.energy.settled, delivered)
  })
}

for (const side of ['seller', 'buyer'] as const) {
  test(`only the ${side}'s receipt settles, not before the dispute window is over`, () => {
    const { bench, contract, hand } = locked()
    hand(side, 1200n)
    const settleBy = terms.end + terms.receiptWindowMs + terms.disputeWindowMs
    bench.block([], settleBy - 1 - bench.time)
    assert.is(bench.deal(contract)!.state, 'locked', 'one millisecond before')
    bench.block([], 1)
    const { state, outcome } = bench.deal(contract)!
    assert.is(state, 'settled')
    assert.ok(outcome!.disputed)
    assert.is(outcome!.delivered, 1200n)
    assert.is(wholeBooks(bench).deals.disputed, 1)
  })
}

test('the second receipt still counts inside the dispute window', () => {
  const { bench, contract, hand } = locked()
  hand('seller', 2000n)
  bench.block([], 100_000)
  hand('buyer', 10n)
  assert.is(bench.deal(contract)!.outcome!.delivered, 10n)
  assert.not(bench.deal(contract)!.outcome!.disputed)
})

test('no receipt by the end of the dispute window gives everything back', () => {
  const { bench, contract } = locked()
  bench.block([], 10_000_000)
  const { state, outcome } = bench.deal(contract)!
  assert.is(state, 'refunded')
  assert.is(outcome!.refunded, 500_002n)
  assert.is(bench.account(buyer).balance, RICH - FEE)
  assert.is(wholeBooks(bench).deals.refunded, 1)
})

test('commit and both receipts of another deal in one block', () => {
  const bench = new Bench()
  bench.block([], 59_000)
  const commit = commitOf(terms)
  const { contract } = commit.body
  const at = { begin: { at: BEGIN + 60_000 }, end: { at: BEGIN + 60_001 } }
  const results = bench.block([
    signTx(buyer, 0n, commit),
    signTx(seller, 0n, receiptOf(sideOf('seller', contract), 5000n, at)),
    signTx(buyer, 1n, receiptOf(sideOf('buyer', contract), 4000n, at)),
  ])
  assert.equal(results.map(nameOf), ['taken', 'taken', 'taken'])
  assert.is(bench.deal(contract)!.outcome!.delivered, 4n)
  wholeBooks(bench)
  bench.block([], 10_000_000)
  assert.is(bench.deal(contract)!.outcome!.delivered, 4n, 'its last moment passes without a second settlement')
  wholeBooks(bench)
})

test('deals that are due come by time, then by name, each once', () => {
  assertProperty(
    fc.property(
      fc.uniqueArray(fc.tuple(fc.nat(20), fc.stringMatching(/^[0-9a-f]{0,3}$/)), { selector: t => t.join() }),
      all => {
        const due = createAgenda()
        for (const [at, key] of all) due.add({ at: instant(at), key })
        const taken: string[] = []
        for (const now of [5, 5, 20]) {
          for (let next = due.takeDue(instant(now)); next !== undefined; next = due.takeDue(instant(now))) {
            taken.push(next.key)
          }
        }
        const sorted = [...all].sort(([a, x], [b, y]) => a - b || (x < y ? -1 : 1)).map(([, id]) => id)
        assert.equal(taken, sorted)
      },
    ),
  )
})

test('any sequence of transactions keeps every coin and every deal in order', () => {
  const parties = [operator, seller, buyer, stranger]
  const step = fc.record({
    kind: fc.constantFrom('transfer', 'commit', 'seller', 'buyer', 'wait'),
    who: fc.nat(3),
    other: fc.nat(3),
    slot: fc.nat(3),
    amount: fc.bigInt({ min: 0n, max: 12_000_000n }),
    price: fc.bigInt({ min: 0n, max: 3_000_000n }),
    fee: fc.bigInt({ min: 0n, max: 500n }),
    skew: fc.nat(9),
  })
  const ended = { settled: 0, refunded: 0, disputed: 0, refusedTxs: 0 }
  assertCovering(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), steps => {
      const bench = new Bench()
      const slots = new Map<number, Uint8Array>()
      for (const { kind, who, other, slot, amount, price, fee, skew } of steps) {
        // One in ten carries a wrong sequence.
        const send = (by: Party, content: Parameters<Bench['send']>[1]) =>
          bench.send(by, content, { fee, sequence: bench.sequence(by) + (skew === 0 ? 1n : 0n) })
        const start = instant(BEGIN + 60_000 * (slot + 1))
        const contract = slots.get(slot)
        let outcome: ReturnType<Bench['send']> | undefined
        if (kind === 'transfer') {
          const body = { to: parties[other]!.address, amount: micros(amount) }
          outcome = send(parties[who]!, { kind, body })
        } else if (kind === 'commit') {
          const commit = commitOf({
            ...terms,
            start,
            end: instant(start + 60_000),
            energy: wattHours(1n + amount / 1000n),
            price: microsPerKwh(price),
          })
          outcome = send(buyer, commit)
          if (outcome.code === 0) slots.set(slot, commit.body.contract)
        } else if (kind === 'wait') bench.block([], 20_000 * (1 + who))
        else if (contract !== undefined) {
          const at = Math.max(start, Math.min(bench.time, start + 60_000))
          const receipt = receiptOf(sideOf(kind, contract), amount * 500n, { begin: { at: start }, end: { at } })
          outcome = send(kind === 'seller' ? seller : buyer, receipt)
        }
        if (outcome !== undefined && outcome.code !== 0) ended.refusedTxs++
        wholeBooks(bench)
      }
      bench.block([], 100_000_000)
      const books = wholeBooks(bench)
      assert.is(books.deals.locked, 0)
      assert.is(books.money.escrowed, 0n)
      ended.settled += books.deals.settled
      ended.refunded += books.deals.refunded
      ended.disputed += books.deals.disputed
    }),
    60,
  )
  // The sequences did reach every ending; else the property would say little.
  assert.ok(
    Object.values(ended).every(count => count > 0),
    JSON.stringify(ended),
  )
}, 120_000)

/** The state of a ledger with one settled deal, with one entry rewritten. */
function forged(change: (entries: Map<string, Uint8Array>, deal: DealRecord, key: string) => void): Audit {
  const { bench, contract, hand } = locked()
  hand('seller', 1500n)
  hand('buyer', 1400n)
  const entries = new Map(
    [...bench.app.entries(bench.app.height)!].map(([key, value]): [string, Uint8Array] => [
      Buffer.from(key).toString(),
      value,
    ]),
  )
  const key = dealKey(contractHash(contract))
  change(entries, must(decodeDealRecord(entries.get(key)!)), key)
  return auditLedger([...entries].map(([name, value]) => [utf8(name), value] as const) as Entries)
}

const rewritten = (change: (deal: DealRecord) => DealRecord) =>
  forged((entries, deal, key) => entries.set(key, encodeAs(dealRecord, change(deal))))

test('an audit finds money that was made or lost', () => {
  for (const amount of [1n, -1n]) {
    const books = forged(entries => {
      const key = `account/${seller.id}`
      const account = must(decodeAs(ACCOUNTS.codec, entries.get(key)!, 'account', 256))
      entries.set(key, encodeAs(ACCOUNTS.codec, { ...account, balance: micros(account.balance + amount) }))
    })
    assert.is(books.money.residue, -amount)
    assert.equal(
      books.problems.map(problem => problem.code),
      ['audit.residue'],
    )
  }
})

test('an audit finds a deal that was settled wrongly', () => {
  const outcome = (change: Partial<NonNullable<DealRecord['outcome']>>) =>
    rewritten(deal => ({ ...deal, outcome: { ...deal.outcome!, ...change } })).problems.map(problem => problem['what'])
  assert.equal(outcome({}), [])
  assert.equal(outcome({ delivered: wattHours(1500n) }), ['delivered'])
  assert.equal(outcome({ paid: micros(350_002n), refunded: micros(150_000n) }), ['paid'])
  assert.equal(outcome({ refunded: micros(150_002n) }), ['refunded'])
  assert.equal(outcome({ disputed: true }), ['disputed'])
  const what = (change: (deal: DealRecord) => DealRecord) =>
    rewritten(change).problems.map(problem => problem['what'] ?? problem.code)
  assert.equal(
    what(deal => ({ ...deal, escrow: micros(500_003n) })),
    ['escrow', 'refunded'],
  )
  assert.equal(
    what(deal => ({ ...deal, state: 'refunded' })),
    ['state'],
  )
  assert.equal(
    what(({ sellerReceipt: _, ...deal }) => deal),
    ['disputed', 'waited for both receipts'],
  )
  assert.equal(
    what(({ outcome: _, ...deal }) => deal),
    ['state without an outcome', 'closed in time'],
  )
  assert.equal(
    what(({ outcome: _, ...deal }) => ({ ...deal, state: 'locked' })),
    ['audit.residue', 'closed in time'],
  )
})

test('an audit finds a line that was sold twice, and entries that it cannot read', () => {
  const twice = forged((entries, deal) => {
    const { outcome: _, ...open } = deal
    const other = {
      ...open,
      state: 'locked' as const,
      escrow: micros(0n),
      energy: wattHours(0n),
      start: instant(deal.end - 1),
    }
    entries.set(`deal/${'00'.repeat(32)}`, encodeAs(dealRecord, { ...other, end: instant(deal.end + 1) }))
  })
  assert.ok(twice.problems.some(problem => problem.code === 'audit.sold-twice' && problem['what'] === 'line L1'))
  for (const key of ['account/00', 'deal/00', 'meter/x', 'booked/line/x', 'chain', 'stray']) {
    const books = forged(entries => entries.set(key, Uint8Array.of(0xa0)))
    assert.ok(
      books.problems.some(problem => problem.code === 'audit.unreadable'),
      key,
    )
  }
  assert.ok(forged(entries => entries.delete('chain')).problems.some(problem => problem.code === 'audit.no-chain'))
})

test.run()
