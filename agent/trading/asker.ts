/** Asks one question at a time, again and again, until it is answered. */
import type { Cancel, Timers } from '../../drivers/ports.ts'

/** An answer may come with every new header, which is there about once a second. */
const NEXT_HEADER_MS = 1000
/** However long nothing is expected: a clock that is set says later what it did not say before. */
const MOST_MS = 60_000

export interface Asker<Q> {
  /** The last question put is the one that is asked. */
  put(question: Q): void
  asking(): Q | undefined
  stop(): void
}

/**
 * `askOnce` says whether the question is answered, one way or the other, or for how many milliseconds it cannot be: a minute of
 * them at most is believed. Whatever is put is asked at once.
 */
export function createAsker<Q>(timers: Timers, askOnce: (question: Q) => Promise<boolean | number>): Asker<Q> {
  let question: Q | undefined
  let again: Cancel = () => {}
  let busy = false
  let stopped = false

  async function ask(): Promise<void> {
    if (stopped || busy || question === undefined) return
    again()
    const asked = question
    busy = true
    const said = await askOnce(asked)
    busy = false
    if (said === true && question === asked) question = undefined
    if (stopped || question === undefined) return
    const waitMs = typeof said === 'number' && question === asked ? said : 0
    again = timers.after(Math.min(MOST_MS, Math.max(NEXT_HEADER_MS, waitMs)), () => void ask())
  }

  return {
    put(next) {
      question = next
      void ask()
    },
    asking: () => question,
    stop() {
      stopped = true
      again()
    },
  }
}
