/**
 * Rewards for energy that another owner consumed: what the ledger's points (ledger/rules/points.ts) are minted from, worked out
 * again by anybody, and what a redeemed point becomes.
 *
 *     mint      once a deal, its delivered watt-hours to its seller: of a deal that both meters stand behind, and never of one
 *               between an owner and itself. A receipt that is shown again mints 0
 *     redeem    points are burnt and become what their holder chose: nothing more, coins, or credit on its bill
 *
 *     minted - burnt = the sum of what holders have
 *
 * Own use comes first: only what a site's generation leaves over is offered for reward, and no more than its line has room for.
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { DealRecord } from '../ledger/deal-record.ts'
import { costFloor, type Money, micros, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

/** What a redeemed point becomes. */
export const REWARD_SINKS = ['points', 'coin', 'bill-credit'] as const
export type RewardSink = (typeof REWARD_SINKS)[number]

export type RewardFault =
  | { readonly code: 'reward.one-owner'; readonly owner: string }
  | { readonly code: 'reward.not-shown'; readonly deal: string; readonly state: string }
  | { readonly code: 'reward.held'; readonly held: bigint; readonly needed: bigint }
  | { readonly code: 'reward.amount'; readonly amount: bigint }

export interface Redeemed {
  readonly burnt: WattHours
  /** From the issuer's account to the holder's. */
  readonly coins: Money
  /** Off the holder's next bill. */
  readonly credit: Money
}

/** One issuer's book. */
export interface RewardBook {
  /** What was minted: 0 for a deal that was minted before. */
  mint(deal: Uint8Array, record: DealRecord): Result<WattHours, RewardFault>
  /** `rate` is paid per 1,000 points, rounded down. */
  redeem(holder: Uint8Array, amount: WattHours, sink: RewardSink, rate: Price): Result<Redeemed, RewardFault>
  held(holder: Uint8Array): WattHours
  totals(): { readonly minted: WattHours; readonly burnt: WattHours }
}

export function createRewardBook(): RewardBook {
  const rewarded = new Set<string>()
  const holdings = new Map<string, bigint>()
  let [minted, burnt] = [0n, 0n]
  const held = (holder: Uint8Array) => wattHours(holdings.get(toHex(holder)) ?? 0n)

  return {
    mint: (deal, record) => {
      const id = toHex(deal)
      const { seller, buyer, sealed, sellerReceipt, buyerReceipt, outcome, state } = record
      if (equalBytes(seller, buyer)) return fail({ code: 'reward.one-owner', owner: toHex(seller) })
      const shown = sealed !== undefined || (sellerReceipt !== undefined && buyerReceipt !== undefined)
      if (!shown || outcome === undefined) return fail({ code: 'reward.not-shown', deal: id, state })
      if (rewarded.has(id)) return ok(wattHours(0n))
      rewarded.add(id)
      minted += outcome.delivered
      holdings.set(toHex(seller), held(seller) + outcome.delivered)
      return ok(outcome.delivered)
    },
    redeem: (holder, amount, sink, rate) => {
      if (amount <= 0n || rate < 0n) return fail({ code: 'reward.amount', amount })
      const has = held(holder)
      if (amount > has) return fail({ code: 'reward.held', held: has, needed: amount })
      burnt += amount
      if (amount === has) holdings.delete(toHex(holder))
      else holdings.set(toHex(holder), has - amount)
      const worth = costFloor(amount, rate)
      const none = micros(0n)
      return ok({
        burnt: amount,
        coins: sink === 'coin' ? worth : none,
        credit: sink === 'bill-credit' ? worth : none,
      })
    },
    held,
    totals: () => ({ minted: wattHours(minted), burnt: wattHours(burnt) }),
  }
}

/** What may be offered for reward: what own use leaves of the generation, as far as the line has room; each in Wh of one slot. */
export function offerable(generated: WattHours, used: WattHours, room: WattHours): WattHours {
  const left = generated > used ? generated - used : 0n
  return wattHours(left < room ? left : room > 0n ? room : 0n)
}
