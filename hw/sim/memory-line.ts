/**
 * A line in memory: the gateway's end is a Line as any other, the device's end a DeviceEnd, and bytes take their time on
 * the wire by the Timers port. Each direction carries one byte after the other; what is written in one call arrives in one
 * chunk, when its last byte has.
 */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Clock, Line, LineListener, Timers } from '../../drivers/ports.ts'
import { done, fail, type Result } from '../../protocol/result.ts'

export interface MemoryLineOptions {
  readonly name: string
  /** Milliseconds a character; 0 for a network. */
  readonly characterMs: number
  /** Added to each chunk in either direction, in milliseconds. */
  readonly latencyMs?: number
  /** What the wire makes of the bytes on their way, as `noise` in noise.ts does; nothing by default. */
  readonly disturb?: (bytes: Uint8Array, towards: 'gateway' | 'device') => Uint8Array
  readonly clock: Clock
  readonly timers: Timers
}

export interface MemoryLine {
  readonly port: Line
  /** The end for the simulator; `unplug` takes the line down, `plug` lets it be opened again. */
  readonly device: DeviceEnd & { plug(): void }
}

export function createMemoryLine(options: MemoryLineOptions): MemoryLine {
  const { name, characterMs, latencyMs = 0, disturb = bytes => bytes, clock, timers } = options
  let plugged = true
  let listener: LineListener | undefined
  let hear: (chunk: Uint8Array) => void = () => {}
  /** Counts openings and unplugs: what is on its way across one of them is lost. */
  let era = 0
  const busyUntil = { gateway: 0, device: 0 }

  /** When the last of `count` bytes, sent after whatever is under way already, has left. */
  function occupy(towards: 'gateway' | 'device', count: number): number {
    const now = clock.mono()
    busyUntil[towards] = Math.max(now, busyUntil[towards]) + count * characterMs
    return busyUntil[towards] - now
  }

  function carry(towards: 'gateway' | 'device', bytes: Uint8Array): number {
    const leftIn = occupy(towards, bytes.length)
    const sentIn = era
    // A copy: whoever wrote may use its buffer again at once.
    const arriving = disturb(bytes.slice(), towards)
    timers.after(leftIn + latencyMs, () => {
      if (sentIn !== era || arriving.length === 0) return
      if (towards === 'device') hear(arriving)
      else listener?.bytes(arriving, clock.mono())
    })
    return leftIn
  }

  const closed = () => fail({ code: 'line.closed', line: name })

  const port: Line = {
    name,
    characterMs,
    open: async opened => {
      if (listener !== undefined) return fail({ code: 'line.already-open', line: name })
      if (!plugged) return fail({ code: 'line.unplugged', line: name, hint: 'plug the adapter in again' })
      era++
      listener = opened
      return done
    },
    write: bytes => {
      if (listener === undefined) return Promise.resolve(closed())
      const leftIn = carry('device', bytes)
      const sentIn = era
      return new Promise<Result<void>>(resolve => {
        timers.after(leftIn, () => resolve(sentIn === era ? done : closed()))
      })
    },
    // What arrives is handed on at once; nothing is held back here.
    flush: async () => (listener === undefined ? closed() : done),
    close: async () => {
      if (listener === undefined) return
      era++
      listener = undefined
    },
  }

  function unplug(): void {
    if (!plugged) return
    plugged = false
    era++
    const told = listener
    listener = undefined
    // Later, as on a machine: no port calls back from inside another call.
    if (told !== undefined) timers.after(0, () => told.down({ code: 'line.unplugged', line: name }))
  }

  return {
    port,
    device: {
      write: bytes => {
        if (plugged && listener !== undefined) carry('gateway', bytes)
      },
      onBytes: heard => {
        hear = heard
      },
      unplug,
      plug: () => {
        plugged = true
      },
      close: async () => unplug(),
    },
  }
}
