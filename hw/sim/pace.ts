/** Sends bytes at the pace of a serial wire into an end that keeps no pace of its own, such as a pseudo-terminal. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Timers } from '../../drivers/ports.ts'

/** A USB adapter hands over what it received every 16 ms unless told otherwise (FTDI's default latency timer). */
const SLICE_MS = 16

/**
 * The first byte starts `afterMs` from now; each slice is written when its last byte has left the wire. Where
 * `characterMs` is 0 everything leaves at once.
 */
export function sendPaced(
  end: Pick<DeviceEnd, 'write'>,
  bytes: Uint8Array,
  timing: { readonly afterMs: number; readonly characterMs: number },
  timers: Timers,
): void {
  const { afterMs, characterMs } = timing
  const size = characterMs === 0 ? bytes.length : Math.max(1, Math.floor(SLICE_MS / characterMs))
  // All set from one instant, so that a late timer delays its own slice and not the following ones.
  for (let from = 0; from < bytes.length; from += size) {
    const to = Math.min(from + size, bytes.length)
    timers.after(afterMs + to * characterMs, () => end.write(bytes.subarray(from, to)))
  }
}
