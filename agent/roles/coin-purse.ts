/**
 * A site's blind coins: withdrawn ahead of time into a stock, and put into one-time accounts that pay what nobody is to know of
 * this site: escrows of `commit`, fees of `reserve`.
 *
 * Every site takes the same stock in every epoch, at moments that are drawn, whatever it spent: so neither when nor how much
 * it withdraws says what it pays. What is put into an account at once, and when, everybody sees.
 *
 * A coin that is not spent goes back into the site's own account before its life is over, when it would be nobody's: what a site
 * spent in those two weeks can be seen by that, and not what on.
 */
import type { Signer } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import {
  MINT_KEYS,
  mintKeyId,
  SPENT_COINS,
  spentCoinId,
  WITHDRAWALS,
  withdrawalHash,
  withdrawalId,
} from '../../protocol/ledger/coin-tables.ts'
import type { BodyOf } from '../../protocol/ledger/tx.ts'
import {
  COIN_LIFE_MS,
  type CoinName,
  chooseCoins,
  coinMessage,
  coinToSign,
  EPOCH_MS,
  epochAt,
  MAX_COINS,
} from '../../protocol/privacy/coins.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import { createLedgerAccount, FEE, type LedgerAccount } from '../trading/account.ts'
import { encodeCoins, type KeptCoin, readCoins } from './kept-coins.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import type { Blind } from './pseudonyms.ts'

/** Coins are wanted ahead of time: nobody waits for one. */
const LOOK_MS = 30_000
/** A transaction that is handed in stands in a block by then, or never. */
const HANDED_MS = 120_000
/** A deposit stands in a block by then, or never, however slow the blocks are: sixty of them. */
const DEPOSITED_MS = 3_600_000
/** A letter to the mint that has no answer on the ledger by then is written again. */
const ASKED_MS = 60_000
/** A stock is taken within a day of the epoch's begin, or of the site's: half a block's time would name the site. */
const SPREAD_MS = 86_400_000

/** So long before the end of its life a coin goes back, less a part of a day that is drawn: what no block took is tried again. */
const BACK_MS = 2 * 86_400_000

interface Stock {
  readonly denomination: Money
  readonly count: number
}

export interface CoinPurseOptions
  extends Pick<PartOptions, 'energy' | 'post' | 'clock' | 'timers' | 'log' | 'health' | 'entropy' | 'record'> {
  /** The peer that signs. */
  readonly mint: string
  /** Taken in each epoch: for all sites the same. */
  readonly stock: readonly Stock[]
  readonly spreadMs?: number
  createSigner(seed: Uint8Array): Signer
  blindMessage(modulus: Uint8Array, message: Uint8Array): Promise<Result<Blind & { readonly secret: Uint8Array }>>
  unblindMessage(
    modulus: Uint8Array,
    kept: { readonly message: Uint8Array; readonly secret: Uint8Array },
    answer: Uint8Array,
  ): Promise<Result<Uint8Array>>
}

export interface CoinPurse extends Part {
  /** Coins at hand, the largest first. */
  held(): readonly Money[]
  /**
   * Puts coins into a fresh account of this key, for at least `needed` after the fees of doing so. The account as it hands
   * transactions in; its balance is there once the deposit stands in a block.
   */
  fund(signer: Signer, needed: Money): Promise<Result<LedgerAccount>>
}

interface Coin {
  kept: KeptCoin
  handed?: Instant
  asked?: Instant
}

export function createCoinPurse(options: CoinPurseOptions): CoinPurse {
  const { energy, post, clock, timers, log, entropy } = options
  const { light, account, chainId } = energy
  let coins: Coin[] = []
  /** When the coins of the running epoch are taken that are not yet. */
  let planned:
    | { readonly epoch: Instant; readonly takes: { readonly denomination: Money; readonly at: number }[] }
    | undefined
  let looking = false
  let stopped = false
  let cancel = () => {}
  let backSpread: number | undefined

  const keep = () => options.record(encodeCoins(coins.map(({ kept }) => kept)))
  const nameOf = ({ epoch, denomination, seed }: KeptCoin): CoinName => ({
    ...{ epoch, denomination },
    key: options.createSigner(seed).publicKey,
  })
  const share = () => entropy.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32

  function plan(now: Instant): NonNullable<typeof planned> {
    const epoch = epochAt(now)
    if (planned?.epoch === epoch) return planned
    const spread = Math.min(options.spreadMs ?? SPREAD_MS, epoch + EPOCH_MS - now)
    const takes = options.stock.flatMap(({ denomination, count }) => {
      const taken = coins.filter(({ kept }) => kept.epoch === epoch && kept.denomination === denomination).length
      return Array.from({ length: Math.max(0, count - taken) }, () => ({ denomination, at: now + spread * share() }))
    })
    planned = { epoch, takes }
    return planned
  }

  /** Makes a coin and keeps it; what is withdrawn for it comes after. */
  async function make(epoch: Instant, denomination: Money): Promise<Result<void>> {
    const key = await proveRecord(light, MINT_KEYS, mintKeyId(epoch, denomination))
    if (!key.ok) return key
    if (key.value === undefined) return fail({ code: 'purse.no-key', epoch, denomination })
    const seed = entropy.bytes(32)
    const name = { epoch, denomination, key: options.createSigner(seed).publicKey }
    const blind = await options.blindMessage(key.value.modulus, coinMessage(chainId, name))
    if (!blind.ok) return blind
    const { blinded, secret } = blind.value
    const coin: Coin = { kept: { epoch, denomination, state: 'wanted', seed, blinded, secret } }
    coins.push(coin)
    const recorded = await keep()
    if (recorded.ok) return done
    coins = coins.filter(other => other !== coin)
    return recorded
  }

  /** One step for a coin that is not at hand yet. */
  async function bring(coin: Coin): Promise<Result<void>> {
    const { kept } = coin
    const { epoch, denomination, blinded, secret } = kept
    const withdrawal = withdrawalHash(account.address, blinded)
    const found = await proveRecord(light, WITHDRAWALS, withdrawalId(epoch, denomination, withdrawal))
    if (!found.ok || stopped) return found.ok ? done : found
    const now = clock.now()
    if (found.value === undefined) {
      if (now >= epoch + EPOCH_MS || (coin.handed !== undefined && now < coin.handed + HANDED_MS)) return done
      const handed = await account.submit({ kind: 'withdraw', body: { epoch, denomination, blinded } })
      if (handed.ok) coin.handed = now
      return handed.ok ? done : handed
    }
    const { answer } = found.value
    if (answer === undefined) {
      if (coin.asked !== undefined && now < coin.asked + ASKED_MS) return done
      coin.asked = now
      void post.send(options.mint, { kind: 'coin-wanted', epoch, denomination, withdrawal }, { reliable: true })
      return done
    }
    const key = await proveRecord(light, MINT_KEYS, mintKeyId(epoch, denomination))
    if (!key.ok) return key
    if (key.value === undefined) return done
    const message = coinMessage(chainId, nameOf(kept))
    const signature = await options.unblindMessage(key.value.modulus, { message, secret }, answer)
    if (!signature.ok) return signature
    coin.kept = { ...kept, state: 'held', signature: signature.value }
    const recorded = await keep()
    return recorded.ok ? done : recorded
  }

  /** Whether a coin that was handed in is spent; else, when no block can hold its deposit any more, it is at hand again. */
  async function settle(coin: Coin): Promise<Result<void>> {
    const { into, ...kept } = coin.kept
    const spent = await proveRecord(light, SPENT_COINS, spentCoinId(kept.epoch, kept.denomination, nameOf(kept).key))
    if (!spent.ok) return spent
    if (spent.value === undefined && (into === undefined || clock.now() < into.since + DEPOSITED_MS)) return done
    coin.kept = { ...kept, state: spent.value === undefined ? 'held' : 'spent' }
    const recorded = await keep()
    return recorded.ok ? done : recorded
  }

  async function look(): Promise<void> {
    if (looking) return
    looking = true
    const now = clock.now()
    const over = (kept: KeptCoin) => kept.epoch + COIN_LIFE_MS <= now
    for (const { kept } of coins) {
      if (over(kept) && kept.state === 'held') log('warn', 'purse', `a coin of ${kept.denomination} expired`)
    }
    coins = coins.filter(({ kept }) => !over(kept))
    const { epoch, takes } = plan(now)
    let fault: Result<unknown> = done
    const judge = (step: Result<void>): boolean => {
      if (!step.ok) fault = step
      return step.ok
    }
    for (const take of takes.filter(({ at }) => at <= now)) {
      if (stopped) break
      if (judge(await make(epoch, take.denomination))) takes.splice(takes.indexOf(take), 1)
    }
    for (const coin of coins) {
      if (stopped) break
      if (coin.kept.state === 'wanted') judge(await bring(coin))
      else if (coin.kept.state === 'spending') judge(await settle(coin))
    }
    if (!stopped) judge(await putBack(now))
    if (!stopped) options.health('purse.coins', fault.ok ? undefined : fault.fault)
    looking = false
  }

  /** Those that have at least so long to live, the oldest first. */
  const atHand = (leastMs = 0) =>
    coins
      .filter(({ kept }) => kept.state === 'held' && clock.now() + leastMs < kept.epoch + COIN_LIFE_MS)
      .sort((a, b) => a.kept.epoch - b.kept.epoch)
      .map(coin => ({ coin, denomination: coin.kept.denomination }))

  /** The coins as a deposit into this account has them. */
  async function spend(chosen: readonly Coin[], address: Uint8Array): Promise<Result<BodyOf<'deposit'>['coins']>> {
    const toSign = coinToSign(chainId, address)
    const put: BodyOf<'deposit'>['coins'][number][] = []
    const into = { account: address, since: clock.now() }
    for (const coin of chosen) coin.kept = { ...coin.kept, state: 'spending', into }
    // Kept before it is handed in: a coin that is in two deposits would tie their accounts together.
    const recorded = await keep()
    if (!recorded.ok) return recorded
    for (const { kept } of chosen) {
      const proof = await options.createSigner(kept.seed).sign(toSign)
      if (!proof.ok) return proof
      put.push({ ...nameOf(kept), signature: kept.signature!, proof: proof.value })
    }
    return ok(put)
  }

  async function putBack(now: Instant): Promise<Result<void>> {
    backSpread ??= SPREAD_MS * share()
    const from = now + BACK_MS - backSpread
    const due = atHand().flatMap(({ coin }) => (coin.kept.epoch + COIN_LIFE_MS <= from ? [coin] : []))
    if (due.length === 0) return done
    const put = await spend(due.slice(0, MAX_COINS), account.address)
    const handed = put.ok ? await account.submit({ kind: 'deposit', body: { coins: put.value } }) : put
    return handed.ok ? done : handed
  }

  async function fund(signer: Signer, needed: Money): Promise<Result<LedgerAccount>> {
    const held = atHand(DEPOSITED_MS)
    // The first fee is the deposit's own, the others are those of its coins.
    const chosen = chooseCoins(held, micros(needed + FEE), FEE)
    if (chosen === undefined) {
      const worth = held.reduce((sum, { denomination }) => sum + denomination, 0n)
      return fail({ code: 'purse.short', needed, held: worth, coins: held.length })
    }
    const put = await spend(
      chosen.map(({ coin }) => coin),
      addressOf(signer.publicKey),
    )
    if (!put.ok) return put
    const oneTime = createLedgerAccount({ chainId, signer, light, nodes: energy.nodes, log })
    const handed = await oneTime.submit({ kind: 'deposit', body: { coins: put.value, publicKey: signer.publicKey } })
    return handed.ok ? ok(oneTime) : handed
  }

  return {
    restore(records) {
      for (const bytes of records) {
        const kept = readCoins(bytes)
        if (kept.ok) coins = kept.value.map(one => ({ kept: one }))
        else log('error', 'purse', 'the coins that were kept cannot be read', kept.fault)
      }
    },
    start() {
      cancel = timers.every(LOOK_MS, () => void look())
      log('info', 'purse', `keeps coins for ${toHex(account.address).slice(0, 8)}`)
    },
    stop() {
      stopped = true
      cancel()
    },
    held: () =>
      atHand()
        .map(({ denomination }) => denomination)
        .sort((a, b) => (a > b ? -1 : 1)),
    fund,
  }
}
