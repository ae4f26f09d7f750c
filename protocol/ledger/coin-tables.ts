/** What the ledger keeps of coins that can be put in where nobody knows who took them out (protocol/privacy/coins.ts). */
import { concat, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Money } from '../quantity.ts'
import { big, bytes, type Codec, record } from '../record.ts'
import type { Instant } from '../time.ts'
import { address, time } from './fields.ts'
import type { Table } from './table.ts'

/** The coin key of one epoch and denomination, and the coins under it: what they are worth is in nobody's balance. */
const mintKey = record({
  mint: [1, address],
  modulus: [2, bytes(256, 512)],
  /** Until then coins are taken, and this record is kept. */
  kept: [3, time],
  /** Coins that were signed. */
  issued: [4, big(0n, 2n ** 53n)],
  /** And of these, those that were put in. */
  spent: [5, big(0n, 2n ** 53n)],
})

/** Money on its way into a coin: `blinded` while it waits for the mint, then the `answer` instead. */
const withdrawal = record(
  { account: [1, address], answerBy: [2, time], kept: [3, time] },
  { blinded: [4, bytes(256, 512)], answer: [5, bytes(256, 512)] },
)

const spentCoin = record({ kept: [1, time] })

type ValueOf<C> = C extends Codec<infer T> ? T : never
export type MintKey = ValueOf<typeof mintKey>
export type Withdrawal = ValueOf<typeof withdrawal>

/** Under `coin-key/<epoch>/<denomination>`. */
export const MINT_KEYS: Table<MintKey> = { prefix: 'coin-key/', codec: mintKey, due: ({ kept }) => kept }
/** Under its key's id and `withdrawalHash`. */
export const WITHDRAWALS: Table<Withdrawal> = {
  prefix: 'withdrawal/',
  codec: withdrawal,
  due: ({ answer, answerBy, kept }) => (answer === undefined ? answerBy : kept),
}
/** Under its key's id and the coin's public key. */
export const SPENT_COINS: Table<ValueOf<typeof spentCoin>> = {
  prefix: 'spent-coin/',
  codec: spentCoin,
  due: ({ kept }) => kept,
}

export const COIN_TABLES = [MINT_KEYS, WITHDRAWALS, SPENT_COINS] as const

export const mintKeyId = (epoch: Instant, denomination: Money): string => `${epoch}/${denomination}`

/** Of the account as well: nobody takes another one's place by withdrawing under its blinded message. */
export const withdrawalHash = (account: Uint8Array, blinded: Uint8Array): Uint8Array => sha256(concat(account, blinded))

export const withdrawalId = (epoch: Instant, denomination: Money, hash: Uint8Array): string =>
  `${mintKeyId(epoch, denomination)}/${toHex(hash)}`

export const spentCoinId = (epoch: Instant, denomination: Money, key: Uint8Array): string =>
  `${mintKeyId(epoch, denomination)}/${toHex(key)}`
