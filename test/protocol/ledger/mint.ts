/** Blind coins in the ledger's tests: a real mint, and those who withdraw from it and deposit. */
import { type BlindIssuer, blindMessage, createBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { type Audit, auditLedger } from '../../../protocol/ledger/audit.ts'
import { withdrawalHash } from '../../../protocol/ledger/coin-tables.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { ANSWER_MS } from '../../../protocol/ledger/rules/coins.ts'
import type { BodyOf, TxContent } from '../../../protocol/ledger/tx.ts'
import { COIN_LIFE_MS, coinMessage, coinToSign, DENOMINATIONS, epochAt } from '../../../protocol/privacy/coins.ts'
import type { Money } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert } from '../../harness.ts'
import { BEGIN, Bench, buyer, CHAIN_ID, genesis, type Party, partyOf, seller, signTx } from './parties.ts'

export const EPOCH = epochAt(instant(BEGIN))
export const [CENT, DIME, ONE] = DENOMINATIONS as [Money, Money, Money]
export const mint = partyOf('mint')

/** The mint has an account and its role; the street's money is as before. */
export const coinGenesis: Genesis = {
  ...genesis,
  accounts: [...genesis.accounts, { publicKey: mint.publicKey, balance: genesis.accounts[0]!.balance }],
  roles: [{ role: 'mint', holder: mint.address }],
}

type Coin = BodyOf<'deposit'>['coins'][number]

export const keyOf = (issuer: BlindIssuer, denomination: Money, epoch: Instant = EPOCH): TxContent => ({
  kind: 'mintKey',
  body: { epoch, denomination, modulus: issuer.modulus },
})

/** A coin on its way: what its owner shows, and what comes of the mint's answer. */
export interface Wanted {
  readonly denomination: Money
  readonly epoch: Instant
  readonly key: Party
  readonly withdraw: TxContent & { readonly kind: 'withdraw' }
  /** The mint's blind signature, as a transaction for this withdrawal of that account's. */
  signedFor(account: Party): TxContent & { readonly kind: 'signCoin' }
  /** For one account. */
  coinFor(account: Party): Coin
}

interface Terms {
  readonly denomination: Money
  readonly epoch?: Instant
  readonly chainId?: string
}

/** The whole of a coin made ahead, so that what follows needs no waiting. */
export async function wantCoin(issuer: BlindIssuer, name: string, terms: Terms): Promise<Wanted> {
  const { denomination, epoch = EPOCH, chainId = CHAIN_ID } = terms
  const key = partyOf(`coin ${name}`)
  const message = coinMessage(chainId, { epoch, denomination, key: key.publicKey })
  const blind = must(await blindMessage(issuer.modulus, message))
  const answer = must(await issuer.sign(blind.blinded))
  const signature = must(await blind.unblind(answer))
  const { blinded } = blind
  return {
    denomination,
    epoch,
    key,
    withdraw: { kind: 'withdraw', body: { epoch, denomination, blinded } },
    signedFor: ({ address }) => ({
      kind: 'signCoin',
      body: { epoch, denomination, withdrawal: withdrawalHash(address, blinded), signature: answer },
    }),
    coinFor: ({ address }) => ({
      ...{ epoch, denomination, key: key.publicKey, signature },
      proof: key.sign(coinToSign(CHAIN_ID, address)),
    }),
  }
}

/** Coins into an account that is there. */
export const depositOf = (...coins: Coin[]): TxContent & { kind: 'deposit' } => ({ kind: 'deposit', body: { coins } })

/** Coins into an account that they open. */
export const openingDeposit = (account: Party, ...coins: Coin[]): TxContent & { kind: 'deposit' } => ({
  kind: 'deposit',
  body: { coins, publicKey: account.publicKey },
})

/** Three coins: one that is put in and tried again, one that is put in too late, and one that the mint leaves lying. */
export async function coinStreet(): Promise<Bench> {
  const issuer = await createBlindIssuer()
  const [first, second, third] = await Promise.all(
    ['first', 'second', 'third'].map(name => wantCoin(issuer, name, { denomination: DIME })),
  )
  const bench = new Bench(coinGenesis)
  bench.send(mint, keyOf(issuer, DIME))
  for (const [owner, wanted] of [
    [buyer, first!],
    [seller, second!],
  ] as const) {
    bench.send(owner, wanted.withdraw)
    bench.send(mint, wanted.signedFor(owner))
  }
  bench.send(buyer, third!.withdraw)
  const account = partyOf('one-time account')
  const open = signTx(account, 0n, openingDeposit(account, first!.coinFor(account)))
  bench.block([open])
  bench.send(account, depositOf(first!.coinFor(account)))
  bench.send(account, { kind: 'transfer', body: { to: seller.address, amount: CENT } })
  bench.block([], ANSWER_MS)
  bench.block([], COIN_LIFE_MS)
  bench.send(seller, depositOf(second!.coinFor(seller)))
  return bench
}

/** The money as the audit adds it up, which finds nothing wrong. */
export function booksOf(bench: Bench): Audit['money'] {
  const { problems, money } = auditLedger(bench.app.entries(bench.app.height)!)
  assert.equal(problems, [])
  return money
}
