/** Blind coins on the ledger, by a real mint: out of one account, into another, once each, and every micro-unit counted. */
import { createBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import { createApp, resumeApp } from '../../../protocol/ledger/app.ts'
import { MINT_KEYS, mintKeyId, WITHDRAWALS, withdrawalId } from '../../../protocol/ledger/coin-tables.ts'
import { ANSWER_MS } from '../../../protocol/ledger/rules/coins.ts'
import { ACCOUNTS } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { COIN_LIFE_MS, EPOCH_MS } from '../../../protocol/privacy/coins.ts'
import { micros } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import {
  booksOf,
  CENT,
  coinGenesis,
  DIME,
  depositOf,
  EPOCH,
  keyOf,
  mint,
  ONE,
  openingDeposit,
  type Wanted,
  wantCoin,
} from './mint.ts'
import {
  Bench,
  buyer,
  FEE,
  genesis,
  nameOf,
  operator,
  type Party,
  partyOf,
  RICH,
  seller,
  signTx,
  verifier,
} from './parties.ts'
import { alsoSeen, refused, refusedBytes, unseen } from './refusals.ts'

const test = suite('blind coins on the ledger')

const [issuer, other] = await Promise.all([createBlindIssuer(), createBlindIssuer()])
const dimes = await Promise.all(
  Array.from({ length: 2 }, (_, i) => wantCoin(issuer, `dime ${i}`, { denomination: DIME })),
)
const cents = await Promise.all(
  Array.from({ length: 2 }, (_, i) => wantCoin(other, `cent ${i}`, { denomination: CENT })),
)
const [first, second] = dimes as [Wanted, Wanted]
const oneTime = partyOf('one-time account')

/** A ledger on which the dime and the cent have their keys. */
function withKeys(): Bench {
  const bench = new Bench(coinGenesis)
  assert.is(nameOf(bench.send(mint, keyOf(issuer, DIME))), 'taken')
  assert.is(nameOf(bench.send(mint, keyOf(other, CENT))), 'taken')
  return bench
}

/** And so many coins are withdrawn by this account and signed. */
function withCoins(owner: Party, ...wanted: Wanted[]): Bench {
  const bench = withKeys()
  for (const one of wanted) {
    assert.is(nameOf(bench.send(owner, one.withdraw)), 'taken')
    assert.is(nameOf(bench.send(mint, one.signedFor(owner))), 'taken')
  }
  return bench
}

/** The first transaction of an account that is not there yet. */
const byNewcomer = (account: Party, content: TxContent, fee = FEE) => signTx(account, 0n, content, { fee })
const balanceOf = (bench: Bench, party: Party) => bench.record(ACCOUNTS, party.id)?.balance
const poolOf = (bench: Bench, denomination = DIME) => {
  const { issued, spent } = bench.record(MINT_KEYS, mintKeyId(EPOCH, denomination))!
  return [issued, spent]
}

test('money goes into a coin, is signed for all to see, and opens an account that has no other way in', () => {
  const bench = withKeys()
  bench.send(buyer, first.withdraw)
  assert.is(balanceOf(bench, buyer), RICH - DIME - FEE)
  assert.equal([booksOf(bench).coined, poolOf(bench)], [DIME, [0n, 0n]])
  bench.send(mint, first.signedFor(buyer))
  assert.equal(poolOf(bench), [1n, 0n])
  const { body } = first.signedFor(buyer)
  const answered = bench.record(WITHDRAWALS, withdrawalId(EPOCH, DIME, body.withdrawal))!
  assert.equal([answered.answer, answered.blinded], [body.signature, undefined])
  const fees = balanceOf(bench, operator)!
  const outcome = bench.block([byNewcomer(oneTime, openingDeposit(oneTime, first.coinFor(oneTime)))])[0]!
  assert.is(nameOf(outcome), 'taken', outcome.log)
  assert.is(outcome.gasUsed, 3n)
  assert.is(balanceOf(bench, oneTime), DIME - 2n * FEE, 'one fee for the transaction, one for the coin')
  assert.is(balanceOf(bench, operator), fees + 2n * FEE)
  assert.is(bench.sequence(oneTime), 1n)
  assert.equal([booksOf(bench).coined, poolOf(bench)], [0n, [1n, 1n]])
  // It is an account as any other, and can make coins again.
  assert.is(
    nameOf(bench.send(oneTime, { kind: 'transfer', body: { to: seller.address, amount: micros(5n) } })),
    'taken',
  )
  assert.is(nameOf(bench.send(oneTime, cents[0]!.withdraw)), 'taken')
})

test('several coins of several sizes go into one account, new or old, and pay a fee each', () => {
  const bench = withCoins(buyer, first, second, cents[0]!, cents[1]!)
  const open = openingDeposit(oneTime, ...[first, cents[0]!].map(one => one.coinFor(oneTime)))
  assert.is(nameOf(bench.block([byNewcomer(oneTime, open)])[0]!), 'taken')
  assert.is(balanceOf(bench, oneTime), DIME + CENT - 3n * FEE)
  const more = bench.send(oneTime, depositOf(...[second, cents[1]!].map(one => one.coinFor(oneTime))))
  assert.equal([nameOf(more), more.gasUsed], ['taken', 5n])
  assert.is(balanceOf(bench, oneTime), 2n * (DIME + CENT - 3n * FEE))
  assert.is(booksOf(bench).coined, 0n)
})

test('whoever opens the account first does not keep the coins out', () => {
  const bench = withCoins(buyer, first)
  const deposit = byNewcomer(oneTime, openingDeposit(oneTime, first.coinFor(oneTime)))
  bench.send(seller, { kind: 'open', body: { publicKey: oneTime.publicKey, amount: micros(1n) } })
  assert.is(nameOf(bench.block([deposit])[0]!), 'taken')
  assert.is(balanceOf(bench, oneTime), 1n + DIME - 2n * FEE)
  refusedBytes(bench, 'ledger.sequence', deposit)
})

test('a withdrawal that the mint does not answer in time goes back, and its coin is none', () => {
  const bench = withKeys()
  bench.send(buyer, first.withdraw)
  const asked = bench.time
  refused(bench, 'ledger.withdrawal-taken', buyer, first.withdraw)
  bench.block([], asked + ANSWER_MS - 1 - bench.time)
  assert.is(balanceOf(bench, buyer), RICH - DIME - FEE)
  // In the block whose time is the deadline the answer is too late, whatever the end of the block does.
  const late = signTx(mint, bench.sequence(mint), first.signedFor(buyer))
  assert.is(nameOf(bench.block([late], 1)[0]!), 'ledger.answer-late')
  alsoSeen('ledger.answer-late')
  assert.is(balanceOf(bench, buyer), RICH - FEE)
  assert.is(booksOf(bench).coined, 0n)
  refused(bench, 'ledger.no-withdrawal', mint, first.signedFor(buyer))
  refusedBytes(bench, 'ledger.coin-unpaid', byNewcomer(oneTime, openingDeposit(oneTime, first.coinFor(oneTime))))
  // And it may be asked for again.
  assert.is(nameOf(bench.send(buyer, first.withdraw)), 'taken')
})

test('the key of a size and epoch is one, of a mint, in time, and of a size that there is', () => {
  const bench = new Bench(coinGenesis)
  refused(bench, 'ledger.role-only', seller, keyOf(issuer, DIME))
  refused(bench, 'ledger.denomination', mint, keyOf(issuer, micros(DIME + 1n)))
  refused(bench, 'ledger.epoch', mint, keyOf(issuer, DIME, instant(EPOCH + 1)))
  refused(bench, 'ledger.window-over', mint, keyOf(issuer, DIME, instant(EPOCH - EPOCH_MS)))
  refused(bench, 'ledger.window-far', mint, keyOf(issuer, DIME, instant(EPOCH + 3 * EPOCH_MS)))
  const even = { ...issuer, modulus: issuer.modulus.with(255, 2) }
  refused(bench, 'ledger.issuer-key', mint, keyOf(even, DIME))
  assert.is(nameOf(bench.send(mint, keyOf(issuer, DIME))), 'taken')
  refused(bench, 'ledger.issuer-key-taken', mint, keyOf(other, DIME))
  // Under one key for two sizes a cent that was paid for would be signed as whatever its owner wrote.
  refused(bench, 'ledger.issuer-key-taken', mint, keyOf(issuer, CENT))
  assert.is(nameOf(bench.send(mint, keyOf(other, DIME, instant(EPOCH + EPOCH_MS)))), 'taken')
})

test('a withdrawal is refused unless there is a key for it, its time, its number and its money', () => {
  const bench = withKeys()
  const ofOne: TxContent = { kind: 'withdraw', body: { ...first.withdraw.body, denomination: ONE } }
  refused(bench, 'ledger.no-mint-key', buyer, ofOne)
  const next = instant(EPOCH + EPOCH_MS)
  bench.send(mint, keyOf(issuer, DIME, next))
  refused(bench, 'ledger.epoch', buyer, { kind: 'withdraw', body: { ...first.withdraw.body, epoch: next } })
  const blinded = (bytes: Uint8Array): TxContent => ({
    kind: 'withdraw',
    body: { ...first.withdraw.body, blinded: bytes },
  })
  refused(bench, 'ledger.blinded', buyer, blinded(issuer.modulus))
  refused(bench, 'ledger.blinded', buyer, blinded(new Uint8Array(257)))
  refused(bench, 'ledger.malformed', buyer, blinded(new Uint8Array(255)))
  bench.send(buyer, { kind: 'transfer', body: { to: seller.address, amount: micros(RICH - DIME - 2n * FEE + 1n) } })
  refused(bench, 'ledger.funds', buyer, first.withdraw)
  bench.block([], next - bench.time)
  refused(bench, 'ledger.epoch', buyer, first.withdraw)
})

test('only the blind signature of this very withdrawal answers it, once, whoever brings it', () => {
  const bench = withKeys()
  bench.send(buyer, first.withdraw)
  const { body } = first.signedFor(buyer)
  const answer = (signature: Uint8Array): TxContent => ({ kind: 'signCoin', body: { ...body, signature } })
  refused(bench, 'ledger.blind-signature', mint, answer(body.signature.with(9, body.signature[9]! ^ 1)))
  refused(bench, 'ledger.blind-signature', mint, answer(second.signedFor(buyer).body.signature))
  refused(bench, 'ledger.blind-signature', mint, answer(new Uint8Array(256)))
  refused(bench, 'ledger.blind-signature', mint, answer(issuer.modulus))
  refused(bench, 'ledger.no-withdrawal', mint, first.signedFor(seller))
  refused(bench, 'ledger.no-withdrawal', mint, second.signedFor(buyer))
  assert.is(nameOf(bench.send(seller, first.signedFor(buyer))), 'taken')
  refused(bench, 'ledger.withdrawal-answered', mint, first.signedFor(buyer))
})

test('a coin counts once, in full, under its own key, size, epoch and ledger, and for the account that its owner says', async () => {
  const bench = withCoins(buyer, first, second, cents[0]!)
  const into = (account: Party, ...coins: Parameters<typeof depositOf>) =>
    byNewcomer(account, openingDeposit(account, ...coins))
  const coin = first.coinFor(oneTime)
  const thief = partyOf('thief')
  refusedBytes(bench, 'ledger.coin-owner', into(thief, coin))
  refusedBytes(bench, 'ledger.coin-owner', into(oneTime, { ...coin, proof: new Uint8Array(64) }))
  refusedBytes(bench, 'ledger.coin-signature', into(oneTime, { ...coin, denomination: CENT }))
  refusedBytes(bench, 'ledger.no-mint-key', into(oneTime, { ...coin, denomination: ONE }))
  refusedBytes(bench, 'ledger.coin-signature', into(oneTime, { ...coin, key: thief.publicKey }))
  refusedBytes(bench, 'ledger.coin-signature', into(oneTime, { ...coin, signature: second.coinFor(oneTime).signature }))
  refusedBytes(
    bench,
    'ledger.coin-signature',
    into(oneTime, { ...coin, signature: first.signedFor(buyer).body.signature }),
  )
  const nextEpoch = instant(EPOCH + EPOCH_MS)
  refusedBytes(bench, 'ledger.no-mint-key', into(oneTime, { ...coin, epoch: nextEpoch }))
  bench.send(mint, keyOf(issuer, DIME, nextEpoch))
  refusedBytes(bench, 'ledger.coin-unpaid', into(oneTime, { ...coin, epoch: nextEpoch }))
  const elsewhere = await wantCoin(issuer, 'elsewhere', { denomination: DIME, chainId: 'elsewhere' })
  refusedBytes(bench, 'ledger.coin-signature', into(oneTime, elsewhere.coinFor(oneTime)))
  const foreign = await wantCoin(other, 'foreign', { denomination: DIME })
  refusedBytes(bench, 'ledger.coin-signature', into(oneTime, foreign.coinFor(oneTime)))
  refusedBytes(bench, 'ledger.coin-spent', into(oneTime, coin, coin))
  // One bad coin, and none of them counts.
  refusedBytes(bench, 'ledger.coin-owner', into(oneTime, second.coinFor(oneTime), first.coinFor(thief)))
  assert.is(nameOf(bench.block([into(oneTime, coin)])[0]!), 'taken')
  refusedBytes(bench, 'ledger.coin-spent', into(thief, first.coinFor(thief)))
  refused(bench, 'ledger.coin-spent', oneTime, depositOf(coin))
})

test('a deposit opens the account of its own sender alone, and pays for itself or is refused', () => {
  const bench = withCoins(buyer, first)
  const thief = partyOf('thief')
  const coin = first.coinFor(oneTime)
  refusedBytes(bench, 'ledger.no-account', byNewcomer(oneTime, depositOf(coin)))
  refusedBytes(bench, 'ledger.no-account', byNewcomer(oneTime, openingDeposit(thief, coin)))
  refusedBytes(bench, 'ledger.signature', signTx(oneTime, 0n, openingDeposit(oneTime, coin), { signedBy: thief }))
  refusedBytes(bench, 'ledger.sequence', signTx(oneTime, 1n, openingDeposit(oneTime, coin)))
  refusedBytes(bench, 'ledger.funds', byNewcomer(oneTime, openingDeposit(oneTime, coin), micros(DIME - FEE + 1n)))
  const weak = { ...oneTime, publicKey: new Uint8Array(32) }
  const weakOne = { ...partyOf('weak'), publicKey: weak.publicKey }
  const bytes = byNewcomer({ ...weakOne, address: addressOf(weak.publicKey) }, openingDeposit(weakOne, coin))
  refusedBytes(bench, 'ledger.key', bytes)
  // No other kind brings its sender an account.
  const transfer = { kind: 'transfer', body: { to: seller.address, amount: micros(1n) } } as const
  refusedBytes(bench, 'ledger.no-account', byNewcomer(oneTime, transfer))
  assert.is(nameOf(bench.block([byNewcomer(oneTime, openingDeposit(oneTime, coin), micros(DIME - FEE))])[0]!), 'taken')
  assert.is(balanceOf(bench, oneTime), 0n)
})

test('a ledger whose fee is more than its coins are worth takes no deposit', () => {
  const bench = new Bench({ ...coinGenesis, fee: micros(CENT) })
  const dear = { fee: CENT }
  bench.send(mint, keyOf(other, CENT), dear)
  bench.send(buyer, cents[0]!.withdraw, dear)
  bench.send(mint, cents[0]!.signedFor(buyer), dear)
  refusedBytes(bench, 'ledger.funds', byNewcomer(oneTime, openingDeposit(oneTime, cents[0]!.coinFor(oneTime)), CENT))
})

test('a mint that signs what nobody paid for makes no money: no more coins are taken than were signed here', () => {
  const bench = withCoins(buyer, first)
  // `second` was signed by the mint, and never withdrawn.
  assert.is(nameOf(bench.block([byNewcomer(oneTime, openingDeposit(oneTime, second.coinFor(oneTime)))])[0]!), 'taken')
  booksOf(bench)
  const honest = partyOf('honest')
  refusedBytes(bench, 'ledger.coin-unpaid', byNewcomer(honest, openingDeposit(honest, first.coinFor(honest))))
})

test('coins of an epoch are good until the next is over; then what is left is burnt and all of it forgotten', () => {
  const bench = withCoins(buyer, first, second, cents[0]!)
  bench.block([byNewcomer(oneTime, openingDeposit(oneTime, first.coinFor(oneTime)))])
  const resumed = must(
    resumeApp({
      entries: bench.app.entries(bench.app.height)!,
      headerHashes: bench.app.headerHashes(bench.app.height)!,
    }),
  )
  const { minted } = booksOf(bench)
  bench.block([], EPOCH + COIN_LIFE_MS - 1 - bench.time)
  assert.is(booksOf(bench).coined, DIME + CENT)
  const honest = partyOf('honest')
  const lastMoment = byNewcomer(honest, openingDeposit(honest, second.coinFor(honest)))
  assert.ok(
    bench.app.judgeTxs({ height: bench.app.height + 1n, time: instant(bench.time), txs: [lastMoment], verifier }).ok,
  )
  const tx = byNewcomer(honest, openingDeposit(honest, second.coinFor(honest)))
  assert.is(nameOf(bench.block([tx], 1)[0]!), 'ledger.coin-expired')
  refusedBytes(bench, 'ledger.coin-expired', tx)
  assert.equal(booksOf(bench), { ...booksOf(bench), coined: micros(0n), minted: micros(minted - DIME - CENT) })
  const left = [...bench.app.entries(bench.app.height)!].map(([key]) => Buffer.from(key).toString())
  assert.equal(
    left.filter(key => /^(?:coin-key|withdrawal|spent-coin)\//.test(key)),
    [],
  )
  for (const { input } of bench.executed.slice(Number(resumed.height))) {
    resumed.finalizeBlock(input)
    resumed.commit()
  }
  assert.is(toHex(resumed.appHash), toHex(bench.app.appHash))
})

test('blocks with coins replay to the same AppHash', () => {
  const bench = withCoins(buyer, first, second)
  bench.block([byNewcomer(oneTime, openingDeposit(oneTime, first.coinFor(oneTime)))])
  bench.block([], COIN_LIFE_MS)
  const replayed = createApp(bench.genesis)
  for (const { input } of bench.executed) {
    replayed.finalizeBlock(input)
    replayed.commit()
  }
  assert.is(toHex(replayed.appHash), toHex(bench.app.appHash))
  assert.is(bench.genesis.accounts.length, genesis.accounts.length + 1)
})

test('every refusal of coins was seen here', () => {
  assert.equal(unseen(170, 189), [])
})

test.run()
