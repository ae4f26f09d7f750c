/** What a baseline is worked out from: the signed readings of a grid meter at the boundaries of like days' windows. */
import { parseSign1 } from '../../protocol/crypto/cose.ts'
import {
  adjustmentWindow,
  type BaselineAsked,
  DAYS,
  daysBefore,
  LOOK_BACK_DAYS,
  SLOT_MS,
  type Slots,
} from '../../protocol/market/baseline.ts'
import { parseReading, registerEnergy } from '../../protocol/reading/reading.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import type { SignedReading } from '../../protocol/trade/message.ts'

/** Readings by the slot that begins with them. */
export type Boundaries = ReadonlyMap<number, SignedReading>

/** The signed reading of a slot's boundary, taken at it or in the half minute after; undefined where there is none. */
export type ReadingAt = (boundary: Instant) => Promise<SignedReading | undefined>

/** Of each like day the four readings around the window and the hours of its adjustment; today's two come first. */
export async function readHistory(
  window: Slots,
  { like, called }: Pick<BaselineAsked, 'like' | 'called'>,
  readingAt: ReadingAt,
): Promise<readonly Boundaries[]> {
  const before = adjustmentWindow(window)
  const readDay = async (slots: readonly number[]) => {
    const found = new Map<number, SignedReading>()
    for (const slot of slots) {
      const reading = await readingAt(instant(slot * SLOT_MS))
      if (reading !== undefined) found.set(slot, reading)
    }
    return found
  }
  const days = [await readDay([before.from, before.to])]
  let whole = 0
  for (let back = 1; back <= LOOK_BACK_DAYS && whole < DAYS; back++) {
    const [day, earlier] = [daysBefore(window, back), daysBefore(before, back)]
    if (!like(window.from, day.from) || called(day)) continue
    const found = await readDay([earlier.from, earlier.to, day.from, day.to])
    if (found.has(day.from) && found.has(day.to)) whole++
    if (found.size > 0) days.push(found)
  }
  return days
}

/** The register of import in mWh; undefined where the reading says that it is not to be settled on. */
export function importOf({ envelope }: Pick<SignedReading, 'envelope'>): bigint | undefined {
  const sign1 = parseSign1(envelope)
  const reading = sign1.ok ? parseReading(sign1.value.payload) : undefined
  return reading?.ok && reading.value.errors.length === 0 ? registerEnergy(reading.value, OBIS.energyImport) : undefined
}
