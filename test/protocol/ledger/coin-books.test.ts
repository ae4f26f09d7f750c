/** The books of blind coins: recomputed by somebody who did not keep them, whatever was played. */
import { createBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { MINT_KEYS, SPENT_COINS, spentCoinId, WITHDRAWALS } from '../../../protocol/ledger/coin-tables.ts'
import { ANSWER_MS } from '../../../protocol/ledger/rules/coins.ts'
import { ACCOUNTS } from '../../../protocol/ledger/tables.ts'
import { COIN_LIFE_MS, EPOCH_MS } from '../../../protocol/privacy/coins.ts'
import { encodeAs } from '../../../protocol/record.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { booksOf, CENT, coinGenesis, DIME, depositOf, EPOCH, keyOf, mint, openingDeposit, wantCoin } from './mint.ts'
import { BEGIN, Bench, buyer, nameOf, partyOf, seller, signTx } from './parties.ts'

const test = suite('books of blind coins')

const [issuer, other] = await Promise.all([createBlindIssuer(), createBlindIssuer()])
const dimes = await Promise.all([0, 1].map(i => wantCoin(issuer, `dime ${i}`, { denomination: DIME })))
const cents = await Promise.all([0, 1].map(i => wantCoin(other, `cent ${i}`, { denomination: CENT })))
const [first, second] = [dimes[0]!, dimes[1]!]
const oneTime = partyOf('one-time account')

/** A ledger on which the dime and the cent have their keys. */
function withKeys(): Bench {
  const bench = new Bench(coinGenesis)
  bench.send(mint, keyOf(issuer, DIME))
  bench.send(mint, keyOf(other, CENT))
  return bench
}

test('the audit names what does not add up, made up as it may be', () => {
  const bench = withKeys()
  for (const wanted of [first, second]) {
    bench.send(buyer, wanted.withdraw)
    bench.send(mint, wanted.signedFor(buyer))
  }
  bench.block([signTx(oneTime, 0n, openingDeposit(oneTime, first.coinFor(oneTime)))])
  const entries = [...bench.app.entries(bench.app.height)!]
  const without = (prefix: string) => entries.filter(([key]) => !Buffer.from(key).toString().startsWith(prefix))
  const codes = (all: typeof entries) => [...new Set(auditLedger(all).problems.map(({ code }) => code))].sort()
  assert.equal(codes(entries), [])
  assert.equal(codes(without(SPENT_COINS.prefix)), ['audit.mint-key', 'audit.residue'])
  assert.equal(codes(without(WITHDRAWALS.prefix)), ['audit.mint-key', 'audit.residue'])
  assert.equal(codes(without(MINT_KEYS.prefix)), ['audit.residue', 'audit.spent-coin', 'audit.withdrawal'])
  const kept = instant(EPOCH + COIN_LIFE_MS)
  const spent = (id: string, at = kept) =>
    [...entries, [utf8(SPENT_COINS.prefix + id), encodeAs(SPENT_COINS.codec, { kept: at })] as const] as typeof entries
  const twice = spentCoinId(EPOCH, DIME, second.key.publicKey)
  assert.equal(codes(spent(twice)), ['audit.mint-key', 'audit.residue'])
  for (const id of ['x', '/', '1/2', `${EPOCH}/${DIME}/xyz`, `${EPOCH}/-5/00`])
    assert.ok(codes(spent(id)).length > 0, id)
  assert.ok(codes(spent(twice, instant(BEGIN))).includes('audit.spent-coin'))
})

const MOVES = ['coin', 'withdraw', 'sign', 'deposit', 'open', 'again', 'back', 'wait', 'week'] as const

test('whatever is withdrawn, signed, put in, tried twice or left: every micro-unit is somewhere, and in the end in an account or burnt', () => {
  const reached = new Set<string>()
  const all = [...dimes, ...cents]
  const play = (
    steps: readonly { readonly move: (typeof MOVES)[number]; readonly n: number; readonly who: boolean }[],
  ) => {
    const bench = withKeys()
    const minted = booksOf(bench).minted
    const come = (name: string, outcome: ReturnType<Bench['send']>) => {
      reached.add(outcome.code === 0 ? name : `${name}: ${nameOf(outcome)}`)
    }
    for (const { move, n, who } of steps) {
      const owner = who ? buyer : seller
      const wanted = all[n % all.length]!
      const fresh = partyOf(`fresh ${n} ${who}`)
      if (move === 'coin') {
        come('withdraw', bench.send(owner, wanted.withdraw))
        come('sign', bench.send(mint, wanted.signedFor(owner)))
      } else if (move === 'withdraw') come(move, bench.send(owner, wanted.withdraw))
      else if (move === 'sign') come(move, bench.send(mint, wanted.signedFor(owner)))
      else if (move === 'back') {
        come(move, bench.send(owner, depositOf(wanted.coinFor(owner))))
      } else if (move === 'wait') bench.block([], ANSWER_MS / 2)
      else if (move === 'week') bench.block([], EPOCH_MS)
      else {
        const coins =
          move === 'again' ? [wanted, wanted] : move === 'deposit' ? [wanted] : [wanted, all[(n + 1) % all.length]!]
        const content = openingDeposit(fresh, ...coins.map(one => one.coinFor(fresh)))
        const sequence = bench.record(ACCOUNTS, fresh.id)?.sequence ?? 0n
        come(move, bench.block([signTx(fresh, sequence, content)])[0]!)
      }
      booksOf(bench)
    }
    bench.block([], 3 * EPOCH_MS)
    const end = booksOf(bench)
    assert.equal([end.coined, end.balances], [0n, end.minted])
    assert.ok(end.minted <= minted)
  }
  const once = (...moves: (typeof MOVES)[number][]) => moves.map(move => ({ move, n: 0, who: true }))
  play(once('withdraw', 'wait', 'sign', 'week', 'back', 'again'))
  play([...once('coin', 'again', 'deposit'), { move: 'coin', n: 1, who: true }])
  play([...once('coin'), { move: 'coin', n: 1, who: false }, ...once('open')])
  const step = fc.record({ move: fc.constantFrom(...MOVES), n: fc.nat(3), who: fc.boolean() })
  assertCovering(fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), play), 30)
  for (const name of ['withdraw', 'sign', 'deposit', 'open', 'back', 'again: ledger.coin-spent'])
    assert.ok(reached.has(name), name)
}, 120_000)

test.run()
