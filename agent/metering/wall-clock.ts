/**
 * The wall clock as readings see it: what its time is worth, whether somebody set it, and whether it was ever right since this
 * agent started. Nothing waits by it; sampling runs on monotonic time.
 */
import type { Clock, Log } from '../../drivers/ports.ts'
import type { What } from '../../protocol/reading/event.ts'
import type { Fault } from '../../protocol/result.ts'
import { CLOCK_STEP_MS, type Instant, instant, isoTime, type Mono, type TimeQuality } from '../../protocol/time.ts'

/** What the wall time of a reading is worth. */
export interface TimeWorth {
  readonly quality: TimeQuality
  /** Taken before the clock was synchronised for the first time since this agent started. */
  readonly beforeSync: boolean
}

export interface WallClock {
  /** What the journal knows: how often the clock was set, and the last moment that was signed as a known time. */
  restore(sets: number, last: Instant | undefined): void
  /** Looks whether the clock was set, came under control or left it; to be called every few seconds. */
  look(): void
  /** What the time now is worth, by all that is known. */
  quality(): TimeQuality
  /** What the time of something just taken is worth. */
  judge(taken: Instant, takenMono: Mono): TimeWorth
  /** How often the clock was set, all boots together. */
  sets(): number
}

export interface WallClockParts {
  readonly clock: Clock
  readonly log: Log
  readonly health: (what: string, fault: Fault | undefined) => void
  /** Hears what is to go on record, `clock-step` and `clock-quality`: a few at once, and some twenty an hour at most. */
  readonly onEvent: (what: What) => void
}

/** A clock that flaps writes no more than this in any hour, each a block of its own; what comes meanwhile is told as one. */
const MOST_EVENTS = 20
const EVENTS_WITHIN_MS = 3_600_000

export function createWallClock({ clock, log, health, onEvent }: WallClockParts): WallClock {
  let offset = clock.now() - clock.mono()
  let clockSets = 0
  let notBefore: Instant | undefined
  let synchronisedOnce = false
  /** Since the last step on record: by how much the clock was set, all steps together; undefined where it was not. */
  let setBy: number | undefined
  /** On record, or what it was at the first look. */
  let quality: TimeQuality | undefined
  /** When the last events were told. */
  let told: readonly Mono[] = []

  /** A time before the last that was signed cannot be; only a source that is in control may say otherwise. */
  function qualityNow(now: Instant): TimeQuality {
    const found = clock.quality()
    return found === 'informative' && notBefore !== undefined && now < notBefore ? 'unknown' : found
  }

  function mayTell(at: Mono): boolean {
    told = told.filter(before => at - before < EVENTS_WITHIN_MS)
    if (told.length >= MOST_EVENTS) return false
    told = [...told, at]
    return true
  }

  function look(): void {
    const [now, at] = [clock.now(), clock.mono()]
    const offsetNow = now - at
    if (Math.abs(offsetNow - offset) > CLOCK_STEP_MS) {
      clockSets++
      setBy = (setBy ?? 0) + offsetNow - offset
    }
    // Followed, not fixed: a slow correction over days is no step.
    offset = offsetNow
    if (setBy !== undefined && mayTell(at)) {
      log('warn', 'metering', `the wall clock was set by ${setBy} ms`)
      onEvent({ kind: 'clock-step', from: instant(now - setBy), to: now })
      setBy = undefined
    }
    const found = qualityNow(now)
    quality ??= found
    if (quality !== found && mayTell(at)) {
      onEvent({ kind: 'clock-quality', from: quality, to: found })
      quality = found
    }
    if (found === 'synchronised') synchronisedOnce = true
    const hint = 'the time is before anything that this gateway can have seen; set the clock or let NTP reach it'
    health('clock', found === 'unknown' ? { code: 'clock.not-set', now: isoTime(now), hint } : undefined)
  }

  return {
    look,
    quality: () => qualityNow(clock.now()),
    restore: (sets, last) => {
      clockSets = Math.max(clockSets, sets)
      notBefore = last
    },
    judge: (taken, takenMono) => {
      look()
      // Stamped before the clock was set, it says what the clock said then, and nobody knows what that was worth.
      const stale = Math.abs(taken - takenMono - offset) > CLOCK_STEP_MS
      return { quality: stale ? 'unknown' : qualityNow(taken), beforeSync: !synchronisedOnce }
    },
    sets: () => clockSets,
  }
}
