/** What draws lots among equal orders: nobody knows it when the orders are made, and everybody finds the same. */
import { instantOf } from '../../protocol/chain/chain-time.ts'
import type { Instant } from '../../protocol/time.ts'
import type { LightAgent } from '../light/run.ts'

/** The hash of the first header that is not before the close; undefined where it is not proven yet. */
export async function beaconOf(light: LightAgent, close: Instant): Promise<Uint8Array | undefined> {
  const head = light.head()
  if (head === undefined || head.time < close) return undefined
  // Times rise with heights: back by twice as much each time, then by halves.
  let [before, from, found, step] = [0n, head.height, head.hash, 1n]
  while (from - before > 1n) {
    const at = before > 0n ? (before + from) / 2n : from > step ? from - step : 1n
    const header = await light.headerAt(at)
    if (!header.ok) return undefined
    if (instantOf(header.value.header.time) < close) before = at
    else {
      ;[from, found] = [at, header.value.hash]
      step *= 2n
    }
  }
  return found
}
