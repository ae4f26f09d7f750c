/** Services: each kind as it is meant, and each refusal by its name beside what is otherwise taken. */
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { SLOT_MS } from '../../../protocol/ledger/rules/lines.ts'
import { DAY_AHEAD_MS, HOUR_AHEAD_MS } from '../../../protocol/ledger/rules/plans.ts'
import {
  AGREEMENTS,
  agreementId,
  GROUPS,
  MAX_INVITED,
  MAX_MEMBERS,
  MEMBERSHIPS,
  ORDERS,
  POINTS,
  POOLS,
  SCHEDULES,
} from '../../../protocol/ledger/service-tables.ts'
import type { BodyOf, TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  nameOf,
  operator,
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

import { aggregator, bench, DAY_MS, hex, issuer, NOWHERE, other, serviceGenesis, store } from './service-bench.ts'

const test = suite('services')

// Agreements

const offer: BodyOf<'propose'> = {
  storage: store.address,
  meterId: 'S-1',
  from: instant(BEGIN + 2 * DAY_MS),
  storePrice: microsPerKwh(80_000n),
  returnPrice: microsPerKwh(120_000n),
  most: wattHours(1500n),
  noticeMs: 7 * DAY_MS,
  answerBy: instant(BEGIN + DAY_MS),
}
const propose = (change: Partial<typeof offer> = {}): TxContent => ({ kind: 'propose', body: { ...offer, ...change } })
const agreement = agreementId({ ...offer, owner: seller.address })
const answer = (accepted: boolean, reason?: string): TxContent => ({
  kind: 'answer',
  body: { agreement, accepted, ...(reason === undefined ? {} : { reason }) },
})
const end: TxContent = { kind: 'end', body: { agreement } }

test('an agreement is offered, accepted, ended with notice, and then gone', () => {
  const { ledger, take, refused, until } = bench()
  assert.equal(take(seller, propose()).data, agreement)
  refused('ledger.agreement-taken', seller, propose())
  take(store, answer(true))
  refused('ledger.agreement-state', store, answer(true))
  until(offer.answerBy + 1)
  assert.is(ledger.record(AGREEMENTS, hex(agreement))!.state, 'accepted', 'the time to answer is no end')
  refused('ledger.not-a-party', stranger, end)
  take(store, end)
  const { state, ends } = ledger.record(AGREEMENTS, hex(agreement))!
  assert.equal([state, ends], ['ending', ledger.time + offer.noticeMs])
  refused('ledger.agreement-state', seller, end)
  until(ends! - 1)
  assert.ok(ledger.record(AGREEMENTS, hex(agreement)))
  until(ends!)
  assert.is(ledger.record(AGREEMENTS, hex(agreement)), undefined)
  refused('ledger.no-agreement', seller, end)
})

test('a store rejects with its reason, which stays until the offer would have ended', () => {
  const { ledger, take, refused, until } = bench()
  take(seller, propose())
  refused('ledger.agreement-terms', store, answer(false))
  refused('ledger.agreement-terms', store, answer(true, 'but'))
  refused('ledger.not-a-party', stranger, answer(true))
  refused('ledger.malformed', store, answer(false, 'x'.repeat(121)))
  take(store, answer(false, 'feeder F1 is full at noon'))
  assert.is(ledger.record(AGREEMENTS, hex(agreement))!.reason, 'feeder F1 is full at noon')
  refused('ledger.agreement-state', seller, end)
  until(offer.answerBy)
  assert.is(ledger.record(AGREEMENTS, hex(agreement)), undefined)
})

test('an offer needs a store, an own meter and times in order; unanswered or withdrawn it is gone', () => {
  const { ledger, take, refused, until } = bench()
  refused('ledger.role-only', seller, propose({ storage: stranger.address }))
  refused('ledger.meter-unknown', seller, propose({ meterId: 'S-9' }))
  refused('ledger.meter-owner', seller, propose({ meterId: 'B-1' }))
  refused('ledger.agreement-terms', seller, propose({ answerBy: instant(ledger.time + 1000) }))
  refused('ledger.agreement-terms', seller, propose({ answerBy: offer.from, from: instant(offer.from - 1) }))
  refused(
    'ledger.agreement-terms',
    seller,
    propose({ answerBy: instant(BEGIN + 40 * DAY_MS), from: instant(BEGIN + 41 * DAY_MS) }),
  )
  take(seller, propose())
  refused('ledger.agreement-state', store, end)
  take(seller, end)
  assert.is(ledger.record(AGREEMENTS, hex(agreement)), undefined)
  take(seller, propose())
  take(operator, { kind: 'role', body: { role: 'storage', holder: store.address, held: false } })
  refused('ledger.role-only', store, answer(true))
  until(offer.answerBy - 1000)
  take(operator, { kind: 'role', body: { role: 'storage', holder: store.address, held: true } })
  assert.is(ledger.record(AGREEMENTS, hex(agreement)), undefined)
})

test('a revoked meter offers nothing', () => {
  const { take, refused } = bench()
  take(operator, { kind: 'revoke', body: { meterId: 'S-1' } })
  refused('ledger.meter-revoked', seller, propose())
})

// Schedules and orders

const DAY = Math.floor(BEGIN / DAY_MS) + 2
const planOf = (wh: bigint): readonly bigint[] => Array.from({ length: 96 }, (_, slot) => wh - BigInt(slot))
const schedule = (day: number, wh: bigint, meterId = 'S-1'): TxContent => ({
  kind: 'schedule',
  body: { meterId, day, plan: planOf(wh) },
})

test('a schedule is replaced until noon of the day before, then it stands, and is forgotten a week after', () => {
  const { ledger, take, refused, until } = bench()
  take(seller, schedule(DAY, 10n))
  take(seller, schedule(DAY, 20n))
  const kept = () => ledger.record(SCHEDULES, `${DAY}/S-1`)?.plan[0]
  assert.is(kept(), 20n)
  const gate = DAY * DAY_MS - DAY_AHEAD_MS
  until(gate - 1001)
  take(seller, schedule(DAY, 30n))
  refused('ledger.gate-closed', seller, schedule(DAY, 40n))
  assert.is(kept(), 30n)
  until((DAY + 8) * DAY_MS - 1)
  assert.is(kept(), 30n)
  until((DAY + 8) * DAY_MS)
  assert.is(kept(), undefined)
})

test('a schedule is of an own meter, for all slots of a day that is near', () => {
  const { refused } = bench()
  refused('ledger.meter-owner', seller, schedule(DAY, 1n, 'B-1'))
  refused('ledger.window-far', seller, schedule(DAY + 8, 1n))
  refused('ledger.gate-closed', seller, schedule(0, 1n))
  const short = { kind: 'schedule', body: { meterId: 'S-1', day: DAY, plan: planOf(1n).slice(1) } } as const
  refused('ledger.malformed', seller, short)
})

test('an order is replaced or withdrawn until an hour before its slot', () => {
  const { ledger, take, refused, until } = bench()
  const slot = Math.floor(BEGIN / SLOT_MS) + 8
  const order = (wh: bigint, side: 'buy' | 'sell' = 'sell', at = slot): TxContent => ({
    kind: 'order',
    body: { meterId: 'S-1', slot: at, side, energy: wattHours(wh), limit: microsPerKwh(100_000n) },
  })
  refused('ledger.no-order', seller, order(0n))
  take(seller, order(500n))
  take(seller, order(700n, 'buy'))
  take(seller, order(600n))
  assert.is(ledger.record(ORDERS, `${slot}/sell/S-1`)!.energy, 600n)
  take(seller, order(0n, 'buy'))
  assert.is(ledger.record(ORDERS, `${slot}/buy/S-1`), undefined)
  refused('ledger.meter-owner', buyer, order(1n))
  refused('ledger.window-far', seller, order(1n, 'sell', slot + 9 * 96))
  until(slot * SLOT_MS - HOUR_AHEAD_MS - 1000)
  refused('ledger.gate-closed', seller, order(0n))
  until((slot + 1) * SLOT_MS + 7 * DAY_MS)
  assert.is(ledger.record(ORDERS, `${slot}/sell/S-1`), undefined)
})

// Points

/** A settled deal of 1,400 Wh. */
function settled() {
  const one = bench()
  const commit = commitOf(terms)
  const { contract } = commit.body
  one.take(buyer, commit)
  one.until(BEGIN + 125_000)
  one.take(seller, receiptOf(sideOf('seller', contract), 1_400_000n))
  return { ...one, contract, issue: { kind: 'issue', body: { deal: contractHash(contract) } } satisfies TxContent }
}
const redeem = (amount: bigint, by = issuer): TxContent => ({
  kind: 'redeem',
  body: { issuer: by.address, amount: wattHours(amount) },
})

test('points are minted once by each issuer for what both meters saw, and burnt by their holder', () => {
  const { ledger, take, refused, contract, issue } = settled()
  refused('ledger.points-deal', issuer, issue)
  take(buyer, receiptOf(sideOf('buyer', contract), 1_500_000n))
  refused('ledger.role-only', stranger, issue)
  refused('ledger.no-deal', issuer, { kind: 'issue', body: { deal: NOWHERE } })
  take(issuer, issue)
  refused('ledger.points-taken', issuer, issue)
  take(other, issue)
  const purse = `${issuer.id}/${seller.id}`
  assert.is(ledger.record(POINTS, purse)!.amount, 1400n)
  refused('ledger.points', seller, redeem(1401n))
  refused('ledger.points', buyer, redeem(1n))
  take(seller, redeem(400n))
  assert.equal(ledger.record(POOLS, issuer.id), { minted: wattHours(1400n), burnt: wattHours(400n) })
  take(seller, redeem(1000n))
  assert.is(ledger.record(POINTS, purse), undefined)
  assert.is(ledger.record(POINTS, `${other.id}/${seller.id}`)!.amount, 1400n)
  refused('ledger.points-taken', issuer, issue)
})

test('one side alone earns no points, whatever it says', () => {
  const { refused, until, issue } = settled()
  until(BEGIN + 10_000_000)
  refused('ledger.points-deal', issuer, issue)
})

test('of what a store gives, points are for whoever had put it in: once each, no more than was delivered, never for its taker', () => {
  const one = settled()
  one.take(buyer, receiptOf(sideOf('buyer', one.contract), 1_500_000n))
  const deal = contractHash(one.contract)
  const part = (holder: Party, amount: bigint): TxContent => ({
    kind: 'issue',
    body: { deal, holder: holder.address, amount: wattHours(amount) },
  })
  // Only the seller says whose energy it was, and only an issuer issues.
  one.refused('ledger.not-a-party', issuer, part(stranger, 100n))
  one.refused('ledger.role-only', seller, part(stranger, 100n))
  const withRole = (role: 'issuer' | 'storage', holder: Party) => {
    const ledger = new Bench({ ...serviceGenesis, roles: [...serviceGenesis.roles, { role, holder: holder.address }] })
    ledger.send(buyer, commitOf(terms))
    ledger.block([], BEGIN + 125_000 - ledger.time)
    ledger.send(seller, receiptOf(sideOf('seller', one.contract), 1_400_000n))
    ledger.send(buyer, receiptOf(sideOf('buyer', one.contract), 1_500_000n))
    return { ledger, send: (by: Party, content: TxContent) => nameOf(ledger.send(by, content)) }
  }
  const { ledger, send } = withRole('issuer', seller)
  assert.is(send(seller, part(buyer, 1n)), 'ledger.points-deal')
  assert.is(send(seller, part(stranger, 1000n)), 'taken')
  assert.is(send(seller, part(stranger, 1n)), 'ledger.points-taken')
  assert.is(send(seller, part(other, 401n)), 'ledger.points-deal')
  assert.is(send(seller, part(other, 400n)), 'taken')
  assert.is(send(seller, one.issue), 'ledger.points-taken')
  assert.is(ledger.record(POINTS, `${seller.id}/${stranger.id}`)!.amount, 1000n)
  assert.equal(auditLedger(ledger.app.entries(ledger.app.height)!).problems, [])
  // What a store takes in nobody has consumed.
  assert.is(withRole('storage', buyer).send(issuer, one.issue), 'ledger.points-deal')
})

// Groups

const found = (group = 'sunny'): TxContent => ({ kind: 'found', body: { group } })
const invite = (account: Party, group = 'sunny'): TxContent => ({
  kind: 'invite',
  body: { group, account: account.address },
})
const join = (group = 'sunny'): TxContent => ({ kind: 'join', body: { group } })
const leave: TxContent = { kind: 'leave', body: { group: 'sunny' } }
const gateway = (of: Party): TxContent => ({ kind: 'gateway', body: { group: 'sunny', gateway: of.address } })

test('a group is founded, joined by invitation, led by whom its members choose, and ends with the last', () => {
  const { ledger, take, refused } = bench()
  refused('ledger.role-only', buyer, found())
  take(seller, found())
  refused('ledger.group-taken', seller, found())
  refused('ledger.member', seller, found('shady'))
  refused('ledger.not-invited', buyer, join())
  refused('ledger.no-group', buyer, join('shady'))
  refused('ledger.not-a-member', buyer, invite(stranger))
  refused('ledger.no-account', seller, invite(partyOf('nobody')))
  refused('ledger.member', seller, invite(seller))
  take(seller, invite(buyer))
  take(buyer, join())
  refused('ledger.member', buyer, join())
  refused('ledger.not-a-member', buyer, gateway(stranger))
  refused('ledger.not-a-member', stranger, gateway(buyer))
  take(buyer, gateway(buyer))
  take(buyer, invite(stranger))
  take(stranger, join())
  assert.equal(ledger.record(GROUPS, 'sunny')!.members, [seller.address, buyer.address, stranger.address])
  take(buyer, leave)
  assert.equal(ledger.record(GROUPS, 'sunny')!.gateway, seller.address)
  refused('ledger.not-a-member', buyer, leave)
  take(seller, leave)
  take(stranger, leave)
  assert.is(ledger.record(GROUPS, 'sunny'), undefined)
  assert.is(ledger.record(MEMBERSHIPS, stranger.id), undefined)
  refused('ledger.no-group', stranger, leave)
  take(seller, found('shady'))
})

test('a group has bounds: so many members, and so many invited', () => {
  const crowd = Array.from({ length: MAX_MEMBERS + 1 }, (_, i) => partyOf(`crowd ${i}`))
  const ledger = new Bench({
    ...serviceGenesis,
    accounts: [...serviceGenesis.accounts, ...crowd.map(({ publicKey }) => ({ publicKey, balance: RICH }))],
  })
  let sequence = 0n
  const own = (content: TxContent) => signTx(seller, sequence++, content)
  ledger.block([own(found())])
  const names = crowd.map(one => ledger.block([own(invite(one)), signTx(one, 0n, join())]).map(nameOf))
  assert.equal(names[MAX_MEMBERS - 2], ['taken', 'taken'])
  assert.equal(names[MAX_MEMBERS - 1], ['taken', 'ledger.group-full'])
  assert.is(ledger.record(GROUPS, 'sunny')!.members.length, MAX_MEMBERS)
  ledger.block(crowd.slice(MAX_MEMBERS - 1).map(one => own(invite(one))))
  ledger.block([...crowd.slice(0, 3).map(one => signTx(one, 1n, leave))])
  ledger.block(crowd.slice(0, 3).map(one => own(invite(one))))
  ledger.block([store, aggregator, issuer, other, buyer, stranger, operator].map(one => own(invite(one))))
  assert.ok(ledger.record(GROUPS, 'sunny')!.invited.length <= MAX_INVITED)
  assert.equal(auditLedger(ledger.app.entries(ledger.app.height)!).problems, [])
}, 60_000)

test.run()
