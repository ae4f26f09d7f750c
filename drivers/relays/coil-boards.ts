/**
 * How makers' relay boards on Modbus take their commands, as data. Second-hand, from manuals' command tables and other
 * projects' drivers, not tried on hardware:
 *
 * - `register-ms`: coils, and a holding register for each that closes for so many milliseconds.
 * - `waveshare` (Modbus RTU Relay, development protocol V2 and V3): coils; "flash on" is function 5 at 0x0200 + channel with
 *   steps of 100 ms, at most 0x7fff. Coil 0x00ff is all relays at once.
 * - `r421a` (R421A08, N4D boards), `ryn4` (RYN404E, RYN408F): no coils but holding registers, from 1 or from 0; written 0x0100
 *   on, 0x0200 off, 0x0600 + seconds on for so long; read 1 and 0. On the RYN4 "off" does nothing while such a time runs, and
 *   0x0600 alone opens (measured by another project), so both are sent.
 */
import type { WriteRequest } from '../modbus/master.ts'

export const COIL_BOARD_KINDS = ['register-ms', 'waveshare', 'r421a', 'ryn4', 'plain'] as const
export type CoilBoardKind = (typeof COIL_BOARD_KINDS)[number]

export interface CoilBoardForm {
  /** Channels that its addresses have room for. */
  readonly channels: number
  /** Address of channel 1, to be read and written. */
  readonly first: 0 | 1
  readonly reads: 'coils' | 'registers'
  /** What a timed closing counts in, and the most of that; absent: the board has none. */
  readonly timed?: { readonly stepMs: number; readonly most: number }
  /** Closes for so many steps, or for good. */
  close(at: number, steps: number | undefined): WriteRequest
  /** Everything that has to be sent to open, in this order. */
  open(at: number): readonly [WriteRequest, ...WriteRequest[]]
}

const COILS: Pick<CoilBoardForm, 'first' | 'reads' | 'open'> = {
  first: 0,
  reads: 'coils',
  open: address => [{ fn: 5, address, on: false }],
}

const coilOn = (address: number): WriteRequest => ({ fn: 5, address, on: true })

const REGISTERS: Omit<CoilBoardForm, 'first'> = {
  channels: 32,
  reads: 'registers',
  // Its register holds 255; the manual of the RYN4 allows 99.
  timed: { stepMs: 1000, most: 99 },
  close: (address, seconds) => ({ fn: 6, address, value: seconds === undefined ? 0x0100 : 0x0600 + seconds }),
  open: address => [
    { fn: 6, address, value: 0x0600 },
    { fn: 6, address, value: 0x0200 },
  ],
}

export const COIL_BOARDS: Readonly<Record<CoilBoardKind, CoilBoardForm>> = {
  'register-ms': {
    ...COILS,
    channels: 256,
    timed: { stepMs: 1, most: 0xffff },
    close: (address, steps) => (steps === undefined ? coilOn(address) : { fn: 6, address, value: steps }),
  },
  waveshare: {
    ...COILS,
    channels: 32,
    timed: { stepMs: 100, most: 0x7fff },
    close: (at, steps) => (steps === undefined ? coilOn(at) : { fn: 5, address: 0x0200 + at, value: steps }),
  },
  r421a: { ...REGISTERS, first: 1 },
  ryn4: { ...REGISTERS, first: 0 },
  /** Coils and nothing else. */
  plain: { ...COILS, channels: 256, close: coilOn },
}
