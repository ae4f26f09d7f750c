/** How long a journal's segments are kept. */
import type { Segment } from './journal-recovery.ts'

export interface Retention {
  /** Segments whose last record is older than this may go. */
  readonly ms: number
  /** Of all segments together; the oldest go until the rest are no more. One more is made ahead. */
  readonly bytes: number
}

/** At a time: a wall clock that jumps years ahead drops an hour or two for each hour that it stays wrong, not all at once. */
const DROPS_AT_ONCE = 2

/**
 * The last segment to drop now, if any. Never the one with the newest checkpoint, nor any behind it. `now` is Unix ms, absent
 * while the clock is not set: then nothing is old.
 */
export function lastToDrop(
  segments: readonly Segment[],
  {
    retention,
    segmentBytes,
    checkpoint,
    now,
  }: {
    readonly retention: Retention
    readonly segmentBytes: number
    readonly checkpoint: number
    readonly now: number | undefined
  },
): Segment | undefined {
  let last: Segment | undefined
  for (const [i, segment] of segments.slice(0, DROPS_AT_ONCE).entries()) {
    if (segment.number >= checkpoint) break
    const isTooMuch = (segments.length - i) * segmentBytes > retention.bytes
    const isOld = now !== undefined && now - endOf(segments, i) > retention.ms
    if (!isTooMuch && !isOld) break
    last = segment
  }
  return last
}

/**
 * When a segment ended at the latest, in Unix ms: when the next one of a known time was begun. Nothing is begun before what
 * stands in front of it, so a clock that once stood years back makes nothing look old; one that stood years ahead keeps
 * what was written then, up to the size.
 */
function endOf(segments: readonly Segment[], index: number): number {
  const next = segments.findIndex(({ begun }, i) => i > index && begun > 0)
  return next === -1 ? Number.POSITIVE_INFINITY : Math.max(...segments.slice(0, next + 1).map(({ begun }) => begun))
}
