/**
 * Real bytes on a real device in virtual time, which stands still while any of them is on its way: a slow machine makes such a test
 * slow and not wrong.
 */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Line } from '../../drivers/ports.ts'

/** Bytes that have not come through this machine by then were written to a line that was closed. */
const LOST_MS = 5_000

/** Shorter than any exchange on a wire. */
const STEP_MS = 5

/** Work that is under way outside virtual time: calls of the line, and bytes on their way in either direction. */
export function follow() {
  let calls = 0
  let towardsDevice = 0
  let towardsGateway = 0
  const during = async <T>(work: Promise<T>): Promise<T> => {
    calls++
    try {
      return await work
    } finally {
      calls--
    }
  }
  /** Lets so much virtual time pass by `advance`, in steps so long, each once nothing is under way, or what is can no longer arrive. */
  async function pass(advance: (ms: number) => Promise<void>, ms: number, stepMs = STEP_MS): Promise<void> {
    for (let left = ms; ; left -= stepMs) {
      const until = performance.now() + LOST_MS
      do await new Promise(resolve => setImmediate(resolve))
      while ((calls > 0 || towardsDevice !== 0 || towardsGateway !== 0) && performance.now() < until)
      towardsDevice = 0
      towardsGateway = 0
      await advance(Math.min(stepMs, Math.max(0, left)))
      if (left <= stepMs) return
    }
  }
  return {
    pass,
    /** Lets virtual time pass until this is settled. */
    async settled<T>(advance: (ms: number) => Promise<void>, work: Promise<T>): Promise<T> {
      let over = false
      const ended = () => {
        over = true
      }
      work.then(ended, ended)
      while (!over) await pass(advance, STEP_MS)
      return work
    },
    line: (line: Line): Line => ({
      ...line,
      open: listener =>
        during(
          line.open({
            ...listener,
            bytes: (chunk, at) => {
              towardsGateway -= chunk.length
              listener.bytes(chunk, at)
            },
          }),
        ),
      write: bytes => {
        towardsDevice += bytes.length
        return during(line.write(bytes))
      },
      flush: () => during(line.flush()),
      ...(line.setBaud === undefined ? {} : { setBaud: baud => during(line.setBaud!(baud)) }),
      close: () => during(line.close()),
    }),
    device: (end: DeviceEnd): DeviceEnd => ({
      ...end,
      write: bytes => {
        towardsGateway += bytes.length
        end.write(bytes)
      },
      onBytes: hear =>
        end.onBytes(chunk => {
          towardsDevice -= chunk.length
          hear(chunk)
        }),
    }),
  }
}
