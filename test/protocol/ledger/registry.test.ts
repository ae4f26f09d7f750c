/** Meters, roles and the price band: each refusal by its name against what is otherwise taken. */
import { hex } from '../../../protocol/bytes.ts'
import type { RefusalCode } from '../../../protocol/ledger/fault.ts'
import type { Role } from '../../../protocol/ledger/rules/roles.ts'
import { METERS } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh } from '../../../protocol/quantity.ts'
import { instant, later } from '../../../protocol/time.ts'
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
  receiptOf,
  seller,
  sideOf,
  stranger,
  terms,
} from './parties.ts'
import { refused, unseen } from './refusals.ts'

const test = suite('ledger registry')

const enrol = (meterId: string, owner: Party, publicKey = partyOf(meterId).publicKey): EnrolTx => ({
  kind: 'enrol',
  body: { meterId, owner: owner.address, line: 'L2', publicKey },
})
type EnrolTx = TxContent & { kind: 'enrol' }
const revoke = (meterId: string): TxContent => ({ kind: 'revoke', body: { meterId } })
const role = (name: Role, holder: Party, held = true): TxContent => ({
  kind: 'role',
  body: { role: name, holder: holder.address, held },
})
const band = (fromSecond: number, floor: bigint, ceiling: bigint): TxContent => ({
  kind: 'band',
  body: { from: instant(BEGIN + fromSecond * 1000), floor: microsPerKwh(floor), ceiling: microsPerKwh(ceiling) },
})
const unknown = partyOf('unknown')
const regulator = stranger

/** A ledger with a regulator and one revoked meter. */
function begun(): Bench {
  const bench = new Bench()
  for (const content of [role('regulator', regulator), enrol('OLD', seller), revoke('OLD')]) {
    assert.is(nameOf(bench.send(operator, content)), 'taken')
  }
  return bench
}

type Row = readonly [what: string, expected: RefusalCode, sender: Party, content: TxContent]
const refusals: readonly Row[] = [
  ['a meter enrolled by a stranger', 'ledger.role-only', seller, enrol('N-1', seller)],
  ['a meter enrolled by the regulator', 'ledger.role-only', regulator, enrol('N-1', seller)],
  ['a meter enrolled again', 'ledger.meter-taken', operator, enrol('S-1', seller)],
  ['a meter of nobody', 'ledger.no-account', operator, enrol('N-1', unknown)],
  // The neutral element: every signature of the right shape would verify.
  ['a small-order metering key', 'ledger.key', operator, enrol('N-1', seller, hex(`01${'00'.repeat(31)}`))],
  ['a metering key that is no point', 'ledger.key', operator, enrol('N-1', seller, new Uint8Array(33))],
  ['the return of a meter with its revoked key', 'ledger.key', operator, enrol('OLD', seller)],
  ['a meter revoked by its owner', 'ledger.role-only', seller, revoke('S-1')],
  ['an unknown meter revoked', 'ledger.meter-unknown', operator, revoke('N-1')],
  ['a meter revoked again', 'ledger.meter-revoked', operator, revoke('OLD')],
  ['a role given by its holder', 'ledger.operator-only', regulator, role('regulator', seller)],
  ['a role given to nobody', 'ledger.no-account', operator, role('enroller', unknown)],
  ['a role given again', 'ledger.role-unchanged', operator, role('regulator', regulator)],
  ['a role taken from who has it not', 'ledger.role-unchanged', operator, role('enroller', regulator, false)],
  ['a price band set by the operator', 'ledger.role-only', operator, band(60, 0n, 1n)],
  ['a price band upside down', 'ledger.band', regulator, band(60, 2n, 1n)],
  // Three blocks have passed and this is the fourth.
  ['a price band from this very block on', 'ledger.band-late', regulator, band(4, 0n, 1n)],
]
for (const [what, expected, sender, content] of refusals) {
  test(`${what} is refused`, () => refused(begun(), expected, sender, content))
}

test('a meter is enrolled with what is known of it, or without', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(operator, enrol('N-1', seller))), 'taken')
  const facts = { trust: 'tpm', source: 'solar', feeder: 'F-7', accuracy: 'B' } as const
  const known: TxContent = { kind: 'enrol', body: { ...enrol('N-2', seller).body, ...facts } }
  assert.is(nameOf(bench.send(operator, known)), 'taken')
  const { meterId: _, ...expected } = known.body
  assert.equal(bench.record(METERS, 'N-2'), expected)
  assert.is(bench.record(METERS, 'N-1')!.source, undefined)
})

test('an enroller enrols and revokes as long as it holds the role', () => {
  const bench = new Bench()
  bench.send(operator, role('enroller', seller))
  assert.is(nameOf(bench.send(seller, enrol('N-1', buyer))), 'taken')
  assert.is(nameOf(bench.send(seller, revoke('N-1'))), 'taken')
  bench.send(operator, role('enroller', seller, false))
  refused(bench, 'ledger.role-only', seller, enrol('N-2', buyer))
})

test('a revoked meter makes no deal and no receipt; with a new key its serial number comes back', () => {
  const bench = new Bench()
  const commit = commitOf(terms)
  const { contract } = commit.body
  bench.send(buyer, commit)
  bench.block([], 124_000)
  bench.send(operator, revoke('S-1'))
  // The readings are older than the revocation: whoever has the key could have dated them so.
  refused(bench, 'ledger.meter-revoked', seller, receiptOf(sideOf('seller', contract), 1_500_000n))
  const next = { ...terms, start: terms.end, end: instant(terms.end + 60_000) }
  refused(bench, 'ledger.meter-revoked', buyer, commitOf(next))
  assert.is(nameOf(bench.send(buyer, receiptOf(sideOf('buyer', contract), 1_400_000n))), 'taken')
  // What was locked settles by the other side's receipt, once the dispute window is over.
  bench.block([], 1_000_000)
  assert.is(bench.deal(contract)!.outcome!.delivered, 1400n)
  assert.ok(bench.deal(contract)!.outcome!.disputed)
  const renewed: TxContent = {
    kind: 'enrol',
    body: { ...enrol('S-1', seller, partyOf('S-1 anew').publicKey).body, line: 'L1' },
  }
  assert.is(nameOf(bench.send(operator, renewed)), 'taken')
  const after = { ...terms, start: instant(bench.time + 60_000), end: instant(bench.time + 120_000) }
  assert.is(nameOf(bench.send(buyer, commitOf(after))), 'taken')
})

test('a receipt that stands when its meter is revoked keeps its place', () => {
  const bench = new Bench()
  const commit = commitOf(terms)
  const { contract } = commit.body
  bench.send(buyer, commit)
  bench.block([], 124_000)
  bench.send(seller, receiptOf(sideOf('seller', contract), 1_500_000n))
  bench.send(operator, revoke('S-1'))
  bench.send(buyer, receiptOf(sideOf('buyer', contract), 2_000_000n))
  assert.is(bench.deal(contract)!.outcome!.delivered, 1500n)
})

test('a contract outside the price band is refused from the block time at which the band begins', () => {
  // Each in a window of its own, all of them ahead.
  const at = (bench: Bench, price: bigint) => {
    const start = instant(BEGIN + 10_000_000 + Number(bench.app.height) * 60_000)
    const window = { start, end: later(start, 60_000) }
    return nameOf(bench.send(buyer, commitOf({ ...terms, ...window, price: microsPerKwh(price) })))
  }
  const bench = new Bench()
  bench.send(operator, role('regulator', regulator))
  assert.is(nameOf(bench.send(regulator, band(10, 100n, 200n))), 'taken')
  assert.is(at(bench, 300n), 'taken', 'announced, not in force')
  assert.is(nameOf(bench.send(regulator, band(20, 150n, 200n))), 'taken')
  bench.block([], 7_000)
  assert.is(at(bench, 300n), 'taken', 'replaced before it began')
  bench.block([], BEGIN + 18_999 - bench.time)
  assert.is(at(bench, 300n), 'taken', 'one millisecond before')
  const before = bench.time
  refused(bench, 'ledger.price-band', buyer, commitOf({ ...terms, price: microsPerKwh(201n) }))
  assert.is(bench.time - before, 1000)
  refused(bench, 'ledger.price-band', buyer, commitOf({ ...terms, price: microsPerKwh(149n) }))
  assert.is(at(bench, 150n), 'taken')
  assert.is(at(bench, 200n), 'taken')
  // A later band does not lift the one in force before its time.
  assert.is(nameOf(bench.send(regulator, band(1_000, 0n, 1_000n))), 'taken')
  refused(bench, 'ledger.price-band', buyer, commitOf({ ...terms, price: microsPerKwh(201n) }))
  bench.block([], BEGIN + 1_000_000 - bench.time)
  assert.is(at(bench, 1_000n), 'taken')
})

test('every refusal of the registry was seen here', () => {
  assert.equal([...unseen(11, 11), ...unseen(15, 19), ...unseen(30, 30), ...unseen(60, 63)], [])
})

test.run()
