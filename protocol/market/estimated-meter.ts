/**
 * Sites without a smart meter: what stands for their meter, how far it is believed, and what of it counts in a trade.
 *
 *     metered   a smart meter that signs: all of it
 *     pulse     pulses of a certified meter's output, counted by a reader that does not sign in the meter
 *     residual  a feeder's head less all that is metered behind it, parted by expected use
 *     profile   a standard load profile, scaled by the year's consumption
 *
 * Of an estimate E the haircut h is not credited to any trade but settled with the supplier: credited = floor(E (1 - h)), so
 * that each watt-hour of E is booked once. A trade is worth the difference between the supplier's price and the contract's for
 * each Wh credited; an estimate worth preferring to a meter would have to credit more than the meter. Where an estimate is
 * never above T (1 + e), with T what a meter would count, h >= e / (1 + e) makes credited <= T in every slot. That holds for
 * pulses (protocol/telegram/pulse.ts turns them into energy). A residual and a profile can be wrong by any factor in one slot:
 * nobody sells on them; their haircut covers how far homes stayed below such an estimate over the sunny hours of any
 * month, when energy is cheap; and what the year's reading finds unused is taken from what was credited, first (`trueUp`).
 */
import { type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import { allot } from './sharing.ts'

export const TRUST_CLASSES = ['metered', 'pulse', 'residual', 'profile'] as const
export type TrustClass = (typeof TRUST_CLASSES)[number]

/**
 * Permille. Pulses: a meter of class 2 (IEC 62053-21: 2 %), and as much again for a begun pulse and an edge counted twice.
 * Residual and profile: the most of 96 months of eight public homes was 587 and 637 (test/protocol/market/estimated-meter.test.ts).
 */
export const HAIRCUT: Readonly<Record<TrustClass, number>> = { metered: 0, pulse: 40, residual: 600, profile: 650 }

export interface Credited {
  /** Counts as delivered in contracts. */
  readonly credited: WattHours
  /** Settled at the supplier's tariff. */
  readonly supplier: WattHours
}

export type EstimateFault =
  /** A residual and a profile know of use alone. */
  | { readonly code: 'estimate.cannot-sell'; readonly trust: TrustClass }
  | { readonly code: 'estimate.negative'; readonly value: bigint }
  /** Meters behind the feeder count more than its head. */
  | { readonly code: 'estimate.residual'; readonly head: bigint; readonly metered: bigint }

/** Parts what stands for a meter's count into what a trade may rest on, rounded down, and the rest. */
export function creditEstimate(
  trust: TrustClass,
  side: 'seller' | 'buyer',
  energy: WattHours,
): Result<Credited, EstimateFault> {
  if (energy < 0n) return fail({ code: 'estimate.negative', value: energy })
  if (side === 'seller' && (trust === 'residual' || trust === 'profile')) {
    return fail({ code: 'estimate.cannot-sell', trust })
  }
  const credited = (energy * BigInt(1000 - HAIRCUT[trust])) / 1000n
  return ok({ credited: wattHours(credited), supplier: wattHours(energy - credited) })
}

/**
 * Parts what no meter behind a feeder counted among the sites without one, in proportion to what each was expected to use, by
 * largest remainder: the sum is the residual. Where nothing was expected of anybody, all is the feeder's loss and nobody's.
 */
export function splitResidual(
  head: WattHours,
  metered: readonly WattHours[],
  expected: readonly WattHours[],
): Result<readonly WattHours[], EstimateFault> {
  const negative = [head, ...expected].find(value => value < 0n)
  if (negative !== undefined) return fail({ code: 'estimate.negative', value: negative })
  // Net of what the metered sites send, so that a single one may be below zero.
  const sum = metered.reduce((total, one) => total + one, 0n)
  if (sum > head) return fail({ code: 'estimate.residual', head, metered: sum })
  return ok(allot(head - sum, expected).map(wattHours))
}

export interface TrueUp extends Credited {
  /** Used beyond all estimates: paid at the supplier's price. */
  readonly more: WattHours
  /** Estimated and never used. Its trades are undone first, at their price; what is left of it the supplier repays. */
  readonly undone: WattHours
  readonly repaid: WattHours
}

/** At the year's reading: `settled` is the sum of what was credited and left to the supplier, `used` what the dial says. */
export function trueUp(settled: Credited, used: WattHours): Result<TrueUp, EstimateFault> {
  const { credited, supplier } = settled
  const negative = [credited, supplier, used].find(value => value < 0n)
  if (negative !== undefined) return fail({ code: 'estimate.negative', value: negative })
  const unused = credited + supplier - used
  const undone = unused <= 0n ? 0n : unused < credited ? unused : credited
  const repaid = unused <= 0n ? 0n : unused - undone
  return ok({
    credited: wattHours(credited - undone),
    supplier: wattHours(supplier - repaid),
    more: wattHours(unused < 0n ? -unused : 0n),
    undone: wattHours(undone),
    repaid: wattHours(repaid),
  })
}
