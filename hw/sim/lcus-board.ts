/**
 * An LCUS relay board behind its serial adapter, with what makes it hard: it acknowledges nothing, is deaf for a while after
 * each frame, its answers do not say what they answer, and some boards have none. Its contacts stay where they are when
 * nobody speaks to it.
 */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Clock, Position, Timers } from '../../drivers/ports.ts'
import { sendPaced } from './pace.ts'

export interface LcusBoardOptions {
  readonly end: DeviceEnd
  readonly channels: number
  /** How it answers FF. */
  readonly reply: 'text' | 'bytes' | 'none'
  /** Milliseconds a character where the end keeps no pace of its own, else 0. */
  readonly characterMs: number
  /** What comes so soon after a frame is not heard. */
  readonly deafMs?: number
  /** Each time a contact moves. Channels count from 0. */
  readonly moved?: (channel: number, position: Position) => void
  readonly clock: Clock
  readonly timers: Timers
}

export interface LcusBoard {
  position(channel: number): Position
  /** Set at any time. */
  readonly faults: {
    /** Hears nothing and says nothing. */
    dead: boolean
    /** The next answer comes so much later. */
    lateMs: number
    /** The relay of this channel, from 0, no longer moves. */
    stuck: number | undefined
  }
}

export function createLcusBoard(options: LcusBoardOptions): LcusBoard {
  const { end, channels, reply, characterMs, deafMs = 10, moved, clock, timers } = options
  const on = Array.from({ length: channels }, () => false)
  const faults: LcusBoard['faults'] = { dead: false, lateMs: 0, stuck: undefined }
  let frame: number[] = []
  let deafUntil = 0

  function take(byte: number): void {
    if (faults.dead) return
    if (frame.length === 0 && clock.mono() < deafUntil) return
    if (frame.length === 0 && byte === 0xff) answer()
    else if (frame.length > 0 || byte === 0xa0) frame.push(byte)
    if (frame.length < 4) return
    const [start = 0, channel = 0, op = 0, sum] = frame
    frame = []
    deafUntil = clock.mono() + deafMs
    if (((start + channel + op) & 0xff) !== sum || channel < 1 || channel > channels || op > 1) return
    drive(channel - 1, op === 1)
  }

  function drive(channel: number, to: boolean): void {
    if (on[channel] === to || faults.stuck === channel) return
    on[channel] = to
    moved?.(channel, to ? 'closed' : 'open')
  }

  function answer(): void {
    if (reply === 'none') return
    const text = on.map((is, n) => `CH${n + 1}: ${is ? 'ON' : 'OFF'}\r\n`).join('')
    const bytes = reply === 'bytes' ? on.map(is => (is ? 1 : 0)) : [...text].map(letter => letter.charCodeAt(0))
    sendPaced(end, Uint8Array.from(bytes), { afterMs: 1 + faults.lateMs, characterMs }, timers)
    faults.lateMs = 0
  }

  end.onBytes(chunk => {
    for (const byte of chunk) take(byte)
  })
  return { position: channel => (on[channel] ? 'closed' : 'open'), faults }
}
