/** How a person, a service manager or the end of a parent asks this program to end. */
import { ENDS_WITH_PARENT } from './child.ts'

const ASKED = ['SIGINT', 'SIGTERM'] as const
/** Of a shell: 128 and the number of SIGINT. */
const EXIT_INTERRUPTED = 130
/**
 * A terminal signals every program in front of it and a launcher (npm, tsx) passes the same signal on: that is one request.
 * Nobody presses a key twice within this.
 */
const SAME_REQUEST_MS = 400

/** Resolves when somebody first asks: time to end in order. Asked again, the program ends at once. */
export const interruption = (): Promise<void> =>
  new Promise(resolve => {
    let first: number | undefined
    for (const signal of ASKED) {
      process.on(signal, () => {
        first ??= performance.now()
        if (performance.now() - first > SAME_REQUEST_MS) process.exit(EXIT_INTERRUPTED)
        resolve()
      })
    }
    if (process.env[ENDS_WITH_PARENT] !== undefined) {
      // Listening for the parent's end is no reason to stay.
      process.stdin.on('close', () => resolve()).resume()
      process.stdin.unref()
    }
  })
