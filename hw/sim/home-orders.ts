/** Orders that homes with realistic loads would put into a book, slot after slot: what an adversary tries to link. */
import { coarsen, type Lots } from '../../protocol/privacy/anonymity.ts'
import type { MadeOrder } from '../../protocol/privacy/linkage.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { instant } from '../../protocol/time.ts'
import { homeLoad } from './profile.ts'
import { seededRandom } from './random.ts'

const BEGIN = 1_800_000_000_000
const SLOT_MS = 900_000
/** A book stands open for so long. */
const BOOK_MS = 20_000

export interface Manner {
  readonly homes: number
  readonly feeders: number
  readonly slots: number
  readonly seed: number
  /** Under one name, not one a slot. */
  readonly named?: boolean
  /** Without them orders say what is wished exactly. */
  readonly lots?: Lots
  /** Sent by a clock's own beat, not at a moment that is drawn. */
  readonly punctual?: boolean
}

/** Homes of 250 to 750 W on average that bid up to 0.20 to 0.38 a kWh, each always the same. */
export function ordersOfHomes({ homes, feeders, slots, seed, named, lots, punctual }: Manner): MadeOrder[][] {
  const draw = seededRandom(seed)
  const all = Array.from({ length: homes }, (_, i) => ({
    maker: `home ${i}`,
    feeder: `feeder ${i % feeders}`,
    load: homeLoad(i + 1, 250 + 500 * draw()),
    limit: microsPerKwh(BigInt(Math.round(200_000 + 180_000 * draw()))),
    beat: 1000 * draw(),
  }))
  return Array.from({ length: slots }, (_, slot) =>
    all.flatMap(({ maker, feeder, load, limit, beat }, i) => {
      const start = BEGIN + slot * SLOT_MS
      const mWh = [0, 1, 2].reduce((sum, third) => sum + load(instant(start + (third * SLOT_MS) / 3)) / 12, 0)
      const wish = { side: 'bid' as const, quantity: wattHours(BigInt(Math.round(mWh / 1000))), limit }
      const said = lots === undefined ? wish : coarsen(wish, lots)
      if (said === undefined) return []
      const pseudonym = named === true ? maker : `${slot} ${i}`
      const sentMs = punctual === true ? beat : BOOK_MS * draw()
      return [{ maker, seen: { ...said, pseudonym, feeder, sequence: 0, sentMs } }]
    }),
  )
}
