/**
 * Keeps a line open: an unplugged adapter or a dropped connection is opened again with growing pauses, short enough that a
 * replugged adapter is back within two seconds.
 */
import type { Fault, Result } from '../../protocol/result.ts'
import { done, fail } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Cancel, Line, Timers } from '../ports.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 1_000

export interface KeptLine {
  /** Opens the line; when that fails it is tried again until `close`, and the first fault is the answer. */
  open(): Promise<Result<void>>
  /** undefined while the line is up, else why it is not. */
  fault(): Fault | undefined
  /** Closes and opens again: for a line that is open and says nothing more. */
  restart(why: Fault): void
  close(): Promise<void>
}

export interface KeptLineListener {
  bytes(chunk: Uint8Array, at: Mono): void
  /** Each change, once. */
  up(): void
  down(fault: Fault): void
}

const NOT_OPENED: Fault = { code: 'line.closed' }

export function keepOpen(line: Line, timers: Timers, listener: KeptLineListener): KeptLine {
  let wanted = false
  let fault: Fault | undefined = NOT_OPENED
  let pauseMs = FIRST_PAUSE_MS
  let cancelRetry: Cancel | undefined
  /** Counts openings, so that what an older one still says is not heard. */
  let generation = 0
  /** The opening under way: one that was closed in the middle has to end, and let go of the device, before the next begins. */
  let opening: Promise<unknown> = Promise.resolve()

  function attempt(): Promise<Result<void>> {
    const mine = ++generation
    const next = opening.then(() => (mine === generation ? attemptNow(mine) : fail(fault ?? NOT_OPENED)))
    opening = next
    return next
  }

  async function attemptNow(mine: number): Promise<Result<void>> {
    const opened = await line.open({
      bytes: (chunk, at) => {
        if (mine === generation) listener.bytes(chunk, at)
      },
      down: why => {
        if (mine === generation) lost(why)
      },
    })
    if (mine !== generation) {
      if (opened.ok) await line.close()
      return fail(fault ?? NOT_OPENED)
    }
    if (!opened.ok) {
      fault = opened.fault
      retry()
      return opened
    }
    fault = undefined
    pauseMs = FIRST_PAUSE_MS
    listener.up()
    return done
  }

  function retry(): void {
    cancelRetry?.()
    cancelRetry = timers.after(pauseMs, () => void attempt())
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
  }

  function lost(why: Fault): void {
    const wasUp = fault === undefined
    generation++
    fault = why
    if (wasUp) listener.down(why)
    // An adapter that hung up keeps its descriptor until it is closed.
    void line.close().then(() => {
      if (wanted) retry()
    })
  }

  return {
    open: async () => {
      if (wanted) return fault === undefined ? done : fail(fault)
      wanted = true
      return attempt()
    },
    fault: () => fault,
    restart: why => {
      if (wanted && fault === undefined) lost(why)
    },
    close: async () => {
      const wasUp = fault === undefined
      wanted = false
      generation++
      fault = NOT_OPENED
      cancelRetry?.()
      if (wasUp) listener.down(NOT_OPENED)
      await line.close()
    },
  }
}
