/** What is kept of trouble that nobody can be blamed for by his signature: silence, lateness, blocks that were held back. */
import { instantOf, timeText } from '../../protocol/chain/chain-time.ts'
import { lightBlockJson } from '../../protocol/chain/rpc-json.ts'
import type { VerifiedBlock } from '../../protocol/light/verify.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Instant, isoTime, later } from '../../protocol/time.ts'
import type { LightState } from './decide.ts'
import { type Bench, climb } from './drive.ts'
import type { Source } from './source.ts'
import type { LightStore } from './store.ts'

/** The newest block that a source admitted to, and when it said so. */
export interface Standing {
  readonly source: string
  readonly height: bigint
  readonly at: Instant
}

/** Whoever is this far ahead is not merely a block quicker. */
const AHEAD_BLOCKS = 3n

/** Whether some source claims to be well past a height; unproven, it only tells a slow primary from a wrong clock. */
export async function someoneIsPast(sources: readonly Source[], height: bigint): Promise<boolean> {
  const answers = await Promise.all(sources.map(one => one.status()))
  return answers.some(answer => answer.ok && answer.value.height > height + AHEAD_BLOCKS)
}

/** Keeps the last block that was believed when the light client fell silent or late, with the reason. */
export const noteState = (
  store: LightStore,
  state: LightState,
  fault: Fault | undefined,
  head: VerifiedBlock,
  at: Instant,
) =>
  store.saveNote(`${state}-${head.header.height}`, {
    state,
    fault,
    noticed_at: isoTime(at),
    light_block: lightBlockJson(head.block),
  })

/**
 * Keeps the block after the one that a source stood still at, once another source has it: where its validators had signed it
 * well before the source was asked, the source held it back.
 */
export async function noteWithheld(
  bench: Bench,
  store: LightStore,
  standing: Standing,
  from: Source,
  ground: VerifiedBlock,
): Promise<void> {
  if (ground.header.height > standing.height) return
  const { end } = await climb(bench, from, ground, standing.height + 1n)
  if (end.kind !== 'done') return
  const next = end.trace.at(-1)!
  const made = instantOf(next.header.time)
  // Our clock may be ahead of the validators' by the drift.
  if (later(made, bench.options.maxClockDriftMs) >= standing.at) return
  await store.saveNote(`withheld-${next.header.height}`, {
    source: standing.source,
    claimed_height: standing.height,
    asked_at: isoTime(standing.at),
    block_time: timeText(next.header.time),
    shown_by: from.name,
    light_block: lightBlockJson(next.block),
  })
}
