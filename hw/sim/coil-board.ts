/**
 * A relay board on Modbus: each channel is a coil (functions 1, 5, 15), and each has a timed-on register that is its
 * dead-man: a channel closed through it opens by itself unless it is written again in time.
 *
 *     coil     0x0000 + channel   read: the channel's relay is energised; write: on for good, or off
 *     holding  0x0000 + channel   write ms: on for so long from now, 0 is off; read: what is left of it
 *
 * Makers differ in where they put timed-on (second-hand, no board was at hand): Waveshare's boards take function 5 at
 * 0x0200 + channel in steps of 100 ms, R421A/N4D boards function 6 at the channel with 0x0600 + seconds. This board takes
 * milliseconds, so that one function 16 renews every channel.
 */
import type { Cancel, Clock, Position, Timers } from '../../drivers/ports.ts'
import { createUnit, type ModbusUnit } from './modbus-slave.ts'

export interface CoilBoardOptions {
  readonly channels: number
  /** Each time a contact really moves. Channels count from 0. */
  readonly moved: (channel: number, position: Position) => void
  readonly clock: Clock
  readonly timers: Timers
}

export interface CoilBoard {
  readonly unit: ModbusUnit
  position(channel: number): Position
  /** A welded contact stays where it is when its relay lets go; mended, it follows the relay again. */
  weld(channel: number, welded: boolean): void
  /** The board loses power: every relay lets go. */
  powerLoss(): void
}

interface Channel {
  energised: boolean
  welded: boolean
  position: Position
  /** When a timed-on ends, on the monotonic clock. */
  until: number | undefined
  cancel: Cancel
}

export function createCoilBoard(options: CoilBoardOptions): CoilBoard {
  const { moved, clock, timers } = options
  const channels = Array.from(
    { length: options.channels },
    (): Channel => ({ energised: false, welded: false, position: 'open', until: undefined, cancel: () => {} }),
  )

  /** Brings the contact to where its relay holds it, unless it is welded shut. */
  function settle(index: number): void {
    const channel = channels[index]!
    const position = channel.energised || (channel.welded && channel.position === 'closed') ? 'closed' : 'open'
    if (position === channel.position) return
    channel.position = position
    moved(index, position)
  }

  /** Switches a relay: off, on for good, or on for so many milliseconds. */
  function drive(index: number, on: boolean, forMs?: number): boolean {
    const channel = channels[index]
    if (channel === undefined) return false
    channel.cancel()
    channel.energised = on
    channel.until = on && forMs !== undefined ? clock.mono() + forMs : undefined
    channel.cancel = on && forMs !== undefined ? timers.after(forMs, () => drive(index, false)) : () => {}
    settle(index)
    return true
  }

  return {
    unit: createUnit({
      coil: address => channels[address]?.energised,
      writeCoil: (address, on) => drive(address, on),
      registers: () => (table, address) => {
        const channel = table === 'holding' ? channels[address] : undefined
        return channel && Math.max(0, (channel.until ?? 0) - clock.mono())
      },
      writeRegister: (address, value) => drive(address, value > 0, value),
    }),
    position: index => channels[index]!.position,
    weld: (index, welded) => {
      channels[index]!.welded = welded
      settle(index)
    },
    powerLoss: () => {
      for (const index of channels.keys()) drive(index, false)
    },
  }
}
