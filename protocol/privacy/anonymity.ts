/**
 * How large the crowd is in which an order hides, and how its numbers are kept from telling it apart in there.
 *
 * A certified order is one of those of its slot and side behind its feeder to which a certificate was given. What it says of
 * itself besides is its quantity and its limit: a home that always asks for about the same under the same limit is known again by
 * them. So orders come in lots, every one of one quantity, and at limits of a few steps; what a lot does not hold stays with the
 * grid. A crowd that is too small is no crowd: nothing is ordered in it.
 */
import type { Price, WattHours } from '../quantity.ts'
import { microsPerKwh, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import type { CertifiedSide } from './certificate.ts'

/** Certificates given for a slot and side behind a feeder; '' for meters of which the registry names none. */
export interface Crowd {
  readonly slot: Instant
  readonly side: CertifiedSide
  readonly feeder: string
  readonly size: number
}

export type CrowdFault = {
  readonly code: 'anonymity.crowd'
  readonly feeder: string
  readonly size: number
  readonly least: number
}

/** k: the least crowd; undefined where there is none. */
export const leastCrowd = (crowds: readonly Crowd[]): number | undefined =>
  crowds.length === 0 ? undefined : crowds.reduce((least, { size }) => Math.min(least, size), Number.POSITIVE_INFINITY)

/** Whether a crowd hides whoever is in it. */
export const checkCrowd = (crowd: Crowd, least: number): Result<Crowd, CrowdFault> =>
  crowd.size >= least ? ok(crowd) : fail({ code: 'anonymity.crowd', feeder: crowd.feeder, size: crowd.size, least })

/** What orders may say. */
export interface Lots {
  readonly lot: WattHours
  readonly step: Price
}

/**
 * 50 Wh is what nearly every home takes in a quarter of an hour; limits in tenths of a currency unit leave two or three to choose
 * from.
 */
export const LOTS: Lots = { lot: wattHours(50n), step: microsPerKwh(100_000n) }

export interface Wish {
  readonly side: CertifiedSide
  readonly quantity: WattHours
  readonly limit: Price
}

/**
 * The wish as one order of exactly one lot; undefined where it does not fill one. The limit is rounded to the order's maker's
 * advantage: a bid's down, an offer's up, so that no order promises what its maker would not pay.
 */
export function coarsen({ side, quantity, limit }: Wish, { lot, step }: Lots): Wish | undefined {
  if (lot < 1n || step < 1n) throw new RangeError('a lot and a step are above zero')
  if (quantity < lot) return undefined
  const steps = side === 'bid' ? limit / step : (limit + step - 1n) / step
  return { side, quantity: wattHours(lot), limit: microsPerKwh(steps * step) }
}
