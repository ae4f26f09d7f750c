/** What the site guard takes from the reading of a fuse's meter. */
import type { MeterReading } from '../../drivers/ports.ts'
import { lineReading } from '../../protocol/safety/line-reading.ts'
import type { FuseReading } from '../../protocol/safety/site-guard.ts'

/** Undefined where a phase is missing: what a meter does not give is not nothing. */
export function fuseReading({ values, takenMono }: MeterReading): FuseReading | undefined {
  const { currents, missing } = lineReading(values, takenMono, 3)
  const [l1, l2, l3] = currents
  const isCurrent = missing.some(obis => /^1-0:[357]1\.7\.0$/.test(obis))
  if (isCurrent || l1 === undefined || l2 === undefined || l3 === undefined) return undefined
  return { taken: takenMono, currentsMa: [l1, l2, l3] }
}
