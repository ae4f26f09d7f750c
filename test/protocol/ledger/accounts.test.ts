/** Accounts, coins and the frame of every transaction: each refusal by its name against what is otherwise taken. */
import { p256 } from '@noble/curves/nist.js'
import { concat, hex } from '../../../protocol/bytes.ts'
import { decode, encode } from '../../../protocol/cbor.ts'
import { assemble, parseSign1, toBeSigned } from '../../../protocol/crypto/cose.ts'
import { hasLowS } from '../../../protocol/crypto/verify.ts'
import type { RefusalCode } from '../../../protocol/ledger/fault.ts'
import { MAX_MONEY } from '../../../protocol/ledger/fields.ts'
import { CHAIN } from '../../../protocol/ledger/tables.ts'
import { MAX_TX_BYTES, parseTx, TX_CONTEXT, type TxContent } from '../../../protocol/ledger/tx.ts'
import { micros } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import {
  Bench,
  buyer,
  commitOf,
  es256PartyOf,
  FEE,
  genesis,
  nameOf,
  operator,
  type Party,
  partyOf,
  RICH,
  seller,
  signTx,
  stranger,
  type TxTerms,
  terms,
  verifier,
} from './parties.ts'
import { refused, refusedBytes, unseen } from './refusals.ts'

const test = suite('ledger accounts')

const pay = (to: Party, amount: bigint): TxContent => ({
  kind: 'transfer',
  body: { to: to.address, amount: micros(amount) },
})

test('a transfer moves money, pays its fee and counts its sequence', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, pay(buyer, 1_000n))), 'taken')
  assert.is(bench.account(seller).balance, RICH - 1_000n - FEE)
  assert.is(bench.account(buyer).balance, RICH + 1_000n)
  assert.is(bench.account(operator).balance, RICH + FEE)
  assert.is(bench.account(seller).sequence, 1n)
})

test('a transfer to oneself costs the fee only', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, pay(seller, 1_000n))), 'taken')
  assert.is(bench.account(seller).balance, RICH - FEE)
})

test('a transfer goes to the last micro-unit', () => {
  assert.is(nameOf(new Bench().send(seller, pay(buyer, RICH - FEE))), 'taken')
})

test('a transaction is worth something once, and only until its expiry', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n), { expiry: 2n })
  assert.is(nameOf(bench.block([tx])[0]!), 'taken')
  refusedBytes(bench, 'ledger.sequence', tx)
  refusedBytes(bench, 'ledger.expired', tx)
})

test('twice in one block is once', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n))
  assert.equal(bench.block([tx, tx]).map(nameOf), ['taken', 'ledger.sequence'])
  assert.is(bench.account(buyer).balance, RICH + 5n)
})

test('any flipped bit of a transaction is refused', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n))
  const mutants = Array.from({ length: tx.length * 8 }, (_, bit) => {
    const mutant = tx.slice()
    mutant[bit >> 3]! ^= 1 << (bit & 7)
    return mutant
  })
  for (const outcome of bench.block(mutants)) assert.not.equal(outcome.code, 0)
  assert.is(bench.account(buyer).balance, RICH)
})

test('only canonical bytes of known shape are taken', () => {
  const bench = new Bench()
  const tx = signTx(seller, 0n, pay(buyer, 5n))
  refusedBytes(bench, 'ledger.malformed', tx.subarray(0, tx.length - 1))
  refusedBytes(bench, 'ledger.malformed', concat(tx, Uint8Array.of(0)))
  refusedBytes(bench, 'ledger.malformed', new Uint8Array(0))
  refusedBytes(bench, 'ledger.malformed', new Uint8Array(MAX_TX_BYTES))
  // Too long is seen before anything else is looked at.
  const { protectedBytes, signature } = must(parseSign1(tx))
  const long = assemble(protectedBytes, new Uint8Array(MAX_TX_BYTES), signature)
  assert.is(bench.app.checkTx(long, verifier).log, 'ledger.malformed (reason=cbor.too-long)')
  refusedBytes(bench, 'ledger.malformed', long)
  // The same four parts, the array's head written in two bytes: d2 98 04 instead of d2 84.
  refusedBytes(bench, 'ledger.malformed', concat(hex('d2 98 04'), tx.subarray(2)))
})

test('a frame with an unknown field, kind or body is no transaction', () => {
  const { payload } = must(parseSign1(signTx(seller, 0n, pay(buyer, 5n))))
  const frame = must(decode(payload)) as Map<number, never>
  const withPayload = (change: (map: Map<number, unknown>) => void) => {
    const map = new Map<number, unknown>(frame)
    change(map)
    const head = must(parseSign1(signTx(seller, 0n, pay(buyer, 5n))))
    return concat(hex('d2'), encode([head.protectedBytes, new Map(), encode(map as never), head.signature]))
  }
  assert.ok(parseTx(withPayload(() => {})).ok)
  for (const change of [
    (map: Map<number, unknown>) => map.set(8, 1),
    (map: Map<number, unknown>) => map.set(1, 'conjure'),
    (map: Map<number, unknown>) => map.set(1, 'commit'),
    (map: Map<number, unknown>) => map.delete(7),
    (map: Map<number, unknown>) => map.set(5, -1),
    (map: Map<number, unknown>) => map.set(5, 2n ** 63n),
  ]) {
    assert.not.ok(parseTx(withPayload(change)).ok)
  }
})

const open = (of: Party, amount: bigint): TxContent => ({
  kind: 'open',
  body: { publicKey: of.publicKey, amount: micros(amount) },
})
const rekey = (to: Party): TxContent => ({ kind: 'rekey', body: { publicKey: to.publicKey } })
const mint = (to: Party, amount: bigint): TxContent => ({
  kind: 'mint',
  body: { to: to.address, amount: micros(amount) },
})
const burn = (amount: bigint): TxContent => ({ kind: 'burn', body: { amount: micros(amount) } })

const mintedOf = (bench: Bench): bigint => bench.record(CHAIN, '')!.minted

/** A key that no check but the admission's own looks at. */
const keyOnly = (publicKey: Uint8Array): Party => ({ ...stranger, publicKey })
const newcomer = partyOf('newcomer')
const phone = es256PartyOf('phone')
const unknown = partyOf('unknown')

type Row = readonly [what: string, expected: RefusalCode, sender: Party, content: TxContent, change?: TxTerms]
const refusals: readonly Row[] = [
  ['a transaction for another chain', 'ledger.chain-id', seller, pay(buyer, 1n), { chainId: 'tieline-test-2' }],
  ['a sequence that is not the next', 'ledger.sequence', seller, pay(buyer, 1n), { sequence: 1n }],
  ['a fee below the least', 'ledger.fee', seller, pay(buyer, 1n), { fee: FEE - 1n }],
  ['a transaction after its expiry height', 'ledger.expired', seller, pay(buyer, 1n), { expiry: 0n }],
  ['a sender without an account', 'ledger.no-account', unknown, pay(buyer, 1n), { sequence: 0n }],
  ['a transfer to nobody', 'ledger.no-account', seller, pay(unknown, 1n)],
  ['a signature by another account', 'ledger.signature', seller, pay(buyer, 1n), { signedBy: buyer }],
  ['a signature by a key of another algorithm', 'ledger.signature', seller, pay(buyer, 1n), { signedBy: phone }],
  ['a transfer of more than is there after the fee', 'ledger.funds', seller, pay(buyer, RICH - FEE + 1n)],
  ['a fee of more than is there', 'ledger.funds', seller, pay(buyer, 1n), { fee: RICH + 1n }],
  ['a transfer of nothing', 'ledger.amount', seller, pay(buyer, 0n)],
  ['an account opened with nothing', 'ledger.amount', seller, open(newcomer, 0n)],
  ['an account opened with more than is there', 'ledger.funds', seller, open(newcomer, RICH)],
  ['an account opened again', 'ledger.account-taken', seller, open(buyer, 1n)],
  // The neutral element: every signature of the right shape would verify.
  ['an account of a small-order key', 'ledger.key', seller, open(keyOnly(hex(`01${'00'.repeat(31)}`)), 1n)],
  // y = p + 1, another spelling of y = 1.
  ['an account of a key with y >= p', 'ledger.key', seller, open(keyOnly(hex(`ee${'ff'.repeat(30)}7f`)), 1n)],
  ['an account of no point on P-256', 'ledger.key', seller, open(keyOnly(hex(`02${'ff'.repeat(32)}`)), 1n)],
  ['a change to the key it has', 'ledger.key', seller, rekey(seller)],
  ['a change to a small-order key', 'ledger.key', seller, rekey(keyOnly(new Uint8Array(32)))],
  ['coins made by a stranger', 'ledger.operator-only', seller, mint(seller, 1n)],
  ['no coins made', 'ledger.amount', operator, mint(seller, 0n)],
  ['coins made for nobody', 'ledger.no-account', operator, mint(unknown, 1n)],
  ['more coins made than the ledger can count', 'ledger.supply', operator, mint(seller, MAX_MONEY - 4n * RICH + 1n)],
  ['coins burnt by a stranger', 'ledger.operator-only', seller, burn(1n)],
  ['no coins burnt', 'ledger.amount', operator, burn(0n)],
  ['more coins burnt than the operator has', 'ledger.funds', operator, burn(RICH + 1n)],
]
for (const [what, expected, sender, content, change] of refusals) {
  test(`${what} is refused`, () => refused(new Bench(), expected, sender, content, change))
}

test('anyone with funds opens an account, which then speaks for itself', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, open(newcomer, 5_000n))), 'taken')
  assert.is(bench.account(newcomer).balance, 5_000n)
  assert.is(bench.account(seller).balance, RICH - 5_000n - FEE)
  assert.is(nameOf(bench.send(newcomer, pay(buyer, 1n))), 'taken')
  refused(bench, 'ledger.account-taken', seller, open(newcomer, 5_000n))
})

test('an ES256 account pays and sells like any other', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, open(phone, 1_000_000n))), 'taken')
  assert.is(nameOf(bench.send(phone, pay(buyer, 1n))), 'taken')
  refused(bench, 'ledger.signature', phone, pay(buyer, 1n), { signedBy: es256PartyOf('other phone') })
  const enrol: TxContent = {
    kind: 'enrol',
    body: { meterId: 'P-1', owner: phone.address, line: 'L1', publicKey: partyOf('P-1').publicKey },
  }
  assert.is(nameOf(bench.send(operator, enrol)), 'taken')
  const sale = { ...terms, seller: phone.address, sellerMeter: 'P-1' }
  refused(bench, 'ledger.contract-signature', buyer, commitOf(sale, { seller: es256PartyOf('other phone') }))
  assert.is(nameOf(bench.send(buyer, commitOf(sale, { seller: phone }))), 'taken')
})

test('an ES256 signature counts in its lower form alone: else one transaction had two hashes', () => {
  const bench = new Bench()
  assert.is(nameOf(bench.send(seller, open(phone, 1_000_000n))), 'taken')
  const tx = signTx(phone, 0n, pay(buyer, 1n))
  const low = tx.subarray(tx.length - 64)
  const s = p256.Point.Fn.ORDER - BigInt(`0x${Buffer.from(low.subarray(32)).toString('hex')}`)
  const high = concat(low.subarray(0, 32), hex(s.toString(16).padStart(64, '0')))
  assert.equal([hasLowS(low), hasLowS(high)], [true, false])
  const other = concat(tx.subarray(0, tx.length - 64), high)
  const { publicKey } = phone
  const { protectedBytes, payload } = must(parseSign1(tx))
  const message = toBeSigned(protectedBytes, payload, TX_CONTEXT)
  assert.ok(p256.verify(high, message, publicKey, { lowS: false }), 'as ECDSA alone it is valid')
  refusedBytes(bench, 'ledger.signature', other)
  assert.is(nameOf(bench.block([tx])[0]!), 'taken')
})

test('a new key takes over at once and keeps address, sequence and balance', () => {
  const bench = new Bench()
  const next = partyOf('next key of seller')
  assert.is(nameOf(bench.send(seller, rekey(next))), 'taken')
  refused(bench, 'ledger.signature', seller, pay(buyer, 1n))
  assert.is(nameOf(bench.send(seller, pay(buyer, 1n), { signedBy: next })), 'taken')
  // Contracts of the account are signed with the new key too.
  refused(bench, 'ledger.contract-signature', buyer, commitOf(terms))
  assert.is(nameOf(bench.send(buyer, commitOf(terms, { seller: next }))), 'taken')
  // The first key's address stays taken.
  refused(bench, 'ledger.account-taken', buyer, open(seller, 1n))
  assert.is(nameOf(bench.send(seller, rekey(phone), { signedBy: next })), 'taken')
  assert.is(nameOf(bench.send(seller, rekey(seller), { signedBy: phone })), 'taken', 'and back again')
})

test('the operator makes and unmakes coins, and the ledger counts them', () => {
  const bench = new Bench()
  const begun = RICH * BigInt(genesis.accounts.length)
  assert.is(nameOf(bench.send(operator, mint(seller, 1_000n))), 'taken')
  assert.is(bench.account(seller).balance, RICH + 1_000n)
  assert.is(mintedOf(bench), begun + 1_000n)
  assert.is(nameOf(bench.send(operator, burn(300n))), 'taken')
  assert.is(mintedOf(bench), begun + 700n)
  assert.is(nameOf(bench.send(operator, mint(seller, MAX_MONEY - begun - 700n))), 'taken', 'to the last coin')
  refused(bench, 'ledger.supply', operator, mint(seller, 1n))
})

test('every refusal of accounts and of the frame was seen here', () => {
  assert.equal([...unseen(1, 10), ...unseen(12, 14)], [])
})

test.run()
