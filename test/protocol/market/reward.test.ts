/** Rewards against the ledger's own points, over random histories of deals, repeats and redemptions. */

import { POINTS, POOLS } from '../../../protocol/ledger/service-tables.ts'
import { createRewardBook, offerable, REWARD_SINKS } from '../../../protocol/market/reward.ts'
import { costFloor, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { BEGIN, Bench, buyer, commitOf, nameOf, receiptOf, seller, sideOf, terms } from '../ledger/parties.ts'
import { bench, issuer, serviceGenesis } from '../ledger/service-bench.ts'

const test = suite('rewards')

const DEALS = 4
/** So far are two deals apart: the windows of one line do not overlap. */
const APART_MS = 61_000
const contractOf = (n: number) => {
  const start = instant(BEGIN + 60_000 + n * APART_MS)
  return commitOf({ ...terms, start, end: instant(start + 60_000), nonce: new Uint8Array(16).fill(n) })
}
const commits = Array.from({ length: DEALS }, (_, n) => contractOf(n))
const receipt = (side: 'seller' | 'buyer', n: number, mWh: bigint) => {
  const at = BEGIN + 60_000 + n * APART_MS
  return receiptOf(sideOf(side, commits[n]!.body.contract), mWh, { begin: { at: at + 1000 }, end: { at: at + 59_000 } })
}

test('an issuer’s book is the ledger’s: minted, burnt and held, whatever comes in which order', () => {
  const seen = { minted: 0, repeated: 0, refused: 0, redeemed: 0 }
  const step = fc.record({
    what: fc.constantFrom('seller' as const, 'buyer' as const, 'issue' as const, 'issue' as const, 'redeem' as const),
    // One deal more often than the others, and small amounts: else hardly a history would redeem anything.
    n: fc.oneof(fc.constant(0), fc.nat(DEALS - 1)),
    wh: fc.oneof(fc.bigInt(0n, 2500n), fc.bigInt(1n, 300n)),
    sink: fc.constantFrom(...REWARD_SINKS),
  })
  assertCovering(
    fc.property(fc.boolean(), fc.array(step, { minLength: 8, maxLength: 24 }), (settled, steps) => {
      const ledger = new Bench(serviceGenesis)
      for (const commit of commits) assert.is(nameOf(ledger.send(buyer, commit)), 'taken')
      ledger.block([], BEGIN + 60_000 + DEALS * APART_MS - ledger.time)
      if (settled) ledger.send(seller, receipt('seller', 0, 1_000_000n))
      if (settled) ledger.send(buyer, receipt('buyer', 0, 1_000_000n))
      const book = createRewardBook()
      for (const { what, n, wh, sink } of steps) {
        const { contract } = commits[n]!.body
        const deal = contractHash(contract)
        if (what === 'seller') ledger.send(seller, receipt('seller', n, wh * 1000n))
        else if (what === 'buyer') ledger.send(buyer, receipt('buyer', n, wh * 1000n))
        else if (what === 'issue') {
          const taken = nameOf(ledger.send(issuer, { kind: 'issue', body: { deal } }))
          const minted = book.mint(deal, ledger.deal(contract)!)
          if (taken === 'taken') assert.is(minted.ok && minted.value, ledger.deal(contract)!.outcome!.delivered)
          else if (taken === 'ledger.points-taken') assert.is(minted.ok && minted.value, 0n)
          else assert.ok(!minted.ok || minted.value === 0n, taken)
          seen[taken === 'taken' ? 'minted' : taken === 'ledger.points-taken' ? 'repeated' : 'refused']++
        } else {
          const redeem = { kind: 'redeem', body: { issuer: issuer.address, amount: wattHours(wh) } } as const
          const taken = nameOf(ledger.send(seller, redeem)) === 'taken'
          const rate = microsPerKwh(40_001n)
          const redeemed = book.redeem(seller.address, wattHours(wh), sink, rate)
          assert.is(redeemed.ok, taken)
          if (!redeemed.ok) continue
          seen.redeemed++
          const worth = costFloor(wattHours(wh), rate)
          assert.equal(
            [redeemed.value.coins, redeemed.value.credit],
            [sink === 'coin' ? worth : 0n, sink === 'bill-credit' ? worth : 0n],
          )
        }
        const held = ledger.record(POINTS, `${issuer.id}/${seller.id}`)?.amount ?? 0n
        const { minted, burnt } = book.totals()
        assert.is(book.held(seller.address), held)
        assert.equal({ minted, burnt }, ledger.record(POOLS, issuer.id) ?? { minted: 0n, burnt: 0n })
        assert.is(minted - burnt, held)
      }
    }),
    40,
    // One under which the fixed half redeems.
    2,
  )
  assert.ok(Math.min(...Object.values(seen)) > 0, JSON.stringify(seen))
})

test('a redeemed point pays once: burnt and paid in coins, it is nobody’s any more', () => {
  const { ledger, take, refused, until } = bench()
  const { contract } = commits[0]!.body
  take(buyer, commits[0]!)
  until(BEGIN + 125_000)
  take(seller, receipt('seller', 0, 1_400_000n))
  take(buyer, receipt('buyer', 0, 1_500_000n))
  take(issuer, { kind: 'issue', body: { deal: contractHash(contract) } })
  const book = createRewardBook()
  assert.is(must(book.mint(contractHash(contract), ledger.deal(contract)!)), 1400n)
  take(seller, { kind: 'redeem', body: { issuer: issuer.address, amount: wattHours(1400n) } })
  const { coins } = must(book.redeem(seller.address, wattHours(1400n), 'coin', microsPerKwh(40_000n)))
  const before = ledger.account(seller).balance
  take(issuer, { kind: 'transfer', body: { to: seller.address, amount: coins } })
  assert.is(ledger.account(seller).balance - before, 56_000n)
  refused('ledger.points', seller, { kind: 'redeem', body: { issuer: issuer.address, amount: wattHours(1n) } })
  const again = book.redeem(seller.address, wattHours(1n), 'coin', microsPerKwh(40_000n))
  assert.is(again.ok || again.fault.code, 'reward.held')
})

test('nothing is minted for what an owner sells to itself, nor without both meters', () => {
  const { ledger, take, until } = bench()
  const { contract } = commits[0]!.body
  const deal = contractHash(contract)
  take(buyer, commits[0]!)
  until(BEGIN + 125_000)
  take(seller, receipt('seller', 0, 1_400_000n))
  const book = createRewardBook()
  const code = (record: Parameters<typeof book.mint>[1]) => {
    const minted = book.mint(deal, record)
    return minted.ok ? minted.value : minted.fault.code
  }
  assert.is(code(ledger.deal(contract)!), 'reward.not-shown')
  until(BEGIN + 10_000_000)
  const alone = ledger.deal(contract)!
  assert.is(alone.outcome!.disputed, true)
  assert.is(code(alone), 'reward.not-shown')
  const both = { ...alone, buyerReceipt: alone.sellerReceipt! }
  assert.is(code({ ...both, buyer: both.seller }), 'reward.one-owner')
  assert.is(code(both), alone.outcome!.delivered)
  assert.is(code(both), 0n)
  for (const amount of [0n, -1n]) {
    assert.not.ok(book.redeem(seller.address, wattHours(amount), 'points', microsPerKwh(1n)).ok)
  }
})

test('own use comes first, and no more is offered than there is room for', () => {
  const of = (generated: bigint, used: bigint, room: bigint) =>
    offerable(wattHours(generated), wattHours(used), wattHours(room))
  assert.equal(
    [of(900n, 400n, 1000n), of(900n, 400n, 300n), of(400n, 900n, 300n), of(9n, 0n, 0n)],
    [500n, 300n, 0n, 0n],
  )
})

test.run()
