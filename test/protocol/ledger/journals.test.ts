/** Heads of journals on the ledger: each refusal by its name against what is otherwise taken. */
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { JOURNALS, journalId } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { encodeAs } from '../../../protocol/record.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, Bench, buyer, nameOf, partyOf, seller } from './parties.ts'
import { refused, unseen } from './refusals.ts'

const test = suite('ledger journals')

const bytes = (count: number, fill: number) => new Uint8Array(count).fill(fill)
const head = (frame: bigint, journal = 1, hash = Number(frame % 256n)): TxContent => ({
  kind: 'head',
  body: { journal: bytes(16, journal), frame, hash: bytes(32, hash) },
})
const anchored = (bench: Bench, of = seller, journal = 1) => {
  const record = bench.record(JOURNALS, journalId(of.address, bytes(16, journal)))
  return record && [record.frame, record.hash[0], (record.at - BEGIN) / 1000]
}

test('the newest head of each journal of an account stands there, with the time of its block', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, head(5n))), 'taken')
  assert.is(nameOf(bench.send(seller, head(6n))), 'taken')
  assert.is(nameOf(bench.send(seller, head(2n ** 53n, 2, 9))), 'taken')
  assert.is(nameOf(bench.send(buyer, head(1n))), 'taken')
  assert.equal(anchored(bench), [6n, 6, 2])
  assert.equal(anchored(bench, seller, 2), [2n ** 53n, 9, 3])
  assert.equal(anchored(bench, buyer), [1n, 1, 4])
  assert.equal(auditLedger(bench.app.entries(bench.app.height)!).problems, [])
})

test('a head that does not go on is refused, whatever its hash, and only within its own journal', () => {
  const bench = new Bench()
  bench.send(seller, head(5n))
  refused(bench, 'ledger.head-back', seller, head(5n))
  refused(bench, 'ledger.head-back', seller, head(5n, 1, 99))
  refused(bench, 'ledger.head-back', seller, head(4n))
  assert.equal(anchored(bench), [5n, 5, 1])
  assert.is(nameOf(bench.send(seller, head(4n, 2))), 'taken')
})

test('a head of frame 0, beyond any journal, or with a hash or journal of another length is no transaction', () => {
  const bench = new Bench()
  const change = (body: Partial<(TxContent & { kind: 'head' })['body']>): TxContent => {
    const { kind, body: whole } = head(1n) as TxContent & { kind: 'head' }
    return { kind, body: { ...whole, ...body } }
  }
  for (const body of [{ frame: 0n }, { frame: 2n ** 53n + 1n }, { hash: bytes(31, 1) }, { journal: bytes(15, 1) }]) {
    refused(bench, 'ledger.malformed', seller, change(body))
  }
})

test('a stranger without an account anchors nothing', () => {
  refused(new Bench(), 'ledger.no-account', partyOf('nobody'), head(1n), { sequence: 0n })
})

test('the audit names a head of nobody, and one of a time to come', () => {
  const bench = new Bench()
  bench.send(seller, head(1n))
  const record = (at: Instant) => encodeAs(JOURNALS.codec, { frame: 1n, hash: bytes(32, 1), at })
  const key = (address: Uint8Array) => utf8(JOURNALS.prefix + journalId(address, bytes(16, 7)))
  const codes = (...more: readonly (readonly [Uint8Array, Uint8Array])[]) =>
    auditLedger([...bench.app.entries(bench.app.height)!, ...more]).problems.map(({ code }) => code)
  assert.equal(codes([key(seller.address), record(instant(BEGIN))]), [])
  assert.equal(codes([key(partyOf('nobody').address), record(instant(BEGIN))]), ['audit.head-owner'])
  assert.equal(codes([key(seller.address), record(instant(BEGIN + 3_600_000))]), ['audit.head-time'])
})

test('its bytes in the state are as drawn', () => {
  // a3  01 05  02 58 20 0505..  03 1b 000001a3185c5000
  const value = encodeAs(JOURNALS.codec, { frame: 5n, hash: bytes(32, 5), at: instant(BEGIN) })
  assert.is(toHex(value), `a30105025820${'05'.repeat(32)}031b000001a3185c5000`)
})

test('every refusal of this room was seen', () => {
  assert.equal(unseen(140, 149), [])
})

test.run()
