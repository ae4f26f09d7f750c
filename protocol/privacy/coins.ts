/**
 * Coins: money of a few fixed sizes that was taken out of an account and can be put into another, and nobody can tell from which.
 *
 * A coin is a key that a mint signed blind (RFC 9474), under its key for this size and epoch. Whoever has the coin's private key
 * says into which account it goes, so that a coin that is seen on its way cannot be taken.
 *
 *     withdrawn    into coins of an epoch, while it lasts
 *     deposited    until the next epoch is over; what is left of the coins then is nobody's any more
 *
 * A coin hides among the coins of its size and epoch. How many went into one account, and when, everybody sees.
 */
import { encode } from '../cbor.ts'
import { type Money, micros } from '../quantity.ts'
import { type Instant, instant } from '../time.ts'

/**
 * 0.01 to 100 of a currency: five sizes, so that the crowd of each is large. The least is a hundred times what a transaction
 * costs; of the largest one a household needs one a month.
 */
export const DENOMINATIONS: readonly Money[] = [10_000n, 100_000n, 1_000_000n, 10_000_000n, 100_000_000n].map(micros)

/** A week: a crowd of everybody who refills once a week. Epochs begin at multiples of it. */
export const EPOCH_MS = 7 * 86_400_000

/** Until when coins of an epoch are taken, counted from its start: whoever is away for a week loses nothing. */
export const COIN_LIFE_MS = 2 * EPOCH_MS

/** The epoch that a moment is in, by its start. */
export const epochAt = (time: Instant): Instant => instant(Math.floor(time / EPOCH_MS) * EPOCH_MS)

export interface CoinName {
  /** When its epoch starts. */
  readonly epoch: Instant
  readonly denomination: Money
  /** Ed25519, drawn for this coin alone. */
  readonly key: Uint8Array
}

/** What the mint signs blind: it fixes ledger, size and epoch, so that no coin can be taken for another one's. */
export const coinMessage = (chainId: string, { epoch, denomination, key }: CoinName): Uint8Array =>
  encode(['tieline/coin/1', chainId, epoch, denomination, key])

/** What the coin's key signs: that it goes into this account. */
export const coinToSign = (chainId: string, account: Uint8Array): Uint8Array =>
  encode(['tieline/coin-deposit/1', chainId, account])

/** At most so many coins go in at once. */
export const MAX_COINS = 16

/**
 * Coins of these that come to at least `needed`, after the fee that each of them pays; as little above it as the largest first find.
 * Of one size those that come first. Undefined where the MAX_COINS largest do not reach.
 */
export function chooseCoins<C extends { readonly denomination: Money }>(
  held: readonly C[],
  needed: Money,
  feeEach: Money,
): readonly C[] | undefined {
  const falling = [...held].sort((a, b) => Number(b.denomination - a.denomination))
  const worth = ({ denomination }: C) => denomination - feeEach
  const chosen: C[] = []
  let missing: bigint = needed
  for (const coin of falling) {
    if (worth(coin) > missing || missing <= 0n) continue
    chosen.push(coin)
    missing -= worth(coin)
  }
  if (missing > 0n || chosen.length > MAX_COINS) {
    // Beyond those that go in at once: one coin that was too large so far takes the place of the smallest.
    for (const coin of chosen.splice(MAX_COINS - 1)) missing += worth(coin)
    const free = falling.filter(coin => !chosen.includes(coin))
    const least = free.findLast(coin => worth(coin) >= missing)?.denomination
    const last = free.find(({ denomination }) => denomination === least)
    if (last === undefined) return undefined
    chosen.push(last)
    missing -= worth(last)
    // It may be worth as much as some of the others.
    for (const coin of chosen.slice(0, -1).reverse()) {
      if (missing + worth(coin) > 0n) continue
      chosen.splice(chosen.indexOf(coin), 1)
      missing += worth(coin)
    }
  }
  return chosen
}
