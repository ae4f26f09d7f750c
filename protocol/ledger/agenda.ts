/** What falls due by block time: a heap of state keys, the earliest first. It is not state: it is rebuilt from the records. */
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
  const heap: Appointment[] = []
  /** What each key was last put down for. */
  const newest = new Map<string, Instant>()

  function takeFirst(): Appointment {
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }

  return {
    add(appointment) {
      if (newest.get(appointment.key) === appointment.at) return
      newest.set(appointment.key, appointment.at)
      let at = heap.length
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!before(appointment, heap[parent]!)) break
        heap[at] = heap[parent]!
        at = parent
      }
      heap[at] = appointment
    },
    takeDue(now) {
      if (heap.length === 0 || heap[0]!.at > now) return undefined
      const first = takeFirst()
      if (newest.get(first.key) === first.at) newest.delete(first.key)
      return first
    },
  }
}
