/**
 * Calendar jobs: rollups, rotation, gates. The one file that knows node-cron, which reads the patterns and says whether a
 * minute is due; waking up is left to the Timers port, so that the calendar also runs on the bench's clock and in the
 * simulator, and so that a step of the wall clock does neither of what node-cron's own scheduler makes of it: replay every
 * slot that was stepped over, or stay silent until the old time is reached again.
 *
 * All in UTC: in a zone with daylight saving, slots of the repeated autumn hour would be skipped or doubled. Sampling and
 * control do not belong here; they run on monotonic timers.
 */
import { createTask, validateDetailed } from 'node-cron'
import { fail, ok, type Result } from '../protocol/result.ts'
import type { Cancel, Clock, Timers } from './ports.ts'

export interface Calendar {
  /** Runs at every minute that the pattern names: minute, hour, day of month, month, day of week, as in `5 0 * * *`. */
  at(pattern: string, run: () => void): Result<Cancel, CalendarFault>
  close(): void
}

export type CalendarFault = { readonly code: 'calendar.pattern'; readonly pattern: string; readonly why: string }

const MINUTE_MS = 60_000

/** Slots that a step or a sleep skipped are made up for by one run, if the step was no longer than this: jobs are daily at most. */
const LOOK_BACK_MINUTES = 24 * 60

interface Job {
  readonly due: (minute: number) => boolean
  readonly run: () => void
}

export function createCalendar({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }): Calendar {
  const jobs = new Set<Job>()
  let last: number | undefined
  let cancel: Cancel = () => {}

  const arm = () => {
    cancel = timers.after(MINUTE_MS - (clock.now() % MINUTE_MS), tick)
  }
  const tick = () => {
    arm()
    // Before the clock is set, a job would be booked on a day that never was.
    if (clock.quality() === 'unknown') return
    const now = Math.floor(clock.now() / MINUTE_MS)
    const from = last === undefined || now < last ? now - 1 : Math.max(last, now - LOOK_BACK_MINUTES)
    last = now
    for (const job of [...jobs]) {
      for (let minute = now; minute > from; minute--) {
        if (!job.due(minute)) continue
        job.run()
        break
      }
    }
  }
  arm()

  return {
    at(pattern, run) {
      const fault = patternFault(pattern)
      if (fault !== undefined) return fail(fault)
      const task = createTask(pattern, () => {}, { timezone: 'Etc/UTC' })
      const job: Job = { run, due: minute => task.match(new Date(minute * MINUTE_MS)) }
      jobs.add(job)
      return ok(() => {
        jobs.delete(job)
        task.destroy()
      })
    },
    close() {
      cancel()
      jobs.clear()
    },
  }
}

function patternFault(pattern: string): CalendarFault | undefined {
  const fields = pattern.trim().split(/\s+/).length
  if (fields !== 5) return { code: 'calendar.pattern', pattern, why: `${fields} fields instead of 5 (no seconds)` }
  const { valid, errors } = validateDetailed(pattern)
  return valid ? undefined : { code: 'calendar.pattern', pattern, why: errors.map(error => error.message).join('; ') }
}
