/** What a site keeps of its coins: enough to have them after a restart. Whoever reads it has the money. */
import { address, money, time } from '../../protocol/ledger/fields.ts'
import { bytes, type Codec, decodeAs, encodeAs, list, record, word } from '../../protocol/record.ts'
import type { Result } from '../../protocol/result.ts'

/** Coins of two epochs, a hundred of each size and epoch. */
const MAX_KEPT = 1000
const MAX_RECORD_BYTES = 1024 * 1024
const rsaNumber = bytes(256, 512)

const coin = record(
  {
    epoch: [1, time],
    denomination: [2, money],
    /** `spending`: in a deposit whose end is not known. A spent one is counted, so that what is refilled does not say what was spent. */
    state: [3, word('wanted', 'held', 'spending', 'spent')],
    /** Of the coin's key. */
    seed: [4, bytes(32)],
    blinded: [5, rsaNumber],
    /** What unblinds the answer. */
    secret: [6, rsaNumber],
  },
  {
    /** The mint's, unblinded. */
    signature: [7, rsaNumber],
    /** Into which account it is being put, and since when. */
    into: [8, record({ account: [1, address], since: [2, time] })],
  },
)
export type KeptCoin = typeof coin extends Codec<infer T> ? T : never
const coins = list(coin, 0, MAX_KEPT)

export const encodeCoins = (kept: readonly KeptCoin[]): Uint8Array => encodeAs(coins, kept)

export const readCoins = (kept: Uint8Array): Result<readonly KeptCoin[]> =>
  decodeAs(coins, kept, 'coins', MAX_RECORD_BYTES)
