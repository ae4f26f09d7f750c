/** What falls due by block time: a heap of state keys, the earliest first. It is not state: it is rebuilt from the records. */
import { createHeap } from '../heap.ts'
import type { Instant } from '../time.ts'

export interface Appointment {
  readonly at: Instant
  /** The whole state key of the record that falls due. */
  readonly key: string
}

export interface Agenda {
  /** Once is enough: a slot of a line that is changed a million times before it is over stands here once. */
  add(appointment: Appointment): void
  /** Takes the first that is due at `now`, by time and then by key. What a record was replaced by may not be due, or come twice. */
  takeDue(now: Instant): Appointment | undefined
}

const before = (a: Appointment, b: Appointment): boolean => (a.at === b.at ? a.key < b.key : a.at < b.at)

export function createAgenda(): Agenda {
  const heap = createHeap(before)
  /** What each key was last put down for. */
  const newest = new Map<string, Instant>()

  return {
    add(appointment) {
      if (newest.get(appointment.key) === appointment.at) return
      newest.set(appointment.key, appointment.at)
      heap.push(appointment)
    },
    takeDue(now) {
      const first = heap.first()
      if (first === undefined || first.at > now) return undefined
      heap.take()
      if (newest.get(first.key) === first.at) newest.delete(first.key)
      return first
    },
  }
}
