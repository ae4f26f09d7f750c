/**
 * The one file that knows the test library. `suite` is uvu's with a deadline on each test (uvu has none), and a skip
 * that must name its reason: test/run.ts compares the reasons seen with test/skips.json and fails on a new one.
 */
import { suite as uvuSuite } from 'uvu'
import * as assert from 'uvu/assert'

export { assert }

/** Against hanging only: nothing is judged by how fast a machine is, and so no test is given less. */
const DEADLINE_MS = 180_000

type Body = () => void | Promise<void>

export interface Suite {
  /** `deadlineMs` is for a test that takes a machine at rest longer than a fifth of what every test is given. */
  (name: string, body: Body, deadlineMs?: number): void
  /** Registers the test as skipped when `reason` is a string, else runs it. */
  skipIf(reason: SkipReason | undefined, name: string, body: Body, deadlineMs?: number): void
  run(): void
}

/** Why a test did not run here: an entry of test/skips.json, or its equivalent by name. */
export type SkipReason = string

export function suite(title: string): Suite {
  const inner = uvuSuite(title)
  const add = (name: string, body: Body, wantedMs = 0) =>
    inner(name, async () => {
      const deadlineMs = Math.max(DEADLINE_MS, wantedMs)
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no end after ${deadlineMs} ms`)), deadlineMs)
      })
      try {
        await Promise.race([body(), late])
      } finally {
        clearTimeout(timer)
      }
    })
  return Object.assign(add, {
    skipIf: (reason: SkipReason | undefined, name: string, body: Body, deadlineMs?: number) => {
      if (reason === undefined) return add(name, body, deadlineMs)
      process.stdout.write(`SKIP ${JSON.stringify({ reason, test: `${title}: ${name}` })}\n`)
      inner.skip(name, () => {})
    },
    run: () => {
      inner.run()
    },
  })
}
