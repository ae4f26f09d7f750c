/** The audit of lines and services finds each kind of mistake. */
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { FOLLOWED, PEERS, RESERVATIONS, SLOTS } from '../../../protocol/ledger/network-tables.ts'
import {
  AGREEMENTS,
  EVENTS,
  eventId,
  GROUPS,
  MEMBERSHIPS,
  PARTICIPANTS,
  POINTS,
  POOLS,
  PROMISED,
  REWARDED,
} from '../../../protocol/ledger/service-tables.ts'
import type { Table } from '../../../protocol/ledger/table.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { decodeAs, encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { audited, call, operatorServes } from './operator-serves.ts'
import { BEGIN, Bench, buyer, commitOf, nameOf, operator, receiptOf, seller, sideOf, signTx, terms } from './parties.ts'
import { reserveOf, Street } from './two-ledgers.ts'

const test = suite('audit of lines and services')

/** A ledger with something of every service, and its entries with one record rewritten or removed. */
function forged<T>(table: Table<T>, change: (value: T) => T | undefined): readonly (string | undefined)[] {
  const bench = served()
  const entries = [...bench.app.entries(bench.app.height)!]
  const at = entries.findIndex(([key]) => Buffer.from(key).toString().startsWith(table.prefix))
  assert.ok(at >= 0, `${table.prefix} is not there`)
  const [key, value] = entries[at]!
  const changed = change(must(decodeAs(table.codec, value, table.prefix, value.length)))
  const rest = entries.filter((_, i) => i !== at)
  const all = changed === undefined ? rest : [...rest, [key, encodeAs(table.codec, changed)] as const]
  return auditLedger(all).problems.map(({ code }) => code)
}

let known: Bench | undefined
function served(): Bench {
  if (known !== undefined) return known
  const bench = new Bench(operatorServes)
  known = bench
  const commit = commitOf(terms)
  const at = { begin: { at: BEGIN + 60_000 }, end: { at: BEGIN + 60_001 } }
  bench.block([signTx(buyer, 0n, commit)], 60_001)
  const take = (who: typeof seller, content: TxContent) =>
    assert.is(nameOf(bench.send(who, content)), 'taken', content.kind)
  take(seller, receiptOf(sideOf('seller', commit.body.contract), 1_500_000n, at))
  take(buyer, receiptOf(sideOf('buyer', commit.body.contract), 1_400_000n, at))
  take(operator, { kind: 'issue', body: { deal: contractHash(commit.body.contract) } })
  take(operator, { kind: 'event', body: call })
  const event = eventId({ ...call, announcer: operator.address })
  const offer = { event, meterId: 'S-1', baseline: wattHours(1500n), most: wattHours(700n) }
  take(seller, { kind: 'optIn', body: offer })
  take(operator, { kind: 'admit', body: offer })
  take(operator, { kind: 'found', body: { group: 'g' } })
  const offered = {
    storage: operator.address,
    meterId: 'S-1',
    from: call.reportBy,
    answerBy: call.reportBy,
    noticeMs: 0,
  }
  const prices = { storePrice: microsPerKwh(1n), returnPrice: microsPerKwh(2n), most: wattHours(3n) }
  take(seller, { kind: 'propose', body: { ...offered, ...prices } })
  bench.block([], call.end - bench.time - 1)
  bench.block([], 1000)
  return bench
}

test('an audit finds deposits, points, promises and members that do not add up', () => {
  assert.equal(audited(served()).money.residue, 0n)
  const has = (codes: readonly (string | undefined)[], code: string) => assert.ok(codes.includes(code), `${codes}`)
  has(
    forged(EVENTS, event => ({ ...event, deposit: micros(event.deposit + 1n) })),
    'audit.event',
  )
  has(
    forged(EVENTS, event => ({ ...event, deposit: micros(event.deposit + 1n) })),
    'audit.residue',
  )
  has(
    forged(EVENTS, event => ({ ...event, admitted: wattHours(1n) })),
    'audit.event',
  )
  has(
    forged(EVENTS, event => ({ ...event, paid: micros(1n) })),
    'audit.event',
  )
  has(
    forged(EVENTS, () => undefined),
    'audit.participant',
  )
  has(
    forged(PARTICIPANTS, one => ({ ...one, most: wattHours(1501n) })),
    'audit.participant',
  )
  has(
    forged(PARTICIPANTS, one => ({ ...one, admitted: false })),
    'audit.promised',
  )
  const report = { taken: wattHours(1400n), paid: micros(33_334n), begin: sha256(utf8('b')), end: sha256(utf8('e')) }
  has(
    forged(PARTICIPANTS, one => ({ ...one, report })),
    'audit.participant',
  )
  has(
    forged(PROMISED, () => undefined),
    'audit.promised',
  )
  has(
    forged(POINTS, () => ({ amount: wattHours(1401n) })),
    'audit.points',
  )
  has(
    forged(POOLS, pool => ({ ...pool, burnt: wattHours(1n) })),
    'audit.points',
  )
  has(
    forged(REWARDED, () => undefined),
    'audit.points',
  )
  has(
    forged(GROUPS, group => ({ ...group, gateway: seller.address })),
    'audit.group',
  )
  has(
    forged(GROUPS, group => ({ ...group, members: [...group.members, ...group.members] })),
    'audit.group',
  )
  has(
    forged(MEMBERSHIPS, () => undefined),
    'audit.group',
  )
  has(
    forged(AGREEMENTS, one => ({ ...one, state: 'rejected' as const })),
    'audit.agreement',
  )
})

test('an audit finds reservations, slots and followed headers that do not add up', () => {
  const street = new Street()
  const { contract } = commitOf({ ...terms, nonce: new Uint8Array(16).fill(1) }).body
  street.net.take(buyer, reserveOf(contract))
  const forgedOn = <T>(table: Table<T>, change: (value: T) => T | undefined) => {
    const entries = [...street.net.app.entries(street.net.app.height)!]
    const at = entries.findIndex(([key]) => Buffer.from(key).toString().startsWith(table.prefix))
    const [key, value] = entries[at]!
    const changed = change(must(decodeAs(table.codec, value, table.prefix, value.length)))
    const rest = entries.filter((_, i) => i !== at)
    const all = changed === undefined ? rest : [...rest, [key, encodeAs(table.codec, changed)] as const]
    return auditLedger(all).problems.map(({ code }) => code)
  }
  assert.equal(
    forgedOn(RESERVATIONS, one => one),
    [],
  )
  const has = (codes: readonly string[], code: string) => assert.ok(codes.includes(code), `${codes}`)
  has(
    forgedOn(RESERVATIONS, () => undefined),
    'audit.slot',
  )
  has(
    forgedOn(RESERVATIONS, () => undefined),
    'audit.residue',
  )
  has(
    forgedOn(RESERVATIONS, one => ({ ...one, escrow: micros(one.escrow - 1n) })),
    'audit.reservation',
  )
  has(
    forgedOn(RESERVATIONS, one => ({ ...one, state: 'released' as const })),
    'audit.reservation',
  )
  has(
    forgedOn(RESERVATIONS, one => ({ ...one, expires: instant(street.net.time) })),
    'audit.reservation',
  )
  const outcome = { delivered: wattHours(1n), paid: micros(0n), refunded: micros(0n), at: instant(BEGIN) }
  has(
    forgedOn(RESERVATIONS, one => ({ ...one, state: 'claimed' as const, outcome })),
    'audit.reservation',
  )
  has(
    forgedOn(SLOTS, slot => ({ ...slot, energy: wattHours(slot.energy + 1n) })),
    'audit.slot',
  )
  has(
    forgedOn(SLOTS, () => undefined),
    'audit.slot',
  )
  has(
    forgedOn(PEERS, peer => ({ ...peer, heights: [] })),
    'audit.followed',
  )
  has(
    forgedOn(FOLLOWED, () => undefined),
    'audit.followed',
  )
})

test.run()
