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
    const isOld = now !== undefined && now - endedBy(segments.slice(i + 1)) > retention.ms
    if (!isTooMuch && !isOld) break
    last = segment
  }
  return last
}

/**
 * When what stands before these segments had ended at the latest: the earliest that any of them was begun, so that one begun
 * by a clock that stood too late makes nothing look younger for long, and one begun by an unset clock says nothing.
 */
const endedBy = (later: readonly Segment[]): number =>
  Math.min(...later.map(({ begun }) => (begun === 0 ? Number.POSITIVE_INFINITY : begun)))
