/** What transactions about blind coins carry. */
import { MAX_COINS } from '../../privacy/coins.ts'
import { bytes, list, record } from '../../record.ts'
import { hash32, money, signingKey, time } from '../fields.ts'

/** An RSA number of the length of a modulus. */
const rsaNumber = bytes(256, 512)
const denomination = money

const coin = record({
  epoch: [1, time],
  denomination: [2, denomination],
  key: [3, bytes(32)],
  /** The mint's, unblinded, over `coinMessage`. */
  signature: [4, rsaNumber],
  /** The coin key's, over `coinToSign` for this account. */
  proof: [5, bytes(64)],
})

export const coinBodies = {
  /** A mint's public key for coins of this size in this epoch: a modulus; the exponent is 65537. */
  mintKey: record({ epoch: [1, time], denomination: [2, denomination], modulus: [3, rsaNumber] }),
  /** Money of the sender's for a coin whose blinded message this is. */
  withdraw: record({ epoch: [1, time], denomination: [2, denomination], blinded: [3, rsaNumber] }),
  /** The blind signature for a withdrawal. Anybody may bring it: it proves itself. */
  signCoin: record({
    epoch: [1, time],
    denomination: [2, denomination],
    withdrawal: [3, hash32],
    signature: [4, rsaNumber],
  }),
  /** Coins for the sender's account, below 7 kB and an RSA verification each, which they open where there is none yet: with its key. Their fee comes out of them. */
  deposit: record({ coins: [1, list(coin, 1, MAX_COINS)] }, { publicKey: [2, signingKey] }),
} as const
