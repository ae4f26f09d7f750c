/** Every crash of one actor: before each of its outputs in turn, coming back after so long, or never. */
import { assert } from '../../harness.ts'
import { judgeEnd } from './grid-ends.ts'
import { GridStreet } from './grid-ledgers.ts'
import type { Actor } from './grid-plan.ts'

export interface Crashes {
  readonly crashes: number
  /** How often each end was reached. */
  readonly ends: Readonly<Record<'settled' | 'refunded' | 'none', number>>
}

/** `every`: only each so manieth output, beginning at `from`. */
export function crashEverywhere(actor: Actor, backAfterMs: number | undefined, every = 1, from = 0): Crashes {
  const ends = { settled: 0, refunded: 0, none: 0 }
  for (let crashes = 0, output = from; ; crashes++, output += every) {
    assert.ok(output < 200, 'a deal has an end')
    const back = backAfterMs === undefined ? {} : { backAfterMs }
    const street = new GridStreet({ crash: { actor, output, ...back } })
    const comes = backAfterMs === undefined ? 'and stays dead' : `and is back after ${backAfterMs} ms`
    const end = judgeEnd(street, `${actor} dies before output ${output} ${comes}`)
    if (!street.crashed) return { crashes, ends }
    ends[end]++
  }
}
