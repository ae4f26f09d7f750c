/** A token bucket as a value: what a peer may still cost before it is refused unread. */
import type { Mono } from '../time.ts'

export interface Bucket {
  /** Thousandths of a token left at `at`. */
  readonly level: number
  readonly at: Mono
}

export interface BucketSize {
  readonly burst: number
  readonly perSecond: number
}

export const fullBucket = (size: BucketSize, now: Mono): Bucket => ({ level: size.burst * 1000, at: now })

/**
 * The bucket after `tokens` were taken, or undefined where it would hold fewer than `left` then: nothing is taken. With `left` the rest is
 * kept for what counts more.
 */
export function takeTokens(bucket: Bucket, size: BucketSize, tokens: number, now: Mono, left = 0): Bucket | undefined {
  // A token per second is a thousandth of it per millisecond; a clock that stood still refills nothing.
  const refilled = bucket.level + Math.max(0, Math.floor(now - bucket.at)) * size.perSecond
  const level = Math.min(size.burst * 1000, refilled) - tokens * 1000
  return level < left * 1000 ? undefined : { level, at: now }
}
