/**
 * What a site does beside reading its meters and holding its contacts, as its page and what it publishes: a site does without it as
 * long as it cannot be opened, says so, and tries again, so that a taken port or a missing file costs no reading.
 */
import type { Timers } from '../drivers/ports.ts'
import type { Result } from '../protocol/result.ts'
import type { Health } from './health.ts'

/** The first time that is waited, which doubles each time: an attempt may write a file, and the card is to last for years. */
const AGAIN_MS = 10_000
/** Somebody who freed the port long after waits no longer than this. */
const AGAIN_MOST_MS = 300_000

/** Something that was opened, and can be ended in order. */
interface Opened {
  stop(): Promise<void>
}

export interface Beside<T> extends Opened {
  /** Undefined while it is not open. */
  value(): T | undefined
}

/** Resolves after the first attempt, whatever came of it; `name` is that of its health item. */
export async function openBeside<T extends Opened>(
  name: string,
  parts: {
    readonly open: () => Promise<Result<T>>
    readonly timers: Pick<Timers, 'after'>
    readonly health: Pick<Health, 'set'>
  },
): Promise<Beside<T>> {
  const { open, timers, health } = parts
  let value: T | undefined
  let closed = false
  let wait = AGAIN_MS
  let cancel = () => {}
  const attempt = async () => {
    const opened = await open()
    health.set(name, opened.ok ? undefined : opened.fault)
    if (!opened.ok) {
      if (!closed) cancel = timers.after(wait, again)
      wait = Math.min(2 * wait, AGAIN_MOST_MS)
      return
    }
    value = opened.value
  }
  let trying = attempt()
  function again() {
    trying = attempt()
  }
  await trying
  return {
    value: () => value,
    async stop() {
      closed = true
      cancel()
      await trying
      await value?.stop()
    },
  }
}
