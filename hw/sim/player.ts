/** Plays what a capture heard into a device's end, at its own pace or another. */

import type { CapturedChunk } from '../../drivers/line/capture.ts'
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Clock, Timers } from '../../drivers/ports.ts'

export interface Player {
  /** Resolves when the last chunk was written, or playing was stopped. */
  readonly ended: Promise<void>
  stop(): void
}

/**
 * Writes the chunks that came from the device, each at its time over `speed`, and says nothing of those that were sent to it:
 * whoever listens asks what it likes and hears what was heard.
 */
export function playCapture(
  chunks: readonly CapturedChunk[],
  end: Pick<DeviceEnd, 'write'>,
  speed: number,
  { clock, timers }: { readonly clock: Clock; readonly timers: Timers },
): Player {
  const heard = chunks.filter(({ dir }) => dir === 'rx')
  const start = clock.fine()
  let live = true
  let cancel = () => {}
  let finish = () => {}
  const ended = new Promise<void>(resolve => {
    finish = resolve
  })

  /** One timer at a time: a capture of a day holds many chunks. */
  function play(index: number): void {
    const chunk = heard[index]
    if (chunk === undefined) return finish()
    cancel = timers.after(Math.max(0, start + chunk.t / speed - clock.fine()), () => {
      if (!live) return
      end.write(chunk.bytes)
      play(index + 1)
    })
  }

  play(0)
  return {
    ended,
    stop: () => {
      live = false
      cancel()
      finish()
    },
  }
}
