/**
 * The money of a day-ahead schedule, at the local prices of each slot: who takes pays, who gives is paid, a battery does both.
 * Nobody is beyond the limit of its order, by whatever rounding. What is left over is what full lines and the voltage band are
 * worth: the network's account, which also bears the roundings, each down to what is paid. All of it adds up to 0.
 *
 * Contracts are not in it: their parties pay each other, and their way is paid by their own fee.
 */
import { type Money, micros, type Price } from '../quantity.ts'
import type { DayAhead, Schedule } from './schedule-check.ts'

export interface ScheduleSettlement {
  /** What each battery and order is paid over the day; below zero what it pays. */
  readonly paid: ReadonlyMap<string, Money>
  readonly network: Money
}

export function settleSchedule(day: DayAhead, schedule: Schedule): ScheduleSettlement {
  const pricesAt = (node: string | undefined): readonly Price[] =>
    node === undefined ? schedule.mainPrice : schedule.prices.get(node)!
  const paid = new Map<string, Money>()
  for (const [b, { name, node }] of day.batteries.entries()) {
    const { charge, discharge } = schedule.batteries[b]!
    const prices = pricesAt(node)
    paid.set(name, down(charge.reduce((sum, energy, slot) => sum + prices[slot]! * (discharge[slot]! - energy), 0n)))
  }
  for (const [o, { name, node, side, price: limits }] of day.offers.entries()) {
    const prices = pricesAt(node)
    const worth = schedule.offers[o]!.energy.reduce((sum, energy, slot) => {
      const [price, limit] = [prices[slot]!, limits[slot]!]
      if (side === 'supply') return sum + energy * (price > limit ? price : limit)
      return sum - energy * (price < limit ? price : limit)
    }, 0n)
    paid.set(name, down(worth))
  }
  return { paid, network: micros(-[...paid.values()].reduce((sum, one) => sum + one, 0n)) }
}

/** Thousandths of a micro-unit in whole ones, towards less. */
const down = (thousandths: bigint): Money => micros((thousandths - (((thousandths % 1000n) + 1000n) % 1000n)) / 1000n)
