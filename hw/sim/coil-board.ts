/**
 * A relay board on Modbus whose dead-man is timed-on: a channel closed for a time opens by itself unless it is closed again.
 * Makers differ in how that is said (second-hand, no board was at hand). Channels from 0:
 *
 *     register-ms  coil channel: the relay; holding channel: on for so many ms, 0 is off; read: what is left of it
 *     waveshare    coil channel: the relay; coil 0x00ff: all; function 5 at 0x0200 + channel: on for so many 100 ms
 *     r421a        holding 1 + channel: 0x0100 on, 0x0200 off, 0x0601 to 0x06ff on for so many seconds; read 1 or 0
 *     ryn4         holding channel: as r421a, but 0x0600 is off, and while a time runs nothing but 0x06xx is listened to
 *     plain        coil channel: the relay
 */
import type { Cancel, Clock, Position, Timers } from '../../drivers/ports.ts'
import type { Registers } from './modbus-bank.ts'
import { createUnit, type ModbusBank, type ModbusUnit } from './modbus-slave.ts'

export interface CoilBoardOptions {
  /** `register-ms` where left out. */
  readonly kind?: 'register-ms' | 'waveshare' | 'r421a' | 'ryn4' | 'plain'
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

  function bankOf(kind: NonNullable<CoilBoardOptions['kind']>): ModbusBank {
    const coils = {
      coil: (address: number) => channels[address]?.energised,
      writeCoil: (address: number, on: boolean) => drive(address, on),
    }
    const holding = (value: (channel: Channel) => number, first = 0): (() => Registers) => {
      return () => (table, address) => {
        const channel = table === 'holding' ? channels[address - first] : undefined
        return channel && value(channel)
      }
    }
    if (kind === 'plain') return coils
    if (kind === 'register-ms') {
      return {
        ...coils,
        registers: holding(({ until }) => Math.max(0, (until ?? 0) - clock.mono())),
        writeRegister: (address, value) => drive(address, value > 0, value),
      }
    }
    if (kind === 'waveshare') {
      return {
        ...coils,
        writeCoil: (address, on) =>
          address === 0xff ? channels.every((_, channel) => drive(channel, on)) : drive(address, on),
        writeCoilValue: (address, value) => address >= 0x0200 && drive(address - 0x0200, true, 100 * value),
      }
    }
    const first = kind === 'r421a' ? 1 : 0
    return {
      registers: holding(({ energised }) => (energised ? 1 : 0), first),
      writeRegister: (address, value) => {
        const seconds = value >> 8 === 6 ? value & 0xff : undefined
        if (seconds !== undefined && seconds > 0) return drive(address - first, true, 1000 * seconds)
        if (kind === 'ryn4') {
          if (seconds === 0) return drive(address, false)
          if (channels[address]?.until !== undefined) return true
        }
        return (value === 0x0100 || value === 0x0200) && drive(address - first, value === 0x0100)
      },
    }
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
    unit: createUnit(bankOf(options.kind ?? 'register-ms')),
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
