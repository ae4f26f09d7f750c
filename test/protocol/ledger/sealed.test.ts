/** Receipts that keep the readings off the ledger: what both signed counts at once, a side's word only against itself. */
import { toHex } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { auditLedger, type Entries } from '../../../protocol/ledger/audit.ts'
import { type DealRecord, dealKey, dealRecord } from '../../../protocol/ledger/deal-record.ts'
import { parseTx, type TxContent } from '../../../protocol/ledger/tx.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { encodeAs } from '../../../protocol/record.ts'
import { instant } from '../../../protocol/time.ts'
import { type Contract, contractHash, decodeContract, encodeContract } from '../../../protocol/trade/contract.ts'
import { assembleSealed, sealedEvidence, sealedToSign } from '../../../protocol/trade/sealed.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  nameOf,
  type Party,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  terms,
} from './parties.ts'

const test = suite('sealed receipts')

const sealedTerms: Contract = { ...terms, receipts: 'sealed' }
const hash = (n: number) => sha256(Uint8Array.of(n))
const EVIDENCE = sealedEvidence([hash(1), hash(2), hash(3), hash(4)])
const RECEIPT_BY = terms.end + terms.receiptWindowMs
const SETTLE_BY = RECEIPT_BY + terms.disputeWindowMs

function sealedOf(
  deal: Uint8Array,
  wh: bigint,
  by: { readonly seller?: Party; readonly buyer?: Party; readonly signed?: bigint } = {},
): TxContent & { kind: 'sealed' } {
  const receipt = { deal, energy: wattHours(wh), evidence: EVIDENCE }
  const signed = { ...receipt, energy: wattHours(by.signed ?? wh) }
  const half = (party: Party) =>
    assembleSealed(signed, party.publicKey, party.sign(sealedToSign(signed, party.publicKey)))
  const [sellerSign1, buyerSign1] = [half(by.seller ?? seller), half(by.buyer ?? buyer)]
  return { kind: 'sealed', body: { ...receipt, sellerSign1, buyerSign1 } }
}

const quantityOf = (deal: Uint8Array, wh: bigint): TxContent => ({
  kind: 'quantity',
  body: { deal, energy: wattHours(wh) },
})

/** A deal locked at 125 s, after its window. */
function locked(contractTerms = sealedTerms) {
  const bench = new Bench()
  const commit = commitOf(contractTerms)
  const { contract } = commit.body
  bench.send(buyer, commit)
  bench.block([], 124_000)
  const refused = (expected: string, sender: Party, content: TxContent) => {
    assert.is(nameOf(bench.send(sender, content)), expected)
    audited(bench)
  }
  return { bench, contract, deal: contractHash(contract), refused }
}

function audited(bench: Bench) {
  const books = auditLedger(bench.app.entries(bench.app.height)!)
  assert.equal(books.problems, [])
  return books
}

const until = (bench: Bench, time: number) => bench.block([], time - bench.time)

test('one quantity that both signed settles at once', () => {
  const { bench, contract, deal, refused } = locked()
  assert.is(nameOf(bench.send(seller, sealedOf(deal, 1500n))), 'taken')
  const { state, outcome, sealed } = bench.deal(contract)!
  assert.is(state, 'settled')
  assert.equal([outcome!.delivered, outcome!.paid, outcome!.disputed], [1500n, 375_001n, false])
  assert.is(toHex(sealed!.evidence), toHex(EVIDENCE))
  audited(bench)
  refused('ledger.deal-closed', buyer, sealedOf(deal, 1500n))
  refused('ledger.deal-closed', buyer, quantityOf(deal, 1n))
})

test('a quantity beyond the contract is paid up to the contract', () => {
  const { bench, contract, deal } = locked()
  bench.send(buyer, sealedOf(deal, 9000n))
  assert.is(bench.deal(contract)!.outcome!.delivered, 2000n)
  audited(bench)
})

test('both have to have signed this very quantity for this very deal', () => {
  const { deal, refused } = locked()
  refused('ledger.sealed-signature', seller, sealedOf(deal, 1500n, { buyer: seller }))
  refused('ledger.sealed-signature', seller, sealedOf(deal, 1500n, { seller: stranger }))
  refused('ledger.sealed-signature', seller, sealedOf(deal, 1500n, { signed: 1499n }))
  const other = sealedOf(hash(9), 1500n)
  refused('ledger.sealed-signature', seller, { ...other, body: { ...other.body, deal } })
  refused('ledger.no-deal', seller, other)
  refused('ledger.not-a-party', stranger, sealedOf(deal, 1500n))
  refused('ledger.no-deal', seller, quantityOf(hash(9), 1n))
  refused('ledger.not-a-party', stranger, quantityOf(deal, 1n))
})

test('a contract with open receipts takes neither', () => {
  const { deal, refused } = locked(terms)
  refused('ledger.not-sealed', seller, sealedOf(deal, 1500n))
  refused('ledger.not-sealed', seller, quantityOf(deal, 1500n))
})

test('each side has one word, inside the receipt window; both sign until the last moment', () => {
  const { bench, contract, deal, refused } = locked()
  assert.is(nameOf(bench.send(seller, quantityOf(deal, 1500n))), 'taken')
  refused('ledger.quantity-taken', seller, quantityOf(deal, 1400n))
  until(bench, RECEIPT_BY - 1001)
  assert.is(nameOf(bench.send(buyer, quantityOf(deal, 1400n))), 'taken')
  until(bench, SETTLE_BY - 1001)
  assert.is(nameOf(bench.send(buyer, sealedOf(deal, 1600n))), 'taken')
  assert.is(bench.deal(contract)!.outcome!.delivered, 1600n)
  const late = locked()
  until(late.bench, RECEIPT_BY - 1000)
  late.refused('ledger.quantity-late', buyer, quantityOf(late.deal, 1n))
  // The block that settles is the first at that time, and its transactions come before.
  until(late.bench, SETTLE_BY - 1000)
  late.refused('ledger.receipt-late', seller, sealedOf(late.deal, 1500n))
})

type Voices = {
  readonly seller?: bigint
  readonly buyer?: bigint
  readonly sellerWord?: bigint
  readonly buyerWord?: bigint
}

//  contracted 2000 Wh; words without envelopes in the last two columns of each row
for (const [voices, delivered, disputed] of [
  [{}, undefined, false],
  [{ sellerWord: 2000n }, undefined, false],
  [{ buyerWord: 1500n }, 1500n, true],
  [{ sellerWord: 2000n, buyerWord: 1500n }, 1500n, false],
  [{ sellerWord: 1000n, buyerWord: 1500n }, 1000n, false],
  [{ sellerWord: 9000n, buyerWord: 9000n }, 2000n, false],
  [{ sellerWord: 2000n, buyerWord: 0n }, 0n, false],
  // Envelopes outrank words: whoever says too little has to open its own.
  [{ seller: 1800n, sellerWord: 1800n, buyerWord: 0n }, 1800n, true],
  [{ seller: 1800n, buyer: 1700n, sellerWord: 1000n, buyerWord: 0n }, 1700n, false],
  [{ buyer: 1700n, sellerWord: 2000n }, 1700n, true],
  [{ buyer: 1700n, sellerWord: 1000n, buyerWord: 1600n }, 1700n, true],
] as const satisfies readonly (readonly [Voices, bigint | undefined, boolean])[]) {
  const said = Object.entries(voices).map(([who, wh]) => `${who} ${wh}`)
  test(`${said.join(', ') || 'nobody'}: ${delivered === undefined ? 'refunded' : `${delivered} Wh`}`, () => {
    const { bench, contract, deal } = locked()
    const all: Voices = voices
    const take = (sender: Party, content: TxContent) => assert.is(nameOf(bench.send(sender, content)), 'taken')
    if (all.sellerWord !== undefined) take(seller, quantityOf(deal, all.sellerWord))
    if (all.buyerWord !== undefined) take(buyer, quantityOf(deal, all.buyerWord))
    until(bench, RECEIPT_BY)
    if (all.seller !== undefined) take(seller, receiptOf(sideOf('seller', contract), all.seller * 1000n))
    if (all.buyer !== undefined) take(buyer, receiptOf(sideOf('buyer', contract), all.buyer * 1000n))
    audited(bench)
    const both = all.seller !== undefined && all.buyer !== undefined
    assert.is(bench.deal(contract)!.state, both ? 'settled' : 'locked')
    until(bench, SETTLE_BY)
    const { state, outcome } = bench.deal(contract)!
    assert.is(state, delivered === undefined ? 'refunded' : 'settled')
    assert.is(outcome!.delivered, delivered ?? 0n)
    assert.is(outcome!.disputed, disputed)
    audited(bench)
  })
}

test('a sealed receipt in the block of an open one is what counts, and the open one after it comes too late', () => {
  const { bench, contract, deal } = locked()
  const results = bench.block([
    signTx(seller, 0n, receiptOf(sideOf('seller', contract), 1_900_000n)),
    signTx(buyer, 1n, sealedOf(deal, 1500n)),
    signTx(buyer, 2n, receiptOf(sideOf('buyer', contract), 1_900_000n)),
    signTx(seller, 1n, sealedOf(deal, 1400n)),
  ])
  assert.equal(results.map(nameOf), ['taken', 'taken', 'ledger.deal-closed', 'ledger.deal-closed'])
  assert.is(bench.deal(contract)!.outcome!.delivered, 1500n)
  audited(bench)
})

test('open contracts keep their bytes, and there is one way to write each', () => {
  const open = encodeContract(terms)
  const sealed = encodeContract(sealedTerms)
  // a map of fifteen and of sixteen: af becomes b0, and 10 66 "sealed" follows.
  assert.is(open[0], 0xaf)
  assert.is(sealed[0], 0xb0)
  assert.is(toHex(sealed.subarray(1)), `${toHex(open.subarray(1))}1066${Buffer.from('sealed').toString('hex')}`)
  const read = decodeContract(sealed)
  assert.is(read.ok && read.value.receipts, 'sealed')
  const spelled = Buffer.concat([Uint8Array.of(0xb0), open.subarray(1), Buffer.from('10646f70656e', 'hex')])
  const other = decodeContract(new Uint8Array(spelled))
  assert.is(!other.ok && other.fault.code, 'record.shape')
})

test('any flipped bit of a sealed receipt is refused', () => {
  const { bench, deal } = locked()
  const tx = signTx(seller, 0n, sealedOf(deal, 1500n))
  assert.ok(parseTx(tx).ok)
  const mutants = Array.from({ length: tx.length }, (_, byte) => {
    const mutant = tx.slice()
    mutant[byte]! ^= 1 << (byte % 8)
    return mutant
  })
  for (const outcome of bench.block(mutants)) assert.not.equal(outcome.code, 0)
})

test('whatever is said in whatever order, the books add up and nobody gets more than the envelopes or his own word give', () => {
  const act = fc.record({
    kind: fc.constantFrom('sealed', 'seller', 'buyer', 'sellerWord', 'buyerWord', 'wait'),
    wh: fc.bigInt({ min: 0n, max: 2500n }),
  })
  const ended = { refunded: 0, settled: 0, disputed: 0 }
  assertCovering(
    fc.property(fc.array(act, { maxLength: 8 }), acts => {
      const { bench, contract, deal } = locked()
      for (const { kind, wh } of acts) {
        if (kind === 'wait') bench.block([], 20_000)
        else if (kind === 'sealed') bench.send(seller, sealedOf(deal, wh))
        else if (kind === 'sellerWord') bench.send(seller, quantityOf(deal, wh))
        else if (kind === 'buyerWord') bench.send(buyer, quantityOf(deal, wh))
        else bench.send(kind === 'seller' ? seller : buyer, receiptOf(sideOf(kind, contract), wh * 1000n))
        audited(bench)
      }
      bench.block([], 1_000_000)
      const { deals, money } = audited(bench)
      assert.is(money.escrowed, 0n)
      const { outcome, sealed, sellerReceipt, buyerReceipt, buyerQuantity } = bench.deal(contract)!
      // The buyer never pays for more than it signed, measured or said, unless the seller's meter says so.
      const shown = [sealed?.energy, buyerReceipt?.energy, buyerQuantity, sellerReceipt?.energy]
      const most = shown.reduce<bigint>((a, b) => (b !== undefined && b > a ? b : a), 0n)
      assert.ok(outcome!.delivered <= most)
      ended.refunded += deals.refunded
      ended.settled += deals.settled
      ended.disputed += deals.disputed
    }),
    80,
  )
  assert.ok(
    Object.values(ended).every(count => count > 0),
    JSON.stringify(ended),
  )
}, 60_000)

test('an audit finds a deal that was settled by the wrong word', () => {
  const { bench, contract, deal } = locked()
  bench.send(seller, quantityOf(deal, 2000n))
  bench.send(buyer, quantityOf(deal, 1500n))
  until(bench, SETTLE_BY)
  const whats = (change: (found: DealRecord) => DealRecord) => {
    const key = dealKey(contractHash(contract))
    const entries = [...bench.app.entries(bench.app.height)!].map(
      ([name, value]) =>
        [
          name,
          Buffer.from(name).toString() === key ? encodeAs(dealRecord, change(bench.deal(contract)!)) : value,
        ] as const,
    ) as Entries
    return auditLedger(entries).problems.map(problem => problem['what'])
  }
  assert.equal(
    whats(found => found),
    [],
  )
  assert.ok(whats(found => ({ ...found, buyerQuantity: wattHours(1400n) })).includes('delivered'))
  assert.ok(whats(({ buyerQuantity: _, ...found }) => found).includes('state'))
  assert.ok(whats(({ receipts: _, ...found }) => found).includes('no word without envelopes where receipts are open'))
  const early = (found: DealRecord) => ({ ...found, outcome: { ...found.outcome!, at: instant(BEGIN) } })
  assert.ok(whats(early).includes('waited for both receipts'))
  assert.ok(whats(found => ({ ...found, sealed: { energy: wattHours(1n), evidence: EVIDENCE } })).includes('delivered'))
})

test.run()
