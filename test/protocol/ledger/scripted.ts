/** Histories that go by a script: what chance seldom brings together. Every transaction in them has to be taken. */
import { agreementId, eventId } from '../../../protocol/ledger/service-tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant, later } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert } from '../../harness.ts'
import { ada, ben, cem, dora, Feeder, gridReceipt, RECEIPT_BY, regulator, SETTLE_BY, windowOf } from './grid.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  contextOf,
  genesis,
  nameOf,
  type Party,
  readingOf,
  receiptOf,
  seller,
  sideOf,
  stranger,
  terms,
} from './parties.ts'
import { distributor, energyKey, netKey, reserveOf, Street } from './two-ledgers.ts'

/** Two contracts across two ledgers: capacity for one is paid for, for the other it is given back. */
export function twoLedgers(): Street {
  const street = new Street()
  const { energy, net } = street
  const commit = commitOf(terms)
  const { contract } = commit.body
  const never = commitOf({ ...terms, start: terms.end, end: later(terms.end, 60_000) }).body.contract
  const of = (bytes: Uint8Array) => ({ deal: contractHash(bytes) })
  for (const one of [contract, never]) net.take(buyer, reserveOf(one))
  const reservation = street.relay(net, netKey(contract))
  energy.take(buyer, { kind: 'commit', body: { ...commit.body, reservation } })
  street.until(BEGIN + 125_000)
  street.deliver(contract, 1500n)
  net.take(distributor, { kind: 'claim', body: { ...of(contract), ...street.relay(energy, energyKey(contract)) } })
  street.until(BEGIN + 200_000)
  net.take(stranger, { kind: 'release', body: { ...of(never), ...street.relay(energy, energyKey(never)) } })
  return street
}

const DAY_MS = 86_400_000

/** A few days of services: an agreement, plans, a demand response, points for a deal, a group that comes and goes. */
export function services(): Bench {
  const roles = [
    { role: 'storage', holder: stranger.address },
    { role: 'aggregator', holder: stranger.address },
    { role: 'issuer', holder: stranger.address },
    { role: 'community', holder: seller.address },
    { role: 'community', holder: buyer.address },
  ] as const
  const bench = new Bench({ ...genesis, roles, meters: genesis.meters.map(meter => ({ ...meter, feeder: 'F1' })) })
  const take = (by: Party, content: TxContent) => {
    const outcome = bench.send(by, content)
    assert.is(nameOf(outcome), 'taken', `${content.kind}: ${outcome.log}`)
  }
  const until = (time: number) => void bench.block([], time - bench.time)
  const [half, kWh] = [wattHours(500n), wattHours(1000n)]
  const price = microsPerKwh(100_000n)

  take(seller, { kind: 'found', body: { group: 'street' } })
  take(seller, { kind: 'invite', body: { group: 'street', account: buyer.address } })
  take(buyer, { kind: 'join', body: { group: 'street' } })
  take(buyer, { kind: 'gateway', body: { group: 'street', gateway: buyer.address } })

  const offer = {
    ...{ storage: stranger.address, meterId: 'S-1', storePrice: price, returnPrice: price, most: kWh },
    ...{ noticeMs: DAY_MS, from: instant(BEGIN + 2 * DAY_MS), answerBy: instant(BEGIN + DAY_MS) },
  }
  const agreement = agreementId({ ...offer, owner: seller.address })
  take(seller, { kind: 'propose', body: offer })
  take(stranger, { kind: 'answer', body: { agreement, accepted: true } })

  const day = Math.floor(BEGIN / DAY_MS) + 2
  const plan = Array.from({ length: 96 }, (_, slot) => BigInt(slot - 48))
  take(seller, { kind: 'schedule', body: { meterId: 'S-1', day, plan } })
  take(buyer, { kind: 'order', body: { meterId: 'B-1', slot: day * 96, side: 'buy', energy: kWh, limit: price } })

  const commit = commitOf(terms)
  take(buyer, commit)
  until(BEGIN + 125_000)
  const { contract } = commit.body
  take(seller, receiptOf(sideOf('seller', contract), 1_500_000n))
  take(buyer, receiptOf(sideOf('buyer', contract), 1_400_000n))
  take(stranger, { kind: 'issue', body: { deal: contractHash(contract) } })
  take(seller, { kind: 'redeem', body: { issuer: stranger.address, amount: half } })

  const [start, end] = [instant(BEGIN + 3_600_000), instant(BEGIN + 7_200_000)]
  const call = { start, end, reportBy: later(end, DAY_MS), price, most: kWh }
  const event = eventId({ ...call, announcer: stranger.address })
  const part = (meterId: string) => ({ event, meterId, baseline: kWh, most: half })
  take(stranger, { kind: 'event', body: call })
  for (const [by, meterId] of [
    [seller, 'S-1'],
    [buyer, 'B-1'],
  ] as const) {
    take(by, { kind: 'optIn', body: part(meterId) })
  }
  take(stranger, { kind: 'admit', body: part('B-1') })
  take(seller, { kind: 'optOut', body: { event, meterId: 'S-1' } })
  until(end + 60_000)
  const side = sideOf('buyer', new Uint8Array(0))
  const context = contextOf(side)
  const of = { session: { contract: event, line: 'L1', direction: 'import' as const } }
  const begin = readingOf(side, context, { reason: 'begin', mWh: 0n, at: start, ...of })
  const last = readingOf(side, context, { reason: 'end', mWh: 700_000n, at: end, sequence: 60, ...of })
  take(buyer, { kind: 'report', body: { event, meterId: 'B-1', begin, end: last, contexts: [context] } })

  take(stranger, { kind: 'end', body: { agreement } })
  for (const by of [seller, buyer]) take(by, { kind: 'leave', body: { group: 'street' } })
  // What has an end ends: notice, plans, the event's deposit.
  until(BEGIN + 20 * DAY_MS)
  return bench
}

/** Contracts over the grid: a shared window, a meter that is silent, neighbouring windows, and one that is suspended. */
export function grid(): Feeder {
  const street = new Feeder()
  const nonce = (n: number) => ({ nonce: new Uint8Array(16).fill(n) })
  const one = street.place(ada, ben, nonce(1))
  const two = street.place(ada, cem, { ...nonce(2), energy: wattHours(2000n) })
  street.place(dora, ben, nonce(3))
  const next = street.place(ada, ben, { ...nonce(4), ...windowOf(1) })
  street.take(regulator, { kind: 'suspend', body: { meterId: ada.meterId, from: windowOf(2).start } })
  street.until(windowOf(0).end)
  street.hand('seller', one, 2000n)
  street.hand('buyer', one, 1000n)
  street.hand('seller', two, 1500n)
  street.until(windowOf(0).end + 40_000)
  street.hand('buyer', two, 1300n)
  street.until(RECEIPT_BY)
  street.until(windowOf(1).end)
  const from = 9_000_000n
  street.take(ada.owner, gridReceipt('seller', ada, next, { from, to: from + 400_000n }))
  street.take(ben.owner, gridReceipt('buyer', ben, next, { from, to: from + 500_000n }))
  street.until(SETTLE_BY)
  street.until(SETTLE_BY + 120_000)
  return street
}
