/** What the master has learned about one slave: how long its answers take, and whether it answers at all. */
import type { Fault } from '../../protocol/result.ts'
import { later, type Mono, mono } from '../../protocol/time.ts'

export interface AnswerLimits {
  /** Before anything is learned. */
  readonly initialMs: number
  readonly floorMs: number
  readonly ceilingMs: number
  /** Added to the longest answer seen. */
  readonly marginMs: number
}

/**
 * The floor covers a USB adapter's 16 ms latency timer and a busy machine; the ceiling bounds what one lost frame costs.
 */
export const ANSWER_LIMITS: AnswerLimits = { initialMs: 500, floorMs: 100, ceilingMs: 1_000, marginMs: 50 }

/** The longest of this many answers is their 99.9th percentile. */
const ANSWERS_KEPT = 1_000
/** One lost frame is noise; from the second miss in a row on the slave is given a rest. */
const MISSES_BEFORE_REST = 2
/** A silent slave may cost at most a thirteenth of the line, so that the others keep more than nine tenths of it. */
const REST_PER_COST = 12
const REST_LEAST_MS = 1_000
const REST_MOST_MS = 15_000

/** Exceptions by which a gateway says that its slave did not answer (MODBUS Application Protocol V1.1b3, 7): silence, in other words. */
const UNREACHED: ReadonlySet<unknown> = new Set([10, 11])

export const isUnreached = (fault: Fault): boolean => UNREACHED.has(fault['exception'])

export interface SlaveRecord {
  readonly unit: number
  /** How long to wait for an answer that takes `wireMs` on the wire, from the end of its request. */
  timeoutMs(wireMs: number): number
  /** The longest answer seen, late ones too, wire time left out; 0 before the first. */
  longestMs(): number
  /** An answer came this long after its request, wire time left out. */
  learn(ms: number): void
  answered(): void
  /**
   * No answer to what was asked at `askedAt`, at the cost of `costMs` of line time. Several asked at once that stay out together
   * are one miss.
   */
  missed(now: Mono, costMs: number, askedAt: Mono): void
  misses(): number
  restsUntil(): Mono
  /** Set by a timeout, cleared by a canary: whether nothing that this slave says may be believed yet. */
  tainted: boolean
  /** Whether a canary was ever read from this slave; without one, taint could never be lifted. */
  hasCanary: boolean
}

export function createSlaveRecord(unit: number, limits: AnswerLimits): SlaveRecord {
  const kept: number[] = []
  let next = 0
  /** The longest of those kept, and how many are as long: only when the last of them leaves is it looked for anew. */
  let longest = 0
  let asLong = 0
  let slowest = 0
  let misses = 0
  let missedAt = mono(Number.NEGATIVE_INFINITY)
  let restsUntil = mono(Number.NEGATIVE_INFINITY)

  return {
    unit,
    timeoutMs: wireMs => {
      const learned = kept.length === 0 ? limits.initialMs : longest + limits.marginMs
      return wireMs + Math.min(Math.max(learned, limits.floorMs), limits.ceilingMs)
    },
    longestMs: () => slowest,
    learn: ms => {
      slowest = Math.max(slowest, ms)
      // What no timeout will ever wait for would only make every miss dearer.
      if (ms > limits.ceilingMs) return
      const leaving = kept[next]
      kept[next] = ms
      next = (next + 1) % ANSWERS_KEPT
      if (leaving === longest) asLong--
      if (ms > longest || kept.length === 1) [longest, asLong] = [ms, 0]
      if (ms === longest) asLong++
      if (asLong > 0) return
      longest = kept.reduce((most, one) => Math.max(most, one), 0)
      asLong = kept.reduce((many, one) => many + (one === longest ? 1 : 0), 0)
    },
    answered: () => {
      misses = 0
      restsUntil = mono(Number.NEGATIVE_INFINITY)
    },
    missed: (now, costMs, askedAt) => {
      if (askedAt < missedAt) return
      missedAt = now
      misses++
      if (misses < MISSES_BEFORE_REST) return
      restsUntil = later(now, Math.min(Math.max(REST_PER_COST * costMs, REST_LEAST_MS), REST_MOST_MS))
    },
    misses: () => misses,
    restsUntil: () => restsUntil,
    tainted: false,
    hasCanary: false,
  }
}
