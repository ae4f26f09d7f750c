/**
 * How far this machine's wall time can be trusted: what the kernel says of its clock (adjtimex(2)), what this process saw of
 * it before, and whether the time can be true at all.
 *
 * The kernel's word alone counts: a daemon that hides its synchronisation from the kernel (chrony without `rtcsync`) leaves
 * the time informative, which claims less than there is and never more.
 */
import type { Fault, Result } from '../protocol/result.ts'
import { CLOCK_STEP_MS, type Instant, instant, type TimeQuality } from '../protocol/time.ts'
import { type KernelClock, loadLibc } from './native/libc.ts'

/** 1 November 2026, when this software did not yet exist: a clock that stands before it was not set, or wrongly. */
export const NOT_BEFORE: Instant = instant(1_793_491_200_000)

/** adjtimex: TIME_OK, or a leap second announced, in progress or done; 5, TIME_ERROR, is not synchronised. */
const LAST_GOOD_STATE = 4
/** adjtimex: STA_UNSYNC. */
const UNSYNCHRONISED = 0x40
/**
 * The kernel lets its bound grow by 500 ppm until it is told anew, by a second in the longest poll of systemd-timesyncd
 * (2048 s); at two seconds a clock counts as set when it wanders that far.
 */
const MAX_ERROR_US = CLOCK_STEP_MS * 1000
/** What the kernel said is taken to hold this long. */
const LOOK_MS = 1000

export interface ClockFacts {
  readonly now: Instant
  /** Undefined where the kernel cannot be asked. */
  readonly kernel: KernelClock | undefined
  /** Synchronised at a moment since this process began, and not set by any other hand since. */
  readonly held: boolean
}

export function judgeTime({ now, kernel, held }: ClockFacts): TimeQuality {
  if (now < NOT_BEFORE) return 'unknown'
  if (kernel !== undefined && isSynchronised(kernel)) return 'synchronised'
  return held ? 'relative' : 'informative'
}

const isSynchronised = ({ state, status, maxErrorUs }: KernelClock): boolean =>
  state >= 0 && state <= LAST_GOOD_STATE && (status & UNSYNCHRONISED) === 0 && maxErrorUs <= MAX_ERROR_US

export interface QualityParts {
  readonly now: () => Instant
  /** Milliseconds of a clock that nobody sets. */
  readonly mono: () => number
  readonly ask: () => KernelClock | undefined
}

/** The quality of the time now. Asks the kernel once a second at most, and anew when the clock was set meanwhile. */
export function watchQuality({ now, mono, ask }: QualityParts): () => TimeQuality {
  let looked: { readonly at: number; readonly offset: number; readonly kernel: KernelClock | undefined } | undefined
  /** Wall minus monotonic time when the kernel last called it synchronised, while the clock has not left that. */
  let held: number | undefined
  return () => {
    const [wall, at] = [now(), mono()]
    const offset = wall - at
    const stepped = looked !== undefined && Math.abs(offset - looked.offset) > CLOCK_STEP_MS
    if (looked === undefined || stepped || at - looked.at >= LOOK_MS) {
      looked = { at, offset, kernel: ask() }
      if (looked.kernel !== undefined && isSynchronised(looked.kernel)) held = offset
      // Set at once, or bit by bit: both clocks run at one rate unless somebody sets this one.
      else if (stepped || (held !== undefined && Math.abs(offset - held) > CLOCK_STEP_MS)) held = undefined
    }
    return judgeTime({ now: wall, kernel: looked.kernel, held: held !== undefined })
  }
}

export interface SystemQuality {
  readonly quality: () => TimeQuality
  /** Why the kernel cannot be asked; its time is then informative at best. */
  readonly without: Fault | undefined
}

/** Of this machine's clock. */
export async function openSystemQuality(): Promise<SystemQuality> {
  const libc = await loadLibc()
  const ask: () => Result<KernelClock> = libc.ok ? libc.value.readClock : () => libc
  const first = ask()
  const kernel = () => {
    const answer = ask()
    return answer.ok ? answer.value : undefined
  }
  const quality = watchQuality({ now: () => instant(Date.now()), mono: () => performance.now(), ask: kernel })
  return { quality, without: first.ok ? undefined : first.fault }
}
