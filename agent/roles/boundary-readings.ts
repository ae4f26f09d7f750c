/**
 * The signed readings of a meter at the boundaries of slots, as its baseline and its group's slots need them: of each boundary
 * the first reading in the half minute from it on, unless that says of itself that it is not to be settled on.
 */
import { LOOK_BACK_DAYS, SLOT_MS } from '../../protocol/market/baseline.ts'
import type { SignedReading } from '../../protocol/trade/message.ts'
import type { Metering } from '../metering/run.ts'
import type { ReadingAt } from './usage-history.ts'

/** A reading is signed every quarter of a minute: later than this it is of another time. */
const SLACK_MS = 30_000
/** The days of a baseline, and the one on which it is asked for. */
const KEPT = (LOOK_BACK_DAYS + 1) * 96

/** Hears a meter from now on; 600 bytes a boundary, 2.6 MB in all. */
export function followBoundaries(metering: Pick<Metering, 'onSigned'>, meter: string): ReadingAt {
  const kept = new Map<number, SignedReading>()
  metering.onSigned((name, { envelope, context, reading }) => {
    const { time, quality, reason, errors } = reading
    const slot = Math.floor(time / SLOT_MS)
    if (name !== meter || time - slot * SLOT_MS > SLACK_MS || kept.has(slot)) return
    // Of a time that nobody knows nobody can say which slot it is of.
    if (reason === 'gap' || errors.length > 0 || quality === 'unknown') return
    kept.set(slot, { envelope, context })
    for (const old of kept.keys()) {
      if (kept.size <= KEPT) break
      kept.delete(old)
    }
  })
  return async boundary => (boundary % SLOT_MS === 0 ? kept.get(boundary / SLOT_MS) : undefined)
}
