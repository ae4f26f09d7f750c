/** Sends bytes at the pace of a serial wire into an end that keeps no pace of its own, such as a pseudo-terminal. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Timers } from '../../drivers/ports.ts'

/** A USB adapter hands over what it received every 16 ms unless told otherwise (FTDI's default latency timer). */
const SLICE_MS = 16

export interface Pace {
  /** From now to the first byte's start. */
  readonly afterMs: number
  /** 0 where everything leaves at once. */
  readonly characterMs: number
  /** What is handed over together; a character at least. */
  readonly sliceMs?: number
}

/** Each slice is written when its last byte has left the wire. */
export function sendPaced(
  end: Pick<DeviceEnd, 'write'>,
  bytes: Uint8Array,
  { afterMs, characterMs, sliceMs = SLICE_MS }: Pace,
  timers: Timers,
): void {
  const size = characterMs === 0 ? bytes.length : Math.max(1, Math.floor(sliceMs / characterMs))
  // All set from one instant, so that a late timer delays its own slice and not the following ones.
  for (let from = 0; from < bytes.length; from += size) {
    const to = Math.min(from + size, bytes.length)
    timers.after(afterMs + to * characterMs, () => end.write(bytes.subarray(from, to)))
  }
}
