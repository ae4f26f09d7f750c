/**
 * Blind coins (protocol/privacy/coins.ts): money leaves an account and comes into another, and nobody can tell which belong together.
 *
 *     mintKey     a key for each size and epoch, for everybody the same and never changed
 *     withdraw    the money is held                        answered, or given back at the deadline
 *     signCoin    the blind signature, open to everybody   the money is the coins' of this size and epoch
 *     deposit     coins into an account                    once each, as many as were signed, until their epoch's life is over
 *     expiry      what no coin brought in is burnt: nobody gains by keeping a coin out, the mint and the validators included
 *
 * A mint that signs coins that nobody paid for takes from those who did, and makes no money: no more coins are taken than were
 * signed here. Who sees the signature of a withdrawal before it stands in a block, and keeps it out until the deadline,
 * has both the coin and his money back: so the deadline is far, and a mint signs nothing near it.
 */
import { compareBytes, equalBytes, toHex } from '../../bytes.ts'
import { addressOf } from '../../crypto/hash.ts'
import { isBlindSignature, isModulus, verifyPss } from '../../crypto/rsa-pss.ts'
import { admissionFault } from '../../identity/key.ts'
import { COIN_LIFE_MS, coinMessage, coinToSign, DENOMINATIONS, EPOCH_MS } from '../../privacy/coins.ts'
import { micros } from '../../quantity.ts'
import { done, ok, type Result } from '../../result.ts'
import { type Instant, later } from '../../time.ts'
import {
  MINT_KEYS,
  mintKeyId,
  SPENT_COINS,
  spentCoinId,
  WITHDRAWALS,
  withdrawalHash,
  withdrawalId,
} from '../coin-tables.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import { accountId, credit, type Draft, debit } from '../state.ts'
import type { Table } from '../table.ts'
import { type Account, CHAIN } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { hasRole } from './roles.ts'

type Answer = Result<Uint8Array, LedgerFault>

const NO_DATA = new Uint8Array(0)

/** The epoch that runs and the next one, from any of its days. */
const MAX_AHEAD_MS = EPOCH_MS + 86_400_000

/** From a withdrawal to its answer: no minority of the validators keeps a transaction out for an hour. */
export const ANSWER_MS = 3_600_000

export const coinKinds = {
  mintKey: { gas: 1n, apply: applyMintKey },
  withdraw: { gas: 1n, apply: applyWithdraw },
  signCoin: { gas: 2n, apply: applySignCoin },
  deposit: { gas: ({ coins }) => 1n + 2n * BigInt(coins.length), apply: applyDeposit, newcomer: newcomerOf },
} satisfies Partial<Kinds>

function applyMintKey(draft: Draft, sender: Uint8Array, body: BodyOf<'mintKey'>, { time }: Applying): Answer {
  const { epoch, denomination, modulus } = body
  if (!hasRole(draft, 'mint', sender)) return refuse('ledger.role-only', { role: 'mint', sender: toHex(sender) })
  if (!DENOMINATIONS.includes(denomination)) return refuse('ledger.denomination', { denomination })
  if (epoch % EPOCH_MS !== 0) return refuse('ledger.epoch', { epoch, length: EPOCH_MS })
  const end = epoch + EPOCH_MS
  if (end <= time) return refuse('ledger.window-over', { end, now: time })
  if (epoch > time + MAX_AHEAD_MS) return refuse('ledger.window-far', { start: epoch, latest: time + MAX_AHEAD_MS })
  if (!isModulus(modulus)) return refuse('ledger.issuer-key', { bytes: modulus.length })
  const id = mintKeyId(epoch, denomination)
  const known = draft.get(MINT_KEYS, id)
  // Not even by the same mint: coins under two keys would be two crowds.
  if (known !== undefined) return refuse('ledger.issuer-key-taken', { epoch, denomination, by: toHex(known.mint) })
  // Nor one key for two sizes: what was paid for as the lesser could be signed as the larger.
  for (const size of DENOMINATIONS) {
    const other = draft.get(MINT_KEYS, mintKeyId(epoch, size))
    if (other !== undefined && equalBytes(other.modulus, modulus))
      return refuse('ledger.issuer-key-taken', { epoch, denomination: size, by: toHex(other.mint) })
  }
  draft.put(MINT_KEYS, id, { mint: sender, modulus, kept: later(epoch, COIN_LIFE_MS), issued: 0n, spent: 0n })
  return ok(NO_DATA)
}

function applyWithdraw(draft: Draft, sender: Uint8Array, body: BodyOf<'withdraw'>, { time }: Applying): Answer {
  const { epoch, denomination, blinded } = body
  const key = draft.get(MINT_KEYS, mintKeyId(epoch, denomination))
  if (key === undefined) return refuse('ledger.no-mint-key', { epoch, denomination })
  const end = epoch + EPOCH_MS
  if (time < epoch || time >= end) return refuse('ledger.epoch', { epoch, end, now: time })
  // Another number has no signature under this key.
  if (blinded.length !== key.modulus.length || compareBytes(blinded, key.modulus) >= 0) {
    return refuse('ledger.blinded', { bytes: blinded.length, modulus: key.modulus.length })
  }
  const id = withdrawalId(epoch, denomination, withdrawalHash(sender, blinded))
  if (draft.get(WITHDRAWALS, id) !== undefined) return refuse('ledger.withdrawal-taken', { withdrawal: id })
  const paid = debit(draft, accountId(sender), denomination)
  if (!paid.ok) return paid
  draft.put(WITHDRAWALS, id, { account: sender, answerBy: later(time, ANSWER_MS), kept: key.kept, blinded })
  return ok(NO_DATA)
}

function applySignCoin(draft: Draft, _sender: Uint8Array, body: BodyOf<'signCoin'>, { time }: Applying): Answer {
  const { epoch, denomination, withdrawal: hash, signature } = body
  const id = withdrawalId(epoch, denomination, hash)
  const withdrawal = draft.get(WITHDRAWALS, id)
  if (withdrawal === undefined) return refuse('ledger.no-withdrawal', { withdrawal: id })
  const { account, answerBy, kept, blinded } = withdrawal
  if (blinded === undefined) return refuse('ledger.withdrawal-answered', { withdrawal: id })
  if (answerBy <= time) return refuse('ledger.answer-late', { answerBy, now: time })
  const keyId = mintKeyId(epoch, denomination)
  const key = draft.get(MINT_KEYS, keyId)!
  if (!isBlindSignature(key.modulus, blinded, signature)) return refuse('ledger.blind-signature', { withdrawal: id })
  draft.put(WITHDRAWALS, id, { account, answerBy, kept, answer: signature })
  draft.put(MINT_KEYS, keyId, { ...key, issued: key.issued + 1n })
  return ok(NO_DATA)
}

/** The account that a deposit opens, where its sender has none. */
function newcomerOf(sender: Uint8Array, { publicKey }: BodyOf<'deposit'>): Result<Account | undefined, LedgerFault> {
  if (publicKey === undefined || !equalBytes(addressOf(publicKey), sender)) return ok(undefined)
  const fault = admissionFault(publicKey)
  return fault === undefined
    ? ok({ publicKey, balance: micros(0n), sequence: 0n })
    : refuse('ledger.key', { reason: fault.reason })
}

/**
 * Each coin pays the least fee for its own verification and its place among those that are spent. What a look-up can refuse comes
 * before any signature, and the mint's signature before the coin's own: whoever has no coin fails at the first of them.
 */
function applyDeposit(draft: Draft, sender: Uint8Array, { coins }: BodyOf<'deposit'>, applying: Applying): Answer {
  const { chainId, rules, time, verifier } = applying
  const fees = rules.fee * BigInt(coins.length)
  const worth = coins.reduce((sum, { denomination }) => sum + denomination, 0n)
  if (worth < fees) return refuse('ledger.funds', { balance: worth, needed: fees })
  for (const { epoch, denomination, key } of coins) {
    const spent = spendCoin(draft, epoch, denomination, key, time)
    if (!spent.ok) return spent
  }
  const toSign = coinToSign(chainId, sender)
  for (const coin of coins) {
    const { epoch, denomination, key, signature, proof } = coin
    const { modulus } = draft.get(MINT_KEYS, mintKeyId(epoch, denomination))!
    const named = { epoch, denomination, coin: toHex(key) }
    if (!verifyPss(modulus, coinMessage(chainId, coin), signature)) return refuse('ledger.coin-signature', named)
    if (!verifier.verify('EdDSA', key, toSign, proof)) return refuse('ledger.coin-owner', named)
  }
  credit(draft, accountId(sender), micros(worth - fees))
  credit(draft, accountId(rules.feeAccount), micros(fees))
  return ok(NO_DATA)
}

/** Puts a coin among the spent ones, where its size, epoch and number allow it. */
function spendCoin(
  draft: Draft,
  epoch: Instant,
  denomination: BodyOf<'withdraw'>['denomination'],
  coin: Uint8Array,
  time: Instant,
): Result<void, LedgerFault> {
  const expiry = epoch + COIN_LIFE_MS
  if (expiry <= time) return refuse('ledger.coin-expired', { epoch, expiry, now: time })
  const keyId = mintKeyId(epoch, denomination)
  const key = draft.get(MINT_KEYS, keyId)
  if (key === undefined) return refuse('ledger.no-mint-key', { epoch, denomination })
  const id = spentCoinId(epoch, denomination, coin)
  if (draft.get(SPENT_COINS, id) !== undefined) return refuse('ledger.coin-spent', { coin: id })
  if (key.spent >= key.issued) return refuse('ledger.coin-unpaid', { epoch, denomination, issued: key.issued })
  draft.put(MINT_KEYS, keyId, { ...key, spent: key.spent + 1n })
  draft.put(SPENT_COINS, id, { kept: key.kept })
  return done
}

/** A record of coins whose time has come. */
export function coinDue(draft: Draft, table: Table<unknown> | undefined, id: string, time: Instant): void {
  if (table === MINT_KEYS) expireCoins(draft, id, time)
  else if (table === WITHDRAWALS) closeWithdrawal(draft, id, time)
  else if (table === SPENT_COINS) {
    const spent = draft.get(SPENT_COINS, id)
    if (spent !== undefined && spent.kept <= time) draft.remove(SPENT_COINS, id)
  }
}

function expireCoins(draft: Draft, id: string, time: Instant): void {
  const key = draft.get(MINT_KEYS, id)
  if (key === undefined || key.kept > time) return
  const chain = draft.get(CHAIN, '')!
  const left = (key.issued - key.spent) * BigInt(id.split('/')[1]!)
  draft.put(CHAIN, '', { ...chain, minted: micros(chain.minted - left) })
  draft.remove(MINT_KEYS, id)
}

/** One that the mint did not answer goes back; one that it did has been kept for its owner to read. */
function closeWithdrawal(draft: Draft, id: string, time: Instant): void {
  const withdrawal = draft.get(WITHDRAWALS, id)
  if (withdrawal === undefined) return
  const { account, answer, answerBy, kept } = withdrawal
  if ((answer === undefined ? answerBy : kept) > time) return
  if (answer === undefined) credit(draft, accountId(account), micros(BigInt(id.split('/')[1]!)))
  draft.remove(WITHDRAWALS, id)
}
