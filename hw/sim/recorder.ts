/** A line that writes down what passes through it; whoever uses it notices nothing. */

import { type CapturedChunk, encodeChunk, encodeHeader } from '../../drivers/line/capture.ts'
import type { Clock, Line } from '../../drivers/ports.ts'
import { isoTime } from '../../protocol/time.ts'

export interface Recording {
  readonly line: Line
  /** Chunks and bytes so far. */
  readonly counts: { readonly chunks: number; readonly bytes: number }
}

/** Microseconds are more than any line's timing means. */
const toMicroseconds = (ms: number): number => Math.round(ms * 1000) / 1000

/** `write` takes whole lines of text, the header at once. */
export function recordLine(
  line: Line,
  {
    baud,
    format,
    clock,
    write,
  }: {
    readonly baud: number
    readonly format: string
    readonly clock: Clock
    readonly write: (text: string) => void
  },
): Recording {
  const counts = { chunks: 0, bytes: 0 }
  const start = clock.fine()
  const note = (dir: CapturedChunk['dir'], bytes: Uint8Array): void => {
    counts.chunks++
    counts.bytes += bytes.length
    write(encodeChunk({ t: toMicroseconds(clock.fine() - start), dir, bytes }))
  }
  write(encodeHeader({ line: line.name, baud, format, started: isoTime(clock.now()) }))
  return {
    counts,
    line: {
      ...line,
      open: listener =>
        line.open({
          ...listener,
          bytes: (chunk, at) => {
            note('rx', chunk)
            listener.bytes(chunk, at)
          },
        }),
      write: bytes => {
        note('tx', bytes)
        return line.write(bytes)
      },
    },
  }
}
